//! What a check found.

use std::fmt;

use portpass_protocol::challenge::KnownClient;

use super::{
    Check,
    redact::{self, Secrets},
};

/// The longest sentence, in characters: whatever a server puts into it, it stays one.
const MAX_TEXT: usize = 600;

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It passes for most clients, or only for now.
    Warn,
    /// It fails.
    Fail,
    /// It was not checked, because this is missing.
    Skip(Needs),
}

impl Verdict {
    /// `pass`, `warn`, `fail`, `skip`
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip(_) => "skip",
        }
    }

    /// `✓ ! ✗ ·`
    pub fn sign(&self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Warn => "!",
            Self::Fail => "✗",
            Self::Skip(_) => "·",
        }
    }
}

/// What a check needs to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// That an earlier check passes.
    Check(Check),
    /// Something that was not given, named as its flag: `--bundle FILE`.
    Input(&'static str),
    /// Nothing: it makes no sense here, for this reason.
    Nothing(&'static str),
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(earlier) => write!(f, "fix {earlier} first"),
            Self::Input(flag) => write!(f, "needs {flag}"),
            Self::Nothing(reason) => f.write_str(reason),
        }
    }
}

/// The answer to one check: the evidence, the clients that break, the fix.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The question.
    pub check: Check,
    /// The answer.
    pub verdict: Verdict,
    /// One sentence with the fact.
    pub summary: String,
    /// What was sent and seen, one line each; nothing secret.
    pub evidence: Vec<String>,
    /// The clients that fail where this does not hold.
    pub breaks: Vec<KnownClient>,
    /// What to do.
    pub fix: Option<String>,
    /// The rows of the failure catalogue that look like this, most likely first. Several: they cannot be
    /// told apart with what was given.
    pub rows: Vec<&'static str>,
    /// The earlier failure that this one comes from.
    pub follows_from: Option<Check>,
}

impl Finding {
    /// It holds.
    pub fn pass(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, Verdict::Pass, summary)
    }

    /// It holds for most, or for now.
    pub fn warn(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warn, summary)
    }

    /// It does not hold.
    pub fn fail(check: Check, summary: impl Into<String>) -> Self {
        Self::new(check, Verdict::Fail, summary)
    }

    /// It was not checked.
    pub fn skip(check: Check, needs: Needs) -> Self {
        let summary = format!("not checked: {needs}");
        Self::new(check, Verdict::Skip(needs), summary)
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(redact::cut(&line.into(), MAX_TEXT));
        self
    }

    /// Names clients that fail.
    #[must_use]
    pub fn breaks(mut self, peers: &[KnownClient]) -> Self {
        for peer in peers {
            if !self.breaks.contains(peer) {
                self.breaks.push(*peer);
            }
        }
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(redact::cut(&fix.into(), 4 * MAX_TEXT));
        self
    }

    /// Names the rows of the catalogue that look like this.
    #[must_use]
    pub fn rows(mut self, rows: &[&'static str]) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Leaves these out of all that it says.
    pub(super) fn hide(&mut self, secrets: &Secrets) {
        self.summary = secrets.hide(&self.summary);
        secrets.hide_in(&mut self.evidence);
        self.fix = self.fix.as_deref().map(|fix| secrets.hide(fix));
    }

    /// Whether it failed.
    pub fn failed(&self) -> bool {
        self.verdict == Verdict::Fail
    }

    fn new(check: Check, verdict: Verdict, summary: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            summary: redact::cut(&summary.into(), MAX_TEXT),
            evidence: Vec::new(),
            breaks: Vec::new(),
            fix: None,
            rows: Vec::new(),
            follows_from: None,
        }
    }
}
