//! docker_auth's ACL, written a second time and as slowly as it is described: nothing here is compiled, cached or
//! shared with the code that is tested, neither the globs nor the expressions.

use std::collections::{BTreeMap, BTreeSet};

use super::{backtracking::Expression, generate::Asked};
use crate::docker_auth::EntryText;

/// The place of the entry that decides, counted from one, and what it gives.
pub(super) fn decide(acl: &[EntryText], asked: &Asked) -> (usize, BTreeSet<String>) {
    for (at, entry) in acl.iter().enumerate() {
        if matches(entry, asked) {
            let all = entry.actions == ["*"];
            let given = asked.actions.iter().filter(|word| all || entry.actions.contains(word));
            return (at + 1, given.cloned().collect());
        }
    }
    (0, BTreeSet::new())
}

/// Whether every expression can be read before anything is put in.
pub(super) fn is_taken(acl: &[EntryText]) -> bool {
    let patterns = acl.iter().flat_map(|entry| {
        let fields = [&entry.account, &entry.resource_type, &entry.name, &entry.service];
        fields.into_iter().flatten().chain(entry.labels.values())
    });
    let is_expression = |p: &&String| p.len() > 2 && p.starts_with('/') && p.ends_with('/');
    let inner = |p: &String| Expression::parse(&p[1..p.len() - 1]).is_some();
    patterns.filter(is_expression).all(inner)
}

fn matches(entry: &EntryText, asked: &Asked) -> bool {
    let fields = [
        ("account", &entry.account, &asked.account),
        ("type", &entry.resource_type, &asked.resource_type),
        ("name", &entry.name, &asked.name),
        ("service", &entry.service, &asked.service),
    ];
    let mut known: Vec<(String, String)> = Vec::new();
    for (field, pattern, value) in fields {
        known.push((format!("${{{field}}}"), quote(value)));
        let inner = pattern.as_ref().and_then(|p| p.strip_prefix('/')?.strip_suffix('/'));
        let Some(groups) = inner.and_then(|p| Expression::parse(p)?.groups(value)) else {
            continue;
        };
        for (number, group) in groups.into_iter().enumerate() {
            let capital = format!("{}{}", field[..1].to_uppercase(), &field[1..]);
            known.push((format!("${{{field}:{}}}", number + 1), group.clone()));
            known.push((format!("${{{capital}:{}}}", number + 1), group));
        }
    }
    let field = |(_, pattern, value): (&str, &Option<String>, &String)| {
        pattern.as_ref().is_none_or(|pattern| {
            one(&replace(pattern, &known), value)
                || products(pattern, &asked.labels).into_iter().any(|labels| {
                    let all: Vec<_> = known.iter().cloned().chain(labels).collect();
                    one(&replace(pattern, &all), value)
                })
        })
    };
    let label = |(name, pattern): (&String, &String)| {
        let values = asked.labels.get(name).into_iter().flatten();
        let pattern = replace(pattern, &known);
        values.into_iter().any(|value| one(&pattern, value))
    };
    fields.into_iter().all(field)
        && entry.labels.iter().all(label)
        && entry.ip.as_ref().is_none_or(|ip| asked.ip.as_ref().is_some_and(|ours| holds(ip, ours)))
}

/// A pattern with nothing left to put in, and a text.
fn one(pattern: &str, text: &str) -> bool {
    if pattern.len() > 2 && pattern.starts_with('/') && pattern.ends_with('/') {
        let inner = &pattern[1..pattern.len() - 1];
        return Expression::parse(inner).is_some_and(|parsed| parsed.groups(text).is_some());
    }
    let text: Vec<char> = text.chars().collect();
    glob(&pattern.chars().collect::<Vec<_>>()).is_some_and(|elements| fits(&elements, &text))
}

/// From left to right; what was put in is not looked at again.
fn replace(pattern: &str, known: &[(String, String)]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    'characters: while at < pattern.len() {
        for (old, new) in known {
            if pattern[at..].starts_with(old.as_str()) {
                out.push_str(new);
                at += old.len();
                continue 'characters;
            }
        }
        let character = pattern[at..].chars().next().unwrap();
        out.push(character);
        at += character.len_utf8();
    }
    out
}

