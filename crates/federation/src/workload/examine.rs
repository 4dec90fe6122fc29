//! Every condition held against a token, for whoever wants to know why it is nobody's.

use portpass_jose::json::{Map, Value};

use super::{
    Rules,
    claims::{ClaimPath, Found},
    condition::Mapping,
    glob::Glob,
    trigger::{self, Trigger},
};

/// A mapping, held against a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The account's name, as it is written.
    pub name: String,
    /// Its conditions, in the order in which they are written.
    pub conditions: Vec<ExaminedCondition>,
    /// What a stranger can have run, and no condition writes out.
    pub trigger: Option<Trigger>,
}

/// A condition, held against a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminedCondition {
    /// Which claim.
    pub claim: ClaimPath,
    /// What the token has there.
    pub found: Found,
    /// What would match.
    pub expected: Vec<Glob>,
    /// Whether it does.
    pub holds: bool,
}

impl Rules {
    /// Holds every mapping against claims, believed or not.
    pub fn examine(&self, claims: &Map<String, Value>) -> Vec<Examined> {
        let examined = |mapping: &Mapping| Examined {
            name: mapping.name.to_string(),
            conditions: mapping
                .when
                .iter()
                .map(|condition| ExaminedCondition {
                    claim: condition.claim.clone(),
                    found: Found::at(&condition.claim, claims),
                    expected: condition.globs.clone(),
                    holds: condition.holds(claims),
                })
                .collect(),
            trigger: trigger::of(claims).filter(|trigger| !mapping.writes_out(trigger)),
        };
        self.mappings.iter().map(examined).collect()
    }
}
