//! The cases of `oracle.txt`: what distribution 2.8.3 and 3.1.1 answered to each, as it was
//! measured, and what we answer. The expectations are read from there; here are only the requests. A row
//! without lines of distribution was not measured there.

use std::collections::BTreeSet;

use crate::{
    forged::Forged,
    outcome::Outcome,
    registry::{Ask, Registry},
};

const ORACLE: &str = include_str!("oracle.txt");

const BASE: Ask = Ask::new("GET", "/v2/");
const MANIFEST: Ask = Ask::new("GET", "/v2/a/b/manifests/latest");
const UPLOAD: Ask = Ask::new("POST", "/v2/a/b/blobs/uploads/");
const MOUNT: Ask = Ask::new(
    "POST",
    "/v2/a/b/blobs/uploads/?from=c/d&mount=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
);
const CATALOG: Ask = Ask::new("GET", "/v2/_catalog");

/// One test for each row: its name, the row's, and what is asked with the token of the row's name.
macro_rules! rows {
    ($($(#[$about:meta])* $test:ident, $row:literal: $ask:expr;)*) => {
        $(
            $(#[$about])*
            #[test]
            fn $test() {
                ends_as_the_row_says($row, $ask);
            }
        )*

        const TESTED: &[&str] = &[$($row),*];
    };
}

rows! {
    /// VO1, CH6
    who_brings_nothing_is_told_where_to_go, "no Authorization": BASE.without_credentials();
    /// VO1
    who_brings_a_password_is_told_where_to_go, "Basic instead of Bearer":
        BASE.with("Basic YW5uOnNlY3JldA==");
    /// VO1
    who_brings_an_empty_token_is_told_where_to_go, "Bearer + empty token": BASE.with("Bearer ");
    /// VO1
    the_case_of_the_scheme_does_not_matter, "lower-case bearer": BASE.with("bearer TOKEN");
    /// VO1, docs/protocol.md §15
    a_second_space_belongs_to_the_token, "double space": BASE.with("Bearer  TOKEN");
    /// VO2
    what_is_no_jwt_is_no_token, "opaque token": BASE;
    /// VO2
    a_jwt_without_signature_is_no_token, "two parts": BASE;
    /// JW8, docs/protocol.md §15
    padded_base64url_is_refused, "padded base64url": BASE;

    /// JW13, JW14
    a_key_is_known_by_its_libtrust_fingerprint, "OK kid=libtrust": BASE;
    /// JW13
    a_key_is_known_by_its_rfc_7638_thumbprint, "OK kid=rfc7638": BASE;
    /// VO4
    a_certificate_of_the_bundle_is_a_chain_of_one, "x5c leaf in bundle, no kid": BASE;
    /// VO2
    certificates_in_base64url_are_refused, "x5c base64url instead of base64": BASE;
    /// VO4
    a_strangers_certificate_of_a_trusted_name_is_refused, "x5c cert not in bundle": BASE;
    /// VO4
    an_expired_certificate_vouches_for_nobody, "x5c expired cert (in bundle)": BASE;
    /// docs/protocol.md §15
    the_key_of_an_expired_certificate_is_known_by_its_id, "kid of expired cert in bundle": BASE;
    /// VO3, docs/protocol.md §15
    an_embedded_key_without_id_points_to_nothing, "jwk header trusted, no kid inside": BASE;
    /// VO3
    an_embedded_key_points_to_a_trusted_one_by_its_id, "jwk header trusted, kid inside": BASE;
    /// JW1, VO3
    a_token_has_to_name_its_key, "no kid/x5c/jwk": BASE;
    /// VO3
    an_unknown_key_is_refused, "unknown kid": BASE;
    /// VO6, CH7
    a_signature_by_another_key_is_refused, "right kid, signed by other key": BASE;
    /// VO6, CH7
    a_signature_with_one_wrong_bit_is_refused, "signature bit flipped": BASE;
    /// JW9
    a_token_that_says_it_has_no_signature_is_refused, "alg none": BASE;
    /// JW12, RFC 8725 §3.1
    a_public_certificate_is_no_shared_secret, "HS256 keyed with cert PEM": BASE;
    /// JW9
    an_rsa_key_signs_by_pss, "PS256 with RSA key": BASE;
    /// JW9
    a_key_on_a_curve_signs, "ES256 EC key": BASE;
    /// JW9
    a_key_of_edwards_signs, "EdDSA key": BASE;
    /// CH7, RFC 8725 §3.1
    the_algorithm_has_to_be_one_of_the_keys_own, "RSA key but header alg ES256": BASE;

    /// VO7
    another_issuer_is_refused, "wrong iss": BASE;
    /// VO7
    issuers_are_compared_letter_by_letter, "iss trailing slash": BASE;
    /// VO8
    a_token_for_another_service_is_refused, "wrong aud": BASE;
    /// JW3
    one_of_several_audiences_is_enough, "aud array with service": BASE;
    /// VO8
    a_token_for_nobody_is_refused, "aud missing": BASE;
    /// JW6, VO9
    half_a_minute_past_its_end_a_token_still_counts, "exp 30s ago": BASE;
    /// JW6, VO9
    two_minutes_past_its_end_a_token_is_refused, "exp 120s ago": BASE;
    /// JW5
    a_token_without_end_is_refused, "exp missing": BASE;
    /// JW4, CH7
    an_end_in_words_is_refused, "exp string": BASE;
    /// JW4, CH7
    an_end_with_a_fraction_is_refused, "exp float": BASE;
    /// JW6, VO10
    half_a_minute_before_its_beginning_a_token_counts, "nbf +30s": BASE;
    /// JW6, VO10
    two_minutes_before_its_beginning_a_token_is_refused, "nbf +120s": BASE;
    /// JW5
    a_token_needs_no_beginning, "nbf missing": BASE;
    /// JW5
    when_a_token_was_made_is_compared_with_nothing, "iat +1h": BASE;
    /// JW4, CH7
    when_a_token_was_made_is_a_number_all_the_same, "iat ISO string": BASE;

    /// JW7
    without_access_one_may_still_knock, "access missing, base": BASE;
    /// JW7
    null_is_as_good_as_no_access, "access null, base": BASE;
    /// JW7, CH8
    an_empty_access_is_too_little, "access [] , repo GET": MANIFEST;
    /// JW7, CH8
    a_missing_access_is_too_little, "access missing, repo GET": MANIFEST;
    /// JW7, CH7
    access_has_to_be_a_list, "access object not array": MANIFEST;
    /// JW7, CH7
    actions_have_to_be_a_list, "access actions string": MANIFEST;
    /// JW7
    null_is_as_good_as_no_action, "access actions null": MANIFEST;
    /// JW7, docs/protocol.md §15
    an_entry_of_access_has_to_be_an_object, "access [number]": MANIFEST;
    /// JW2
    the_scope_of_oauth_grants_nothing, "scope claim (OAuth style) only": MANIFEST;
    /// VO11
    what_is_granted_is_looked_for, "access pull, GET": MANIFEST;
    /// VO11
    names_have_no_host, "access name has host": MANIFEST;
    /// VO11
    the_case_of_a_resources_type_matters, "access type Repository (case)": MANIFEST;
    /// VO11
    the_case_of_an_action_matters, "access action PULL (case)": MANIFEST;
    /// VO11
    a_star_among_the_actions_is_every_action, r#"access "*" action, GET"#: MANIFEST;
    /// VO11
    a_star_for_a_name_is_no_name, r#"access name "*""#: MANIFEST;
    /// VO11, CH5
    push_alone_starts_no_upload, "push only, start upload": UPLOAD;
    /// VO11, CH5
    pull_alone_starts_no_upload, "pull only, start upload": UPLOAD;
    /// VO11
    pull_and_push_start_an_upload, "pull,push start upload": UPLOAD;
    /// CH4, OC15
    a_mount_needs_its_source_as_well, "pull,push dest; mount from ungranted": MOUNT;
    /// VO11
    deleting_is_a_right_of_its_own, "pull,push: DELETE manifest":
        Ask::new("DELETE", "/v2/a/b/manifests/latest");
    /// AR6
    the_catalog_is_a_right_of_its_own, "catalog no grant": CATALOG;
    /// AR6
    a_star_opens_the_catalog, "catalog grant *": CATALOG;
    /// AR6
    pull_does_not_open_the_catalog, "catalog grant pull": CATALOG;
    /// CH10
    a_head_request_gets_the_same_challenge, "HEAD repo no auth":
        Ask::new("HEAD", "/v2/a/b/manifests/latest").without_credentials();
    /// CH3
    the_base_is_the_same_without_its_last_slash, "GET /v2 (no slash)":
        Ask::new("GET", "/v2").without_credentials();
    /// CH10
    a_head_request_of_the_base_is_challenged, "HEAD /v2/":
        Ask::new("HEAD", "/v2/").without_credentials();
    /// JW2
    a_token_of_many_names_fits, "token 20 kB": BASE;
    /// The size of a header is limited.
    a_token_without_measure_is_cut_off, "token 1.4 MB": BASE;
}

#[test]
fn every_row_has_its_test_and_every_test_its_row() {
    let rows: Vec<&str> = rows().map(|row| row.name).collect();
    let unique: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(unique.len(), rows.len(), "a row is there twice");
    assert_eq!(unique, TESTED.iter().copied().collect(), "rows, and tests");
    assert_eq!(TESTED.len(), rows.len(), "a row has two tests");
}

/// A row of the file.
struct Row {
    name: &'static str,
    ours: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    ORACLE.split("## ").skip(1).map(|row| {
        let mut lines = row.lines();
        let name = lines.next().unwrap();
        let ours = lines.find_map(|line| line.strip_prefix("   ours: "));
        Row { name, ours: ours.unwrap_or_else(|| panic!("{name:?} does not say what ours is")) }
    })
}

fn ends_as_the_row_says(name: &str, ask: Ask) {
    let row = rows().find(|row| row.name == name);
    let ours = row.unwrap_or_else(|| panic!("no row {name:?}")).ours;
    let expected = Outcome::parse(ours).unwrap_or_else(|| panic!("not an outcome: {ours:?}"));
    let anew = PERISHABLE.contains(&name).then(Forged::oracle_anew);
    let forged = anew.as_ref().unwrap_or_else(|| Forged::shared());
    assert_eq!(forged.has_token(name), ask.shows_token(), "a token that is not shown, or none");
    let token = if ask.shows_token() { forged.token(name) } else { "" };
    let registry = Registry::trusting(&[("rootcertbundle", forged.file("oracle.pem"))]);
    assert_eq!(registry.ask(ask, token), expected, "{name}");
    // A good token is remembered, and has to end the same way.
    assert_eq!(registry.ask(ask, token), expected, "{name}, again");
}

/// Tokens whose end or beginning lies near.
const PERISHABLE: &[&str] = &["exp 30s ago", "nbf +120s"];
