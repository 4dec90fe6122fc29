//! What a manifest may have many of: no more of it is kept than there may be, and all of it is counted.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{MAX_ANNOTATIONS, MAX_ANNOTATIONS_LENGTH, MAX_DESCRIPTORS};

/// The first of a list's items, and how many there are.
pub(super) struct Counted<T> {
    pub(super) kept: Vec<T>,
    pub(super) found: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Counted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List(PhantomData))
    }
}

struct List<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Counted<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX_DESCRIPTORS {
            match list.next_element()? {
                Some(item) => kept.push(item),
                None => return Ok(Counted { found: kept.len(), kept }),
            }
        }
        let mut found = kept.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            found += 1;
        }
        Ok(Counted { kept, found })
    }
}

/// The first of a manifest's annotations, and how many there are.
#[derive(Default)]
pub(super) struct Annotations {
    pub(super) kept: BTreeMap<String, String>,
    pub(super) found: usize,
    /// In bytes, names and values together.
    pub(super) length: usize,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = Annotations::default();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            all.found += 1;
            all.length += name.len() + value.len();
            if all.found <= MAX_ANNOTATIONS && all.length <= MAX_ANNOTATIONS_LENGTH {
                all.kept.insert(name, value);
            }
        }
        Ok(all)
    }
}
