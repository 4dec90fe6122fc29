//! What rules are expected to grant: the file of `portpass policy test`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

use portpass_authority::subject::{Group, Labels};
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
    let profile = match (section.groups, section.labels) {
        (None, None) => None,
        _ if section.who == "anonymous" => {
            return refuse("as", "an anonymous caller has no groups and no labels".to_owned());
        }
        (groups, labels) => match profile(groups.unwrap_or_default(), labels.unwrap_or_default()) {
            Ok(profile) => Some(profile),
            Err((key, why)) => return refuse(key, why),
        },
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
    })
}

fn profile(
    groups: Vec<String>,
    labels: BTreeMap<String, OneOrMany>,
) -> Result<Profile, (&'static str, String)> {
    let mut profile = Profile::default();
    for group in groups {
        let group = group.parse().map_err(|error| ("groups", format!("{group:?}: {error}")))?;
        profile.groups.insert(group);
    }
    for (name, OneOrMany(values)) in labels {
        for value in values {
            let inserted = profile.labels.insert(&name, &value);
            inserted.map_err(|error| ("labels", format!("{name:?}: {error}")))?;
        }
    }
    Ok(profile)
}

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
             - as: 'robot:ci'\n  from: 10.1.2.3\n  at: 2026-12-01T12:00:00Z\n  service: registry\n  \
               scope: 'repository:a/b:push'\n  granted: []\n  rule: 3\n  groups: [dev]\n  \
               labels: { team: red, env: [a, b] }\n\
             - { as: ann, scope: 'registry:catalog:*', granted: ['*'], rule: 'allow [*] registry catalog to user:ann' }\n",
        )
        .unwrap();
        assert_eq!(all.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 3, 12]);
        assert_eq!((all[0].who.as_str(), &all[0].profile), ("anonymous", &None));
        let robot = &all[1];
        assert_eq!(robot.address, Some("10.1.2.3".parse().unwrap()));
        assert_eq!(robot.rule, Some(RuleName::Number(3)));
        let profile = robot.profile.as_ref().unwrap();
        assert!(profile.groups.contains("dev"));
        assert_eq!(profile.labels.values("env").collect::<Vec<_>>(), ["a", "b"]);
        let text = "allow [*] registry catalog to user:ann".to_owned();
        assert_eq!(all[2].rule, Some(RuleName::Text(text)));
    }

    #[test]
    fn mistakes_have_their_line() {
        let ok = "- { as: ann, scope: 'repository:a/b:pull', granted: [] }\n";
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
        ];
        let told: Vec<String> = broken.iter().map(|text| read(text).unwrap_err()).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
