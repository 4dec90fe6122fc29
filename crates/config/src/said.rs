//! Keys that take something away: there, they must say what.

use serde::{Deserialize, Deserializer, de::Error as _};

/// The value of a key that limits, as `#[serde(default, deserialize_with = "said")]`.
///
/// # Errors
/// Nothing stands behind the key, as where a template had nothing to put there. It would limit nothing.
pub(super) fn said<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let value = Option::<T>::deserialize(deserializer)?;
    let nothing =
        "nothing stands behind the key: write what it is limited to, or leave the key out";
    value.map(Some).ok_or_else(|| D::Error::custom(nothing))
}
