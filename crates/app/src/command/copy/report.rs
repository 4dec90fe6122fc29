//! What became of many images.

use std::fmt;

use portpass_client::transfer::{Blobs, Transferred};
use serde_json::{Value, json};

use crate::{
    command::{
        Context,
        transfer::{Side, blobs_summed_up},
    },
    failure::Failure,
};

/// What was done, and what was not.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) repositories: u64,
    pub(super) tags: u64,
    pub(super) copied: u64,
    pub(super) unchanged: u64,
    manifests: u64,
    blobs: Blobs,
    /// The images that the target has now under another digest than before.
    pub(super) changed: Vec<String>,
    problems: Vec<Problem>,
}

/// An image that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    from: String,
    to: String,
    side: Side,
    platform: Option<String>,
    error: String,
    hints: Vec<String>,
}

impl Problem {
    /// With what was said of it.
    pub(super) fn new(from: String, to: String, side: Side, failure: &Failure) -> Self {
        let (error, hints) = (failure.message().to_owned(), failure.hints().to_vec());
        Self { from, to, side, platform: None, error, hints }
    }

    /// The same, of one image of an index.
    pub(super) fn of_platform(self, platform: Option<String>) -> Self {
        Self { platform, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.side == Side::Source { &self.from } else { &self.to };
        write!(f, "{} {place}", self.side)?;
        if let Some(platform) = &self.platform {
            write!(f, " ({platform})")?;
        }
        write!(f, ": {}", self.error)
    }
}

impl Report {
    /// What a transfer did.
    pub(super) fn add(&mut self, done: &Transferred) {
        let Blobs { transferred, held, mounted, bytes } = done.blobs;
        self.manifests += done.manifests;
        self.blobs.transferred += transferred;
        self.blobs.held += held;
        self.blobs.mounted += mounted;
        self.blobs.bytes += bytes;
    }

    /// What was not copied.
    pub(super) fn fails(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Says all of it; a failure if anything was not copied.
    pub(super) fn tell(
        &self,
        ends: (&str, &str),
        dry_run: bool,
        json: bool,
        context: &Context,
    ) -> Result<(), Failure> {
        if json {
            context.printer.json(&self.described(ends, dry_run));
        } else {
            let verb = if dry_run { "would be copied" } else { "copied" };
            context.printer.line(format_args!(
                "{} repositories, {} tags: {} {verb}, {} there already, {} failed",
                self.repositories,
                self.tags,
                self.copied,
                self.unchanged,
                self.problems.len()
            ));
            if !dry_run {
                context.printer.note(format_args!("blobs: {}", blobs_summed_up(&self.blobs)));
            }
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        let failure = Failure::new(format!("{} were not copied", self.problems.len()));
        let hints = self.problems.iter().flat_map(|problem| &problem.hints).take(HINTS);
        Err(hints.fold(failure, |failure, hint| failure.hint(hint.clone())))
    }

    fn described(&self, (from, to): (&str, &str), dry_run: bool) -> Value {
        let Blobs { transferred, held, mounted, bytes } = self.blobs;
        let problem = |problem: &Problem| {
            let Problem { from, to, side, platform, error, .. } = problem;
            let side = side.to_string();
            json!({ "from": from, "to": to, "side": side, "platform": platform, "error": error })
        };
        json!({
            "from": from,
            "to": to,
            "dry_run": dry_run,
            "repositories": self.repositories,
            "tags": self.tags,
            "copied": self.copied,
            "unchanged": self.unchanged,
            "changed": self.changed,
            "manifests": self.manifests,
            "blobs": { "transferred": transferred, "held": held, "mounted": mounted },
            "bytes": bytes,
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
        })
    }
}

/// Many images fail for few reasons.
const HINTS: usize = 64;
