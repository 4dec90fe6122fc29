//! What somebody gives: credentials, a token, what the registry is set up with.

use portpass_testkit::Portpass;

use crate::{
    asked::{Diagnosis, diagnose, diagnose_with, refused},
    stage::{ACCOUNT, PASSWORD, add_account, distribution, serve, token_service},
};

/// A registry that trusts a bundle, and the path of that bundle.
fn with_bundle() -> (Portpass, portpass_testkit::Distribution, String) {
    let tokens = token_service("libtrust");
    let bundle = tokens.folder().join("data/root.crt");
    let registry = distribution(&tokens, &bundle);
    let bundle = bundle.to_str().unwrap().to_owned();
    (tokens, registry, bundle)
}

#[test]
fn what_the_registry_trusts_is_held_against_the_token() {
    let (_tokens, registry, bundle) = with_bundle();
    let target = format!("{}/ann/app", registry.address());
    let flags = ["--bundle", &bundle, "--issuer", "portpass", "--service", "registry"];
    let diagnosis = diagnose(&target, &flags);
    diagnosis.nothing_fails();
    for check in ["CLM-01", "CLM-02", "KEY-01", "KEY-02", "KEY-03"] {
        assert_eq!(diagnosis.verdict(check), "pass", "{:#}", diagnosis.check(check));
    }
}

/// A token of somebody who may not come back for another one.
#[test]
fn a_token_that_a_client_got_is_looked_into() {
    let (tokens, registry, _) = with_bundle();
    let target = registry.address().to_string();
    let login = ["login", "--username", ACCOUNT, "--password-stdin", &target];
    tokens.command(&login, PASSWORD).expect_success();
    let scope = "repository:ann/app:pull";
    let token = tokens.command(&["token", &target, "--scope", scope], "");
    let token = token.expect_success().stdout.clone();
    let target = format!("{target}/ann/app");
    let diagnosis = diagnose_with(&target, &["--token", "-"], &token);
    diagnosis.nothing_fails();
    assert_eq!(diagnosis.verdict("USE-02"), "pass", "{:#}", diagnosis.check("USE-02"));
    // As a file, with all that the token service had to say.
    let file = tokens.folder().join("answer.json");
    std::fs::write(&file, format!(r#"{{"token": "{}"}}"#, token.trim())).unwrap();
    let again = diagnose_with(&target, &["--token", file.to_str().unwrap()], "");
    assert_eq!(again.verdict("USE-02"), "pass");
}

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let typed = "c2VjcmV0LW9mLWFubg";
    let ran = refused(&["--token", typed], "");
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(!ran.output().contains(typed), "{}", ran.output());
    assert!(ran.stderr.contains("never the token itself"), "{}", ran.stderr);
}

/// `-u NAME:PASSWORD` is how other programs are told.
#[test]
fn a_password_behind_the_name_is_refused_and_not_repeated() {
    let ran = refused(&["-u", "ann:secretPW1234", "--password-stdin"], "x");
    assert_eq!(ran.status, Some(2), "{ran}");
    assert!(ran.stderr.contains("the name has a colon"), "{ran}");
    assert!(!ran.output().contains("secretPW"), "{ran}");
}

#[test]
fn stdin_is_the_password_or_the_token() {
    let ran = refused(&["--username", "ann", "--password-stdin", "--token", "-"], PASSWORD);
    assert_eq!(ran.status, Some(2), "{ran}");
    for empty in ["", "\n"] {
        assert_eq!(refused(&["--token", "-"], empty).status, Some(2));
    }
    assert_eq!(refused(&["--password-stdin"], "x").status, Some(2));
    assert_eq!(refused(&["--ca", "/nowhere.pem"], "").status, Some(1));
}

/// F142, F109: the first thing that is wrong is the password; that none is needed is what helps.
#[test]
fn a_stale_password_for_what_everybody_may_pull_is_better_forgotten() {
    let portpass = serve(
        "registry: {}\ntoken_service:\n  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }\n",
    );
    add_account(&portpass, ACCOUNT);
    let target = format!("{}/public/app", portpass.address());
    let flags = ["--username", ACCOUNT, "--password-stdin"];
    let diagnosis: Diagnosis = diagnose_with(&target, &flags, "an old one");
    diagnosis.is_caused_by("TOK-02", "F40");
    let check = diagnosis.check("OPS-08");
    assert_eq!(check["follows_from"], "TOK-02", "{check:#}");
    assert!(check["fix"].as_str().unwrap().contains("docker logout"), "{check:#}");
    // A password that is refused is not tried by all the other ways too: it counts towards a lock.
    let log = portpass.log();
    let refused = log.lines().filter(|line| line.contains("refusal=\"wrong-password\""));
    assert_eq!(refused.count(), 1, "{log}");
}
