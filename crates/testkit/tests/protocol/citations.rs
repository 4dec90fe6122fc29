//! Where a text cites rules, and where a source file has its tests.

use std::{collections::BTreeSet, ops::RangeInclusive};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, ItemFn, ItemMacro, Macro,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::page::split;

/// A rule's number in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) rule: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// Every rule that a text names, in `JW3, JW4`, `JW3 to JW5` and `JW3–JW5`.
pub(crate) fn citations(text: &str) -> Vec<Citation> {
    let of_line = |(line, text)| {
        let rules = of_line(text).into_iter();
        rules.map(move |rule| Citation { rule, line })
    };
    (1..).zip(text.lines()).flat_map(of_line).collect()
}

fn of_line(line: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last_end = None;
    for (start, word) in words(line) {
        let Some((family, number, _)) = split(word) else { continue };
        let between = last_end.map(|end: usize| &line[end..start]);
        if let (Some(" to " | "–"), Some(first)) = (between, found.last())
            && let Some((same, first, _)) = split(&first.clone())
            && same == family
        {
            found.extend((first + 1..number).map(|number| format!("{family}{number}")));
        }
        found.push(word.to_owned());
        last_end = Some(start + word.len());
    }
    found
}

/// Words that stand as a citation does: not in the middle of a path, an encoded text or a type.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + line[rest..].find(is_part)?;
        let end = start + line[start..].find(|c| !is_part(c)).unwrap_or(line.len() - start);
        rest = end;
        Some((start, &line[start..end]))
    })
    .filter(|(start, word)| {
        let before = line[..*start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        before.is_none_or(|c| c.is_whitespace() || "(`\"–,|[".contains(c))
            && after.is_none_or(|c| c.is_whitespace() || ".,;:)`\"–|]".contains(c))
    })
}

/// The sections of the page that a text names: `protocol.md §1, §3`.
pub(crate) fn sections(text: &str) -> Vec<(u32, usize)> {
    let mut found = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some((_, named)) = text.split_once("protocol") else { continue };
        let named = named.split(';').next().unwrap_or_default();
        for section in named.split('§').skip(1).filter(|_| !named.contains("RFC")) {
            let digits = section.find(|c: char| !c.is_ascii_digit()).unwrap_or(section.len());
            let (digits, rest) = section.split_at(digits);
            let is_part =
                rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(char::is_numeric));
            if let (false, Ok(number)) = (is_part, digits.parse()) {
                found.push((number, line));
            }
        }
    }
    found
}

/// The tests of one crate: functions with an attribute `test`, what stands in `proptest!` and in a macro of the
/// crate that makes tests, and the functions that it makes them of.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    /// Macros that make tests.
    makers: BTreeSet<String>,
    /// Every word in what they are given.
    made: BTreeSet<String>,
}

impl Tests {
    /// Reads the files of a crate.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a syn::File> + Clone) -> Self {
        let mut tests = Self { makers: BTreeSet::from(["proptest".to_owned()]), ..Self::default() };
        files.clone().for_each(|file| Makers(&mut tests).visit_file(file));
        files.for_each(|file| Made(&mut tests).visit_file(file));
        tests
    }

    /// The rules that tests in this file cite, in the comment right above them or inside of them.
    pub(crate) fn cited(&self, file: &syn::File, text: &str) -> BTreeSet<String> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let mut found = Found { tests: self, spans: Vec::new() };
        found.visit_file(file);
        let with_comment = |span: &RangeInclusive<usize>| {
            let above = lines[..span.start() - 1].iter().rev();
            let comment =
                above.take_while(|line| line.starts_with("//") && !line.starts_with("//!"));
            span.start() - comment.count()..=*span.end()
        };
        let spans: Vec<_> = found.spans.iter().map(with_comment).collect();
        let citations = citations(text).into_iter();
        let of_tests =
            citations.filter(|cited| spans.iter().any(|span| span.contains(&cited.line)));
        of_tests.map(|cited| cited.rule).collect()
    }
}

/// Looks for macros whose text has an attribute `test`.
struct Makers<'a>(&'a mut Tests);

impl Visit<'_> for Makers<'_> {
    fn visit_item_macro(&mut self, item: &ItemMacro) {
        if let Some(name) = item.ident.as_ref().filter(|_| has_test(item.mac.tokens.clone())) {
            self.0.makers.insert(name.to_string());
        }
    }
}

/// Looks for what those macros are given.
struct Made<'a>(&'a mut Tests);

impl Visit<'_> for Made<'_> {
    fn visit_item_macro(&mut self, item: &ItemMacro) {
        if self.0.makers.contains(&name_of(&item.mac)) && name_of(&item.mac) != "proptest" {
            collect_words(item.mac.tokens.clone(), &mut self.0.made);
        }
    }
}

/// Looks for the lines of tests.
struct Found<'a> {
    tests: &'a Tests,
    spans: Vec<RangeInclusive<usize>>,
}

impl Visit<'_> for Found<'_> {
    fn visit_item_fn(&mut self, item: &ItemFn) {
        if item.attrs.iter().any(is_test) || self.tests.made.contains(&item.sig.ident.to_string()) {
            let first = item.attrs.first().map_or(item.sig.fn_token.span, Spanned::span);
            let last = item.block.brace_token.span.close();
            self.spans.push(first.start().line..=last.end().line);
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_item_macro(&mut self, item: &ItemMacro) {
        if self.tests.makers.contains(&name_of(&item.mac)) {
            self.spans.push(item.span().start().line..=item.span().end().line);
        }
    }
}

fn name_of(used: &Macro) -> String {
    used.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// `#[test]`, `#[tokio::test(…)]`
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
}

fn has_test(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
            let words = group.stream().into_iter();
            let path = words.take_while(|token| !matches!(token, TokenTree::Group(_)));
            path.last().is_some_and(|last| last.to_string() == "test")
        }
        TokenTree::Group(group) => has_test(group.stream()),
        TokenTree::Ident(_) | TokenTree::Literal(_) | TokenTree::Punct(_) => false,
    })
}

fn collect_words(tokens: TokenStream, words: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Ident(word) => {
                words.insert(word.to_string());
            }
            TokenTree::Literal(_) | TokenTree::Punct(_) => {}
        }
    }
}
