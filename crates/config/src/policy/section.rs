//! `policy:` as it was typed: a list of rules, or a file of docker_auth.

use std::{borrow::Cow, fmt, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use super::RuleSection;
use crate::Located;

/// Rules, or `docker-auth: FILE`.
#[derive(Clone, Debug)]
pub enum PolicySection {
    /// `policy: [ … ]`
    Rules(Vec<Located<RuleSection>>),
    /// `policy: { docker-auth: acl.yml }`
    DockerAuth(Located<PathBuf>),
}

impl<'de> Deserialize<'de> for PolicySection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

struct PolicyVisitor;

impl<'de> Visitor<'de> for PolicyVisitor {
    type Value = PolicySection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rules, or `docker-auth: FILE`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<PolicySection, A::Error> {
        let mut rules = Vec::new();
        while let Some(rule) = list.next_element()? {
            rules.push(rule);
        }
        Ok(PolicySection::Rules(rules))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PolicySection, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::missing_field(DOCKER_AUTH));
        };
        if key != DOCKER_AUTH {
            return Err(A::Error::unknown_field(&key, &[DOCKER_AUTH]));
        }
        let path = map.next_value()?;
        match map.next_key::<String>()? {
            None => Ok(PolicySection::DockerAuth(path)),
            Some(other) => Err(A::Error::unknown_field(&other, &[DOCKER_AUTH])),
        }
    }
}

impl JsonSchema for PolicySection {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rules = generator.subschema_for::<Vec<Located<RuleSection>>>();
        json_schema!({ "anyOf": [
            rules,
            {
                "type": "object",
                "properties": { DOCKER_AUTH: {
                    "type": "string",
                    "description": "docker_auth's own file: its whole configuration, or the list below its `acl`. The first entry that matches decides. A change takes effect within two seconds."
                } },
                "required": [DOCKER_AUTH],
                "additionalProperties": false
            }
        ] })
    }
}

const DOCKER_AUTH: &str = "docker-auth";
