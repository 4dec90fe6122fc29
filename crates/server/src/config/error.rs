//! What is wrong with a configuration.

/// What is wrong, where, and what may help.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
    hints: Vec<String>,
}

impl ConfigError {
    /// What may help, most likely first.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}
