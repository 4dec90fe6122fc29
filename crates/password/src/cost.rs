//! What a check costs, and how a refusal is brought to the highest cost there is.

/// The cost of one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {}
