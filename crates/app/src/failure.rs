//! Why a command did not do what it was asked for.

use std::{error::Error, fmt::Write as _};

/// What went wrong, and what may help. Any error turns into one by `?`, with its causes.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hints: Vec<String>,
    status: Status,
}

/// How the process ends after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It was tried and failed: 1.
    Failed,
    /// The command line makes no sense in a way that clap cannot see: 2.
    Usage,
}

impl Failure {
    /// A failure with this message (lower case, no full stop).
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), status: Status::Failed }
    }

    /// Wrong usage: exit status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: Status::Usage, ..Self::new(message) }
    }

    /// Adds a line that says what to do; the same line twice is printed once.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        self
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What may help, in the order it was added.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// How the process ends.
    pub(crate) fn status(&self) -> Status {
        self.status
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            let text = deeper.to_string();
            // Many errors repeat their source in their own text.
            if !message.contains(&text) {
                // Writing to a String cannot fail.
                let _ = write!(message, ": {text}");
            }
            cause = deeper.source();
        }
        Self::new(message)
    }
}
