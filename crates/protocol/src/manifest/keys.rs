//! The names of members, of a manifest and of what it points at, looked at before their values: a name
//! that is there twice, or in another case, is one that two clients resolve differently.
//!
//! All values are read on the way, those of unknown members too: what one reader skips, such as bytes
//! that are not UTF-8, another refuses or replaces.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

use super::ManifestError;
use crate::printable::excerpt;

/// Refuses known names twice or in another spelling.
pub(super) fn check(bytes: &[u8]) -> Result<(), ManifestError> {
    let mut fault = None;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let look = Look { place: Place::Manifest, fault: &mut fault };
    look.deserialize(&mut reader).map_err(ManifestError::json)?;
    fault.map_or(Ok(()), Err)
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Elsewhere,
    Manifest,
    /// A descriptor.
    Pointer,
    /// A list of descriptors.
    Pointers,
}

impl Place {
    /// The members that decide what it is and points at; none where names are nobody's business.
    fn known(self) -> &'static [&'static str] {
        match self {
            Self::Manifest => &[
                "schemaVersion",
                "mediaType",
                "config",
                "layers",
                "manifests",
                "subject",
                "artifactType",
                "annotations",
            ],
            Self::Pointer => &["mediaType", "digest", "size", "urls", "data", "platform"],
            Self::Elsewhere | Self::Pointers => &[],
        }
    }

    /// Where the value of a member stands.
    fn below(self, name: &str) -> Self {
        match (self, name) {
            (Self::Manifest, "config" | "subject") => Self::Pointer,
            (Self::Manifest, "layers" | "manifests") => Self::Pointers,
            _ => Self::Elsewhere,
        }
    }
}

/// Reads a value of any kind, and keeps what was first found wrong with a name.
struct Look<'a> {
    place: Place,
    fault: &'a mut Option<ManifestError>,
}

impl Look<'_> {
    fn note(&mut self, name: &str, seen: &mut BTreeSet<String>) {
        let known = self.place.known();
        if known.is_empty() {
            return;
        }
        let other = known.iter().find(|known| **known != name && folds_to(name, known));
        let fault = match other {
            Some(known) => Some(ManifestError::Case { found: excerpt(name), known }),
            None if seen.insert(name.to_owned()) => None,
            None => Some(ManifestError::Duplicate { key: excerpt(name) }),
        };
        if self.fault.is_none() {
            *self.fault = fault;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.place {
            Place::Manifest => deserializer.deserialize_map(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let place = match self.place {
            Place::Pointers => Place::Pointer,
            Place::Elsewhere | Place::Manifest | Place::Pointer => Place::Elsewhere,
        };
        while list.next_element_seed(Look { place, fault: self.fault })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.note(&name, &mut seen);
            let place = self.place.below(&name);
            map.next_value_seed(Look { place, fault: self.fault })?;
        }
        Ok(())
    }
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
