//! How much work one decision may make.

/// What is left of it. What a directory or an issuer says of an account goes into patterns: many values, or long
/// ones, must not occupy a processor for long.
#[derive(Debug)]
pub(super) struct Effort(u32);

impl Effort {
    /// For one decision: some ten thousand globs, or a thousand regular expressions.
    pub(super) fn for_one_decision() -> Self {
        Self(50_000)
    }

    /// A glob takes at most as many steps as the product of both lengths.
    pub(super) fn spend_on_glob(&mut self, pattern: &str, text: &str) -> Result<(), TooMuch> {
        let steps = u32::try_from(pattern.len() * text.len() / 1024).unwrap_or(u32::MAX);
        self.spend(steps.saturating_add(1))
    }

    pub(super) fn spend_on_regex(&mut self) -> Result<(), TooMuch> {
        self.spend(50)
    }

    fn spend(&mut self, cost: u32) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(cost).ok_or(TooMuch)?;
        Ok(())
    }
}

/// More work than a decision may make, or a pattern larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;
