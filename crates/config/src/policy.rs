//! `token_service.policy`: who may do what.

use portpass_authority::policy::{Rule, RuleContext, RuleSet, RuleText, Target};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located, accounts::AccountSource, one_or_many::OneOrMany};

/// One rule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSection {
    /// The actions to allow: some of `pull`, `push`, `delete`, or `*`. This or `deny`.
    pub allow: Option<Vec<String>>,
    /// The actions to deny, whatever other rules allow. This or `allow`.
    pub deny: Option<Vec<String>>,
    /// The repositories: `*` matches within a segment, `**` across segments, `${account}` is the caller.
    pub repository: Option<String>,
    /// `catalog`: the list of all repositories.
    pub registry: Option<String>,
    /// Whom the rule is for: `anyone`, `anonymous`, `signed-in`, `user:NAME`, `group:NAME`.
    #[schemars(required)]
    pub to: Option<OneOrMany>,
    /// Callers that the rule does not apply to.
    pub except: Option<OneOrMany>,
}

/// Understands all rules, or says in which line one makes no sense.
pub(crate) fn build(
    typed: Option<Located<Vec<Located<RuleSection>>>>,
    accounts: &[AccountSource],
    anonymous: bool,
    files: &Files,
) -> Result<RuleSet, ConfigError> {
    let around =
        RuleContext { sources: accounts.iter().map(AccountSource::name).collect(), anonymous };
    let rules = match typed {
        Some(typed) => {
            if typed.value.is_empty() {
                let message = "the list is empty: nobody may do anything";
                files.warn(&typed.place, "token_service.policy", message);
            }
            typed.value
        }
        None => {
            default_rules(accounts, anonymous).into_iter().map(Located::default_value).collect()
        }
    };
    let understand = |(index, rule): (usize, Located<RuleSection>)| {
        let (place, key) = (rule.place, format!("token_service.policy[{}]", index + 1));
        let understood = Rule::parse(&rule.value.into(), &around)
            .map_err(|problem| files.error(&place, &key, problem.to_string()))?;
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
    Ok(RuleSet::new(rules.into_iter().enumerate().map(understand).collect::<Result<_, _>>()?))
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
        }
    }
}
