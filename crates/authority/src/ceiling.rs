//! The most that a robot or an API key can reach.

use std::fmt;

use portpass_pattern::{FixedPatternError, PathPattern};
use portpass_protocol::access::{Action, Actions, Resource};

use crate::actions::ActionBits;

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

    /// Reads what was typed for a robot or an API key.
    pub fn parse(actions: &[String], repositories: &[String]) -> Result<Self, CeilingError> {
        if actions.is_empty() || repositories.is_empty() {
            return Err(CeilingError::Nothing);
        }
        let mut bits = ActionBits::default();
        for word in actions {
            match Action::from(word.as_str()) {
                Action::Other(_) => return Err(CeilingError::Action { text: word.clone() }),
                action => bits.insert(&action),
            }
        }
        let repositories = repositories.iter().map(|text| pattern(text));
        Ok(Self::new(bits, repositories.collect::<Result<_, _>>()?))
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

/// One that means the same repositories whoever asks, and can mean any.
fn pattern(text: &str) -> Result<PathPattern, CeilingError> {
    let text = text.to_owned();
    match PathPattern::parse_fixed(&text) {
        Err(FixedPatternError::Open) => Err(CeilingError::Open { text }),
        Err(why) => Err(CeilingError::Pattern { text, why }),
        Ok(pattern) => match pattern.upper_case() {
            Some(letter) => Err(CeilingError::UpperCase { text, letter }),
            None => Ok(pattern),
        },
    }
}

impl fmt::Display for Ceiling {
    /// `pull, push on team/app-*, team/base`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<String> = self.repositories.iter().map(ToString::to_string).collect();
        write!(f, "{} on {}", self.actions, patterns.join(", "))
    }
}

/// Words that limit nothing, or not what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CeilingError {
    /// No action of ours.
    #[error("{text:?} is no action: use `pull`, `push`, `delete` or `*`")]
    Action {
        /// As typed.
        text: String,
    },
    /// No action, or no repository.
    #[error("name at least one action and one repository")]
    Nothing,
    /// A pattern that means another repository for each account.
    #[error(
        "{text:?} does not say whose repositories it means: write the name in place of `${{…}}`"
    )]
    Open {
        /// As typed.
        text: String,
    },
    /// No pattern.
    #[error("{text:?} is no pattern of repositories: {why}")]
    Pattern {
        /// As typed.
        text: String,
        /// Why not.
        why: FixedPatternError,
    },
    /// A pattern that nothing can match.
    #[error(
        "{text:?} has the letter {letter:?}, but names of repositories are lower case: it matches none"
    )]
    UpperCase {
        /// As typed.
        text: String,
        /// The first that no name can have.
        letter: char,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(actions: &[&str], repositories: &[&str]) -> Result<Ceiling, CeilingError> {
        let words =
            |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Ceiling::parse(&words(actions), &words(repositories))
    }

    #[test]
    fn what_is_typed_is_read_or_said_to_be_wrong() {
        let ceiling = parsed(&["push", "pull"], &["team/app-*", "base/**"]).unwrap();
        assert_eq!(ceiling.to_string(), "pull, push on team/app-*, base/**");
        for (actions, repositories, said) in [
            (&["write"][..], &["a"][..], "\"write\" is no action"),
            (&[], &["a"], "at least one action"),
            (&["pull"], &[], "one repository"),
            (&["pull"], &["a//b"], "is no pattern"),
            (&["pull"], &["${account}/**"], "whose repositories"),
            (&["pull"], &["${team}/**"], "whose repositories"),
            (&["pull"], &["a b"], "supports `*`, `?` and `**`"),
            (&["pull"], &["Team/app"], "lower case"),
        ] {
            let error = parsed(actions, repositories).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

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
