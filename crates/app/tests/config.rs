//! `config` and the exit statuses, from the outside.

use std::{fs, process::Command};

use portpass_testkit::{CommandOutput, run};

/// The binary in a home of its own and with an environment of its own.
fn portpass(arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portpass"));
    command.args(arguments).env_clear().env("HOME", home.path()).envs(variables.iter().copied());
    run(&mut command, "")
}

#[test]
fn check_says_what_a_start_would_do_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portpass.yaml");
    fs::write(&file, "data: data\nhttp: { addr: ':5000' }\nregistry: {}\ntoken_service: {}\n")
        .unwrap();
    let checked = portpass(&["config", "check", file.to_str().unwrap()], &[]);
    checked.expect_success();
    for line in [
        "registry       http://[::]:5000, open to: tokens of the token service in this process",
        "token service  http://[::]:5000/token",
        "issuer         portpass, for registry",
    ] {
        assert!(checked.stdout.contains(line), "{}", checked.stdout);
    }
    assert!(checked.stderr.contains("insecure-registries"), "{}", checked.stderr);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_mistake_ends_with_status_1_and_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portpass.yaml");
    fs::write(&file, "http:\n  adr: 127.0.0.1:5000\n").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [&["config", "check", file][..], &["serve", "--config", file][..]] {
        let refused = portpass(arguments, &[]);
        assert_eq!(refused.status, Some(1), "{arguments:?}");
        let told = format!("error: {file}:2:3: unknown key `adr`\nhint: did you mean `addr`?\n");
        assert!(refused.stderr.starts_with(&told), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
}

#[test]
fn wrong_usage_ends_with_status_2() {
    for arguments in [&["serve", "--adr", "x"][..], &["no-such-command"][..], &[][..]] {
        assert_eq!(portpass(arguments, &[]).status, Some(2), "{arguments:?}");
    }
}

#[test]
fn schema_and_variables_are_data() {
    let schema = portpass(&["config", "schema"], &[]);
    let schema: serde_json::Value = serde_json::from_str(&schema.expect_success().stdout).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let variables = portpass(&["config", "environment"], &[]);
    let line = variables
        .expect_success()
        .stdout
        .lines()
        .find(|line| line.starts_with("PORTPASS_HTTP_ADDR"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words, ["PORTPASS_HTTP_ADDR", "REGISTRY_HTTP_ADDR", "http.addr"]);
}

#[test]
fn variables_reach_the_configuration() {
    let checked = portpass(&["config", "check"], &[("REGISTRY_HTTP_ADDR", "127.0.0.1:5555")]);
    assert!(
        checked.expect_success().stdout.contains("http://127.0.0.1:5555/token"),
        "{}",
        checked.stdout
    );
}
