//! What is said of rules, with a database and without one.

use std::{fs, path::PathBuf};

use portpass_config::{Environment, Sources};
use portpass_state::Db;

use super::*;
use crate::{Limits, NewUser, open};

mod diff;

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let text = format!(
            "data: {}\ntoken_service:\n  services: [{{ name: registry }}, {{ name: mirror }}]\n  policy:\n{policy}",
            data.display()
        );
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn sources(&self) -> Sources {
        Sources { config: Some(self.0.path().join("portpass.yml")), ..Sources::default() }
    }

    async fn rulebook(&self) -> Rulebook {
        Rulebook::open(&self.sources(), &Environment::default()).await.unwrap()
    }

    /// With a database that has these accounts.
    async fn install(&self, users: &[(&str, &[&str])]) {
        Db::open(&self.0.path().join("data/portpass.db")).await.unwrap().close().await;
        let installation = open(&self.sources(), &Environment::default()).await.unwrap();
        for (name, groups) in users {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let user = NewUser { name: (*name).to_owned(), password: "password".into(), groups };
            installation.add_user(user).await.unwrap();
        }
        installation.disable_user("dora").await.unwrap_or_default();
    }
}

const POLICY: &str = "    - { allow: [pull], repository: 'public/**', to: anyone }
    - { allow: [pull, push], repository: 'team/**', to: 'group:dev' }
    - { allow: [push], repository: 'team/**', to: 'robot:ci', from: 10.0.0.0/8 }
    - { deny: [push], repository: 'team/frozen', to: signed-in, except: user:ann }
    - { allow: [delete], repository: 'team/**', to: user:ann, service: mirror }
";

#[tokio::test]
async fn expectations_are_held_against_the_rules_without_a_database() {
    let fixture = Fixture::new(POLICY);
    let file = fixture.write(
        "expected.yml",
        "- { as: anonymous, scope: 'repository:public/a:pull,push', granted: [pull], rule: 1 }
- { as: ann, groups: [dev], scope: 'repository:team/frozen:push', granted: [push], rule: 'allow [pull, push]  repository team/** to group:dev' }
- { as: bob, groups: [dev], scope: 'repository:team/frozen:pull,push', granted: [pull, push] }
- { as: bob, groups: [dev], scope: 'repository:team/frozen:push', granted: [], rule: 4 }
- { as: 'robot:ci', allow: [push], repository: 'team/*', scope: 'repository:team/a:pull,push', granted: [push] }
- { as: 'robot:ci', allow: [push], repository: 'team/b', scope: 'repository:team/a:push', granted: [push] }
- { as: bob, groups: [dev], scope: 'repository:team/a:push', granted: [push], rule: 3 }
- { as: ann, groups: [], service: mirror, scope: 'repository:team/a:delete', granted: [delete] }
- { as: carol, scope: 'repository:team/a:pull', granted: [] }
- { as: carol, groups: [], scope: 'repository:team/A:pull', granted: [] }
- { as: carol, groups: [], scope: 'repository:a/b:pull repository:a/c:pull', granted: [] }
- { as: carol, groups: [], service: other, scope: 'repository:a/b:pull', granted: [] }
- { as: 'robot:ci', scope: 'repository:public/a:pull', granted: [pull] }
- { as: 'key:0123456789abcdef', scope: 'repository:public/a:pull', granted: [pull] }
- { as: bob, groups: [dev], allow: [pull], repository: 'team/*', scope: 'repository:team/a:pull,push', granted: [pull] }
- { as: bob, groups: [], allow: [pull], repository: 'team/*', scope: 'repository:team/a:pull', granted: [pull] }
",
    );
    let tested = fixture.rulebook().await.test(file).await.unwrap();
    let told = tested
        .iter()
        .filter_map(|one| Some(format!("{}: {}\n{}", one.line, one.name, one.failure.as_ref()?)));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n\n"));
}

