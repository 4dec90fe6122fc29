//! The one module that prints: data to stdout, everything said to a person to stderr.
//!
//! Much of it was written by others. What a terminal would obey is written out here, whoever prints it; only
//! [`Printer::text`] takes texts as they are, for reports with colours of their own.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write, stdout},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use owo_colors::OwoColorize;
use portpass_client::is_unprintable;
use portpass_client::transfer::{NoProgress, Progress};
use serde_json::Value;

use crate::{
    failure::{Failure, Status, escape_control},
    outcome::Outcome,
};

mod progress;

pub(crate) use progress::human_bytes;

/// Prints. Colours go away by themselves where the stream is no terminal or `NO_COLOR` is set.
#[derive(Debug)]
pub(crate) struct Printer {
    terminal: bool,
    lost: AtomicBool,
    closed: AtomicBool,
}

impl Printer {
    /// Looks at stdout once.
    pub(crate) fn new() -> Self {
        Self {
            terminal: stdout().is_terminal(),
            lost: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// A person is watching stdout: a secret may be shown, it goes into no log.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of data, or several.
    pub(crate) fn line(&self, text: impl Display) {
        self.written(writeln!(anstream::stdout(), "{}", escape_control(text.to_string())));
    }

    /// Text of several lines, which ends its last one itself.
    pub(crate) fn text(&self, text: &str) {
        self.written(write!(anstream::stdout(), "{text}"));
    }

    /// A document of others, byte for byte: its digest is that of these bytes. Only a terminal gets what it would
    /// obey written out.
    pub(crate) fn document(&self, bytes: &[u8]) {
        if self.terminal {
            self.line(String::from_utf8_lossy(bytes));
        } else {
            self.written(anstream::stdout().into_inner().lock().write_all(bytes));
        }
    }

    /// A JSON document, indented.
    pub(crate) fn json(&self, value: &Value) {
        self.line(in_ascii_where_obeyed(&format!("{value:#}")));
    }

    /// The exit status of a command that did not fail: 1 if not all that was printed arrived.
    pub(crate) fn exit_code(&self, outcome: Outcome) -> ExitCode {
        match outcome {
            _ if self.lost.load(Ordering::Relaxed) => ExitCode::FAILURE,
            Outcome::Success => ExitCode::SUCCESS,
            Outcome::Problem => ExitCode::from(1),
            Outcome::Warning => ExitCode::from(3),
        }
    }

    /// Rows under a heading, columns aligned by their widest cell.
    pub(crate) fn table<const N: usize>(&self, heading: [&str; N], rows: &[[String; N]]) {
        let rows: Vec<[String; N]> = rows
            .iter()
            .map(|row| row.each_ref().map(|cell| escape_control(cell.clone())))
            .collect();
        let widths: [usize; N] = std::array::from_fn(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .chain([heading[column].len()])
                .max()
                .unwrap_or(0)
        });
        let line = |cells: [&str; N]| {
            let padded: Vec<String> =
                cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        };
        self.written(writeln!(anstream::stdout(), "{}", line(heading).bold()));
        for row in &rows {
            self.line(line(std::array::from_fn(|column| row[column].as_str())));
        }
    }

    /// Something a person should know that is not the data asked for.
    pub(crate) fn note(&self, text: impl Display) {
        self.say(escape_control(text.to_string()));
    }

    fn say(&self, text: impl Display) {
        self.written(writeln!(anstream::stderr(), "{text}"));
    }

    /// Shows how a transfer goes on: bars for a person who watches stderr, lines for a log.
    #[expect(clippy::unused_self, reason = "all that prints goes through the printer")]
    pub(crate) fn progress(&self, quiet: bool) -> Arc<dyn Progress> {
        match quiet {
            true => Arc::new(NoProgress),
            false if io::stderr().is_terminal() => Arc::new(progress::Bars::default()),
            false => Arc::new(progress::Lines),
        }
    }

    /// Whoever closes the pipe has read enough; a full disk must not look like success.
    fn written(&self, result: io::Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
            }
            Err(_) => self.lost.store(true, Ordering::Relaxed),
        }
    }

    /// Nobody reads any more: what goes on without end may end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// `warning: …`
    pub(crate) fn warning(&self, text: impl Display) {
        let text = escape_control(text.to_string());
        self.say(format_args!("{} {text}", "warning:".yellow().bold()));
    }

    /// Says what failed and what may help, and gives the exit status.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        self.say(format_args!("{} {}", "error:".red().bold(), failure.message()));
        for hint in failure.hints() {
            self.say(format_args!("{} {hint}", "hint:".cyan().bold()));
        }
        match failure.status() {
            Status::Failed => ExitCode::from(1),
            Status::Usage | Status::NoAnswer => ExitCode::from(2),
        }
    }
}

/// A JSON text that says the same, with what a terminal obeys as JSON writes it (RFC 8259 section 7): such a
/// character stands in strings alone.
fn in_ascii_where_obeyed(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unprintable(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                written.extend(format!("\\u{unit:04x}").chars());
            }
        } else {
            written.push(c);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use portpass_client::is_unprintable;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let value = json!({ "client": "a\u{202e}b\u{2028}\u{e0041}\u{1b}", "name": "é" });
        let text = in_ascii_where_obeyed(&format!("{value:#}"));
        assert!(!text.contains(|c| is_unprintable(c) && c != '\n'), "{text:?}");
        assert!(text.contains(r"a\u202eb\u2028\udb40\udc41\u001b") && text.contains('é'), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
