//! What is wrong with a rule.

use portpass_pattern::PatternError;

use super::{conditions::NetworkError, principal::PrincipalError, times::TimesError};
use crate::{lifetime::LifetimeError, subject::SourceName};

/// What is wrong with a rule. The caller says which one it is ([`super::RuleError`]).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleProblem {
    /// An action that does not exist.
    #[error("there is no action `{word}`; rules support `pull`, `push`, `delete` and `*`")]
    Action {
        /// As typed.
        word: String,
    },
    /// A subject that cannot be read.
    #[error("`{word}` names nobody: {problem}")]
    Principal {
        /// As typed.
        word: String,
        /// Why.
        problem: PrincipalError,
    },
    /// An action that the catalog does not have.
    #[error(
        "`{word}` means nothing for the catalog; registries ask for `*` there, so write `[\"*\"]`"
    )]
    CatalogAction {
        /// As typed.
        word: String,
    },
    /// A lifetime of what is taken.
    #[error("`expiration` is for rules that allow: no token has what a rule denies")]
    DenyExpiration,
    /// Neither or both of `allow` and `deny`.
    #[error("a rule has exactly one of `allow` and `deny`")]
    Effect,
    /// A lifetime that no token can have.
    #[error("`expiration`: {0}")]
    Expiration(LifetimeError),
    /// A group that nobody can be in.
    #[error("nobody can be in `{word}`{}", others(known))]
    Group {
        /// As a rule has it.
        word: String,
        /// Without its source.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// A network that cannot be read.
    #[error("`{word}` is no network: {problem}")]
    Network {
        /// As typed.
        word: String,
        /// Why.
        problem: NetworkError,
    },
    /// `allow: []`
    #[error(
        "the list of actions is empty, so the rule would do nothing; name some or remove the rule"
    )]
    NoAction,
    /// No `to`.
    #[error(
        "`to` is missing; say who is meant: `anyone`, `anonymous`, `signed-in`, `user:NAME`, `robot:NAME`, `group:NAME`"
    )]
    NoPrincipal,
    /// It can never apply.
    #[error("the rule can match nobody: {why}")]
    Nobody {
        /// Why.
        why: &'static str,
    },
    /// A pattern that cannot be read.
    #[error("`{pattern}` is no pattern: {problem}")]
    Pattern {
        /// As typed.
        pattern: String,
        /// Why.
        problem: PatternError,
    },
    /// Something of the registry that is not the catalog.
    #[error("`registry: {name}` is unknown; the only such resource is `registry: catalog`")]
    Registry {
        /// As typed.
        name: String,
    },
    /// A registry that no token is for.
    #[error("there is no service `{name}`; configured are: {}", known.join(", "))]
    Service {
        /// As typed.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// A source of accounts that is not configured.
    #[error(
        "there is no source of accounts called `{source_name}`; configured are: {}{}",
        known.join(", "),
        if *of_group { "; a group with `/` in its own name is `group:*/NAME`" } else { "" }
    )]
    Source {
        /// As typed.
        source_name: SourceName,
        /// Those there are.
        known: Vec<String>,
        /// Whether a group of it was named, not an account.
        of_group: bool,
    },
    /// Neither or both of `repository` and `registry`.
    #[error("a rule has exactly one of `repository: PATTERN` and `registry: catalog`")]
    Target,
    /// Times that cannot be meant.
    #[error("`between`: {0}")]
    Times(#[from] TimesError),
}

impl RuleProblem {
    /// The name that there is not, and those that it may have been meant for.
    pub fn unknown_name(&self) -> Option<(&str, &[String])> {
        match self {
            Self::Group { name, known, .. } | Self::Service { name, known } => Some((name, known)),
            Self::Source { source_name, known, .. } => Some((source_name.as_str(), known)),
            _ => None,
        }
    }
}

fn others(groups: &[String]) -> String {
    if groups.is_empty() {
        ": no account is in a group; write `token_service.groups`, or add the source `local`"
            .to_owned()
    } else {
        format!("; there are: {}", groups.join(", "))
    }
}
