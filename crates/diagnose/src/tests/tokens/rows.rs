//! One set-up for each row of the failure catalogue: the check that names it, and no other failure beside it.

use std::{future::Future, pin::Pin};

use portpass_testkit::http::{challenge, reply};
use serde_json::{Value, json};

use self::faulty::{
    access, another_pair, authority, bundle, claims, entry, header, issuer, key_without_token,
    keycloak, later, misnamed, named, pem_to_der, untrusted_chain, without_signature,
};
use super::certified_key::CertifiedKey;
use super::scenario::{RegistryKind, Scenario, cause_of, every_second, given, unnamed};
use crate::{Check, InputFile, Report, observations::RequiredAuth};

mod faulty;

type Run = fn() -> Pin<Box<dyn Future<Output = Report>>>;

/// Row of the catalogue, the check that names it, its verdict.
pub(crate) const ROWS: &[(&str, Check, &str)] = &[
    ("F70", Check::Jwt01, "fail"),
    ("F70", Check::Jwt02, "fail"),
    ("F71", Check::Jwt02, "fail"),
    ("F72", Check::Clm01, "fail"),
    ("F73", Check::Jwt07, "fail"),
    ("F74", Check::Jwt07, "fail"),
    ("F75", Check::Clm02, "fail"),
    ("F75", Check::Key06, "fail"),
    ("F76", Check::Clm01, "fail"),
    ("F77", Check::Clm03, "fail"),
    ("F78", Check::Clm04, "fail"),
    ("F79", Check::Jwt08, "fail"),
    ("F80", Check::Jwt04, "fail"),
    ("F81", Check::Key02, "fail"),
    ("F81", Check::Key06, "fail"),
    ("F82", Check::Jwt05, "fail"),
    ("F83", Check::Key02, "fail"),
    ("F83", Check::Key06, "fail"),
    ("F84", Check::Key02, "fail"),
    ("F84", Check::Key03, "fail"),
    ("F84", Check::Key05, "fail"),
    ("F84", Check::Key06, "fail"),
    ("F85", Check::Key04, "fail"),
    ("F85", Check::Key06, "fail"),
    ("F86", Check::Key01, "fail"),
    ("F87", Check::Jwt06, "fail"),
    ("F87", Check::Key02, "fail"),
    ("F87", Check::Key06, "fail"),
    ("F88", Check::Jwt06, "fail"),
    ("F88", Check::Key07, "warn"),
    ("F89", Check::Jwt03, "fail"),
    ("F89", Check::Jwt06, "fail"),
    ("F90", Check::Key01, "fail"),
    ("F91", Check::Jwt05, "fail"),
    ("F91", Check::Key06, "fail"),
    ("F92", Check::Use02, "fail"),
    ("F100", Check::Acc01, "fail"),
    ("F101", Check::Acc04, "fail"),
    ("F102", Check::Acc02, "fail"),
    ("F103", Check::Acc03, "fail"),
    ("F104", Check::Acc01, "fail"),
    ("F120", Check::Use01, "fail"),
    ("F127", Check::Use06, "fail"),
    ("F128", Check::Jwt07, "fail"),
    ("F144", Check::Use02, "fail"),
];

