//! For people: one screen.

use super::{Report, alike, broken, clean};
use crate::{Check, Exchange, Finding, Needs, Stage};

/// What a piece of the text is, so that it can be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It holds.
    Good,
    /// It holds for most.
    Warning,
    /// It does not hold.
    Bad,
    /// The name of a part.
    Heading,
    /// What may be passed over.
    Faint,
}

/// How much of it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What to do. The checks that were not made are one line.
    Short,
    /// Also the checks that were not made, with the reason, and those that pass.
    Full,
}

type Paint<'a> = &'a dyn Fn(Tone, &str) -> String;

pub(super) fn of(report: &Report, detail: Detail, paint: Paint<'_>) -> String {
    let mut page = Page { text: String::new(), paint };
    page.line(0, &paint(Tone::Heading, &clean(&report.target.to_string())));
    page.blank();
    flow(&mut page, report);
    page.blank();
    if let Some(what) = report.by_password() {
        page.wrapped(0, "", &format!("This registry: {what}."));
        page.blank();
    }
    match report.cause() {
        Some(cause) => {
            the_cause(&mut page, cause);
            consequences(&mut page, report);
        }
        None => page.line(0, &paint(Tone::Good, "Nothing is wrong in what was checked.")),
    }
    warnings(&mut page, report, detail);
    if detail == Detail::Full {
        holds(&mut page, report);
        left_out(&mut page, report);
    }
    page.blank();
    if let Some(line) = unasked(report, detail) {
        page.wrapped(0, "", &line);
    }
    page.line(0, &paint(Tone::Faint, &format!("{}.", report.tally())));
    page.text
}

pub(super) fn trace(report: &Report) -> String {
    let marked = |mark: char, lines: &[String]| {
        lines.iter().map(|line| format!("{mark} {}\n", clean(line))).collect::<Vec<_>>().concat()
    };
    let exchanges = report.exchanges.iter().enumerate();
    let shown = exchanges.map(|(at, Exchange { request, answer })| {
        format!("# {}\n{}{}\n", at + 1, marked('>', request), marked('<', answer))
    });
    shown.collect::<Vec<_>>().concat()
}

/// How a stage of the flow went: the worst of its checks.
pub(super) fn mark(report: &Report, stage: Stage) -> (Tone, &'static str) {
    let here = || report.findings.iter().filter(|finding| finding.check.stage() == stage);
    let any = |word: &str| here().any(|finding| finding.verdict.as_str() == word);
    if any("fail") {
        (Tone::Bad, "✗")
    } else if any("warn") {
        (Tone::Warning, "!")
    } else if any("pass") && !(stage == Stage::Registry && report.lacks_token()) {
        (Tone::Good, "✓")
    } else {
        NOT_CHECKED
    }
}

/// The mark of a stage that the diagnosis did not reach.
pub(super) const NOT_CHECKED: (Tone, &str) = (Tone::Faint, "·");

/// The stages with their marks, and below them where it breaks.
fn flow(page: &mut Page<'_>, report: &Report) {
    let cause = report.cause().map(|cause| cause.check);
    let mut path = String::new();
    let mut column = 0;
    let mut pointer = None;
    for stage in Stage::ALL {
        if column > 0 {
            path.push_str(" ─ ");
            column += 3;
        }
        if cause.is_some_and(|cause| cause.stage() == *stage) {
            pointer = Some(column);
        }
        let (tone, sign) = mark(report, *stage);
        let step = format!("{sign} {}", stage.as_str());
        column += step.chars().count();
        path.push_str(&(page.paint)(tone, &step));
    }
    page.line(2, &path);
    if let (Some(column), Some(cause)) = (pointer, cause) {
        page.line(2 + column, &(page.paint)(Tone::Bad, &format!("^ {cause}")));
    }
}

fn the_cause(page: &mut Page<'_>, cause: &Finding) {
    let head = format!("THE CAUSE: {}", cause.check);
    page.line(0, &(page.paint)(Tone::Bad, &head));
    page.wrapped(2, "", &cause.summary);
    details(page, cause);
}

/// The evidence, the clients that fail, the fix.
fn details(page: &mut Page<'_>, finding: &Finding) {
    for (at, line) in finding.evidence.iter().enumerate() {
        page.field(if at == 0 { "seen" } else { "" }, line);
    }
    if !finding.breaks.is_empty() {
        page.field("breaks", &broken(finding));
    }
    if let Some(fix) = &finding.fix {
        page.field("fix", fix);
    }
    if let Some(alike) = alike(finding) {
        page.field("may be", &alike);
    }
}

fn consequences(page: &mut Page<'_>, report: &Report) {
    let follow = |follows: bool| {
        let failed = report.consequences();
        failed.filter(move |finding| finding.follows_from.is_some() == follows).collect::<Vec<_>>()
    };
    let (folded, beside) = (follow(true), follow(false));
    if !folded.is_empty() {
        page.part("Consequences");
        for finding in folded {
            page.wrapped(2, "✗ ", &format!("{}: {}", finding.check, finding.summary));
        }
    }
    if !beside.is_empty() {
        page.part("Other faults");
        for finding in beside {
            page.wrapped(2, "✗ ", &format!("{}: {}", finding.check, finding.summary));
            details(page, finding);
        }
    }
}

