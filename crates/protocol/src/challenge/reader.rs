//! Reads challenges as RFC 9110 §11.6.1 writes them, and as servers really do.

use std::collections::BTreeSet;

use super::oddity::{KnownClient, Oddity};

/// Reads the values of all `WWW-Authenticate` lines of one answer, in their order.
///
/// Never fails: what cannot be read is skipped and leaves an [`Oddity`].
///
/// ```
/// let line = r#"Bearer realm = "https://auth.example/token", service="registry""#;
/// let challenges = portpass_protocol::challenge::parse([line]);
/// let bearer = challenges.bearer().unwrap();
/// assert_eq!(bearer.realm(), Some("https://auth.example/token"));
/// assert_eq!(bearer.oddities[0].to_string(), "spaces around `=`");
/// ```
pub fn parse<T: AsRef<[u8]>>(lines: impl IntoIterator<Item = T>) -> Challenges {
    let mut list = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        let text = String::from_utf8_lossy(line.as_ref());
        list.extend(Line::new(&text, index).read());
    }
    let arrangement = arrangement(&list);
    Challenges { list, arrangement }
}

/// The challenges of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenges {
    list: Vec<ReceivedChallenge>,
    arrangement: Vec<Oddity>,
}

impl Challenges {
    /// In the order they came.
    pub fn iter(&self) -> std::slice::Iter<'_, ReceivedChallenge> {
        self.list.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first `Bearer` challenge.
    pub fn bearer(&self) -> Option<&ReceivedChallenge> {
        self.iter().find(|challenge| challenge.is_bearer())
    }

    /// The first `Basic` challenge.
    pub fn basic(&self) -> Option<&ReceivedChallenge> {
        self.iter().find(|challenge| challenge.is_basic())
    }

    /// What is odd: first about how the challenges stand to each other, then about each.
    pub fn oddities(&self) -> impl Iterator<Item = &Oddity> {
        self.arrangement.iter().chain(self.iter().flat_map(|challenge| &challenge.oddities))
    }

    /// The clients that one of the oddities breaks.
    pub fn breaks(&self) -> BTreeSet<KnownClient> {
        self.oddities().flat_map(Oddity::breaks).copied().collect()
    }
}

impl<'a> IntoIterator for &'a Challenges {
    type Item = &'a ReceivedChallenge;
    type IntoIter = std::slice::Iter<'a, ReceivedChallenge>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One challenge as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedChallenge {
    /// In lower case.
    pub scheme: String,
    /// In the order they came, names in lower case, values without quotes.
    pub parameters: Vec<(String, String)>,
    /// What is odd about this one.
    pub oddities: Vec<Oddity>,
    /// On which header line, counted from 0.
    pub line: usize,
}

impl ReceivedChallenge {
    /// The value of a parameter, its name in lower case; of several the last counts, as for every
    /// client there is (CH15).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Where to ask for a token; for `Basic` a text for the user.
    pub fn realm(&self) -> Option<&str> {
        self.parameter("realm")
    }

    /// What the token has to be for.
    pub fn service(&self) -> Option<&str> {
        self.parameter("service")
    }

    /// What the request needs.
    pub fn scope(&self) -> Option<&str> {
        self.parameter("scope")
    }

    /// What was wrong with the token that was sent.
    pub fn error(&self) -> Option<&str> {
        self.parameter("error")
    }

    /// Whether it asks for a token.
    pub fn is_bearer(&self) -> bool {
        self.scheme == "bearer"
    }

    /// Whether it asks for a name and a password.
    pub fn is_basic(&self) -> bool {
        self.scheme == "basic"
    }

