//! What a configuration names and that is broken, for commands that may not need it.
//!
//! A server refuses to start with a broken file, and runs on if a file breaks later. In that time a leaked secret still
//! has to be ended: a command must not fail on the rules that it never asks.

use super::ConfigError;

/// What a command may need of a configuration beside its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who may do what.
    Rules,
    /// The sources of accounts.
    Accounts,
    /// The keys that sign tokens.
    SigningKeys,
    /// What only a server uses: TLS, and who reaches the registry.
    Serving,
}

/// A part that is broken. What the configuration has in its place grants nothing and proves nothing.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    pub(crate) part: Part,
    pub(crate) error: ConfigError,
}

/// Whether a broken file is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is.
    Strict,
    /// It is one for those who need it: [`Config::require`](super::Config::require).
    Forgiving,
}
