//! The one module that prints: data to stdout, everything said to a person to stderr.

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
use portpass_client::transfer::{Progress, Unwatched};
use serde_json::Value;

use crate::{
    command::Ended,
    failure::{Failure, Status},
};

mod progress;

pub(crate) use progress::human_bytes;

/// Prints. Colours go away by themselves where the stream is no terminal or `NO_COLOR` is set.
#[derive(Debug)]
pub(crate) struct Printer {
    terminal: bool,
    lost: AtomicBool,
}

impl Printer {
    /// Looks at stdout once.
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal(), lost: AtomicBool::new(false) }
    }

    /// A person is watching stdout: a secret may be shown, it goes into no log.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of data.
    pub(crate) fn line(&self, text: impl Display) {
        self.written(writeln!(anstream::stdout(), "{text}"));
    }

    /// Text of several lines, which ends its last one itself.
    pub(crate) fn text(&self, text: &str) {
        self.written(write!(anstream::stdout(), "{text}"));
    }

    /// A JSON document, indented.
    pub(crate) fn json(&self, value: &Value) {
        self.line(format_args!("{value:#}"));
    }

    /// How a command ended that has said all, if all that was printed arrived.
    pub(crate) fn success(&self, ended: Ended) -> ExitCode {
        match ended {
            _ if self.lost.load(Ordering::Relaxed) => ExitCode::FAILURE,
            Ended::Done => ExitCode::SUCCESS,
            Ended::Broken => ExitCode::from(1),
            Ended::Doubtful => ExitCode::from(3),
        }
    }

    /// Rows under a heading, columns aligned by their widest cell.
    pub(crate) fn table<const N: usize>(&self, heading: [&str; N], rows: &[[String; N]]) {
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
        self.line(line(heading).bold());
        for row in rows {
            self.line(line(std::array::from_fn(|column| row[column].as_str())));
        }
    }

    /// Something a person should know that is not the data asked for.
    pub(crate) fn note(&self, text: impl Display) {
        self.written(writeln!(anstream::stderr(), "{text}"));
    }

    /// Shows how a transfer goes on: bars for a person who watches stderr, lines for a log.
    #[expect(clippy::unused_self, reason = "all that prints goes through the printer")]
    pub(crate) fn progress(&self, quiet: bool) -> Arc<dyn Progress> {
        match quiet {
            true => Arc::new(Unwatched),
            false if io::stderr().is_terminal() => Arc::new(progress::Bars::default()),
            false => Arc::new(progress::Lines),
        }
    }

    /// Whoever closes the pipe has read enough; a full disk must not look like success.
    fn written(&self, result: io::Result<()>) {
        if result.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            self.lost.store(true, Ordering::Relaxed);
        }
    }

    /// `warning: …`
    pub(crate) fn warning(&self, text: impl Display) {
        self.note(format_args!("{} {text}", "warning:".yellow().bold()));
    }

    /// Says what failed and what may help, and gives the exit status.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        self.note(format_args!("{} {}", "error:".red().bold(), failure.message()));
        for hint in failure.hints() {
            self.note(format_args!("{} {hint}", "hint:".cyan().bold()));
        }
        match failure.status() {
            Status::Failed => ExitCode::from(1),
            Status::Usage => ExitCode::from(2),
        }
    }
}
