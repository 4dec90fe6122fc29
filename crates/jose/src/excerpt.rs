//! Foreign text, made fit for a log line.

use std::fmt;

/// A piece of somebody else's text for an error message: quoted, escaped, and short.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// Keeps the first 100 characters.
    pub fn of(text: &str) -> Self {
        match text.char_indices().nth(LIMIT) {
            Some((end, _)) => Self(format!("{:?}…", &text[..end]).into()),
            None => Self(format!("{text:?}").into()),
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(Excerpt::of("a\n\"b\"").to_string(), r#""a\n\"b\"""#);
        assert_eq!(Excerpt::of(&"é".repeat(100)).to_string(), format!("{:?}", "é".repeat(100)));
        assert_eq!(Excerpt::of(&"é".repeat(101)).to_string(), format!("{:?}…", "é".repeat(100)));
    }
}