#[tokio::test]
async fn expectations_ask_the_sources_for_accounts() {
    let fixture = Fixture::new(POLICY);
    fixture.install(&[("ann", &["dev"]), ("bob", &[])]).await;
    let file = fixture.write(
        "expected.yml",
        "- { as: ann, scope: 'repository:team/a:push', granted: [push] }
- { as: bob, scope: 'repository:team/a:push', granted: [] }
- { as: bob, groups: [dev], scope: 'repository:team/a:push', granted: [push] }
- { as: user:local/ann, scope: 'repository:team/a:push', granted: [push] }
",
    );
    let tested = fixture.rulebook().await.test(file).await.unwrap();
    assert!(tested.iter().all(|one| one.failure.is_none()), "{tested:#?}");
}

#[tokio::test]
async fn a_robot_is_what_the_database_says_or_else_the_expectation() {
    let fixture = Fixture::new(POLICY);
    fixture.install(&[("ann", &["dev"]), ("dora", &["dev"])]).await;
    let installation = open(&fixture.sources(), &Environment::default()).await.unwrap();
    for name in ["ci", "off"] {
        let limits = Limits {
            actions: vec!["pull".into(), "push".into()],
            repositories: vec!["team/app-*".into(), "base".into()],
            expires: None,
            description: String::new(),
        };
        installation.add_robot(name, limits).await.unwrap();
    }
    installation.disable_robot("off").await.unwrap();
    let file = fixture.write(
        "expected.yml",
        "- { as: 'robot:ci', scope: 'repository:team/app-1:pull,push', granted: [pull, push] }
- { as: 'robot:ci', scope: 'repository:team/app:pull', granted: [] }
- { as: 'robot:ci', allow: [push, pull], repository: [base, 'team/app-*'], scope: 'repository:base:pull', granted: [pull] }
- { as: 'robot:new', allow: [pull], repository: 'x/**', scope: 'repository:x/y:pull,push', granted: [pull] }
- { as: ann, allow: [pull], repository: 'team/a', scope: 'repository:team/a:pull,push', granted: [pull] }
- { as: ann, allow: [pull], repository: 'team/a', scope: 'repository:team/b:pull', granted: [] }
- { as: 'robot:off', scope: 'repository:team/app-1:pull', granted: [] }
- { as: dora, scope: 'repository:team/a:pull', granted: [] }
- { as: 'robot:ci', scope: 'repository:team/app:pull', granted: [pull] }
- { as: 'robot:off', scope: 'repository:team/app-1:pull', granted: [pull] }
- { as: dora, scope: 'repository:team/a:pull', granted: [pull] }
- { as: 'robot:ci', allow: [pull], repository: 'team/app-*', scope: 'repository:team/app-1:pull', granted: [pull] }
- { as: 'robot:ghost', scope: 'repository:public/x:pull', granted: [pull] }
- { as: robot-ci, allow: [pull], repository: 'team/**', scope: 'repository:team/app-1:pull', granted: [pull] }
- { as: 'key:0123456789abcdef', scope: 'repository:team/app-1:pull', granted: [pull] }
",
    );
    let tested = fixture.rulebook().await.test(file).await.unwrap();
    let told = tested
        .iter()
        .filter_map(|one| Some(format!("{}: {}\n{}", one.line, one.name, one.failure.as_ref()?)));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n\n"));
}

