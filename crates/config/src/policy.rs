//! `token_service.policy`: who may do what.

use std::{path::PathBuf, sync::Arc};

use portpass_authority::{
    docker_auth::Acl,
    policy::{
        Lifetime, Policy, Rule, RuleContext, RuleId, RuleProblem, RuleSet, RuleText, Target,
        TimesText,
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    AclFile, AclFileContent, ConfigError, Files, Located, Location, accounts::AccountSource,
    error::nearest, one_or_many::OneOrMany, said::said,
};

mod file;
mod section;

pub(crate) use section::PolicySection;

pub use file::{PolicyFile, PolicyFileContent, RuleFile, RuleFileContent};

/// One rule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSection {
    /// The actions to allow: some of `pull`, `push`, `delete`, or `*`. This or `deny`.
    pub allow: Option<Vec<String>>,
    /// The actions to deny, whatever other rules allow. This or `allow`.
    pub deny: Option<Vec<String>>,
    /// The repositories: `*` matches within a segment, `**` across segments; `${account}`, `${group}` and
    /// `${label:NAME}` are the caller's.
    pub repository: Option<String>,
    /// `catalog`: the list of all repositories.
    pub registry: Option<String>,
    /// Whom the rule is for: `anyone`, `anonymous`, `signed-in`, `user:NAME`, `robot:NAME`, `group:NAME`.
    #[schemars(required)]
    pub to: Option<OneOrMany>,
    /// Callers that the rule does not apply to.
    #[serde(default, deserialize_with = "said")]
    pub except: Option<OneOrMany>,
    /// The networks that the rule applies to. Default: everywhere
    #[serde(default, deserialize_with = "said")]
    pub from: Option<OneOrMany>,
    /// The services (registries) that the rule applies to. Default: all
    #[serde(default, deserialize_with = "said")]
    pub service: Option<OneOrMany>,
    /// When the rule applies. Default: always
    #[serde(default, deserialize_with = "said")]
    pub between: Option<BetweenSection>,
    /// How long a token with what the rule allows is valid, in seconds. Default: `token_service.expiration`
    #[schemars(range(min = 60, max = 86400))]
    #[serde(default, deserialize_with = "said")]
    pub expiration: Option<u64>,
}

/// When a rule applies.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BetweenSection {
    /// Days of the week: `mon-fri`, `sat`. Default: every day
    #[serde(default, deserialize_with = "said")]
    pub days: Option<OneOrMany>,
    /// Hours of the day: `08:00-18:00`, or `22:00-06:00` over midnight. Default: all day
    #[serde(default, deserialize_with = "said")]
    pub hours: Option<OneOrMany>,
    /// The time zone of days and hours: `Europe/Berlin`. Default: UTC
    #[serde(default, deserialize_with = "said")]
    pub zone: Option<String>,
    /// The first moment: a date, a local time, or a time with an offset.
    #[serde(default, deserialize_with = "said")]
    pub after: Option<String>,
    /// The moment at which it ends: a date, a local time, or a time with an offset.
    #[serde(default, deserialize_with = "said")]
    pub before: Option<String>,
}

/// Where the rights come from.
#[derive(Clone, Debug)]
pub enum PolicySource {
    /// Rules of the configuration, or those of a token service that names none.
    Rules(Arc<RuleSet>),
    /// Rules of a file of their own.
    RuleFile {
        /// Which. It may change while a server runs.
        file: RuleFile,
        /// What it said when the configuration was read.
        rules: Arc<RuleSet>,
    },
    /// The ACL of docker_auth, in its own file.
    DockerAuth {
        /// Which. It may change while a server runs.
        file: AclFile,
        /// What it said when the configuration was read.
        acl: Arc<Acl>,
    },
    /// Rules that are broken, which nobody needs who goes on all the same. They grant nothing.
    Broken,
}

impl PolicySource {
    /// What decides, as it was when the configuration was read.
    pub fn policy(&self) -> Arc<dyn Policy> {
        match self {
            Self::Rules(rules) | Self::RuleFile { rules, .. } => rules.clone(),
            Self::DockerAuth { acl, .. } => acl.clone(),
            Self::Broken => Arc::new(RuleSet::new(Vec::new())),
        }
    }

    /// The longest that a token lives by it; `None` where it says nothing of that.
    pub(crate) fn longest_lifetime(&self) -> Option<Lifetime> {
        match self {
            Self::Rules(rules) => rules.longest_lifetime(),
            // What it says next is not known.
            Self::RuleFile { .. } | Self::Broken => Some(Lifetime::MAX),
            Self::DockerAuth { .. } => None,
        }
    }

    /// The file that it stands in alone.
    pub fn file(&self) -> Option<PolicyFile> {
        match self {
            Self::Rules(_) | Self::Broken => None,
            Self::RuleFile { file, .. } => Some(PolicyFile::Rules(file.clone())),
            Self::DockerAuth { file, .. } => Some(PolicyFile::DockerAuth(file.clone())),
        }
    }

    /// How many rules there are; where they have a file of their own, which.
    pub fn description(&self) -> String {
        match self {
            Self::Rules(rules) => rules.rules().len().to_string(),
            Self::Broken => "broken".to_owned(),
            Self::RuleFile { file, rules } => {
                format!("{}, in {}", rules.rules().len(), file.path().display())
            }
            Self::DockerAuth { file, acl } => {
                format!("{} entries of docker_auth's ACL, in {}", acl.len(), file.path().display())
            }
        }
    }

    /// The rules, where there are rules to look into.
    pub fn rules(&self) -> Option<&Arc<RuleSet>> {
        match self {
            Self::Rules(rules) | Self::RuleFile { rules, .. } => Some(rules),
            Self::DockerAuth { .. } | Self::Broken => None,
        }
    }
}

