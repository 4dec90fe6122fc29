//! Lists of which no more is kept than a manifest may have, and all of it counted.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use super::MAX_DESCRIPTORS;

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
