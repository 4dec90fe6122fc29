//! For a browser: one file without scripts, links or pictures.
//!
//! The words of servers stand in it, and a server may be hostile: everything that is not written here goes
//! through [`escaped`], and the page forbids itself to load or run anything.

use super::{
    Report, Tone, alike, broken, clean,
    text::{mark, ranges},
};
use crate::diagnose::{Check, Exchange, Finding, Stage, Verdict};

pub(super) fn of(report: &Report) -> String {
    let target = escaped(&report.target.to_string());
    let follows = |finding: &&Finding| finding.follows_from.is_some();
    let beside = report.consequences().filter(|finding| !follows(finding));
    let held = report.findings.iter().filter(|finding| finding.verdict == Verdict::Pass);
    [
        format!("{HEAD}<title>{target}</title>\n</head>\n<body>\n<h1>{target}</h1>\n"),
        flow(report),
        report.cause().map_or(CONTENT.to_owned(), the_cause),
        unreached(report),
        part("What comes of it", report.consequences().filter(follows)),
        part("Wrong beside it", beside),
        part("Warnings", report.warnings()),
        left_out(report),
        part("What holds", held),
        trace(report),
        format!("<footer>{}.</footer>\n</body>\n</html>\n", escaped(&report.tally())),
    ]
    .concat()
}

fn flow(report: &Report) -> String {
    let cause = report.cause().map(|cause| cause.check);
    let step = |stage: &Stage| {
        let (tone, sign) = mark(report, *stage);
        let here = cause.filter(|cause| cause.stage() == *stage);
        let here = here.map_or(String::new(), |check| format!(" <b>{}</b>", escaped(check.id())));
        let class = match tone {
            Tone::Good => "pass",
            Tone::Warning => "warn",
            Tone::Bad => "fail",
            Tone::Heading | Tone::Faint => "skip",
        };
        format!("<li class=\"{class}\">{sign} {}{here}</li>\n", escaped(stage.as_str()))
    };
    format!("<ol class=\"flow\">\n{}</ol>\n", all(Stage::ALL, step))
}

fn the_cause(cause: &Finding) -> String {
    let check = escaped(cause.check.id());
    let details = finding(cause);
    format!("<section class=\"cause\">\n<h2>The cause: {check}</h2>\n{details}</section>\n")
}

fn unreached(report: &Report) -> String {
    report.unreached().map_or_else(String::new, |unreached| {
        let (stages, why) = (escaped(&unreached.named()), escaped(&unreached.why.to_string()));
        format!("<p>Not looked at: {stages} ({why}).</p>\n")
    })
}

/// A heading and checks below it, if there are any.
fn part<'a>(name: &str, findings: impl Iterator<Item = &'a Finding>) -> String {
    match all(findings, entry) {
        entries if entries.is_empty() => entries,
        entries => format!("<h2>{name}</h2>\n{entries}"),
    }
}

/// One check, opened by a click.
fn entry(found: &Finding) -> String {
    format!(
        "<details class=\"{}\">\n<summary>{} {} {}</summary>\n{}</details>\n",
        found.verdict.as_str(),
        found.verdict.sign(),
        escaped(found.check.id()),
        escaped(&found.summary),
        finding(found)
    )
}

fn finding(finding: &Finding) -> String {
    let field = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value)),
    };
    [
        format!("<p>{}</p>\n<dl>\n", escaped(&finding.summary)),
        all(&finding.evidence, |line| field("seen", line)),
        field("breaks", &broken(finding)),
        field("fix", finding.fix.as_deref().unwrap_or_default()),
        field("may be", &alike(finding).unwrap_or_default()),
        "</dl>\n".to_owned(),
    ]
    .concat()
}

fn left_out(report: &Report) -> String {
    let item = |(needs, checks): (String, Vec<Check>)| {
        format!("<li class=\"skip\">{}: {}</li>\n", escaped(&needs), escaped(&ranges(&checks)))
    };
    match all(report.left_out(ToString::to_string), item) {
        items if items.is_empty() => items,
        items => format!("<h2>Not asked</h2>\n<ul>\n{items}</ul>\n"),
    }
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
    if shown.is_empty() { shown } else { format!("<h2>What was said</h2>\n{shown}") }
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

const CONTENT: &str = "<h2>Nothing is wrong, as far as was asked.</h2>\n";

const HEAD: &str = "\
<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width\">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
h1 { font: 1.3rem ui-monospace, monospace; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
.flow { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; list-style: none; padding: 0; }
.flow li { border-bottom: 3px solid; padding: .2rem .4rem; }
.cause { border-left: 4px solid #b3261e; padding: .1rem 1rem; background: #fdf3f2; }
.pass { color: #1b6e3c; } .warn { color: #8a5a00; } .fail { color: #b3261e; } .skip { color: #777; }
details > :not(summary) { color: #222; margin-left: 1rem; }
dl { display: grid; grid-template-columns: 5rem 1fr; gap: .1rem .8rem; }
dt { color: #777; } dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: #f5f5f5; padding: .6rem; }
footer { margin-top: 2rem; color: #777; }
</style>
";