fn warnings(page: &mut Page<'_>, report: &Report, detail: Detail) {
    let warnings: Vec<&Finding> = report.warnings().collect();
    if warnings.is_empty() {
        return;
    }
    page.part("Warnings");
    for finding in warnings {
        page.wrapped(2, "! ", &format!("{}: {}", finding.check, finding.summary));
        // Where something is broken, that is what there is to do.
        if report.cause().is_none() || detail == Detail::Full {
            details(page, finding);
        }
    }
}

fn holds(page: &mut Page<'_>, report: &Report) {
    let mut held = report.held().peekable();
    if held.peek().is_none() {
        return;
    }
    page.part("Passed");
    for finding in held {
        page.wrapped(2, "✓ ", &format!("{}: {}", finding.check, finding.summary));
    }
}

/// In one line: the steps that the run did not reach, else the input that allows more checks.
fn unasked(report: &Report, detail: Detail) -> Option<String> {
    let more = |words: &str| if detail == Detail::Short { words.to_owned() } else { String::new() };
    if let Some(unreached) = report.unreached() {
        let (stages, why) = (unreached.named(), unreached.why);
        return Some(format!("Not checked: {stages} ({why}).{}", more(" -v shows more.")));
    }
    let inputs = report.left_out(|needs| match needs {
        Needs::Input(flag) => (*flag).to_owned(),
        Needs::Check(_) | Needs::Nothing(_) => String::new(),
    });
    let number: usize = inputs.iter().map(|(_, checks)| checks.len()).sum();
    if number == 0 || detail == Detail::Full {
        return None;
    }
    let line = format!("{number} checks were not made; -v lists them.");
    let flags = inputs.into_iter().map(|(flag, _)| flag).filter(|flag| !flag.is_empty());
    let mut flags: Vec<String> = flags.collect();
    // What is known of the other side tells most.
    flags.sort_by_key(|flag| !flag.contains("FILE"));
    let naming = |most: usize| format!("{line} To check more: {}.", flags[..most].join("; "));
    let fitting = (1..=flags.len()).rev().map(naming).find(|line| line.chars().count() <= WIDTH);
    Some(fitting.unwrap_or(line))
}

/// What does not apply here is one line: the reasons are many, and nobody has to do anything about them.
fn left_out(page: &mut Page<'_>, report: &Report) {
    let mut groups = report.left_out(|needs| match needs {
        Needs::Nothing(_) => "does not apply here".to_owned(),
        Needs::Check(_) | Needs::Input(_) => needs.to_string(),
    });
    if groups.is_empty() {
        return;
    }
    // Checks that need input come first.
    groups.sort_by_key(|(needs, _)| (!needs.starts_with("needs "), needs.starts_with("does not")));
    page.part("Not checked");
    for (needs, checks) in groups {
        page.wrapped(2, "· ", &format!("{needs}: {}", ranges(&checks)));
    }
}

/// `TOK-01 to TOK-04, RESP-01`: neighbours are drawn together, or a broken realm would fill the screen.
pub(super) fn ranges(checks: &[Check]) -> String {
    let position = |check: Check| Check::ALL.iter().position(|known| *known == check);
    let mut runs: Vec<(Check, Check)> = Vec::new();
    for check in checks {
        match runs.last_mut() {
            Some((_, last))
                if position(*last).map(|at| at + 1) == position(*check)
                    && last.stage() == check.stage() =>
            {
                *last = *check;
            }
            _ => runs.push((*check, *check)),
        }
    }
    let words = runs.into_iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    });
    words.collect::<Vec<_>>().join(", ")
}

struct Page<'a> {
    text: String,
    paint: Paint<'a>,
}

impl Page<'_> {
    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A line that is as it is.
    fn line(&mut self, indent: usize, line: &str) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn part(&mut self, name: &str) {
        self.blank();
        let name = (self.paint)(Tone::Heading, name);
        self.line(0, &name);
    }

    /// `  name    text`
    fn field(&mut self, name: &str, text: &str) {
        let name = (self.paint)(Tone::Faint, &format!("{name:8}"));
        self.hanging(4, &name, 8, text);
    }

    /// A mark, and text that goes on below itself.
    fn wrapped(&mut self, indent: usize, mark: &str, text: &str) {
        self.hanging(indent, mark, mark.chars().count(), text);
    }

    fn hanging(&mut self, indent: usize, mark: &str, width: usize, text: &str) {
        let left = indent + width;
        for (at, line) in wrap(&clean(text), WIDTH - left).iter().enumerate() {
            if at == 0 {
                self.line(indent, &format!("{mark}{line}"));
            } else {
                self.line(left, line);
            }
        }
    }
}

/// Lines of at most `width` characters where that can be: what stands between backticks is copied by
/// people, so no line ends in it.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut quoted = false;
    let mut word = String::new();
    let place = |word: &mut String, lines: &mut Vec<String>| {
        if let Some(line) = lines.last_mut() {
            let joined = line.chars().count() + 1 + word.chars().count();
            if line.is_empty() {
                line.push_str(word);
            } else if joined <= width {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.clone());
            }
        }
        word.clear();
    };
    for c in text.trim().chars() {
        quoted ^= c == '`';
        if c == ' ' && !(quoted && word.chars().count() < width) {
            if !word.is_empty() {
                place(&mut word, &mut lines);
            }
        } else {
            word.push(c);
        }
    }
    place(&mut word, &mut lines);
    lines
}

/// Of a page, in characters.
const WIDTH: usize = 100;
