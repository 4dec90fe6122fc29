//! The text of a configuration, line by line, with what is doubtful in it.

use super::rules::quoted;

/// Writes YAML with comments; each doubt is a line of its own, before what it is about.
#[derive(Debug, Default)]
pub(super) struct Writer {
    text: String,
    doubts: Vec<String>,
}

impl Writer {
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// `key: "value"`, as many levels deep.
    pub(super) fn value(&mut self, depth: usize, key: &str, value: &str) {
        self.line(format!("{}{key}: {}", "  ".repeat(depth), quoted(value)));
    }

    /// What its reader has to look at; said once.
    pub(super) fn doubt(&mut self, doubt: impl Into<String>) {
        // A line break would end the comment.
        let doubt = doubt.into().replace(['\n', '\r'], " ");
        if !self.doubts.contains(&doubt) {
            self.line(format!("# doubt: {doubt}"));
            self.doubts.push(doubt);
        }
    }

    pub(super) fn finish(self) -> (String, Vec<String>) {
        (self.text, self.doubts)
    }
}
