//! What rules are expected to grant: the file of `portpass policy test`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

use portpass_authority::{
    ceiling::{Ceiling, CeilingError},
    subject::{Group, Labels, RobotName},
};
use portpass_protocol::access::Action;
use serde::Deserialize;

use super::{
    ConfigError, Files, Located, files::read_limited, one_or_many::OneOrMany, type_error::Key,
};

/// One expectation, as it was typed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectationSection {
    /// Who asks: an account, `anonymous`, `robot:NAME`.
    #[serde(rename = "as")]
    who: String,
    /// The client's address.
    from: Option<String>,
    /// When: RFC 3339.
    at: Option<String>,
    /// The service that the token is for.
    service: Option<String>,
    /// What is asked for.
    scope: String,
    /// What of it is granted.
    granted: Vec<String>,
    /// The rule that decides: its number or its text.
    rule: Option<RuleName>,
    /// The account's groups, in place of those that its source names.
    groups: Option<Vec<String>>,
    /// The account's labels, in place of those that its source names.
    labels: Option<BTreeMap<String, OneOrMany>>,
    /// The actions of the robot's own permission; beside an account, those of an API key.
    allow: Option<Vec<String>>,
    /// The repositories of that permission or that key.
    repository: Option<OneOrMany>,
}

/// Which rule: its place in the list, counted from one, or its text as `policy explain` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RuleName {
    /// `3`
    Number(u32),
    /// `allow [pull] repository public/** to anyone`
    Text(String),
}

/// What somebody is expected to be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Where it stands in the file.
    pub line: u64,
    /// Who asks, as typed.
    pub who: String,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// When, as typed.
    pub at: Option<String>,
    /// The service that the token is for; absent: the first.
    pub service: Option<String>,
    /// What is asked for.
    pub scope: String,
    /// What of it is granted.
    pub granted: BTreeSet<String>,
    /// The rule that decides.
    pub rule: Option<RuleName>,
    /// The account as it is to be taken, where no source is to be asked.
    pub profile: Option<Profile>,
    /// The robot's own permission, or the limit of an API key of the account.
    pub limit: Option<Ceiling>,
}

/// What a source would say of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its groups.
    pub groups: BTreeSet<Group>,
    /// Its labels.
    pub labels: Labels,
}

impl Expectation {
    /// Reads a list of them; the first mistake is told with its line. Blocks.
    pub fn read(path: &Path) -> Result<Vec<Self>, ConfigError> {
        let name = path.display().to_string();
        let bytes = read_limited(path)
            .map_err(|error| ConfigError::at(&name, format!("cannot read it: {error}")))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ConfigError::at(&name, "the file is not UTF-8 text"))?;
        let mut key = Key::whole("the file");
        let typed = serde_saphyr::with_deserializer_from_str(text, |yaml| {
            serde_path_to_error::deserialize(yaml).map_err(|error| {
                key = Key::below("", error.path());
                error.into_inner()
            })
        });
        let typed: Option<Vec<Located<ExpectationSection>>> =
            typed.map_err(|error| ConfigError::from_yaml(&name, &key, &error))?;
        let typed = typed
            .filter(|list| !list.is_empty())
            .ok_or_else(|| ConfigError::at(&name, "there is nothing to test").hint(EXAMPLE))?;
        let files = Files::relative_to(path);
        typed.into_iter().map(|one| understand(one, &files)).collect()
    }
}

fn understand(
    typed: Located<ExpectationSection>,
    files: &Files,
) -> Result<Expectation, ConfigError> {
    let Located { value: section, place } = typed;
    let refuse = |key: &str, why: String| Err(files.error(&place, key, why));
    let address = match section.from.as_deref().map(str::parse) {
        None => None,
        Some(Ok(address)) => Some(address),
        Some(Err(_)) => {
            let from = section.from.unwrap_or_default();
            return refuse(
                "from",
                format!("{from:?} is no address; write one as 10.1.2.3 or 2001:db8::1"),
            );
        }
    };
    let described = check_granted(&section).and_then(|()| Described::read(&section));
    let Described { profile, limit } = match described {
        Ok(described) => described,
        Err((key, why)) => return refuse(key, why),
    };
    Ok(Expectation {
        line: place.line().unwrap_or_default(),
        who: section.who,
        address,
        at: section.at,
        service: section.service,
        scope: section.scope,
        granted: section.granted.into_iter().collect(),
        rule: section.rule,
        profile,
        limit,
    })
}

