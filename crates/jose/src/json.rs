//! JSON that says each thing once: a key that appears twice in one object is an error, at any depth.
//!
//! Two readers of `{"iss":"a","iss":"b"}` may disagree about whose token it is, so headers, claims
//! and keys are read by this one reader only (protocol JW8).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
pub use serde_json::{Map, Value};

/// Why bytes are not one JSON object that says each thing once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Reads one JSON object and nothing after it.
///
/// Numbers that fit neither 64-bit integer type become floating point, so [`Value::as_i64`] is the
/// strict integer that JW4 asks for.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Unique.deserialize(&mut reader).and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    match value.map_err(|error| JsonError(error.to_string()))? {
        Value::Object(object) => Ok(object),
        other => Err(JsonError(format!("it is {}, expected an object", kind(&other)))),
    }
}

/// What a value is, for error messages: `a string`, `an object`.
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads any value; objects refuse a key that they already hold.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} appears twice")));
            }
            let value = entries.next_value_seed(Self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        parse_object(text.as_bytes()).unwrap_err().to_string()
    }

    /// JW8
    #[test]
    fn a_key_that_appears_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"a":{"b":[{"iss":1,"iss":1}]}}"#,
            r#"{"iss":1,"\u0069ss":1}"#,
        ] {
            assert!(refusal(text).starts_with("the key \"iss\" appears twice"), "{text}");
        }
        assert!(parse_object(br#"{"iss":"a","Iss":"b","c":[{"iss":1},{"iss":2}]}"#).is_ok());
    }

    #[test]
    fn only_one_object_will_do() {
        assert_eq!(refusal("[]"), "it is a list, expected an object");
        assert!(refusal("{} {}").starts_with("trailing characters"));
        for text in ["", "{", "nul", "{\"a\":\"\u{0}\"}"] {
            assert!(parse_object(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse_object("[".repeat(100_000).as_bytes()).is_err());
    }

    /// JW4
    #[test]
    fn a_number_is_an_integer_only_if_it_is_written_as_one() {
        let object = parse_object(
            br#"{"int":-5,"float":5.0,"exponent":1e3,"large":9223372036854775808,"huge":1e99}"#,
        )
        .unwrap();
        let integers: Vec<_> = object.values().filter_map(Value::as_i64).collect();
        assert_eq!(integers, [-5]);
    }

    proptest! {
        #[test]
        fn what_it_accepts_serde_json_reads_alike(
            bytes in "\\{(\"[ab]\":([0-9.e]{1,4}|\\[\\]|\"[a-z\\\\]\"),?){0,4}\\}",
        ) {
            if let Ok(object) = parse_object(bytes.as_bytes()) {
                let theirs: Value = serde_json::from_str(&bytes).unwrap();
                prop_assert_eq!(Value::Object(object), theirs);
            }
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse_object(&bytes);
        }
    }
}
