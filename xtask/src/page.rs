//! Pages of the documentation: what was measured by hand stands between marks, and is written by the
//! program that measured.

use std::{fs, process::Command};

use crate::Failure;

/// Puts a report between the marks of that name on a page.
pub(crate) fn write(path: &str, name: &str, report: &str) -> Result<(), Failure> {
    let failed = |what: &str| Failure(format!("{path}: {what}"));
    let page = fs::read_to_string(path).map_err(|error| failed(&error.to_string()))?;
    let [begin, end] = ["begin", "end"].map(|word| format!("<!-- {name}: {word} -->\n"));
    let marks = || failed(&format!("there are no marks `{name}`"));
    let (before, rest) = page.split_once(&begin).ok_or_else(marks)?;
    let (_, after) = rest.split_once(&end).ok_or_else(marks)?;
    fs::write(path, format!("{before}{begin}{report}{end}{after}"))
        .map_err(|error| failed(&error.to_string()))
}

/// As `2027-01-31`.
pub(crate) fn today() -> Result<String, Failure> {
    let output = Command::new("date").args(["--utc", "+%F"]).output();
    let output = output.map_err(|error| Failure(format!("date: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) const HARDENING: &str = "docs/hardening.md";
pub(crate) const PERFORMANCE: &str = "docs/performance.md";
