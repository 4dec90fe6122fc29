//! Set-ups with which nothing is wrong: not one check fails.

use portpass_testkit::{Client as _, Image, Layout, Skopeo};
use serde_json::Value;

use crate::{
    asked::{Diagnosis, diagnose, diagnose_as_nobody},
    stage::{ACCOUNT, PASSWORD, Stage, add_account, serve},
};

/// Pushes an index of two images, as the account.
fn push(image: &Image) {
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64", "arm64"]);
    let mut skopeo = Skopeo::default();
    skopeo.login(&image.place, ACCOUNT, PASSWORD).unwrap().expect_success();
    skopeo.push_index(&layout, image).unwrap().expect_success();
}

/// Reads, and then writes too.
fn is_healthy(stage: &Stage, flags: &[&str]) -> Diagnosis {
    let image = stage.place.image("ann/app:v1");
    push(&image);
    let target = image.to_string();
    let read = diagnose(&target, flags);
    read.nothing_fails();
    assert!(read.requests() <= 60, "{}", read.requests());
    assert_eq!(read.verdict("OPS-01"), "pass", "{:#}", read.check("OPS-01"));
    assert_eq!(read.verdict("OPS-02"), "pass", "{:#}", read.check("OPS-02"));
    let written = diagnose(&target, &[flags, &["--write"]].concat());
    written.nothing_fails();
    // The right to push, asked for and granted, is no surprise.
    for check in ["ACC-01", "ACC-02", "ACC-05"] {
        assert_ne!(written.verdict(check), "warn", "{:#}", written.check(check));
    }
    for check in ["OPS-03", "OPS-04", "OPS-05", "OPS-06", "OPS-07"] {
        assert_eq!(written.verdict(check), "pass", "{:#}", written.check(check));
    }
    assert!(written.requests() <= 120, "{}", written.requests());
    read
}

#[test]
fn portpass_has_no_fault() {
    is_healthy(&Stage::portpass(), &[]);
}

#[test]
fn portpass_over_tls_has_no_fault_for_those_who_trust_its_authority() {
    let stage = Stage::portpass_over_tls();
    let ca = stage.place.authority().unwrap();
    is_healthy(&stage, &["--ca", ca.to_str().unwrap()]);
}

#[test]
fn distribution_has_no_fault_with_tokens_that_carry_their_certificates() {
    is_healthy(&Stage::distribution_with_x5c(), &[]);
}

#[test]
fn distribution_has_no_fault_with_tokens_that_name_their_key() {
    is_healthy(&Stage::distribution_with_libtrust(), &[]);
}

#[test]
fn portpass_has_no_fault_with_a_token_service_that_works_and_is_not_ours() {
    is_healthy(&Stage::portpass_with_foreign_tokens(), &[]);
}

#[test]
fn a_registry_with_passwords_alone_has_no_fault() {
    let read = is_healthy(&Stage::portpass_with_htpasswd(), &[]);
    assert_eq!(read.verdict("JWT-01"), "skip");
}

#[test]
fn what_everybody_may_pull_has_no_fault_for_nobody() {
    let portpass = serve(
        "registry: {}\ntoken_service:\n  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [\"*\"], repository: \"**\", to: \"user:ann\" }\n",
    );
    add_account(&portpass, ACCOUNT);
    let place = portpass_testkit::RegistryAddress::plain(portpass.address());
    let image = place.image("public/app:v1");
    push(&image);
    let read = diagnose_as_nobody(&image.to_string(), &[]);
    read.nothing_fails();
    assert_eq!(read.verdict("OPS-01"), "pass", "{:#}", read.check("OPS-01"));
    // The host alone, too.
    diagnose_as_nobody(&portpass.address().to_string(), &[]).nothing_fails();
    assert_eq!(read.json["schema"], Value::from("portpass.diagnose/1"));
}
