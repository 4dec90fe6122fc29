//! The fault that portpass began with: a token service that calls its token `jwt`. The client says that there is
//! no token, the registry's log says that one is required, and both lead astray.

use insta::assert_snapshot;
use portpass_testkit::{FixedTokenService, Portpass};

use crate::{
    asked::{Diagnosis, diagnose, text},
    stage::{serve, token_service},
};

/// A token service that answers so, and a registry that sends people there.
fn set_up(body: &str) -> (FixedTokenService, Portpass) {
    let tokens = FixedTokenService::answering(body);
    let keys = token_service("libtrust");
    let bundle = keys.folder().join("data/root.crt");
    let registry = serve(&format!(
        "registry:\n  auth:\n    token: {{ realm: \"{}\", service: token-service, issuer: dtest, rootcertbundle: {} }}\n",
        tokens.realm(),
        bundle.display(),
    ));
    (tokens, registry)
}

const ANSWER: &str = r#"{"jwt":"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2ln","expires_in":300}"#;

#[test]
fn a_token_under_a_name_of_its_own_is_found_with_what_clients_and_the_log_say_of_it() {
    let (_tokens, registry) = set_up(ANSWER);
    let target = format!("{}/ann/app", registry.address());
    let diagnosis = diagnose(&target, &[]);
    diagnosis.is_caused_by("RESP-03", "F60");
    let check = diagnosis.check("RESP-03").to_string();
    for words in [
        "jwt",
        "expires_in",
        "authorization server did not include a token in the response",
        "authorization token required",
    ] {
        assert!(check.contains(words), "{words}: {check}");
    }
    let breaks = diagnosis.check("RESP-03")["breaks"].as_array().unwrap();
    assert!(breaks.len() >= 4, "{breaks:?}");
}

#[test]
fn a_person_sees_it_on_one_screen() {
    let (tokens, registry) = set_up(ANSWER);
    let ran = text(&format!("{}/ann/app", registry.address()), &[]);
    assert_eq!(ran.status, Some(1), "{ran}");
    assert_snapshot!(settled(&ran.stdout, &registry, &tokens));
}

/// As it is at all times and on all ports.
fn settled(said: &str, registry: &Portpass, tokens: &FixedTokenService) -> String {
    let realm = tokens.realm();
    let tokens = realm.trim_start_matches("http://").split('/').next().unwrap();
    said.replace(&registry.address().to_string(), "127.0.0.1:5000")
        .replace(tokens, "127.0.0.1:5013")
}

/// What is shown can be passed on.
#[test]
fn its_report_is_one_page_without_the_token() {
    let (_tokens, registry) = set_up(ANSWER);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let target = format!("{}/ann/app", registry.address());
    let diagnosis: Diagnosis = diagnose(&target, &["--report", file.to_str().unwrap()]);
    assert!(diagnosis.ran.stderr.contains("report.html has the report"), "{}", diagnosis.ran);
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.contains("The cause: <a href=\"#RESP-03\">") && page.contains("jwt"), "{page}");
    assert!(!page.contains("eyJ") && !page.contains("<script"), "{page}");
}

/// What took a minute to find out is not lost with a file.
#[test]
fn a_report_that_cannot_be_written_takes_nothing_with_it() {
    let (_tokens, registry) = set_up(ANSWER);
    let target = format!("{}/ann/app", registry.address());
    let ran = text(&target, &["--report", "/dev/null/report.html"]);
    assert!(ran.stdout.contains("THE CAUSE: RESP-03"), "{ran}");
    assert!(ran.stderr.contains("cannot be written"), "{ran}");
    assert_eq!(ran.status, Some(1), "{ran}");
}
