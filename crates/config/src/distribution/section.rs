//! A section of the file, and which of its keys nobody has asked for.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value};

use crate::translation::{Writer, yaml11};

/// The keys below one key.
pub(super) struct Section<'a> {
    path: String,
    keys: Option<&'a Map<String, Value>>,
    asked: BTreeSet<String>,
}

impl<'a> Section<'a> {
    pub(super) fn whole(keys: &'a Map<String, Value>) -> Self {
        Self { path: String::new(), keys: Some(keys), asked: BTreeSet::new() }
    }

    /// The name of a key, from the top.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn value(&mut self, key: &str) -> Option<&'a Value> {
        self.asked.insert(key.to_owned());
        self.keys?.get(key)
    }

    /// Whether the key is there with something in it.
    pub(super) fn has(&mut self, key: &str) -> bool {
        self.value(key).is_some_and(|value| !value.is_null())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.keys.into_iter().flat_map(|keys| keys.keys().map(String::as_str))
    }

    /// The section below a key; empty if there is none.
    pub(super) fn section(&mut self, key: &str, writer: &mut Writer) -> Self {
        let path = self.name(key);
        let keys = match self.value(key) {
            Some(Value::Object(keys)) => Some(keys),
            None | Some(Value::Null) => None,
            Some(_) => {
                writer.doubt(format!("`{path}` has no keys below it, so it says nothing here"));
                None
            }
        };
        Section { path, keys, asked: BTreeSet::new() }
    }

    /// The sections in the list below a key.
    pub(super) fn entries(&mut self, key: &str, writer: &mut Writer) -> Vec<Self> {
        let path = self.name(key);
        let entries = match self.value(key) {
            Some(Value::Array(entries)) => entries.as_slice(),
            None | Some(Value::Null) => &[],
            Some(_) => {
                writer.doubt(format!("`{path}` is no list, so it says nothing here"));
                &[]
            }
        };
        let section = |(index, entry): (usize, &'a Value)| {
            let keys = entry.as_object();
            Section { path: format!("{path}[{index}]"), keys, asked: BTreeSet::new() }
        };
        entries.iter().enumerate().map(section).collect()
    }

    /// A value as it was typed.
    pub(super) fn text(&mut self, key: &str, writer: &mut Writer) -> Option<String> {
        let name = self.name(key);
        match self.value(key)? {
            Value::Null => None,
            Value::String(text) => is_literal(&name, text, writer).then(|| text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(_) | Value::Object(_) => {
                writer.doubt(format!("`{name}` is no single value, so it says nothing here"));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str, writer: &mut Writer) -> Option<bool> {
        let name = self.name(key);
        let text = self.text(key, writer)?;
        let flag = yaml11::boolean(&text);
        if flag.is_none() {
            writer.doubt(format!("`{name}` is {text}, which is neither true nor false"));
        }
        flag.map(|flag| flag.value)
    }

    pub(super) fn list(&mut self, key: &str, writer: &mut Writer) -> Vec<String> {
        let name = self.name(key);
        match self.value(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) => {
                let value = is_literal(&name, text, writer).then(|| text.clone());
                value.into_iter().collect()
            }
            Some(Value::Array(values)) => {
                let text = |value: &Value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let values = values.iter().map(text);
                values.filter(|value| is_literal(&name, value, writer)).collect()
            }
            Some(_) => {
                writer.doubt(format!("`{name}` is no list, so it says nothing here"));
                Vec::new()
            }
        }
    }

    /// A file. distribution looks for a relative one in the folder that it was started in, and we beside our own file.
    pub(super) fn path(&mut self, key: &str, source: &Path, writer: &mut Writer) -> Option<String> {
        let name = self.name(key);
        let text = self.text(key, writer).filter(|text| !text.is_empty())?;
        if Path::new(&text).is_absolute() {
            return Some(text);
        }
        let folder = source.parent().unwrap_or(Path::new("/"));
        writer.doubt(format!(
            "`{name}` is {text}, which distribution looks for in the folder that it was started in; here it is looked for beside the old file"
        ));
        Some(folder.join(text).display().to_string())
    }

    /// Doubts each of these keys that is there, for the reason beside it.
    pub(super) fn doubt_each(&mut self, keys: &[(&str, &str)], writer: &mut Writer) {
        for (key, why) in keys {
            if self.has(key) {
                writer.doubt(format!("`{}` sets nothing here: {why}", self.name(key)));
            }
        }
    }

    /// Doubts all that nobody has asked for.
    pub(super) fn rest(&self, writer: &mut Writer) {
        for key in self.keys().filter(|key| !self.asked.contains(*key)) {
            writer.doubt(format!(
                "`{}` is no key that portpass knows of distribution; it sets nothing here",
                self.name(key)
            ));
        }
    }
}

/// Whether a value is one for distribution and for us: neither replaces placeholders, and we refuse them.
fn is_literal(name: &str, text: &str, writer: &mut Writer) -> bool {
    let literal = !text.contains("${");
    if !literal {
        writer.doubt(format!(
            "`{name}` is {text}, a placeholder that neither distribution nor portpass replaces: write the value itself"
        ));
    }
    literal
}
