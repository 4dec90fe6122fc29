//! One rule: what was typed, what it means, and what is wrong with it.

use std::{fmt, str::FromStr};

use portpass_protocol::access::Action;

use super::{
    effect::Effect,
    principal::{Caller, Principal, PrincipalError},
};
use crate::{
    actions::ActionBits,
    pattern::{PathPattern, PatternError, Placeholder, Substitution, Substitutions},
    subject::{AccountName, SourceName},
};

/// A rule as the configuration has it, not understood yet.
///
/// ```yaml
/// - { allow: [pull, push], repository: "${account}/**", to: signed-in }
/// - { deny: [push, delete], repository: "prod/**", to: signed-in, except: "group:release" }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleText {
    /// `allow:`; exactly one of this and `deny`.
    pub allow: Option<Vec<String>>,
    /// `deny:`
    pub deny: Option<Vec<String>>,
    /// `repository:`, a pattern; exactly one of this and `registry`.
    pub repository: Option<String>,
    /// `registry:`; only `catalog` is known.
    pub registry: Option<String>,
    /// `to:`; at least one.
    pub to: Vec<String>,
    /// `except:`
    pub except: Vec<String>,
}

/// Which rule it is: its place in the list, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u32);

impl RuleId {
    /// The rule at this place, counted from zero.
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).map_or(u32::MAX, |index| index.saturating_add(1)))
    }

    /// Counted from one.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.0)
    }
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Repositories.
    Repository(PathPattern),
    /// The list of all repositories, `registry:catalog`.
    Catalog,
}

/// A rule that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Whether it gives or takes.
    pub effect: Effect,
    /// What.
    pub actions: ActionBits,
    /// On what.
    pub target: Target,
    /// To or from whom.
    pub to: Vec<Principal>,
    /// Whom it passes over.
    pub except: Vec<Principal>,
}

/// What a rule may refer to.
#[derive(Debug, Clone)]
pub struct RuleContext {
    /// The sources of accounts that are configured.
    pub sources: Vec<SourceName>,
    /// Whether anybody may ask without credentials.
    pub anonymous: bool,
}

impl RuleContext {
    /// Whether accounts can be in groups at all.
    fn have_groups(&self) -> bool {
        self.sources.iter().any(|source| *source != SourceName::htpasswd())
    }
}

impl Rule {
    /// Understands a rule, or says what is wrong with it.
    pub fn parse(text: &RuleText, context: &RuleContext) -> Result<Self, RuleProblem> {
        let target = target(text)?;
        let (effect, words) = match (&text.allow, &text.deny) {
            (Some(words), None) => (Effect::Allow, words),
            (None, Some(words)) => (Effect::Deny, words),
            (None, None) | (Some(_), Some(_)) => return Err(RuleProblem::Effect),
        };
        let rule = Self {
            effect,
            actions: actions(words, &target)?,
            target,
            to: principals(&text.to)?,
            except: principals(&text.except)?,
        };
        rule.check_principals(context)?;
        Ok(rule)
    }

    /// Whether the rule is about this caller, whatever the resource.
    pub fn applies_to(&self, caller: Caller<'_>) -> bool {
        self.to.iter().any(|principal| principal.includes(caller, self.effect))
            && !self.except.iter().any(|principal| principal.is(caller))
    }

    /// Whether it gives to the account of that name, of whatever source, and to nobody else.
    pub fn allows_only(&self, account: &AccountName) -> bool {
        let is_meant = |to: &Principal| match to {
            Principal::User { source: None, name } => name.literal() == Some(account.as_str()),
            Principal::User { source: Some(_), .. }
            | Principal::Anyone
            | Principal::Anonymous
            | Principal::SignedIn
            | Principal::Group(_) => false,
        };
        self.effect == Effect::Allow && self.to.iter().all(is_meant)
    }

    /// Whether the rule is about this repository when this caller asks; `${account}` and
    /// `${group}` stand for the caller's own.
    pub fn covers_repository(&self, path: &[&str], caller: Caller<'_>) -> bool {
        match &self.target {
            Target::Catalog => false,
            Target::Repository(pattern) if pattern.mentions(Placeholder::Group) => {
                let names = self.without_group(caller);
                // Most patterns fail whatever the group is.
                pattern.matches(path, Substitutions { group: Substitution::Anything, ..names })
                    && self.by_group(caller).any(|names| pattern.matches(path, names))
            }
            Target::Repository(pattern) => pattern.matches(path, self.without_group(caller)),
        }
    }

    /// How many segments of the path fit from the left.
    pub(super) fn common_prefix(&self, path: &[&str], caller: Caller<'_>) -> usize {
        match &self.target {
            Target::Catalog => 0,
            Target::Repository(pattern) => {
                let names = self.by_group(caller).chain([self.without_group(caller)]);
                names.map(|names| pattern.common_prefix(path, names)).max().unwrap_or(0)
            }
        }
    }