    fn note(&mut self, oddity: Oddity) {
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    /// Adds a parameter and what its name and its neighbours say about it.
    fn add(&mut self, written: &str, value: String) {
        let name = written.to_ascii_lowercase();
        for oddity in &mut self.oddities {
            if let Oddity::EmptyValue { followed, .. } = oddity {
                *followed = true;
            }
        }
        if name != written {
            self.note(Oddity::ParameterCase(written.to_owned()));
        }
        if self.parameter(&name).is_some() {
            self.note(Oddity::DuplicateParameter(name.clone()));
        }
        if value.is_empty() {
            self.note(Oddity::EmptyValue { parameter: name.clone(), followed: false });
        }
        if !value.is_ascii() {
            self.note(Oddity::NonAscii);
        }
        self.parameters.push((name, value));
    }
}

/// What is odd about the order and the lines of the challenges, for somebody who wants `Bearer`.
fn arrangement(list: &[ReceivedChallenge]) -> Vec<Oddity> {
    let Some(bearer) = list.iter().position(ReceivedChallenge::is_bearer) else {
        return Vec::new();
    };
    let bearer_line = list[bearer].line;
    let mut odd = Vec::new();
    if list.iter().filter(|challenge| challenge.line == bearer_line).count() > 1 {
        let bearer_first = list.iter().position(|c| c.line == bearer_line) == Some(bearer);
        odd.push(Oddity::SharedLine { bearer_first });
    }
    if let Some(basic) = list.iter().position(|c| c.is_basic() && c.line != bearer_line) {
        odd.push(Oddity::BasicBesideBearer { basic_first: basic < bearer });
    }
    let first = &list[0];
    if first.line != bearer_line && !first.is_basic() {
        odd.push(Oddity::OtherSchemeFirst(first.scheme.clone()));
    }
    odd
}

/// One header line, read from left to right.
struct Line<'a> {
    rest: &'a str,
    index: usize,
    read: Vec<ReceivedChallenge>,
    /// Oddities of a challenge that has not begun yet.
    early: Vec<Oddity>,
}

/// What stands before the next word.
#[derive(PartialEq)]
enum Before {
    Comma,
    Nothing,
    Scheme,
}

impl<'a> Line<'a> {
    fn new(text: &'a str, index: usize) -> Self {
        Self { rest: text, index, read: Vec::new(), early: Vec::new() }
    }

    fn read(mut self) -> Vec<ReceivedChallenge> {
        if self.skip_blanks() {
            self.note(Oddity::LeadingSpace);
        }
        let mut before = Before::Comma;
        while !self.rest.is_empty() {
            before = self.element(&before);
            before = self.separators(before);
        }
        for challenge in self.read.iter_mut().filter(|challenge| challenge.is_bearer()) {
            if challenge.realm().is_none_or(str::is_empty) {
                challenge.note(Oddity::MissingRealm);
            }
        }
        self.read
    }

