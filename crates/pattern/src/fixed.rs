//! Patterns that mean the same repositories whoever asks.

use super::{PathPattern, PatternError};

impl PathPattern {
    /// Reads a pattern that takes no placeholders.
    pub fn parse_fixed(text: &str) -> Result<Self, FixedPatternError> {
        if text.contains("${") {
            return Err(FixedPatternError::Open);
        }
        Self::parse(text).map_err(|error| match error {
            PatternError::Character { character } => FixedPatternError::Character { character },
            error => FixedPatternError::Other(error),
        })
    }
}

/// A text that is no such pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FixedPatternError {
    /// It holds a character that no repository name has.
    #[error(
        "{character:?} is not allowed in a repository's name; this pattern supports `*`, `?` and `**`"
    )]
    Character {
        /// The first of them.
        character: char,
    },
    /// It leaves open whose repositories it means.
    #[error("it does not say whose repositories it means: write the name in place of `${{…}}`")]
    Open,
    /// Another mistake.
    #[error(transparent)]
    Other(PatternError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_offered_where_none_is_taken() {
        for text in ["a/${account}", "a/${team}", "a/${label:ü}", "${group", "a*${account}"] {
            assert_eq!(PathPattern::parse_fixed(text), Err(FixedPatternError::Open), "{text}");
        }
        for text in ["a b", "a/$x", "a//b", "a**", "{account}"] {
            let told = PathPattern::parse_fixed(text).unwrap_err().to_string();
            assert!(!told.contains("${"), "{text}: {told}");
        }
        assert_eq!(PathPattern::parse_fixed("a/*/**"), Ok(PathPattern::parse("a/*/**").unwrap()));
    }
}
