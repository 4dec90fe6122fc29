//! The one module that prints: data to stdout, everything said to a person to stderr.

use std::{
    fmt::Display,
    io::{IsTerminal, stdout},
    process::ExitCode,
};

use owo_colors::OwoColorize;
use serde_json::Value;

use crate::failure::{Failure, Status};

/// Prints. Colours go away by themselves where the stream is no terminal or `NO_COLOR` is set.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    terminal: bool,
}

impl Printer {
    /// Looks at stdout once.
    pub(crate) fn new() -> Self {
        Self { terminal: stdout().is_terminal() }
    }

    /// A person is watching stdout: a secret may be shown, it goes into no log.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of data.
    #[expect(clippy::print_stdout, reason = "this is the module that prints")]
    pub(crate) fn line(&self, text: impl Display) {
        anstream::println!("{text}");
    }

    /// A JSON document, indented.
    #[expect(clippy::print_stdout, reason = "this is the module that prints")]
    pub(crate) fn json(&self, value: &Value) {
        anstream::println!("{value:#}");
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
    #[expect(clippy::print_stderr, reason = "this is the module that prints")]
    pub(crate) fn note(&self, text: impl Display) {
        anstream::eprintln!("{text}");
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
