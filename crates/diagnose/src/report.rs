//! The result of a diagnosis, and its three forms: text for a person, JSON for a program, and a page of HTML. None of
//! them changes the findings.

use std::time::SystemTime;

use portpass_protocol::printable::is_unprintable;

use super::{
    Check, Finding, Needs, Stage, Target, Verdict, cause, exchange::Exchange, known_failures,
};

mod html;
mod json;
#[cfg(test)]
mod tests;
mod text;

pub use text::{Detail, Tone};

/// Every check with its answer, in flow order.
#[derive(Debug)]
pub struct Report {
    /// What was looked at.
    pub target: Target,
    /// When and how it was made.
    pub provenance: Provenance,
    /// Whether blobs may have been pushed.
    pub wrote: bool,
    /// One for each check.
    pub findings: Vec<Finding>,
    /// All that was said, secrets left out.
    pub exchanges: Vec<Exchange>,
}

/// How a report was made, so that its readers can do the same.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// When the last answer was there.
    pub at: SystemTime,
    /// The command; nothing secret is in it.
    pub command: String,
}

impl Provenance {
    /// `2026-11-30T09:41:00Z`
    fn time(&self) -> String {
        let at = jiff::Timestamp::try_from(self.at);
        at.map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }
}

/// Of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Report {
    /// The failure that the others come from, unless they say otherwise.
    pub fn cause(&self) -> Option<&Finding> {
        let cause = cause::of(&self.findings)?;
        self.finding(cause)
    }

    /// The answer to one check.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }

    /// `fail`, else `warn`, else `pass`.
    pub fn verdict(&self) -> &'static str {
        let any = |verdict: &Verdict| self.findings.iter().any(|found| found.verdict == *verdict);
        if any(&Verdict::Fail) {
            "fail"
        } else if any(&Verdict::Warn) {
            "warn"
        } else {
            "pass"
        }
    }

    /// For a terminal: the flow with its broken place, the cause, what comes of it, what else there is.
    /// `paint` may colour what has a tone; the text says the same without.
    pub fn text(&self, detail: Detail, paint: impl Fn(Tone, &str) -> String) -> String {
        text::of(self, detail, &paint)
    }

    /// Every exchange, as lines: `>` was sent, `<` came back.
    pub fn trace(&self) -> String {
        text::trace(self)
    }

    /// For programs: the schema `portpass.diagnose/1`. With `trace`, all exchanges too.
    pub fn json(&self, trace: bool) -> serde_json::Value {
        json::of(self, trace)
    }

    /// One file for a browser: nothing in it is loaded or run.
    pub fn html(&self) -> String {
        html::of(self)
    }

    /// Whether an earlier failure kept the token, or the password, from the registry. What the registry said to
    /// requests without it says nothing about it.
    fn lacks_token(&self) -> bool {
        let earlier = |check: Check| check.stage() < Stage::Registry;
        match self.finding(Check::Use02).map(|finding| &finding.verdict) {
            Some(Verdict::Skip(Needs::Check(check))) => earlier(*check),
            Some(Verdict::Skip(Needs::Input(_))) => {
                self.cause().is_some_and(|cause| earlier(cause.check))
            }
            _ => false,
        }
    }

    /// The parts of the flow that were not checked, and why.
    fn unreached(&self) -> Option<Unreached> {
        let of =
            |stage: Stage| self.findings.iter().filter(move |found| found.check.stage() == stage);
        let missing = |finding: &Finding| match &finding.verdict {
            Verdict::Skip(needs) => (!matches!(needs, Needs::Nothing(_))).then_some(needs.clone()),
            Verdict::Pass | Verdict::Warn | Verdict::Fail => None,
        };
        let unseen = |stage: &Stage| {
            *stage != Stage::Local
                && text::mark(self, *stage) == text::NOT_CHECKED
                && of(*stage).any(|finding| missing(finding).is_some())
        };
        let stages: Vec<Stage> = Stage::ALL.iter().copied().filter(unseen).collect();
        let why = match self.cause() {
            Some(cause) => Needs::Check(cause.check),
            None => of(*stages.first()?).find_map(missing)?,
        };
        (!stages.is_empty()).then_some(Unreached { stages, why })
    }

    /// What a registry is that has no token service: it asks for the password itself.
    fn by_password(&self) -> Option<&str> {
        let no_tokens =
            |finding: &&Finding| matches!(finding.verdict, Verdict::Skip(Needs::Nothing(_)));
        self.finding(Check::Tok01).filter(no_tokens)?;
        let like = self.finding(Check::Use04).filter(|finding| finding.verdict == Verdict::Pass);
        like.map(|finding| finding.summary.as_str())
    }

    /// Failures beside the cause.
    fn consequences(&self) -> impl Iterator<Item = &Finding> {
        let cause = self.cause().map(|cause| cause.check);
        self.failures().filter(move |finding| Some(finding.check) != cause)
    }

    fn held(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Pass)
    }

    fn failures(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.failed())
    }

    fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Warn)
    }

    /// The checks that were not made, grouped by what they need as `said`, in the order of the flow.
    fn left_out(&self, said: impl Fn(&Needs) -> String) -> Vec<(String, Vec<Check>)> {
        let mut groups: Vec<(String, Vec<Check>)> = Vec::new();
        for finding in &self.findings {
            let Verdict::Skip(needs) = &finding.verdict else { continue };
            let needs = said(needs);
            match groups.iter_mut().find(|(known, _)| *known == needs) {
                Some((_, checks)) => checks.push(finding.check),
                None => groups.push((needs, vec![finding.check])),
            }
        }
        groups
    }

    /// `12 passed, 1 failed, 2 warnings, 75 not checked; 23 requests`
    fn tally(&self) -> String {
        let count = |word: &str| {
            self.findings.iter().filter(|finding| finding.verdict.as_str() == word).count()
        };
        let several = |number: usize, one: &str| {
            format!("{number} {one}{}", if number == 1 { "" } else { "s" })
        };
        format!(
            "{} passed, {} failed, {}, {} not checked; {}",
            count("pass"),
            count("fail"),
            several(count("warn"), "warning"),
            count("skip"),
            several(self.exchanges.len(), "request"),
        )
    }
}

/// The steps that were not checked.
struct Unreached {
    stages: Vec<Stage>,
    why: Needs,
}

impl Unreached {
    /// `token service, token, registry`
    fn named(&self) -> String {
        self.stages.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// A server's words may stand in any line: what would move a terminal's cursor, or turn the direction of
/// reading, becomes a space.
fn clean(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect()
}

/// What it may be where several faults look alike, each with its row.
fn alike(finding: &Finding) -> Option<String> {
    let [_, _, ..] = finding.rows[..] else { return None };
    let words = finding
        .rows
        .iter()
        .map(|row| format!("{} ({row})", known_failures::what(row).unwrap_or("?")));
    Some(words.collect::<Vec<_>>().join("; or "))
}

/// `docker, containerd`
fn broken(finding: &Finding) -> String {
    let names: Vec<&str> = finding.breaks.iter().map(|peer| peer.as_str()).collect();
    names.join(", ")
}
