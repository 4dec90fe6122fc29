//! How a command ended.

/// How the process ends after a command that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what was asked: 0.
    Success,
    /// It looked for problems and found one: 1.
    Problem,
    /// It found only what may be a problem: 3.
    Warning,
}