/// The set-ups, each with the row that it is and the check that finds it.
const SETUPS: &[(&str, Check, &str, Run)] = &[
    ("F70", Check::Jwt01, "two parts", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution2)
                .rewritten(|token| without_signature(&token))
                .diagnose(),
        )
    }),
    ("F70", Check::Jwt01, "cut short", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution3)
                .rewritten(|token| token[..token.len() - 20].into())
                .diagnose(),
        )
    }),
    ("F70", Check::Jwt01, "an opaque word", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution2).rewritten(|_| "c2Vzc2lvbg".into()).diagnose(),
        )
    }),
    ("F70", Check::Jwt01, "an opaque word that no header can carry", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution2)
                .rewritten(|_| "c2Vzc2lvbg\u{1b}".into())
                .diagnose(),
        )
    }),
    ("F70", Check::Jwt02, "quotes", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution3)
                .rewritten(|token| format!("\"{token}\""))
                .diagnose(),
        )
    }),
    ("F70", Check::Jwt02, "a line break", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution2)
                .rewritten(|token| format!("{token}\n"))
                .diagnose(),
        )
    }),
    ("F71", Check::Jwt02, "padded", || {
        Box::pin(
            Scenario::of(RegistryKind::Distribution3)
                .rewritten(|token| format!("{token}=="))
                .diagnose(),
        )
    }),
    ("F72", Check::Clm01, "a list", || {
        Box::pin(claims(RegistryKind::Distribution2, |claims| {
            claims["aud"] = json!([claims["aud"]]);
        }))
    }),
    ("F73", Check::Jwt07, "exp as text", || {
        Box::pin(claims(RegistryKind::Distribution3, |claims| {
            claims["exp"] = claims["exp"].to_string().into();
        }))
    }),
    ("F73", Check::Jwt07, "exp with a fraction", || {
        Box::pin(claims(RegistryKind::Distribution2, |claims| claims["exp"] = json!(1.8e9 + 0.5)))
    }),
    ("F73", Check::Jwt07, "iat as a date", || {
        Box::pin(claims(RegistryKind::Distribution3, |claims| {
            claims["iat"] = "2027-01-15T08:00:00Z".into();
        }))
    }),
    ("F74", Check::Jwt07, "no exp", || {
        Box::pin(claims(RegistryKind::Distribution2, |claims| {
            drop(claims.as_object_mut().unwrap().remove("exp"));
        }))
    }),
    ("F75", Check::Clm02, "with --issuer", || {
        Box::pin(issuer("https://tokens.example/").with_its_files().diagnose())
    }),
    ("F75", Check::Clm02, "with --registry-config", || {
        let yaml = "auth: { token: { issuer: Tokens.example, service: registry.example } }";
        let scenario = issuer("Tokens.example");
        Box::pin(
            scenario.given(|inputs| inputs.registry_config = Some(given("c.yml", yaml))).diagnose(),
        )
    }),
    ("F75", Check::Key06, "with nothing", || Box::pin(issuer("https://tokens.example").diagnose())),
    ("F75", Check::Key06, "with nothing, distribution 3", || {
        let mut scenario = Scenario::of(RegistryKind::Distribution3);
        scenario.issuer = "another".to_owned();
        Box::pin(scenario.diagnose())
    }),
    ("F76", Check::Clm01, "another name", || {
        Box::pin(claims(RegistryKind::Distribution2, |claims| {
            claims["aud"] = "Registry.example".into();
        }))
    }),
    ("F76", Check::Clm01, "none", || {
        Box::pin(claims(RegistryKind::Distribution3, |claims| {
            drop(claims.as_object_mut().unwrap().remove("aud"));
        }))
    }),
    ("F77", Check::Clm03, "local time", || {
        Box::pin(claims(RegistryKind::Distribution2, |claims| {
            claims["nbf"] = later(&claims["nbf"], 7200);
        }))
    }),
    ("F78", Check::Clm04, "the registry's clock", || {
        let mut scenario = Scenario::of(RegistryKind::Distribution3);
        scenario.ahead = 3600;
        Box::pin(scenario.diagnose())
    }),
    ("F79", Check::Jwt08, "too long for the proxy", || {
        let scenario = Scenario::of(RegistryKind::Distribution3)
            .claims(|claims| claims["groups"] = "g".repeat(9000).into());
        let too_long = |seen: &portpass_testkit::http::Seen| {
            let length = seen.authorization.as_ref().map_or(0, String::len);
            (length > 8192)
                .then(|| reply(400, "<html>400 Request Header Or Cookie Too Large</html>"))
        };
        Box::pin(scenario.behind(too_long).diagnose())
    }),
    ("F80", Check::Jwt04, "no key id", || {
        let scenario = Scenario::of(RegistryKind::Distribution2);
        Box::pin(
            scenario
                .header(|header| drop(header.as_object_mut().unwrap().remove("kid")))
                .diagnose(),
        )
    }),
    ("F81", Check::Key02, "a fingerprint of something else", || {
        Box::pin(
            named(RegistryKind::Distribution2, &CertifiedKey::new("x").libtrust())
                .with_its_files()
                .diagnose(),
        )
    }),
    ("F81", Check::Key02, "a thumbprint of something else", || {
        Box::pin(
            named(RegistryKind::Distribution3, &CertifiedKey::new("x").thumbprint())
                .with_its_files()
                .diagnose(),
        )
    }),
    ("F81", Check::Key06, "with nothing", || {
        Box::pin(named(RegistryKind::Distribution2, &CertifiedKey::new("x").libtrust()).diagnose())
    }),
    ("F82", Check::Jwt05, "libtrust for distribution 3", || {
        let scenario = Scenario::of(RegistryKind::Distribution3);
        let id = scenario.signer.libtrust();
        Box::pin(scenario.header(move |header| header["kid"] = id.clone().into()).diagnose())
    }),
    ("F82", Check::Jwt05, "RFC 7638 for distribution 2", || {
        let scenario = Scenario::of(RegistryKind::Distribution2);
        let id = scenario.signer.thumbprint();
        Box::pin(scenario.header(move |header| header["kid"] = id.clone().into()).diagnose())
    }),
    ("F83", Check::Key02, "with the JWK set", || {
        Box::pin(keycloak().with_its_files().given(|inputs| inputs.bundle = None).diagnose())
    }),
    ("F83", Check::Key06, "with nothing", || Box::pin(keycloak().diagnose())),
    ("F84", Check::Key02, "another pair", || {
        Box::pin(another_pair(RegistryKind::Distribution2).with_its_files().diagnose())
    }),
    ("F84", Check::Key03, "another pair under the old name", || {
        Box::pin(misnamed(RegistryKind::Distribution2).with_its_files().diagnose())
    }),
    ("F84", Check::Key03, "distribution 3, with its files", || {
        Box::pin(misnamed(RegistryKind::Distribution3).with_its_files().diagnose())
    }),
    ("F84", Check::Key06, "distribution 3, with nothing", || {
        Box::pin(misnamed(RegistryKind::Distribution3).diagnose())
    }),
    ("F84", Check::Key06, "distribution 2, with nothing", || {
        Box::pin(misnamed(RegistryKind::Distribution2).diagnose())
    }),
    ("F84", Check::Key06, "portpass, with nothing", || {
        Box::pin(misnamed(RegistryKind::Portpass).diagnose())
    }),
    ("F84", Check::Key05, "the token service's key alone", || Box::pin(key_without_token())),
    ("F85", Check::Key04, "the TLS certificate", || {
        let mut scenario = another_pair(RegistryKind::Distribution2);
        scenario.tls_leaf = Some(pem_to_der(&scenario.bundle));
        Box::pin(scenario.with_its_files().diagnose())
    }),
    ("F85", Check::Key04, "the authority of the TLS certificate", || {
        let (authority, leaf) = authority();
        let mut scenario = Scenario::of(RegistryKind::Distribution3);
        scenario.bundle = authority;
        scenario.tls_leaf = Some(leaf);
        Box::pin(scenario.with_its_files().diagnose())
    }),
    ("F85", Check::Key06, "with nothing", || {
        Box::pin(another_pair(RegistryKind::Distribution3).diagnose())
    }),
    ("F86", Check::Key01, "a private key", || {
        Box::pin(bundle(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec()))
    }),
    ("F86", Check::Key01, "DER", || Box::pin(bundle(CertifiedKey::new("x").der))),
    ("F86", Check::Key01, "empty", || Box::pin(bundle(b"\n".to_vec()))),
    ("F86", Check::Key01, "not readable", || {
        let content = Err("Permission denied (os error 13)".to_owned());
        let scenario = another_pair(RegistryKind::Distribution2);
        Box::pin(
            scenario
                .given(|inputs| inputs.bundle = Some(InputFile { path: "b.pem".into(), content }))
                .diagnose(),
        )
    }),
    ("F87", Check::Jwt06, "the other alphabet", || {
        let scenario = Scenario::of(RegistryKind::Distribution2);
        let chain = scenario.signer.x5c();
        let chain = chain[0].as_str().unwrap().replace('+', "-").replace('/', "_");
        Box::pin(scenario.header(move |header| header["x5c"] = json!([chain])).diagnose())
    }),
    ("F87", Check::Key02, "a chain to nobody", || {
        Box::pin(untrusted_chain().with_its_files().diagnose())
    }),
    ("F87", Check::Key06, "with nothing", || Box::pin(untrusted_chain().diagnose())),
    ("F88", Check::Jwt06, "expired", || {
        let mut scenario = Scenario::of(RegistryKind::Distribution3);
        scenario.signer = CertifiedKey::until("old", 2022);
        scenario.bundle = scenario.signer.pem.clone();
        let chain = scenario.signer.x5c();
        Box::pin(scenario.header(move |header| header["x5c"] = chain.clone()).diagnose())
    }),
    ("F89", Check::Jwt03, "none", || {
        Box::pin(header(RegistryKind::Distribution3, |header| header["alg"] = "none".into()))
    }),
    ("F89", Check::Jwt03, "a shared secret", || {
        Box::pin(header(RegistryKind::Distribution2, |header| header["alg"] = "HS256".into()))
    }),
    ("F89", Check::Jwt03, "EdDSA for distribution 2", || {
        Box::pin(header(RegistryKind::Distribution2, |header| header["alg"] = "EdDSA".into()))
    }),
    ("F89", Check::Jwt06, "another algorithm than the certificate's", || {
        let scenario = Scenario::of(RegistryKind::Distribution3);
        let chain = scenario.signer.x5c();
        let wrong = move |header: &mut Value| {
            header["x5c"] = chain.clone();
            header["alg"] = "EdDSA".into();
        };
        Box::pin(scenario.header(wrong).diagnose())
    }),
    ("F90", Check::Key01, "no list", || {
        let yaml = "auth: { token: { signingalgorithms: RS256 } }";
        let scenario = issuer("another");
        Box::pin(
            scenario.given(|inputs| inputs.registry_config = Some(given("c.yml", yaml))).diagnose(),
        )
    }),
    ("F91", Check::Jwt05, "the base point's id, distribution 3", || {
        Box::pin(named(RegistryKind::Distribution3, BASE_POINT).diagnose())
    }),
    ("F91", Check::Jwt05, "the same, with its files", || {
        Box::pin(named(RegistryKind::Distribution3, BASE_POINT).with_its_files().diagnose())
    }),
    ("F91", Check::Jwt05, "the same, distribution 2", || {
        Box::pin(named(RegistryKind::Distribution2, BASE_POINT).with_its_files().diagnose())
    }),
    ("F91", Check::Key06, "a wrong thumbprint at the registry", || {
        let scenario = Scenario::of(RegistryKind::Distribution3).with_its_files();
        Box::pin(Scenario { bundle: CertifiedKey::new("x").pem, ..scenario }.diagnose())
    }),
    ("F92", Check::Use02, "a node that knows another key", || {
        let second = every_second();
        let scenario = Scenario::of(RegistryKind::Distribution2).behind(move |seen| {
            second(seen)
                .then(|| challenge("Bearer realm=\"r\",service=\"s\",error=\"invalid_token\""))
        });
        Box::pin(scenario.diagnose())
    }),
    ("F100", Check::Acc01, "null", || Box::pin(access(Value::Null))),
    ("F100", Check::Acc01, "empty", || Box::pin(access(json!([])))),
    ("F100", Check::Acc01, "missing", || {
        Box::pin(claims(RegistryKind::Distribution3, |claims| {
            drop(claims.as_object_mut().unwrap().remove("access"));
        }))
    }),
    ("F101", Check::Acc04, "as OAuth has it", || {
        Box::pin(claims(RegistryKind::Distribution2, |claims| {
            claims.as_object_mut().unwrap().remove("access");
            claims["scope"] = "repository:team/app:pull".into();
        }))
    }),
    ("F102", Check::Acc02, "with the host", || {
        Box::pin(access(entry("registry.example:5000/team/app", &["pull"])))
    }),
    ("F102", Check::Acc02, "in capitals", || Box::pin(access(entry("Team/App", &["pull"])))),
    ("F102", Check::Acc02, "any name", || Box::pin(access(entry("*", &["pull"])))),
    ("F102", Check::Acc02, "an action in capitals", || {
        Box::pin(access(entry("team/app", &["PULL"])))
    }),
    ("F103", Check::Acc03, "push alone", || Box::pin(access(entry("team/app", &["push"])))),
    ("F104", Check::Acc01, "another repository alone", || {
        Box::pin(access(entry("public/app", &["pull"])))
    }),
    ("F104", Check::Acc01, "nobody's token", || {
        let mut scenario =
            Scenario::of(RegistryKind::Distribution2).claims(|claims| claims["access"] = json!([]));
        scenario.anonymous = true;
        Box::pin(scenario.diagnose())
    }),
    ("F120", Check::Use01, "the proxy drops it", || {
        Box::pin(Scenario { strips: true, ..Scenario::of(RegistryKind::Distribution2) }.diagnose())
    }),
    ("F127", Check::Use06, "after the wait", || {
        let mut scenario = Scenario::of(RegistryKind::Distribution3);
        let clock = scenario.clock.clone();
        let end = portpass_token::Clock::now(&*clock) + std::time::Duration::from_mins(6);
        scenario = scenario.behind(move |seen| {
            let late = portpass_token::Clock::now(&*clock) > end;
            (late && seen.path != "/token").then(|| unnamed(seen))
        });
        scenario.inputs.wait_expiry = true;
        Box::pin(scenario.diagnose())
    }),
    ("F128", Check::Jwt07, "a number in the list", || Box::pin(access(json!([1])))),
    ("F144", Check::Use02, "a hash that is not bcrypt", || {
        let mut scenario = Scenario::of(RegistryKind::Distribution2)
            .behind(|_| Some(challenge("Basic realm=\"the file\"")));
        scenario.required_auth = Some(RequiredAuth::Basic);
        Box::pin(scenario.diagnose())
    }),
];