/// Understands all rules, or says in which line one makes no sense.
pub(crate) fn build(
    typed: Option<Located<PolicySection>>,
    file: Option<Located<PathBuf>>,
    context: RuleContext,
    accounts: &[AccountSource],
    files: &Files,
) -> Result<PolicySource, ConfigError> {
    let key = "token_service.policy";
    let rules = match (typed, file) {
        (Some(_), Some(file)) => {
            let error = files.error(&file.place, FILE_KEY, "there is a `policy` too");
            return Err(error.hint("rules have one place: `policy` or `policy_file`"));
        }
        (None, Some(file)) => return rule_file(&file, context, files),
        (Some(Located { value: PolicySection::DockerAuth(file), .. }), None) => {
            return acl_file(&file, files);
        }
        (Some(Located { value: PolicySection::Rules(rules), place }), None) => {
            if rules.is_empty() {
                files.warn(&place, key, "the list is empty: nobody may do anything");
            }
            rules
        }
        (None, None) => {
            let rules = default_rules(accounts, context.anonymous);
            rules.into_iter().map(Located::default_value).collect()
        }
    };
    let named = |rule: RuleId| format!("{key}[{}]", rule.number());
    Ok(PolicySource::Rules(Arc::new(understand(rules, named, &context, files)?)))
}

fn rule_file(
    typed: &Located<PathBuf>,
    context: RuleContext,
    files: &Files,
) -> Result<PolicySource, ConfigError> {
    // That it can be read is said with the line that names it.
    let bytes = files.read(FILE_KEY, typed)?;
    let file = RuleFile::new(files.resolve(typed), context, bytes);
    let RuleFileContent { rules, warnings, .. } = file.understand(file.first())?;
    for warning in warnings {
        files.warn(&typed.place, FILE_KEY, warning);
    }
    Ok(PolicySource::RuleFile { file, rules: Arc::new(rules) })
}

fn acl_file(typed: &Located<PathBuf>, files: &Files) -> Result<PolicySource, ConfigError> {
    let bytes = files.read(ACL_KEY, typed)?;
    let file = AclFile::new(files.resolve(typed), bytes);
    let AclFileContent { acl, warnings } = file.understand(file.first())?;
    for warning in warnings {
        files.warn(&typed.place, ACL_KEY, warning);
    }
    Ok(PolicySource::DockerAuth { file, acl: Arc::new(acl) })
}

/// The rules of a list; `named` is what errors call each.
fn understand(
    typed: Vec<Located<RuleSection>>,
    named: impl Fn(RuleId) -> String,
    context: &RuleContext,
    files: &Files,
) -> Result<RuleSet, ConfigError> {
    let understand = |(index, rule): (usize, Located<RuleSection>)| {
        let (place, key) = (rule.place, named(RuleId::at(index)));
        let understood = Rule::parse(&rule.value.into(), context)
            .map_err(|problem| refused(&problem, &place, &key, files))?;
        if let Target::Repository(pattern) = &understood.target
            && let Some(letter) = pattern.upper_case()
        {
            let message = format!(
                "`{pattern}` has the letter {letter:?}, but names of repositories are lower case: the rule matches none"
            );
            files.warn(&place, &key, message);
        }
        Ok(understood)
    };
    Ok(RuleSet::new(typed.into_iter().enumerate().map(understand).collect::<Result<_, _>>()?))
}

/// With the name that may have been meant.
pub(crate) fn refused(
    problem: &RuleProblem,
    place: &Location,
    key: &str,
    files: &Files,
) -> ConfigError {
    let error = files.error(place, key, problem.to_string());
    let near = |(found, known): (&str, &[String])| {
        nearest(found, known.iter().map(String::as_str)).map(str::to_owned)
    };
    match problem.unknown_name().and_then(near) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// The rules of a token service that names none: those of `portpass serve` without a file.
fn default_rules(accounts: &[AccountSource], anonymous: bool) -> Vec<RuleSection> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let to = |word: &str| Some(OneOrMany(vec![word.to_owned()]));
    let allow = |actions: &[&str], repository: &str, audience: &str| RuleSection {
        allow: words(actions),
        repository: Some(repository.to_owned()),
        to: to(audience),
        ..RuleSection::default()
    };
    let mut rules = Vec::new();
    // A rule that could match nobody is an error, also among these.
    if accounts.contains(&AccountSource::Local) {
        rules.push(allow(&["*"], "**", "user:local/admin"));
        rules.push(RuleSection {
            allow: words(&["*"]),
            registry: Some("catalog".to_owned()),
            to: to("user:local/admin"),
            ..RuleSection::default()
        });
    }
    rules.push(allow(&["pull"], "public/**", if anonymous { "anyone" } else { "signed-in" }));
    rules.push(allow(&["pull", "push", "delete"], "${account}/**", "signed-in"));
    rules
}

impl From<RuleSection> for RuleText {
    fn from(section: RuleSection) -> Self {
        Self {
            allow: section.allow,
            deny: section.deny,
            repository: section.repository,
            registry: section.registry,
            to: section.to.unwrap_or_default().0,
            except: section.except.unwrap_or_default().0,
            from: section.from.unwrap_or_default().0,
            service: section.service.unwrap_or_default().0,
            between: section.between.map(TimesText::from),
            expiration: section.expiration,
        }
    }
}

impl From<BetweenSection> for TimesText {
    fn from(section: BetweenSection) -> Self {
        let BetweenSection { days, hours, zone, after, before } = section;
        let (days, hours) = (days.unwrap_or_default().0, hours.unwrap_or_default().0);
        Self { days, hours, zone, after, before }
    }
}

const FILE_KEY: &str = "token_service.policy_file";
const ACL_KEY: &str = "token_service.policy.docker-auth";