    /// Skips commas and blanks. One comma between two elements is as it should be.
    fn separators(&mut self, before: Before) -> Before {
        let mut commas = 0;
        self.skip_blanks();
        while let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            commas += 1;
            self.skip_blanks();
        }
        let wanted = usize::from(!self.rest.is_empty());
        if commas > wanted {
            self.note(Oddity::StrayComma);
        }
        if commas > 0 { Before::Comma } else { before }
    }

    /// Reads a scheme or a parameter.
    fn element(&mut self, before: &Before) -> Before {
        let word = self.take(is_token);
        let after_word = self.rest;
        let spaced = self.skip_blanks();
        if !word.is_empty() && !self.read.is_empty() && self.rest.starts_with('=') {
            self.rest = &self.rest[1..];
            if self.skip_blanks() || spaced {
                self.note(Oddity::SpacesAroundEquals);
            }
            if *before == Before::Nothing {
                self.note(Oddity::MissingComma);
            }
            self.parameter(word);
            return Before::Nothing;
        }
        let alone = spaced || self.rest.is_empty() || self.rest.starts_with(',');
        let expected =
            *before == Before::Comma || (*before == Before::Nothing && is_known_scheme(word));
        if !word.is_empty() && alone && expected {
            self.begin(word, before);
            return Before::Scheme;
        }
        self.rest = after_word;
        self.skip_stray();
        Before::Nothing
    }

    fn begin(&mut self, scheme: &str, before: &Before) {
        let mut oddities = std::mem::take(&mut self.early);
        if *before == Before::Nothing {
            oddities.push(Oddity::MissingComma);
        }
        let scheme = scheme.to_ascii_lowercase();
        // Any other scheme may carry a token68 (`Negotiate YII…==`), which is no parameter.
        if !matches!(scheme.as_str(), "bearer" | "basic") {
            self.skip_token68();
        }
        self.read.push(ReceivedChallenge {
            scheme,
            parameters: Vec::new(),
            oddities,
            line: self.index,
        });
    }

    fn skip_token68(&mut self) {
        let is_68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let tail = self.rest.trim_start_matches(is_68).trim_start_matches('=');
        let ends = tail.trim_start_matches(BLANKS);
        if ends.is_empty() || ends.starts_with(',') {
            self.rest = tail;
        }
    }

    fn parameter(&mut self, name: &str) {
        let (value, oddity) = match self.rest.chars().next() {
            Some('"') => self.quoted(name),
            Some('\'') if self.rest[1..].contains('\'') => self.single_quoted(name),
            _ => self.unquoted(name),
        };
        if let Some(challenge) = self.read.last_mut() {
            challenge.add(name, value);
            if let Some(oddity) = oddity {
                challenge.note(oddity);
            }
        }
    }

    fn quoted(&mut self, name: &str) -> (String, Option<Oddity>) {
        let mut value = String::new();
        let mut oddity = None;
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return (value, oddity);
                }
                '\\' => {
                    let escaped = chars.next().map(|(_, escaped)| escaped);
                    if !matches!(escaped, Some('"' | '\\')) {
                        oddity = Some(Oddity::NeedlessEscape);
                    }
                    value.extend(escaped);
                }
                _ => value.push(c),
            }
        }
        self.rest = "";
        (value, Some(Oddity::UnterminatedQuote(name.to_ascii_lowercase())))
    }

    fn single_quoted(&mut self, name: &str) -> (String, Option<Oddity>) {
        let (value, rest) = self.rest[1..].split_once('\'').unwrap_or_default();
        self.rest = rest;
        (value.to_owned(), Some(Oddity::SingleQuotes(name.to_ascii_lowercase())))
    }

    fn unquoted(&mut self, name: &str) -> (String, Option<Oddity>) {
        let name = name.to_ascii_lowercase();
        let mut value = self.take(is_unquoted).to_owned();
        while name == "scope" && !value.is_empty() {
            // The actions of an unquoted scope have commas of their own.
            let Some(more) =
                self.rest.strip_prefix(',').map(|rest| &rest[..run(rest, is_unquoted)])
            else {
                break;
            };
            let is_action = more == "*" || more.bytes().all(|b| b.is_ascii_lowercase());
            if more.is_empty() || !is_action {
                break;
            }
            value = format!("{value},{more}");
            self.rest = &self.rest[1 + more.len()..];
        }
        let needs_quotes = !value.chars().all(is_token);
        (value, needs_quotes.then_some(Oddity::UnquotedValue(name)))
    }

    /// Skips what is neither a scheme nor a parameter, at least one character.
    fn skip_stray(&mut self) {
        self.note(Oddity::StrayText);
        if self.take(is_unquoted).is_empty() {
            self.rest = self.rest.char_indices().nth(1).map_or("", |(next, _)| &self.rest[next..]);
        }
    }

    fn note(&mut self, oddity: Oddity) {
        match self.read.last_mut() {
            Some(challenge) => challenge.note(oddity),
            None => self.early.push(oddity),
        }
    }

    fn take(&mut self, wanted: fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(run(self.rest, wanted));
        self.rest = rest;
        taken
    }

    /// Whether there were any.
    fn skip_blanks(&mut self) -> bool {
        let trimmed = self.rest.trim_start_matches(BLANKS);
        let skipped = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        skipped
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// The length of the wanted characters at the start, in bytes.
fn run(text: &str, wanted: fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn is_unquoted(c: char) -> bool {
    c != ',' && !BLANKS.contains(&c)
}

/// Only these begin a challenge where the comma before them is missing.
fn is_known_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest", "negotiate", "ntlm"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}