/// Every way to choose a value for each label that the pattern names and the caller has.
fn products(pattern: &str, labels: &BTreeMap<String, Vec<String>>) -> Vec<Vec<(String, String)>> {
    let mut products = vec![Vec::new()];
    let mut found = false;
    for (name, values) in labels {
        let placeholder = format!("${{labels:{name}}}");
        if pattern.contains(&placeholder) {
            found = true;
            let longer = |before: Vec<(String, String)>| {
                let placeholder = placeholder.clone();
                values.iter().map(move |value| {
                    [before.clone(), vec![(placeholder.clone(), value.clone())]].concat()
                })
            };
            products = products.into_iter().flat_map(longer).collect();
        }
    }
    if found { products } else { Vec::new() }
}

fn quote(value: &str) -> String {
    value.chars().fold(String::new(), |quoted, c| match c {
        '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
            format!("{quoted}\\{c}")
        }
        _ => format!("{quoted}{c}"),
    })
}

enum Element {
    Run,
    One,
    Exactly(char),
    Of { negated: bool, ranges: Vec<(char, char)> },
}

/// Reads a glob; `None` for one that Go calls bad.
fn glob(mut rest: &[char]) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    while let [first, behind @ ..] = rest {
        rest = behind;
        elements.push(match first {
            '*' => Element::Run,
            '?' => Element::One,
            '\\' => {
                let (quoted, behind) = rest.split_first()?;
                rest = behind;
                Element::Exactly(*quoted)
            }
            '[' => {
                let negated = rest.first() == Some(&'^');
                rest = &rest[usize::from(negated)..];
                let mut ranges = Vec::new();
                while ranges.is_empty() || *rest.first()? != ']' {
                    let low = end_of_range(&mut rest)?;
                    let high = if rest.first() == Some(&'-') {
                        rest = &rest[1..];
                        end_of_range(&mut rest)?
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
                rest = &rest[1..];
                Element::Of { negated, ranges }
            }
            other => Element::Exactly(*other),
        });
    }
    Some(elements)
}

fn end_of_range(rest: &mut &[char]) -> Option<char> {
    let (first, behind) = rest.split_first()?;
    let (character, behind) = match first {
        '-' | ']' => return None,
        '\\' => behind.split_first()?,
        _ => (first, behind),
    };
    *rest = behind;
    Some(*character)
}

/// A run takes as little as lets what follows it, up to the next run, fit; it takes no `/`.
fn fits(elements: &[Element], text: &[char]) -> bool {
    let Some(run) = elements.iter().position(|element| matches!(element, Element::Run)) else {
        return elements.len() == text.len() && elements.iter().zip(text).all(|(e, c)| is(e, *c));
    };
    if text.len() < run || !elements[..run].iter().zip(text).all(|(e, c)| is(e, *c)) {
        return false;
    }
    let (behind, text) = (&elements[run + 1..], &text[run..]);
    let next = behind.iter().position(|element| matches!(element, Element::Run));
    let most = text.iter().take_while(|c| **c != '/').count();
    match next {
        // Several runs in a row are one.
        Some(0) => fits(behind, text),
        None => (0..=most).any(|taken| fits(behind, &text[taken..])),
        Some(length) => (0..=most)
            .find(|taken| {
                let text = &text[*taken..];
                text.len() >= length && behind[..length].iter().zip(text).all(|(e, c)| is(e, *c))
            })
            .is_some_and(|taken| fits(&behind[length..], &text[taken + length..])),
    }
}

fn is(element: &Element, character: char) -> bool {
    match element {
        Element::Run => false,
        Element::One => character != '/',
        Element::Exactly(wanted) => *wanted == character,
        Element::Of { negated, ranges } => {
            ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
        }
    }
}

/// Whether an IPv4 network, or one address, holds an IPv4 address.
fn holds(network: &str, address: &str) -> bool {
    let bits = |text: &str| {
        text.split('.').fold(0_u32, |bits, part| bits << 8 | part.parse::<u32>().unwrap())
    };
    if network.contains(':') || address.contains(':') {
        return network == address;
    }
    let (network, length) = network.split_once('/').unwrap_or((network, "32"));
    let unlike = bits(network) ^ bits(address);
    unlike.leading_zeros() >= length.parse::<u32>().unwrap()
}
