//! Where a value was given, so that an error can point there.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

/// A value and where it was given.
#[derive(Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The arguments.
    pub value: T,
    /// Where.
    pub place: Location,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// This line of the configuration file.
    Line(u64),
    /// This environment variable.
    Variable(&'static str),
    /// This flag of the command line.
    Flag(&'static str),
    /// Nobody gave it.
    Default,
}

impl Location {
    /// The line of the file that it was given in.
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Line(line) => Some(*line),
            Self::Variable(_) | Self::Flag(_) | Self::Default => None,
        }
    }
}

impl<T> Located<T> {
    /// A value that nobody typed.
    pub fn default_value(value: T) -> Self {
        Self { value, place: Location::Default }
    }
}

impl<T: fmt::Debug> fmt::Debug for Located<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, place: Location::Line(spanned.referenced.line()) })
    }
}

/// In the schema a placed value is the value.
impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
