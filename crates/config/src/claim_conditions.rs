//! `when: { repository: "acme/*", ref_protected: true }`: claims, in the order in which they are written.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use portpass_federation::workload::{ClaimPath, Condition, Glob};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::{ConfigError, Files, Location};

/// Claims and what each may be. The order is kept: the first that does not match is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimConditions(Vec<(String, ClaimValues)>);

/// One value or several; a number or `true` is its text, as claims have both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ClaimValues(Vec<String>);

impl ClaimConditions {
    /// Reads the patterns.
    pub(super) fn build(
        self,
        place: &Location,
        key: &str,
        files: &Files,
    ) -> Result<Vec<Condition>, ConfigError> {
        if self.0.is_empty() {
            let message = "there is no condition: every token of the issuer would be this account";
            return Err(files.error(place, key, message));
        }
        let condition = |(claim, values): (String, ClaimValues)| {
            let path = ClaimPath::new(&claim).ok_or_else(|| {
                files.error(place, key, format!("{claim:?} cannot be the name of a claim"))
            })?;
            if values.0.is_empty() {
                return Err(files.error(
                    place,
                    key,
                    format!("`{claim}` has no value: nothing would match"),
                ));
            }
            let globs = values.0.iter().map(|text| Glob::new(text)).collect();
            Ok(Condition { claim: path, globs })
        };
        self.0.into_iter().map(condition).collect()
    }
}

impl<'de> Deserialize<'de> for ClaimConditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConditionsVisitor)
    }
}

struct ConditionsVisitor;

impl<'de> Visitor<'de> for ConditionsVisitor {
    type Value = ClaimConditions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClaimConditions, A::Error> {
        let mut conditions = Vec::new();
        while let Some(entry) = map.next_entry()? {
            conditions.push(entry);
        }
        Ok(ClaimConditions(conditions))
    }
}

impl<'de> Deserialize<'de> for ClaimValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = ClaimValues;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or a list of values")
    }

    fn visit_str<E>(self, text: &str) -> Result<ClaimValues, E> {
        Ok(ClaimValues(vec![text.to_owned()]))
    }

    fn visit_bool<E>(self, word: bool) -> Result<ClaimValues, E> {
        Ok(ClaimValues(vec![word.to_string()]))
    }

    fn visit_u64<E>(self, number: u64) -> Result<ClaimValues, E> {
        Ok(ClaimValues(vec![number.to_string()]))
    }

    fn visit_i64<E>(self, number: i64) -> Result<ClaimValues, E> {
        Ok(ClaimValues(vec![number.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ClaimValues, A::Error> {
        let mut all = Vec::new();
        while let Some(ClaimValues(values)) = list.next_element()? {
            all.extend(values);
        }
        Ok(ClaimValues(all))
    }
}

impl JsonSchema for ClaimConditions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClaimConditions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, ClaimValues>::json_schema(generator)
    }
}

impl JsonSchema for ClaimValues {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClaimValues".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let value = || json_schema!({ "type": ["string", "boolean", "integer"] });
        json_schema!({ "anyOf": [value(), { "type": "array", "items": value(), "minItems": 1 }] })
    }
}
