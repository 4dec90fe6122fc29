//! The most that a robot or an API key can reach.

use portpass_protocol::access::{Action, Actions, Resource};

use crate::{actions::ActionBits, pattern::PathPattern};

/// Which actions on which repositories an account can reach at most, whatever the rules give.
///
/// Nothing outside repositories is below it: a robot sees no catalog. Only the literal `*` covers a word that is
/// none of the actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    actions: ActionBits,
    repositories: Vec<PathPattern>,
}

impl Ceiling {
    /// These actions on repositories of these names. A placeholder in a pattern stands for nothing.
    pub fn new(actions: ActionBits, repositories: Vec<PathPattern>) -> Self {
        Self { actions, repositories }
    }

    /// The actions.
    pub fn actions(&self) -> ActionBits {
        self.actions
    }

    /// The repositories.
    pub fn repositories(&self) -> &[PathPattern] {
        &self.repositories
    }

    /// Whether the action is below it.
    pub fn covers(&self, resource: &Resource, action: &Action) -> bool {
        self.covers_resource(resource) && self.actions.covers(action)
    }

    /// What of `granted` is below it.
    pub fn narrow(&self, resource: &Resource, granted: &Actions) -> Actions {
        if !self.covers_resource(resource) {
            return Actions::none();
        }
        let mut kept = Actions::none();
        for action in granted {
            match action {
                Action::Any if !self.actions.contains(&Action::Any) => {
                    for named in [Action::Pull, Action::Push, Action::Delete] {
                        if self.actions.contains(&named) {
                            kept.insert(named);
                        }
                    }
                }
                action if self.actions.covers(action) => {
                    kept.insert(action.clone());
                }
                _ => {}
            }
        }
        kept
    }

    fn covers_resource(&self, resource: &Resource) -> bool {
        &*resource.resource_type == Resource::REPOSITORY
            && self.repositories.iter().any(|pattern| pattern.means(&resource.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(actions: &[Action], resource: &str, granted: &[Action]) -> String {
        let mut bits = ActionBits::default();
        for action in actions {
            bits.insert(action);
        }
        let ceiling = Ceiling::new(bits, vec![PathPattern::parse("team/app-*").unwrap()]);
        let (kind, name) = resource.split_once(':').unwrap();
        let resource = Resource { resource_type: kind.into(), ..Resource::repository(name) };
        ceiling.narrow(&resource, &granted.iter().cloned().collect()).to_string()
    }

    #[test]
    fn what_is_granted_is_never_more_than_the_limit() {
        use Action::{Any, Delete, Pull, Push};
        let table: [(&[Action], &str, &[Action], &str); 7] = [
            (&[Pull, Push], "repository:team/app-1", &[Pull, Push, Delete], "pull,push"),
            (&[Pull], "repository:team/app-1", &[Any], "pull"),
            (&[Any], "repository:team/app-1", &[Any, Pull], "*,pull"),
            (&[Pull], "repository:team/other", &[Pull], ""),
            (&[Pull], "repository:team/app-1/x", &[Pull], ""),
            (&[Any], "registry:catalog", &[Any], ""),
            (&[Pull], "repository(plugin):team/app-1", &[Pull], ""),
        ];
        for (limit, resource, granted, expected) in table {
            assert_eq!(narrowed(limit, resource, granted), expected, "{limit:?} {resource}");
        }
    }
}
