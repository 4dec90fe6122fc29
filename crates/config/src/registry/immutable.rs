//! `registry.immutable`: tags that must not move.

use portpass_authority::{policy::Principal, subject::ROBOT_PREFIX};
use portpass_pattern::WordPattern;
use portpass_registry::immutable::{Exempt, ImmutableRule, ImmutableTags};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    GroupKnowledge,
    rules::{RuleReader, words},
};
use crate::{ConfigError, Files, Located, one_or_many::OneOrMany, said::said};

/// Tags that name for good what they named first.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImmutableSection {
    /// What refusals call the rule.
    #[schemars(required)]
    pub name: Option<String>,
    /// The repositories: `*` matches within a segment, `**` across segments. Default: all
    #[serde(default, deserialize_with = "said")]
    pub repositories: Option<OneOrMany>,
    /// The tags: `*` is any run of characters, `?` is one. Default: all
    #[serde(default, deserialize_with = "said")]
    pub tags: Option<OneOrMany>,
    /// Tags that the rule does not apply to.
    #[serde(default, deserialize_with = "said")]
    pub except_tags: Option<OneOrMany>,
    /// Who may move and delete the tags all the same: `user:NAME`, `robot:NAME`, `group:NAME`, `retention`.
    #[serde(default, deserialize_with = "said")]
    pub except: Option<OneOrMany>,
}

/// Reads the rules.
pub(super) fn build(
    typed: Option<Vec<Located<ImmutableSection>>>,
    groups: GroupKnowledge,
    files: &Files,
) -> Result<ImmutableTags, ConfigError> {
    let mut reader = RuleReader::new("registry.immutable", files);
    let mut rules = Vec::new();
    for Located { value: typed, place } in typed.unwrap_or_default() {
        let rule = reader.rule(typed.name, &place)?;
        let mut except = Vec::new();
        for word in typed.except.unwrap_or_default().0 {
            let exempt = exempt(&word, groups);
            except.push(exempt.map_err(|why| rule.error("except", format!("{word:?}: {why}")))?);
        }
        rules.push(ImmutableRule {
            repositories: rule.repositories(typed.repositories)?,
            tags: words(typed.tags, "*"),
            except_tags: words(typed.except_tags, ""),
            except,
            name: rule.into_name(),
        });
    }
    Ok(ImmutableTags(rules))
}

fn exempt(word: &str, groups: GroupKnowledge) -> Result<Exempt, String> {
    if word == "retention" {
        return Ok(Exempt::Retention);
    }
    let principal: Principal = word.parse().map_err(|why| format!("{why}"))?;
    match (principal, groups) {
        (Principal::User { source: None, name }, _) => Ok(Exempt::Account(name)),
        (Principal::Robot(name), _) => {
            let account = format!("{ROBOT_PREFIX}{name}");
            Ok(Exempt::Account(WordPattern::new(&account)))
        },
        (Principal::Group { source: None, name }, GroupKnowledge::InProcess) => {
            Ok(Exempt::Group(name))
        }
        (Principal::Group { source: None, .. }, GroupKnowledge::None) => {
            Err("this registry knows no groups: only with a token service in this process are they known".to_owned())
        }
        (Principal::User { .. } | Principal::Group { .. }, _) => {
            Err("the registry does not know the source of an account: write the name alone".to_owned())
        }
        (Principal::Anyone | Principal::Anonymous | Principal::SignedIn, _) => {
            Err("with this exception nothing would be immutable: name accounts or groups".to_owned())
        }
    }
}
