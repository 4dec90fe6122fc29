//! `docs/protocol.md`: the rules, as its tables have them.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// `JW6`, `OC27b`
    pub(crate) number: String,
    /// `MUST`, `SHOULD`, `MAY`, `others`
    pub(crate) level: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// Letters of the families, in the page's order.
pub(crate) const FAMILIES: [&str; 17] = [
    "CH", "SC", "AR", "TG", "TP", "JW", "VO", "CF", "NO", "SI", "HT", "CL", "OC", "DX", "T", "R",
    "IM",
];

const LEVELS: [&str; 4] = ["MUST", "SHOULD", "MAY", "others"];

/// The rows whose first cell is a rule's number.
pub(crate) fn rules(page: &str) -> Vec<Rule> {
    (1..)
        .zip(page.lines())
        .filter_map(|(line, text)| {
            let mut cells = text.strip_prefix("| ")?.split(" | ");
            let (number, level) = (cells.next()?.to_owned(), cells.next()?.to_owned());
            split(&number)?;
            Some(Rule { number, level, line })
        })
        .collect()
}

/// The numbers of the page's sections.
pub(crate) fn sections(page: &str) -> BTreeSet<u32> {
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    headings.filter_map(|heading| heading.split_once('.')?.0.parse().ok()).collect()
}

/// Family, number and the letter behind it.
pub(crate) fn split(number: &str) -> Option<(&str, u32, &str)> {
    let digits = number.find(|c: char| c.is_ascii_digit())?;
    let (family, rest) = number.split_at(digits);
    let (digits, suffix) =
        rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let is_suffix = suffix.len() <= 1 && suffix.bytes().all(|b| b.is_ascii_lowercase());
    let known = FAMILIES.contains(&family) && is_suffix && !digits.starts_with('0');
    known.then_some((family, digits.parse().ok()?, suffix))
}

/// What is wrong with the list itself: numbers that are there twice, gaps, levels that do not exist.
pub(crate) fn faults(rules: &[Rule]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut families: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for Rule { number, level, line } in rules {
        if let Some(first) = seen.insert(number, *line) {
            faults.push(format!("docs/protocol.md:{line}: {number} stands in line {first} too"));
        }
        if !LEVELS.contains(&level.as_str()) {
            faults.push(format!("docs/protocol.md:{line}: {number} has no level: {level:?}"));
        }
        let (family, digits, _) = split(number).expect("a row of the page has a number");
        families.entry(family).or_default().insert(digits);
    }
    for (family, numbers) in families {
        let last = numbers.last().copied().unwrap_or_default();
        let missing = (1..=last).filter(|number| !numbers.contains(number));
        faults
            .extend(missing.map(|number| format!("docs/protocol.md: {family}{number} is missing")));
    }
    faults
}
