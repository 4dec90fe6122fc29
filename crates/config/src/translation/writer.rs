//! The text of a configuration, line by line, with what is doubtful in it.

/// Writes YAML with comments; each doubt is a line of its own, before what it is about.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
    doubts: Vec<String>,
}

impl Writer {
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    pub(crate) fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.line(line);
        }
    }

    /// `key: "value"`, as many levels deep.
    pub(crate) fn value(&mut self, depth: usize, key: &str, value: &str) {
        self.line(format!("{}{key}: {}", "  ".repeat(depth), quoted(value)));
    }

    /// What its reader has to look at; said once.
    pub(crate) fn doubt(&mut self, doubt: impl Into<String>) {
        // A line break would end the comment.
        let doubt = doubt.into().replace(['\n', '\r'], " ");
        if !self.doubts.contains(&doubt) {
            self.line(format!("# doubt: {doubt}"));
            self.doubts.push(doubt);
        }
    }

    pub(crate) fn finish(self) -> (String, Vec<String>) {
        (self.text, self.doubts)
    }
}

/// A text as YAML and JSON have it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
