//! The configuration of a distribution registry (2.x, 3.x) as one of ours.
//!
//! distribution ignores keys that it does not know; here each of them is a doubt, and so is each that does something
//! else here or nothing. Values are read as its own reader of YAML 1.1 does.

mod auth;
mod http;
mod notifications;
mod others;
mod section;
mod storage;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::Value;

use self::section::Section;
use crate::{ConfigError, translation::Writer};

/// Another server's configuration as one of ours.
#[derive(Debug)]
pub struct Translated {
    /// A file that a server starts from; each doubt is a line `# doubt: …`.
    pub configuration: String,
    /// What is not the same, or may not have been meant.
    pub doubts: Vec<String>,
}

/// Translates the text of a file; `name` is what errors and comments call it, and `source` is where it lies.
pub fn import(name: &str, text: &str, source: &Path) -> Result<Translated, ConfigError> {
    let unreadable = |why: String| {
        ConfigError::at(name, format!("this is no configuration of a registry: {why}"))
    };
    let whole: Value =
        serde_saphyr::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    let Value::Object(keys) = whole else {
        return Err(unreadable("expected keys, as `version: 0.1` and `storage:`".to_owned()));
    };
    if !["storage", "http", "version"].iter().any(|key| keys.contains_key(*key)) {
        return Err(unreadable("it has neither `version` nor `storage` nor `http`".to_owned()));
    }
    let mut writer = Writer::default();
    writer.line(format!(
        "# From {name}, by `portpass import distribution`. Look at each line that begins with"
    ));
    writer.line("# `# doubt:` before you use this file. Variables (REGISTRY_…) are not in it: portpass reads many of them.");
    let mut file = Section::whole(&keys);
    version(&mut file, &mut writer);
    others::log(&mut file, &mut writer);
    http::write(&mut file, source, &mut writer);
    writer.line("registry:");
    auth::write(&mut file, source, &mut writer);
    storage::write(&mut file, &mut writer);
    notifications::write(&mut file, &mut writer);
    others::write(&mut file, &mut writer);
    file.rest(&mut writer);
    let (configuration, doubts) = writer.finish();
    Ok(Translated { configuration, doubts })
}

fn version(file: &mut Section<'_>, writer: &mut Writer) {
    match file.text("version", writer).as_deref() {
        Some("0.1") => {}
        Some(other) => writer.doubt(format!("`version` is {other}; distribution knows 0.1 alone")),
        None => writer.doubt("`version` is missing; distribution does not start without it"),
    }
}