    /// What the placeholders stand for where there is no `${group}`, or the caller has no name.
    fn without_group<'a>(&self, caller: Caller<'a>) -> Substitutions<'a> {
        // A deny that names accounts or groups binds callers who have none: nobody gets round it
        // by leaving the password out.
        let absent = match self.effect {
            Effect::Allow => Substitution::Nothing,
            Effect::Deny => Substitution::Anything,
        };
        match caller.name() {
            Some(name) => {
                Substitutions { account: Substitution::Value(name), group: Substitution::Nothing }
            }
            None => Substitutions { account: absent, group: absent },
        }
    }

    /// What the placeholders can stand for, one after the other.
    fn by_group<'a>(&'a self, caller: Caller<'a>) -> impl Iterator<Item = Substitutions<'a>> {
        let names = self.without_group(caller);
        let nameless = caller.name().is_none().then_some(names);
        let reached = |group: &&str| self.to.iter().any(|principal| principal.reaches_by(group));
        let groups = caller.groups().filter(reached);
        groups
            .map(move |group| Substitutions { group: Substitution::Value(group), ..names })
            .chain(nameless)
    }

    fn check_principals(&self, context: &RuleContext) -> Result<(), RuleProblem> {
        if self.to.is_empty() {
            return Err(RuleProblem::NoPrincipal);
        }
        for principal in self.to.iter().chain(&self.except) {
            if let Some(source) = principal.source().filter(|s| !context.sources.contains(s)) {
                let known = context.sources.iter().map(SourceName::as_str).collect::<Vec<_>>();
                return Err(RuleProblem::Source {
                    source_name: source.clone(),
                    known: known.join(", "),
                });
            }
        }
        let everybody = [Principal::SignedIn, Principal::Anonymous];
        let passed_over = |to: &Principal| {
            self.except.iter().any(|except| except.contains(to))
                || everybody.iter().all(|half| self.except.contains(half))
        };
        if self.to.iter().all(passed_over) {
            return Err(RuleProblem::Nobody { why: "`except` names everybody that `to` names" });
        }
        let only_anonymous = self.to.iter().all(|to| *to == Principal::Anonymous);
        if only_anonymous && !context.anonymous {
            return Err(RuleProblem::Nobody {
                why: "callers without credentials are not admitted",
            });
        }
        let mentions = |placeholder| match &self.target {
            Target::Repository(pattern) => pattern.mentions(placeholder),
            Target::Catalog => false,
        };
        let only_groups = self.to.iter().all(|to| matches!(to, Principal::Group(_)));
        let needs_group = self.effect == Effect::Allow && mentions(Placeholder::Group);
        if (only_groups || needs_group) && !context.have_groups() {
            return Err(RuleProblem::Nobody {
                why: "no account is in a group: htpasswd files have no groups, `local` accounts have them",
            });
        }
        if only_anonymous && (mentions(Placeholder::Account) || mentions(Placeholder::Group)) {
            return Err(RuleProblem::Nobody {
                why: "an anonymous caller has no account and no group",
            });
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    /// `allow [pull, push] repository ${account}/** to signed-in`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] ", self.effect, self.actions)?;
        match &self.target {
            Target::Repository(pattern) => write!(f, "repository {pattern}")?,
            Target::Catalog => f.write_str("registry catalog")?,
        }
        write!(f, " to {}", list(&self.to))?;
        if self.except.is_empty() { Ok(()) } else { write!(f, " except {}", list(&self.except)) }
    }
}

fn list(principals: &[Principal]) -> String {
    principals.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn target(text: &RuleText) -> Result<Target, RuleProblem> {
    match (&text.repository, &text.registry) {
        (Some(pattern), None) => PathPattern::parse(pattern)
            .map(Target::Repository)
            .map_err(|problem| RuleProblem::Pattern { pattern: pattern.clone(), problem }),
        (None, Some(name)) if name == "catalog" => Ok(Target::Catalog),
        (None, Some(name)) => Err(RuleProblem::Registry { name: name.clone() }),
        (None, None) | (Some(_), Some(_)) => Err(RuleProblem::Target),
    }
}

fn actions(words: &[String], target: &Target) -> Result<ActionBits, RuleProblem> {
    let mut bits = ActionBits::default();
    for word in words {
        let action = Action::from(word.as_str());
        match (&action, target) {
            (Action::Other(_), _) => return Err(RuleProblem::Action { word: word.clone() }),
            (Action::Any, Target::Catalog) | (_, Target::Repository(_)) => bits.insert(&action),
            (_, Target::Catalog) => return Err(RuleProblem::CatalogAction { word: word.clone() }),
        }
    }
    if words.is_empty() { Err(RuleProblem::NoAction) } else { Ok(bits) }
}

fn principals(words: &[String]) -> Result<Vec<Principal>, RuleProblem> {
    words
        .iter()
        .map(|word| {
            Principal::from_str(word)
                .map_err(|problem| RuleProblem::Principal { word: word.clone(), problem })
        })
        .collect()
}

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
    /// Neither or both of `allow` and `deny`.
    #[error("a rule has exactly one of `allow` and `deny`")]
    Effect,
    /// `allow: []`
    #[error(
        "the list of actions is empty, so the rule would do nothing; name some or remove the rule"
    )]
    NoAction,
    /// No `to`.
    #[error(
        "`to` is missing; say who is meant: `anyone`, `anonymous`, `signed-in`, `user:NAME`, `group:NAME`"
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
    /// A source of accounts that is not configured.
    #[error("there is no source of accounts called `{source_name}`; configured are: {known}")]
    Source {
        /// As typed.
        source_name: SourceName,
        /// Those there are.
        known: String,
    },
    /// Neither or both of `repository` and `registry`.
    #[error("a rule has exactly one of `repository: PATTERN` and `registry: catalog`")]
    Target,
}
