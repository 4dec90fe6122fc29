//! Chains of certificates as openssl makes them (VO4), and keys that come with the token (VO3).

use crate::{forged::Forged, outcome::Outcome, registry::Registry};

fn registry() -> Registry {
    Registry::trusting(&[("rootcertbundle", Forged::shared().file("chains.pem"))])
}

#[track_caller]
fn are_trusted(names: &[&str]) {
    let registry = registry();
    for name in names {
        let outcome = registry.shown(Forged::shared().token(name));
        assert_eq!(outcome, Outcome::ok(), "{name}");
    }
}

#[track_caller]
fn are_refused(table: &[(&str, &str)]) {
    let registry = registry();
    for (name, refusal) in table {
        let outcome = registry.shown(Forged::shared().token(name));
        assert_eq!(outcome, Outcome::invalid_token(refusal), "{name}");
    }
}

/// What `docker_auth` and GitLab are set up with.
#[test]
fn a_self_signed_certificate_is_its_own_root() {
    are_trusted(&["chain of 1, root signs", "chain of 1, pinned"]);
}

#[test]
fn chains_reach_the_root_over_any_authorities_between() {
    are_trusted(&["chain of 1", "chain of 2", "chain of 3"]);
}

#[test]
fn more_than_the_path_may_be_there_in_any_order() {
    are_trusted(&[
        "chain of 2, root included",
        "chain of 3, root included",
        "chain of 3, out of order",
        "chain of 5",
    ]);
}

/// Webpki refuses it on principle; Go does not.
#[test]
fn an_intermediate_authority_signs_tokens_itself() {
    are_trusted(&[
        "intermediate signs",
        "intermediate signs, root included",
        "second intermediate signs",
        "Ed25519 intermediate signs",
        "as deep as allowed",
    ]);
}

#[test]
fn a_signer_may_be_of_version_1() {
    are_trusted(&["v1 leaf", "v1 leaf below intermediate", "v1 root signs"]);
}

#[test]
fn an_issuer_may_not_be_of_version_1() {
    are_refused(&[
        ("v1 root as issuer", "chain-not-allowed"),
        ("v1 intermediate", "chain-not-allowed"),
    ]);
}

#[test]
fn keys_of_all_kinds_sign_certificates_of_each_other() {
    are_trusted(&["P-521, RSA, P-384", "P-384, Ed25519", "PSS", "PSS, v1 leaf"]);
}

/// As Go: a root is trusted for being in the bundle, not for its own signature.
#[test]
fn sha_1_signs_nothing_but_roots() {
    are_trusted(&["SHA-1 root signs", "below SHA-1 root"]);
    are_refused(&[
        ("SHA-1 leaf", "chain-not-allowed"),
        ("SHA-1 intermediate", "chain-not-allowed"),
        ("SHA-1 intermediate signs", "chain-not-allowed"),
    ]);
}

#[test]
fn a_chain_that_reaches_no_root_is_refused() {
    are_refused(&[
        ("unknown root", "chain-issuer-unknown"),
        ("unknown root, alone", "chain-issuer-unknown"),
        ("missing intermediate", "chain-issuer-unknown"),
        ("missing intermediate, v1 leaf", "chain-issuer-unknown"),
    ]);
}

#[test]
fn a_root_of_a_trusted_name_is_not_the_trusted_root() {
    are_refused(&[
        ("root of the same name", "chain-signature-wrong"),
        ("root of the same name, included", "chain-signature-wrong"),
        ("root of the same name, v1 leaf", "chain-signature-wrong"),
    ]);
}

#[test]
fn every_certificate_of_a_path_has_to_be_in_its_time() {
    are_refused(&[
        ("expired leaf", "chain-expired"),
        ("future leaf", "chain-not-yet-valid"),
        ("expired intermediate", "chain-expired"),
        ("expired intermediate, v1 leaf", "chain-expired"),
        ("expired intermediate signs", "chain-expired"),
        ("future intermediate", "chain-not-yet-valid"),
        ("expired root", "chain-expired"),
        ("expired root, v1 leaf", "chain-expired"),
    ]);
}

#[test]
fn an_issuer_has_to_be_an_authority_for_what_it_issues() {
    are_refused(&[
        ("signer as issuer", "chain-not-allowed"),
        ("signer as issuer, v1 leaf", "chain-not-allowed"),
        ("pinned as issuer", "chain-not-allowed"),
        ("may not sign certificates", "chain-not-allowed"),
        ("too deep", "chain-not-allowed"),
        ("too deep, v1 leaf", "chain-not-allowed"),
    ]);
}

/// `keyCertSign` is about certificates below, not about tokens.
#[test]
fn an_authority_for_no_certificates_signs_tokens() {
    are_trusted(&["may not sign certificates, signs"]);
}

#[test]
fn what_cannot_be_read_vouches_for_nobody() {
    are_refused(&[
        ("chain of 6", "token-chain-malformed"),
        ("x5c is text", "token-chain-malformed"),
        ("x5c holds numbers", "token-chain-malformed"),
        ("x5c holds PEM", "token-chain-malformed"),
        ("x5c holds no certificate", "chain-unreadable"),
        ("x5c is cut short", "chain-unreadable"),
        ("RSA of 1024 bits", "chain-unreadable"),
    ]);
}

/// VO3: which of the header's names counts does not depend on which of them is trusted.
#[test]
fn a_broken_chain_does_not_fall_back_to_the_key_id() {
    are_refused(&[
        ("broken chain, trusted kid", "chain-issuer-unknown"),
        ("chain of another signer", "token-signature-wrong"),
    ]);
    are_trusted(&["empty chain, trusted kid"]);
}

/// VO3; CVE-2025-24976 is its third and fourth row.
#[test]
fn an_embedded_key_is_a_pointer_and_never_a_key() {
    are_trusted(&["jwk with chain"]);
    are_refused(&[
        ("jwk with chain of another", "token-embedded-key-untrusted"),
        ("jwk of attacker, trusted kid inside", "token-signature-wrong"),
        ("jwk of attacker, trusted kid beside", "token-embedded-key-untrusted"),
        ("jwk with private half", "token-embedded-key-malformed"),
    ]);
}

/// docs/protocol.md §15
#[test]
fn an_expired_certificate_that_is_reached_by_key_id_is_warned_of() {
    let forged = Forged::shared();
    let registry = Registry::trusting(&[("rootcertbundle", forged.file("oracle.pem"))]);
    assert_eq!(registry.shown(forged.token("kid of expired cert in bundle")), Outcome::ok());
    registry.says(&["WARN", "accepted by key id", "Token Signer of last year", "expired"]);
}
