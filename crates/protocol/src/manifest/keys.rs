//! The names of a manifest's members, looked at before their values: a name that is there twice, or
//! in another case, is one that two clients resolve differently.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::ManifestError;
use crate::name::excerpt;

/// The members that decide what a manifest is and points at.
const KNOWN: [&str; 8] = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "artifactType",
    "annotations",
];

/// Refuses known names twice or in another spelling.
pub(super) fn check(bytes: &[u8]) -> Result<(), ManifestError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let names = reader.deserialize_map(Names).map_err(ManifestError::json)?;
    let mut seen = BTreeSet::new();
    for name in names {
        if let Some(known) =
            KNOWN.into_iter().find(|known| *known != name && folds_to(&name, known))
        {
            return Err(ManifestError::Case { found: excerpt(&name), known });
        }
        if !seen.insert(name.clone()) {
            return Err(ManifestError::Duplicate { key: excerpt(&name) });
        }
    }
    Ok(())
}

/// Equal as Go's `encoding/json` compares: by case, and with the two letters beyond ASCII that fold
/// into it.
fn folds_to(name: &str, known: &str) -> bool {
    let folded = name.chars().map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(known.chars().map(|c| c.to_ascii_lowercase()))
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
            names.push(name);
        }
        Ok(names)
    }
}
