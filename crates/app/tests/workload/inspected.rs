//! What an operator sees of a token that does not get in.

use serde_json::{Value, json};

use super::world::World;

/// `diagnose --workload`, with the token on stdin or in a file.
fn diagnosed(world: &World, token: &str) -> (Option<i32>, String) {
    let words = ["diagnose", "--workload", "-", "--config", "{folder}/portpass.yml"];
    let ran = world.portpass.command(&words, token);
    let signature = token.rsplit('.').next().unwrap();
    assert!(signature.len() < 40 || !ran.output().contains(signature), "{ran}");
    (ran.status, ran.output())
}

#[test]
fn diagnose_shows_every_condition_and_which_does_not_match() {
    let world = World::new();
    let token = world.github_token(&json!({ "ref": "refs/heads/dev" }));
    let (status, said) = diagnosed(&world, &token);
    assert_eq!(status, Some(1), "{said}");
    for words in [
        &["refusal", "workload-claims"][..],
        &["reason", r#"its claim `ref` is "refs/heads/dev"; expected "refs/heads/main""#],
        &["entry ci/${claim:repository}"],
        &["repository", "acme/app", "acme/*", "matches"],
        &["ref", "refs/heads/dev", "refs/heads/main", "does not match"],
    ] {
        let found = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?} in\n{said}");
    }
}

#[test]
fn diagnose_names_the_account_of_a_token_that_counts_and_uses_it_up_in_no_way() {
    let world = World::new();
    let token = world.cluster_token(&json!({}));
    for _ in 0..2 {
        let file = world.portpass.folder().join("token");
        std::fs::write(&file, &token).unwrap();
        let words = [
            "diagnose",
            "--json",
            "--workload",
            "{folder}/token",
            "--config",
            "{folder}/portpass.yml",
        ];
        let ran = world.portpass.command(&words, "");
        let said: Value = serde_json::from_str(&ran.expect_success().stdout).unwrap();
        assert_eq!(said["account"]["name"], "k8s.build@pusher");
        assert_eq!((&said["source"], &said["refusal"]), (&json!("cluster"), &Value::Null));
    }
}

#[test]
fn diagnose_says_what_is_no_token_of_a_workload() {
    let world = World::new();
    let stranger = world.github_token(&json!({ "iss": "https://elsewhere.example" }));
    for (token, said) in [
        ("opaque", "this is no workload's token"),
        ("", "there is no token"),
        (&stranger, "\"https://elsewhere.example\" is no issuer in `token_service.accounts`"),
    ] {
        let (status, output) = diagnosed(&world, token);
        assert!(status != Some(0) && output.contains(said), "{output}");
    }
    world.github.stop();
    let (status, output) = diagnosed(&world, &world.github_token(&json!({})));
    assert_eq!(status, Some(1), "{output}");
    assert!(
        output.contains("accounts-unavailable") && output.contains("cannot be reached"),
        "{output}"
    );
}

#[test]
fn token_inspect_shows_the_claims_and_what_a_configuration_makes_of_them() {
    let world = World::new();
    let inspect = |token: &str| {
        let words = ["token", "inspect", "-", "--config", "{folder}/portpass.yml"];
        world.portpass.command(&words, token)
    };
    let good = inspect(&world.github_token(&json!({})));
    let said = good.expect_success().output();
    assert!(said.contains("job_workflow_ref") && said.contains("ci.acme.app"), "{said}");
    let bad = inspect(&world.github_token(&json!({ "aud": "x" })));
    let said = bad.expect_failure().output();
    assert!(said.contains("it is nobody's: the token is for another audience"), "{said}");
    assert!(said.contains("(workload-audience)"), "{said}");
}
