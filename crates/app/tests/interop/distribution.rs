//! Debian's docker-registry trusts our token service: what the table of deeds does not show.

use portpass_testkit::{Client as _, Dockerd, Layout, RegistryAddress, Skopeo};
use reqwest::StatusCode;

use crate::{
    audit::Auditor,
    stage::{ACCOUNT, PASSWORD, add_account, distribution, manage, root_alone, token_service},
};

/// Another account, of which no rule says more than of everybody.
const STRANGER: &str = "bob";

/// AR6: the catalog needs `registry:catalog:*`, which one account has.
#[tokio::test]
async fn the_catalog_is_for_those_whom_a_rule_gives_it() {
    let tokens = token_service("x5c");
    add_account(&tokens, STRANGER);
    let registry = distribution(&tokens, &root_alone(&tokens));
    let place = RegistryAddress::plain(registry.address());
    let mut skopeo = Skopeo::default();
    skopeo.login(&place, ACCOUNT, PASSWORD).unwrap().expect_success();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
    skopeo.push(&layout, &place.image("ann/app:1")).expect_success();

    let answer = Auditor::of(&place).get(&place, "/v2/_catalog").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap().trim(), r#"{"repositories":["ann/app"]}"#);
    let answer = Auditor::named(STRANGER, &place).get(&place, "/v2/_catalog").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.ends_with(r#"scope="registry:catalog:*",error="insufficient_scope""#));
}

#[tokio::test]
async fn what_no_rule_allows_is_refused_and_leaves_nothing_behind() {
    let tokens = token_service("libtrust");
    let registry = distribution(&tokens, &tokens.folder().join("data/root.crt"));
    let place = RegistryAddress::plain(registry.address());
    let foreign = place.image("bob/app:1");
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);

    let mut skopeo = Skopeo::default();
    skopeo.login(&place, ACCOUNT, PASSWORD).unwrap().expect_success();
    let refused = skopeo.push(&layout, &foreign);
    refused.expect_failure();
    assert!(refused.stderr.contains("access to the resource is denied"), "{refused}");
    let docker = Dockerd::start();
    docker.login(&place.host, ACCOUNT, PASSWORD).expect_success();
    let refused = docker.push(&layout, &foreign);
    refused.expect_failure();
    assert!(refused.stderr.contains("denied: requested access to the resource is denied"));
    docker.pull(&foreign).ran.expect_failure();

    let answer = Auditor::of(&place).get(&place, "/v2/_catalog").await;
    assert_eq!(answer.text().await.unwrap().trim(), r#"{"repositories":[]}"#);
}

/// The registry read its bundle once, at its start: it follows through the root that it has.
#[test]
fn a_registry_that_trusts_the_root_follows_the_keys_below_it() {
    let tokens = token_service("x5c");
    let registry = distribution(&tokens, &root_alone(&tokens));
    let place = RegistryAddress::plain(registry.address());
    let image = place.image("ann/app:1");
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
    let mut skopeo = Skopeo::default();
    skopeo.login(&place, ACCOUNT, PASSWORD).unwrap().expect_success();
    skopeo.push(&layout, &image).expect_success();
    manage(&tokens, &["signing-key", "rotate"]);
    tokens.wait_for_log(&["the key ring has changed"]);
    skopeo.pull(&image).ran.expect_success();
}

/// Key ids of libtrust need the new key in the registry's bundle, and a new start.
#[test]
fn a_registry_that_knows_keys_by_their_fingerprints_needs_the_new_bundle() {
    let tokens = token_service("libtrust");
    let bundle = tokens.folder().join("data/root.crt");
    let before = distribution(&tokens, &bundle);
    let mut skopeo = Skopeo::default();
    let place = RegistryAddress::plain(before.address());
    skopeo.login(&place, ACCOUNT, PASSWORD).unwrap().expect_success();
    let said = manage(&tokens, &["signing-key", "rotate"]).output();
    assert!(said.contains("its registry needs a new export and a restart"), "{said}");
    tokens.wait_for_log(&["the key ring has changed"]);

    let mut stranger = Skopeo::default();
    let refused = stranger.login(&place, ACCOUNT, PASSWORD).unwrap();
    refused.expect_failure();
    assert!(before.log().contains("token signed by untrusted key with ID"), "{}", before.log());
    let after = distribution(&tokens, &bundle);
    let place = RegistryAddress::plain(after.address());
    stranger.login(&place, ACCOUNT, PASSWORD).unwrap().expect_success();
}
