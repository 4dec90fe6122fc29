//! Why a command did not do what it was asked for.

use std::{
    error::Error,
    fmt::{Display, Write as _},
};

use portpass_client::is_unprintable;

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
    /// The command answers by its status, where 1 is an answer, and could not find out: 2.
    NoAnswer,
}

impl Failure {
    /// A failure with this message (lower case, no full stop).
    ///
    /// Parts of it may be from files and servers: no terminal is to obey them.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let message = escape_control(message.into());
        Self { message, hints: Vec::new(), status: Status::Failed }
    }

    /// Wrong usage: exit status 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: Status::Usage, ..Self::new(message) }
    }

    /// The failure of a command that answers by its status.
    #[must_use]
    pub(crate) fn no_answer(self) -> Self {
        Self { status: Status::NoAnswer, ..self }
    }

    /// The same failure, and what it is about before it.
    #[must_use]
    pub(crate) fn about(self, what: impl Display) -> Self {
        let message = escape_control(format!("{what}: {}", self.message));
        Self { message, ..self }
    }

    /// Adds a line that says what to do; the same line twice is printed once.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = escape_control(hint.into());
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

/// The same text with the characters written out that a terminal obeys; lines stay lines.
pub(crate) fn escape_control(text: String) -> String {
    let obeyed = |c: char| is_unprintable(c) && c != '\n';
    if !text.contains(obeyed) {
        return text;
    }
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            written.extend(c.escape_default());
        } else {
            written.push(c);
        }
    }
    written
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_obeys_what_a_failure_quotes() {
        let failure = Failure::new("no image \u{1b}[2J\u{9b}31m\rx\nline").hint("a\u{7}b");
        assert_eq!(failure.message(), "no image \\u{1b}[2J\\u{9b}31m\\rx\nline");
        assert_eq!(failure.hints(), ["a\\u{7}b"]);
        assert_eq!(escape_control("gpj\u{202e}exe\u{2028}".to_owned()), "gpj\\u{202e}exe\\u{2028}");
    }
}
