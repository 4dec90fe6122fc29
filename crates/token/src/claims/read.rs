//! Reading claims strictly: a claim of the wrong type is an error, never a claim that is not there.

use portpass_jose::{
    Excerpt,
    json::{self, JsonError, Map, Value},
};
use portpass_protocol::{Access, AccessSet, Action, Actions, Resource};

use super::{Audience, Claims, Issuer, NumericDate, ServiceName};

/// Why a signed payload is not a registry token's claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// It is not one JSON object that says each thing once.
    #[error("the token's claims are not a JSON object as expected: {0}")]
    Json(#[from] JsonError),
    /// A claim that every token has is not there.
    #[error("the token has no claim `{claim}`")]
    Missing {
        /// Which one.
        claim: &'static str,
    },
    /// A time is not a whole number of seconds, or none of this era (JW4, JW5).
    #[error("the token's claim `{claim}` is {number}, expected whole seconds since 1970")]
    NotADate {
        /// Which one.
        claim: &'static str,
        /// What it is.
        number: Excerpt,
    },
    /// A claim, or a part of one, has another type.
    #[error("the token's claim `{claim}` is {found}, expected {expected}")]
    Type {
        /// Which one: `access[2].actions`.
        claim: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl ClaimsError {
    fn type_of(claim: impl Into<String>, value: &Value, expected: &'static str) -> Self {
        Self::Type { claim: claim.into(), found: json::kind(value), expected }
    }
}

pub(super) fn claims(payload: &[u8]) -> Result<Claims, ClaimsError> {
    let object = json::parse_object(payload)?;
    let missing = |claim| ClaimsError::Missing { claim };
    Ok(Claims {
        issuer: Issuer::new(text(&object, "iss")?.ok_or(missing("iss"))?),
        subject: text(&object, "sub")?.unwrap_or_default().to_owned(),
        audience: audience(&object)?,
        expires: date(&object, "exp")?.ok_or(missing("exp"))?,
        not_before: date(&object, "nbf")?,
        issued_at: date(&object, "iat")?,
        id: text(&object, "jti")?.map(str::to_owned),
        access: access(&object)?,
    })
}

/// A claim that is a string; null is as good as absent (JW4).
fn text<'a>(
    object: &'a Map<String, Value>,
    claim: &'static str,
) -> Result<Option<&'a str>, ClaimsError> {
    match object.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(ClaimsError::type_of(claim, other, "a string")),
    }
}

/// A claim that is a time. A year beyond 9999 is refused (JW5).
fn date(
    object: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<NumericDate>, ClaimsError> {
    match object.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let date = number.as_i64().map(NumericDate).filter(|date| *date <= NumericDate::LAST);
            let not_a_date = || ClaimsError::NotADate { claim, number: number_excerpt(number) };
            date.ok_or_else(not_a_date).map(Some)
        }
        Some(other) => Err(ClaimsError::type_of(claim, other, "whole seconds since 1970")),
    }
}

fn number_excerpt(number: &serde_json::Number) -> Excerpt {
    Excerpt::of(&number.to_string())
}

/// A string or a list of strings (JW3).
fn audience(object: &Map<String, Value>) -> Result<Audience, ClaimsError> {
    let list = match object.get("aud") {
        None | Some(Value::Null) => return Ok(Audience::default()),
        Some(Value::String(one)) => return Ok(Audience::one(ServiceName::new(one.as_str()))),
        Some(Value::Array(list)) => list,
        Some(other) => {
            return Err(ClaimsError::type_of("aud", other, "a string or a list of strings"));
        }
    };
    let member = |(index, value): (usize, &Value)| match value {
        Value::String(name) => Ok(ServiceName::new(name.as_str())),
        other => Err(ClaimsError::type_of(format!("aud[{index}]"), other, "a string")),
    };
    list.iter().enumerate().map(member).collect()
}

/// Missing and null are as good as empty; the list holds objects alone (JW7).
fn access(object: &Map<String, Value>) -> Result<AccessSet, ClaimsError> {
    let list = match object.get("access") {
        None | Some(Value::Null) => return Ok(AccessSet::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(ClaimsError::type_of("access", other, "a list")),
    };
    let mut access = AccessSet::new();
    for (index, value) in list.iter().enumerate() {
        let Value::Object(entry) = value else {
            let claim = format!("access[{index}]");
            return Err(ClaimsError::type_of(claim, value, "an object"));
        };
        access.extend(Entry { index, object: entry }.read()?);
    }
    Ok(access)
}

/// One entry of `access`.
struct Entry<'a> {
    index: usize,
    object: &'a Map<String, Value>,
}

impl Entry<'_> {
    /// An entry without a type or a name is nothing that anybody could ask for. The class is ignored
    /// (SC6), but must be text.
    fn read(&self) -> Result<Option<Access>, ClaimsError> {
        self.text("class")?;
        let (resource_type, name) = (self.text("type")?, self.text("name")?);
        let actions = self.actions()?;
        Ok(resource_type.zip(name).map(|(resource_type, name)| Access {
            resource: Resource { resource_type: resource_type.into(), name: name.into() },
            actions,
        }))
    }

    fn text(&self, member: &str) -> Result<Option<&str>, ClaimsError> {
        match self.object.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(ClaimsError::type_of(self.path(member), other, "a string")),
        }
    }

    fn actions(&self) -> Result<Actions, ClaimsError> {
        let list = match self.object.get("actions") {
            None | Some(Value::Null) => return Ok(Actions::none()),
            Some(Value::Array(list)) => list,
            Some(other) => {
                return Err(ClaimsError::type_of(self.path("actions"), other, "a list of strings"));
            }
        };
        let action = |(position, value): (usize, &Value)| match value {
            Value::String(word) => Ok(Action::from(word.as_str())),
            other => {
                let claim = self.path(&format!("actions[{position}]"));
                Err(ClaimsError::type_of(claim, other, "a string"))
            }
        };
        list.iter().enumerate().map(action).collect()
    }

    fn path(&self, member: &str) -> String {
        format!("access[{}].{member}", self.index)
    }
}
