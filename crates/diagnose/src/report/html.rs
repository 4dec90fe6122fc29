//! For a browser: one file without scripts and pictures. Its links lead to itself.
//!
//! The words of servers stand in it, and a server may be hostile: everything that is not written here goes
//! through [`escaped`], and the page forbids itself to load or run anything.

use super::{Report, Unreached, VERSION, alike, broken, clean};
use crate::{Check, Exchange, Finding, Needs};

mod sequence;

pub(super) fn of(report: &Report) -> String {
    let target = escaped(&report.target.to_string());
    let follows = |finding: &&Finding| finding.follows_from.is_some();
    let beside = report.consequences().filter(|finding| !follows(finding));
    [
        format!("{HEAD}<title>{target}</title>\n</head>\n<body>\n<h1>{target}</h1>\n"),
        report.cause().map_or(CONTENT.to_owned(), the_cause),
        report.unreached().map_or_else(String::new, |unreached| not_looked_at(&unreached)),
        sequence::of(report),
        part("Consequences", report.consequences().filter(follows)),
        part("Other faults", beside),
        part("Warnings", report.warnings()),
        left_out(report),
        folded("Passed", report.held().count(), &all(report.held(), entry)),
        trace(report),
        footer(report),
    ]
    .concat()
}

fn not_looked_at(unreached: &Unreached) -> String {
    let stages = escaped(&unreached.named());
    format!("<p>Not checked: {stages} ({}).</p>\n", needed(&unreached.why))
}

fn the_cause(cause: &Finding) -> String {
    let check = cause.check.id();
    let details = finding(cause);
    format!(
        "<section class=\"cause\" id=\"{check}\">\n<h2>The cause: {}</h2>\n{details}</section>\n",
        link(cause.check)
    )
}

/// A heading and checks below it, if there are any.
fn part<'a>(name: &str, findings: impl Iterator<Item = &'a Finding>) -> String {
    match all(findings, entry) {
        entries if entries.is_empty() => entries,
        entries => format!("<h2>{name}</h2>\n{entries}"),
    }
}

/// The same behind a click, for what there is nothing to do about.
fn folded(name: &str, number: usize, entries: &str) -> String {
    if number == 0 {
        return String::new();
    }
    format!("<details class=\"part\">\n<summary>{name} ({number})</summary>\n{entries}</details>\n")
}

/// One check, opened by a click.
fn entry(found: &Finding) -> String {
    format!(
        "<details class=\"{}\" id=\"{}\">\n<summary>{} {} {}</summary>\n{}</details>\n",
        found.verdict.as_str(),
        found.check.id(),
        found.verdict.sign(),
        link(found.check),
        escaped(&found.summary),
        finding(found)
    )
}

/// A link to a check in the page.
fn link(check: Check) -> String {
    let id = check.id();
    format!("<a href=\"#{id}\">{id}</a>")
}

fn needed(needs: &Needs) -> String {
    match needs {
        Needs::Check(check) => format!("fix {} first", link(*check)),
        Needs::Input(_) | Needs::Nothing(_) => escaped(&needs.to_string()),
    }
}

/// The fix comes first: it is what the reader looks for.
fn finding(finding: &Finding) -> String {
    let field = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value)),
    };
    let seen = all(&finding.evidence, |line| format!("<dd>{}</dd>\n", escaped(line)));
    let comes_of = |cause| format!("<dt>follows from</dt><dd>{}</dd>\n", link(cause));
    [
        format!("<p>{}</p>\n<dl>\n", escaped(&finding.summary)),
        field("fix", finding.fix.as_deref().unwrap_or_default()),
        field("breaks", &broken(finding)),
        field("may be", &alike(finding).unwrap_or_default()),
        finding.follows_from.map_or_else(String::new, comes_of),
        if seen.is_empty() { seen } else { format!("<dt>seen</dt>{seen}") },
        "</dl>\n".to_owned(),
    ]
    .concat()
}

fn left_out(report: &Report) -> String {
    let groups = report.left_out(needed);
    let number = groups.iter().map(|(_, checks)| checks.len()).sum();
    let item = |check: Check| {
        let id = check.id();
        format!("<li id=\"{id}\">{} {}</li>\n", link(check), escaped(check.asserts()))
    };
    let shown = all(groups, |(needs, checks)| {
        format!("<p>{needs}:</p>\n<ul>\n{}</ul>\n", all(checks, item))
    });
    folded("Not checked", number, &shown)
}

fn trace(report: &Report) -> String {
    let shown = all(report.exchanges.iter().enumerate(), |(at, Exchange { request, answer })| {
        let first = escaped(request.first().map_or("", String::as_str));
        let sent = all(request, |line| format!("&gt; {}\n", escaped(line)));
        let back = all(answer, |line| format!("&lt; {}\n", escaped(line)));
        let number = at + 1;
        format!(
            "<details>\n<summary>{number} {first}</summary>\n<pre>{sent}{back}</pre>\n</details>\n"
        )
    });
    folded("Requests and responses", report.exchanges.len(), &shown)
}

/// How it was made, so that the reader can run the same.
fn footer(report: &Report) -> String {
    let (time, tally) = (escaped(&report.provenance.time()), escaped(&report.tally()));
    let command = match report.provenance.command.as_str() {
        "" => String::new(),
        command => format!("<pre>{}</pre>\n", escaped(command)),
    };
    format!(
        "<footer>\n{command}<p>portpass {VERSION}, {time}. {tally}.</p>\n</footer>\n</body>\n</html>\n"
    )
}

/// One after the other.
fn all<T>(items: impl IntoIterator<Item = T>, shown: impl Fn(T) -> String) -> String {
    items.into_iter().map(shown).collect::<Vec<_>>().concat()
}

/// Text that is text in an element and in a quoted attribute, whatever it is.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

const CONTENT: &str = "<p class=\"pass\">Nothing is wrong in what was checked.</p>\n";

const HEAD: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    "<meta name=\"viewport\" content=\"width=device-width\">\n",
    "<style>\n",
    include_str!("html/page.css"),
    "</style>\n",
);