#[tokio::test]
async fn every_row_is_named_by_its_check_and_by_no_other() {
    for (row, check, what, run) in SETUPS {
        let report = run().await;
        let cause =
            report.cause().unwrap_or_else(|| panic!("{row}, {what}: nothing failed: {report:#?}"));
        assert_eq!(cause.check, *check, "{row}, {what}: {cause:#?}");
        assert!(cause.rows.contains(row), "{row}, {what}: {cause:#?}");
        assert!(cause.fix.is_some(), "{row}, {what}: {cause:#?}");
        assert_eq!(cause_of(&report), *check);
        assert!(ROWS.contains(&(row, *check, "fail")), "{row}, {what} is not in the table");
    }
}

/// Only what does not stop anybody yet stands outside the set-ups above.
#[test]
fn every_row_of_the_table_has_a_set_up() {
    for (row, check, verdict) in ROWS {
        let set_up = SETUPS.iter().any(|(own, by, ..)| own == row && by == check);
        assert!(set_up || *verdict == "warn", "{row} {check}");
    }
}

#[tokio::test]
async fn a_certificate_about_to_end_is_warned_of() {
    let mut scenario = Scenario::of(RegistryKind::Distribution2);
    scenario.bundle.push_str(&CertifiedKey::until("old", 2022).pem);
    let report = scenario.with_its_files().diagnose().await;
    let finding = report.finding(Check::Key07).unwrap();
    assert_eq!((finding.verdict.as_str(), &*finding.rows), ("warn", &["F88"][..]));
    assert!(report.cause().is_none());
}

/// As distribution 3.0.0 takes it, and as later ones do with a JWK set.
#[tokio::test]
async fn an_id_that_is_of_no_key_is_warned_of_where_the_registry_knows_it() {
    let known = || {
        let mut scenario = named(RegistryKind::Distribution3, BASE_POINT);
        scenario.jwks = Some(scenario.signer.jwks(BASE_POINT));
        scenario
    };
    let bundle = given("bundle.pem", &known().bundle);
    let report = known().given(|inputs| inputs.bundle = Some(bundle)).diagnose().await;
    let finding = report.finding(Check::Jwt05).unwrap();
    assert_eq!((finding.verdict.as_str(), &*finding.rows), ("warn", &["F91"][..]));
    assert!(finding.summary.contains("P-256"), "{finding:?}");
    assert!(finding.fix.as_ref().unwrap().contains("JWK set under this very id"), "{finding:?}");
    assert!(report.cause().is_none(), "{report:#?}");
    let report = known().with_its_files().diagnose().await;
    assert_eq!(report.finding(Check::Jwt05).unwrap().verdict.as_str(), "pass");
}

/// The id of every P-256 key of `docker_auth` 1.14 with `disable_legacy_key_id`.
const BASE_POINT: &str = "xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M";
