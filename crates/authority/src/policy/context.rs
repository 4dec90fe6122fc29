//! What a rule may refer to: sources of accounts, their groups, and services.

use std::collections::{BTreeMap, BTreeSet};

use portpass_token::ServiceName;

use super::{principal::Principal, problem::RuleProblem};
use crate::subject::{Group, SourceName};

/// What a rule may refer to.
#[derive(Debug, Clone, Default)]
pub struct RuleContext {
    /// The sources of accounts that are configured.
    pub sources: Vec<SourceName>,
    /// The registries that tokens are signed for.
    pub services: Vec<ServiceName>,
    /// Whether anybody may ask without credentials.
    pub anonymous: bool,
    /// The groups that accounts can be in, by source. Of a source that is not here nobody knows.
    pub groups: BTreeMap<SourceName, BTreeSet<Group>>,
}

impl RuleContext {
    /// Refuses a caller of a source that is not configured, and a group that nobody can be in.
    pub fn check(&self, principal: &Principal) -> Result<(), RuleProblem> {
        if let Some(source) = principal.source().filter(|source| !self.sources.contains(source)) {
            return Err(RuleProblem::Source {
                source_name: source.clone(),
                known: self.sources.iter().map(ToString::to_string).collect(),
                of_group: matches!(principal, Principal::Group { .. }),
            });
        }
        let Principal::Group { source, name } = principal else { return Ok(()) };
        match self.known_groups(source.as_ref()) {
            Some(known) if !known.iter().any(|group| name.matches(group.as_str())) => {
                Err(RuleProblem::Group {
                    word: principal.to_string(),
                    name: name.as_str().to_owned(),
                    known: known.iter().map(ToString::to_string).collect(),
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether accounts can be in groups at all.
    pub(super) fn have_groups(&self) -> bool {
        self.known_groups(None).is_none_or(|known| !known.is_empty())
    }

    /// All groups that accounts of a source, or of any, can be in; `None` where a source may have others.
    fn known_groups(&self, source: Option<&SourceName>) -> Option<BTreeSet<&Group>> {
        if let Some(source) = source {
            return Some(self.groups.get(source)?.iter().collect());
        }
        let are_known = self.sources.iter().all(|source| self.groups.contains_key(source));
        are_known.then(|| self.groups.values().flatten().collect())
    }
}
