//! Rights that differ between two files.

use super::*;
use crate::Limits;

fn limits(action: &str, repository: &str) -> Limits {
    Limits {
        actions: vec![action.to_owned()],
        repositories: vec![repository.to_owned()],
        expires: None,
        description: String::new(),
    }
}

/// All that is told of two lists of rules, as text.
async fn told(fixture: &Fixture, old: &str, new: &str) -> String {
    let (old, new) = (fixture.write("old.yml", old), fixture.write("new.yml", new));
    let folder = old.parent().unwrap().display().to_string();
    let diff = fixture.rulebook().await.diff(old, new, &Environment::default()).await.unwrap();
    let changes = diff.changes.iter().map(|change| {
        let ChangedRights { change, callers, actions, catalog, repositories, when, old, new } =
            change;
        let regions: Vec<String> =
            repositories.iter().map(|region| format!("{region} (as {})", region.example)).collect();
        let on = if *catalog { "catalog".to_owned() } else { regions.join(" or ") };
        let side = |decider: &Option<Decider>| {
            let text = decider.as_ref().map(ToString::to_string);
            text.unwrap_or_else(|| "no rule".to_owned()).replace(&folder, "")
        };
        format!(
            "{change} {} on {on} [{}]\n  {}\n  old: {}\n  new: {}",
            actions.join(","),
            when.join("; "),
            callers.join(", "),
            side(old),
            side(new)
        )
    });
    changes.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn whose_rights_differ_is_told_with_the_rules_and_their_lines() {
    let fixture = Fixture::new(POLICY);
    fixture.install(&[("ann", &["dev"]), ("bob", &[]), ("dora", &["dev"])]).await;
    let installation = open(&fixture.sources(), &Environment::default()).await.unwrap();
    installation.add_robot("ci", limits("push", "team/app-*")).await.unwrap();
    let key = installation.add_key("ann", limits("pull", "team/**")).await.unwrap();
    let key = key.to_json()["id"].as_str().unwrap().to_owned();
    let text = told(
        &fixture,
        "- { allow: [pull], repository: 'team/**', to: 'group:dev' }
- { allow: [pull], repository: '${account}/**', to: signed-in }
",
        "# moved
- { allow: [pull, push], repository: 'team/**', to: ['group:dev', 'group:ldap-only'] }
- { allow: [pull], repository: '${account}/*', to: signed-in }
-
  deny: [push]
  repository: team/*-frozen
  to: signed-in
  from: 10.0.0.0/8
",
    )
    .await;
    insta::assert_snapshot!(text.replace(&key, "ID"));
}

#[tokio::test]
async fn configurations_are_compared_by_what_their_rules_say_here() {
    let fixture = Fixture::new(POLICY);
    let same = told(
        &fixture,
        "- { allow: [pull], repository: 'a/**', to: anyone }\n- { allow: [push], repository: b, to: signed-in }\n",
        "token_service:
  services: [{ name: registry }, { name: mirror }]
  policy:
    - { allow: [push], repository: b, to: signed-in }
    - { allow: [pull], repository: 'a/**', to: anyone }
",
    );
    assert_eq!(same.await, "");
    fixture.write("rules.yml", "- { allow: [pull], repository: 'a/**', to: anyone }\n");
    let closed = told(
        &fixture,
        "token_service: { policy_file: rules.yml }\n",
        "token_service:
  anonymous: false
  policy:
    - { allow: [pull], repository: 'a/**', to: anyone, expiration: 600 }
",
    );
    insta::assert_snapshot!(closed.await);
}

#[tokio::test]
async fn what_cannot_be_compared_is_said() {
    let fixture = Fixture::new(POLICY);
    let rules = fixture.write("rules.yml", "- { allow: [pull], repository: a, to: anyone }\n");
    fixture.write("acl.yml", "- { match: { account: ann }, actions: ['*'] }\n");
    let acl = fixture.write("acl-of.yml", "token_service: { policy: { docker-auth: acl.yml } }\n");
    let wrong = fixture.write("wrong.yml", "- { allow: [pull], repository: a }\n");
    let rulebook = fixture.rulebook().await;
    for (old, new, expected) in [
        (
            &rules,
            &acl,
            "acl-of.yml: its `policy` is an ACL of docker_auth, and only rules can be compared",
        ),
        (&wrong, &rules, "wrong.yml:1: rule 1: `to` is missing"),
        (&rules, &rules.with_file_name("none.yml"), "none.yml: cannot read the file"),
    ] {
        let diff = rulebook.diff(old.clone(), new.clone(), &Environment::default()).await;
        let error = diff.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