/// A key of an entry, and what is wrong with it.
type Mistake = (&'static str, String);

/// What an entry itself says of the caller.
#[derive(Default)]
struct Described {
    profile: Option<Profile>,
    limit: Option<Ceiling>,
}

impl Described {
    fn read(section: &ExpectationSection) -> Result<Self, Mistake> {
        let ExpectationSection { who, groups, labels, allow, repository, .. } = section;
        let has_profile = groups.is_some() || labels.is_some();
        let has_limit = allow.is_some() || repository.is_some();
        if who == "anonymous" && (has_profile || has_limit) {
            let why = "an anonymous caller has no groups, no labels and no limit";
            return Err(("as", why.to_owned()));
        }
        if let Some(name) = who.strip_prefix("robot:") {
            name.parse::<RobotName>().map_err(|error| ("as", error.to_string()))?;
            if has_profile {
                let key = if groups.is_some() { "groups" } else { "labels" };
                return Err((key, ROBOT_ALONE.to_owned()));
            }
        }
        if who.starts_with("key:") && (has_profile || has_limit) {
            return Err(("as", KEY_ALONE.to_owned()));
        }
        let profile =
            has_profile.then(|| profile(groups.as_deref(), labels.as_ref())).transpose()?;
        let limit = match (allow, repository) {
            (None, None) => None,
            (Some(actions), Some(OneOrMany(repositories))) => Some(limit(actions, repositories)?),
            (Some(_), None) => return Err(("allow", "say on which `repository`".to_owned())),
            (None, Some(_)) => return Err(("repository", "say what of it to `allow`".to_owned())),
        };
        Ok(Self { profile, limit })
    }
}

fn limit(actions: &[String], repositories: &[String]) -> Result<Ceiling, Mistake> {
    Ceiling::parse(actions, repositories).map_err(|error| {
        let is_action = match error {
            CeilingError::Action { .. } => true,
            CeilingError::Nothing => actions.is_empty(),
            _ => false,
        };
        (if is_action { "allow" } else { "repository" }, error.to_string())
    })
}

/// A word that means nothing here is granted only where it is asked for, to those who may do all.
fn check_granted(section: &ExpectationSection) -> Result<(), Mistake> {
    let asked = section.scope.rsplit(':').next().unwrap_or_default();
    let is_unknown = |word: &&String| {
        matches!(Action::from(word.as_str()), Action::Other(_))
            && !asked.split(',').any(|action| action == word.as_str())
    };
    match section.granted.iter().find(is_unknown) {
        Some(text) => {
            let why = format!("{text:?} is no action: use `pull`, `push`, `delete` or `*`");
            Err(("granted", why))
        }
        None => Ok(()),
    }
}

fn profile(
    groups: Option<&[String]>,
    labels: Option<&BTreeMap<String, OneOrMany>>,
) -> Result<Profile, Mistake> {
    let mut profile = Profile::default();
    for group in groups.unwrap_or_default() {
        let group = group.parse().map_err(|error| ("groups", format!("{group:?}: {error}")))?;
        profile.groups.insert(group);
    }
    for (name, OneOrMany(values)) in labels.into_iter().flatten() {
        for value in values {
            let inserted = profile.labels.insert(name, value);
            inserted.map_err(|error| ("labels", format!("{name:?}: {error}")))?;
        }
    }
    Ok(profile)
}

const ROBOT_ALONE: &str = "a robot has no labels and only groups of `token_service.groups`; say what it has as in \
    `allow: [pull, push], repository: \"team/app-*\"`";
const KEY_ALONE: &str = "the database alone says what an API key is: write its account in `as`, with `allow` and \
    `repository` for the key";
const EXAMPLE: &str =
    "as in `- { as: anonymous, scope: \"repository:public/app:pull,push\", granted: [pull] }`";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Expectation>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("expected.yml");
        std::fs::write(&path, text).unwrap();
        let told = |error: ConfigError| {
            let hints = error.hints().iter().map(|hint| format!("\nhint: {hint}"));
            let text = error.to_string() + &hints.collect::<String>();
            text.replace(&format!("{}/", folder.path().display()), "")
        };
        Expectation::read(&path).map_err(told)
    }

    #[test]
    fn everything_that_can_be_expected_is_read() {
        let all = read(
            "# what must hold\n\
             - { as: anonymous, scope: 'repository:public/a:pull,push', granted: [pull] }\n\
             - as: ann\n  from: 10.1.2.3\n  at: 2026-12-01T12:00:00Z\n  service: registry\n  \
               scope: 'repository:a/b:push'\n  granted: []\n  rule: 3\n  groups: [dev]\n  \
               labels: { team: red, env: [a, b] }\n\
             - { as: ann, scope: 'registry:catalog:*', granted: ['*'], rule: 'allow [*] registry catalog to user:ann' }\n\
             - { as: 'robot:ci', allow: [pull], repository: 'a/*', scope: 'repository:a/b:pull', granted: [pull] }\n\
             - { as: ann, allow: ['*'], repository: [a, b], scope: 'repository:a:odd', granted: [odd] }\n",
        )
        .unwrap();
        assert_eq!(all.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 3, 12, 13, 14]);
        assert_eq!((all[0].who.as_str(), &all[0].profile), ("anonymous", &None));
        let ann = &all[1];
        assert_eq!(ann.address, Some("10.1.2.3".parse().unwrap()));
        assert_eq!(ann.rule, Some(RuleName::Number(3)));
        let profile = ann.profile.as_ref().unwrap();
        assert!(profile.groups.contains("dev"));
        assert_eq!(profile.labels.values("env").collect::<Vec<_>>(), ["a", "b"]);
        let text = "allow [*] registry catalog to user:ann".to_owned();
        assert_eq!(all[2].rule, Some(RuleName::Text(text)));
        let limits = all[3..].iter().map(|one| one.limit.as_ref().unwrap().to_string());
        assert_eq!(limits.collect::<Vec<_>>(), ["pull on a/*", "* on a, b"]);
    }

    #[test]
    fn mistakes_have_their_line() {
        let ok = "- { as: ann, scope: 'repository:a/b:pull', granted: [] }\n";
        let of = |caller: &str, granted: &str| {
            format!("- {{ {caller}, scope: 'repository:a/b:pull', granted: {granted} }}\n")
        };
        let broken = [
            String::new(),
            "[]\n".to_owned(),
            format!("{ok}- {{ as: ann, scop: 'repository:a/b:pull', granted: [] }}\n"),
            format!("{ok}- {{ as: ann, granted: [] }}\n"),
            format!("{ok}- {{ as: ann, scope: 'repository:a/b:pull', granted: pull }}\n"),
            format!(
                "{ok}\n- {{ as: ann, from: home, scope: 'repository:a/b:pull', granted: [] }}\n"
            ),
            format!(
                "{ok}- {{ as: anonymous, groups: [a], scope: 'repository:a/b:pull', granted: [] }}\n"
            ),
            format!(
                "{ok}- {{ as: ann, groups: ['a '], scope: 'repository:a/b:pull', granted: [] }}\n"
            ),
            format!(
                "{ok}- {{ as: ann, labels: {{ 'a b': c }}, scope: 'repository:a/b:pull', granted: [] }}\n"
            ),
            of("as: 'robot:ci', groups: []", "[]"),
            of("as: 'robot:ci', labels: {}", "[]"),
            of("as: 'robot:Ci'", "[]"),
            of("as: 'key:0', allow: [pull], repository: a", "[]"),
            of("as: anonymous, allow: [pull], repository: a", "[]"),
            of("as: ann, allow: [pull]", "[]"),
            of("as: ann, repository: a", "[]"),
            of("as: 'robot:ci', allow: [pul], repository: a", "[]"),
            of("as: 'robot:ci', allow: [], repository: a", "[]"),
            of("as: 'robot:ci', allow: [pull], repository: []", "[]"),
            of("as: 'robot:ci', allow: [pull], repository: 'a/${account}'", "[]"),
            of("as: ann", "[pul]"),
        ];
        let told: Vec<String> = broken.iter().map(|text| read(text).unwrap_err()).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