#[tokio::test]
async fn everybody_who_reaches_a_repository_is_listed_with_the_rules() {
    let fixture = Fixture::new(POLICY);
    fixture
        .install(&[("ann", &["dev"]), ("bob", &["dev"]), ("carol", &[]), ("dora", &["dev"])])
        .await;
    let rulebook = fixture.rulebook().await;
    let who = async |repository: &str, circumstances: Circumstances| {
        let reach = rulebook.who(repository, &circumstances).await.unwrap();
        let callers = reach.callers.iter().map(|caller| {
            let disabled = if caller.disabled { " (disabled)" } else { "" };
            format!("{}{disabled} {} {:?}", caller.who, caller.actions.join(","), caller.rules)
        });
        let rules: Vec<u32> = reach.rules.iter().map(|rule| rule.number).collect();
        assert_eq!(reach.unlisted, []);
        (callers.collect::<Vec<_>>().join("; "), rules)
    };
    let (callers, rules) = who("team/frozen", Circumstances::default()).await;
    // Robots are none in this database; the rule for one is among the rules.
    assert_eq!(
        callers,
        "ann pull,push,delete [2, 5]; bob pull [2]; dora (disabled) pull [2]; group:dev pull [2]"
    );
    assert_eq!(rules, [2, 3, 4, 5]);
    let at_registry =
        Circumstances { service: Some("registry".into()), ..Circumstances::default() };
    let (callers, _) = who("team/frozen", at_registry).await;
    assert!(callers.starts_with("ann pull,push [2]; bob"), "{callers}");
    let (callers, rules) = who("public/a", Circumstances::default()).await;
    assert!(callers.starts_with("anonymous pull [1]; ann pull [1]"), "{callers}");
    assert!(!callers.contains("group:") && rules == [1], "{callers} {rules:?}");
    let error = rulebook.who("Team/a", &Circumstances::default()).await.unwrap_err();
    assert!(matches!(error, AdminError::InvalidRepository { .. }), "{error}");
}

#[tokio::test]
async fn without_a_database_it_is_said_that_nobody_is_listed() {
    let fixture = Fixture::new(POLICY);
    let reach = fixture.rulebook().await.who("team/a", &Circumstances::default()).await.unwrap();
    let [unlisted] = &reach.unlisted[..] else { panic!("{reach:?}") };
    assert_eq!(unlisted.source.source, "local");
    let meant = |to: &str, rule| Meant { to: to.to_owned(), rule };
    assert_eq!(unlisted.reached_by, [meant("group:dev", 2), meant("user:ann", 5)]);
    assert_eq!(reach.callers.iter().map(|one| one.who.as_str()).collect::<Vec<_>>(), ["group:dev"]);
}

#[tokio::test]
async fn an_account_that_is_called_like_a_robot_is_listed_beside_it() {
    let accounts = "    - { allow: [pull], repository: 'ru/**', to: 'user:robot-*' }
  accounts: [ { local: {} }, { htpasswd: { path: ../users } } ]
";
    let fixture = Fixture::new(accounts);
    let users = fixture.write("users", &format!("robot-ci:{HASH}\nrobot-lone:{HASH}\n"));
    let text = fs::read_to_string(fixture.0.path().join("portpass.yml")).unwrap();
    fixture.write("portpass.yml", &text.replace("../users", users.to_str().unwrap()));
    fixture.install(&[]).await;
    let installation = open(&fixture.sources(), &Environment::default()).await.unwrap();
    let limits = Limits {
        actions: vec!["push".into()],
        repositories: vec!["ru/*".into()],
        expires: None,
        description: String::new(),
    };
    installation.add_robot("ci", limits).await.unwrap();
    let reach = fixture.rulebook().await.who("ru/x", &Circumstances::default()).await.unwrap();
    let callers = reach.callers.iter().map(|caller| {
        let source = caller.source.as_deref().unwrap_or_default();
        format!("{} of {source}: {}", caller.who, caller.actions.join(","))
    });
    assert_eq!(
        callers.collect::<Vec<_>>(),
        ["robot:ci of robot: push", "robot-ci of htpasswd: pull", "robot-lone of htpasswd: pull"]
    );
    assert_eq!(reach.callers[0].own, ["push"]);
}

const HASH: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

#[tokio::test]
async fn lint_looks_names_up_where_there_are_accounts() {
    let fixture = Fixture::new(POLICY);
    assert_eq!(fixture.rulebook().await.lint().await.unwrap(), []);
    fixture.install(&[("ann", &["dev"])]).await;
    let findings = fixture.rulebook().await.lint().await.unwrap();
    insta::assert_snapshot!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}
