//! `docs/diagnose.md` has the checks and rows that there are, and says of no row that it is found unless a test has
//! found it.

use std::{fs, path::Path};

use crate::{Check, known_failures, stage, tests::tokens};

type Row = (&'static str, Check, &'static str);

/// What the tests of each part have found.
const FOUND: &[&[Row]] = &[
    stage::network::tests::ROWS,
    stage::token_request::tests::rows::ROWS,
    tokens::rows::ROWS,
    stage::operations::tests::ROWS,
];

/// Rows that cannot be told from outside, and why.
const NOT_FOUND: &[(&str, &str)] = &[(
    "F32",
    "clients use a mirror on their own. Give the mirror's own host to see what it requires",
)];

#[test]
fn the_page_has_every_check() {
    let lines = Check::ALL.iter().map(|check| format!("| {check} | {} |", check.asserts()));
    confirm("## The checks", "| check | passes if |", lines.collect());
}

#[test]
fn the_page_has_every_row_with_the_checks_that_were_seen_to_find_it() {
    let lines = known_failures::ROWS
        .iter()
        .map(|(row, what)| format!("| {row} | {what} | {} |", finders(row)));
    confirm("## What it finds", "| row | what is wrong | found by |", lines.collect());
}

#[test]
fn every_row_that_is_said_to_be_found_is_one() {
    for (row, ..) in FOUND.iter().copied().flatten() {
        assert!(known_failures::what(row).is_some(), "{row}");
    }
}

/// `RESP-03`, `EXP-01 (warning)`
fn finders(row: &str) -> String {
    let found = || {
        let all = FOUND.iter().copied().flatten();
        all.filter(|(known, _, verdict)| *known == row && *verdict != "skip")
    };
    let reason = NOT_FOUND.iter().find(|(known, _)| *known == row);
    if let Some((_, reason)) = reason {
        assert_eq!(found().count(), 0, "{row} is found");
        return format!("nothing: {reason}");
    }
    let mut words: Vec<String> = Vec::new();
    for (_, check, verdict) in found() {
        let word = match *verdict {
            "fail" => check.to_string(),
            _ => format!("{check} (warning)"),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    assert!(!words.is_empty(), "no test finds {row}");
    words.join(", ")
}

/// Holds the table below a heading against its lines; with `PORTPASS_WRITE_DOCS` in the environment, the page is
/// written instead.
fn confirm(heading: &str, head: &str, lines: Vec<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnose.md");
    let page = fs::read_to_string(&file).unwrap();
    let columns = head.matches('|').count() - 1;
    let rule = format!("|{}", " --- |".repeat(columns));
    let table = [vec![head.to_owned(), rule], lines].concat().join("\n");
    let section = page.split_once(&format!("\n{heading}\n")).expect(heading).1;
    let start = section.find(head).unwrap_or_else(|| panic!("{heading} has no table"));
    let there = section[start..].split("\n\n").next().unwrap().trim_end();
    if there == table {
        return;
    }
    assert!(
        std::env::var_os("PORTPASS_WRITE_DOCS").is_some(),
        "{heading} is not as it should be\n{HOW}"
    );
    fs::write(&file, page.replacen(there, &table, 1)).unwrap();
}

const HOW: &str = "if the tests are right: PORTPASS_WRITE_DOCS=1 cargo test -p portpass-diagnose --lib page -- --test-threads=1";
