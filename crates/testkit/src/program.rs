//! Runs a program to its end and keeps what it said.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// What a finished program said, and whether it was content.
#[derive(Debug)]
pub struct CommandOutput {
    /// The words it was started with.
    pub line: String,
    /// Whether it exited with status 0.
    pub success: bool,
    /// The exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Demands success.
    ///
    /// # Panics
    /// With everything the program said, if it failed.
    #[track_caller]
    pub fn expect_success(&self) -> &Self {
        assert!(self.success, "{self}");
        self
    }

    /// Demands failure.
    ///
    /// # Panics
    /// With everything the program said, if it succeeded.
    #[track_caller]
    pub fn expect_failure(&self) -> &Self {
        assert!(!self.success, "it should have failed: {self}");
        self
    }

    /// Both streams, for searching.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, status, stdout, stderr, .. } = self;
        write!(f, "`{line}` ended with {status:?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// Runs a command to its end, with `input` on its standard input.
///
/// # Panics
/// If the program cannot be started: `cargo xtask setup` installs what the tests need.
pub fn run(command: &mut Command, input: &str) -> CommandOutput {
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("`{line}` cannot be started ({error}); run `cargo xtask setup`")
        });
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input may have closed it already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().expect("a child that was started can be waited for");
    CommandOutput {
        line,
        success: output.status.success(),
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
