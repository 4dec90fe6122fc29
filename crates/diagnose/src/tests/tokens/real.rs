//! The same with Debian's docker-registry 2.8: it is what the rules of inference were measured with, and it is
//! told apart and read rightly from its answers alone.

use std::fs;

use portpass_testkit::{Distribution, TrustedTokens};
use serde_json::{Value, json};

use super::certified_key::CertifiedKey;
use super::scenario::{ISSUER, RegistryKind, SERVICE, Scenario, cause_of};
use crate::Check;

struct Real {
    registry: Distribution,
    trusted: CertifiedKey,
    _folder: tempfile::TempDir,
}

impl Real {
    fn start() -> Self {
        let trusted = CertifiedKey::new("tokens");
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle.pem");
        fs::write(&bundle, &trusted.pem).unwrap();
        let realm = "http://127.0.0.1:9/token";
        let tokens = TrustedTokens { realm, service: SERVICE, issuer: ISSUER, bundle: &bundle };
        Self { registry: Distribution::start(&tokens), trusted, _folder: folder }
    }

    /// A token service whose key the registry trusts.
    fn trusted(&self) -> Scenario {
        Scenario::with(RegistryKind::Distribution2, self.trusted.again())
    }

    /// One whose key it does not trust.
    fn stranger(&self) -> Scenario {
        let mut scenario = Scenario::of(RegistryKind::Distribution2);
        scenario.bundle.clone_from(&self.trusted.pem);
        scenario
    }
}

type SetUp = fn(&Real) -> Scenario;

/// Row, check, and what is wrong.
const TABLE: &[(&str, Check, &str, SetUp)] = &[
    ("F82", Check::Jwt05, "an RFC 7638 key id", |real| {
        let id = real.trusted.thumbprint();
        real.trusted().header(move |header| header["kid"] = id.clone().into())
    }),
    ("F70", Check::Jwt01, "a word", |real| real.trusted().rewritten(|_| "opaque".to_owned())),
    ("F70", Check::Jwt02, "quotes", |real| {
        real.trusted().rewritten(|token| format!("\"{token}\""))
    }),
    ("F72", Check::Clm01, "a list of audiences", |real| {
        real.trusted().claims(|claims| claims["aud"] = json!([SERVICE]))
    }),
    ("F73", Check::Jwt07, "exp as text", |real| {
        real.trusted().claims(|claims| claims["exp"] = claims["exp"].to_string().into())
    }),
    ("F74", Check::Jwt07, "no exp", |real| {
        real.trusted().claims(|claims| claims["exp"] = Value::Null)
    }),
    ("F75", Check::Key06, "another issuer", |real| {
        real.trusted().claims(|claims| claims["iss"] = "https://tokens.example".into())
    }),
    ("F75", Check::Clm02, "another issuer, with the registry's", |real| {
        let scenario = real.trusted().claims(|claims| claims["iss"] = "Tokens.example".into());
        scenario.with_its_files()
    }),
    ("F76", Check::Clm01, "another audience", |real| {
        real.trusted().claims(|claims| claims["aud"] = "registry".into())
    }),
    ("F77", Check::Clm03, "two hours ahead", |real| {
        real.trusted()
            .claims(|claims| claims["nbf"] = (claims["nbf"].as_u64().unwrap() + 7200).into())
    }),
    ("F80", Check::Jwt04, "no key id", |real| {
        real.trusted().header(|header| drop(header.as_object_mut().unwrap().remove("kid")))
    }),
    ("F81", Check::Key06, "a fingerprint of something else", |real| misnamed(real)),
    ("F81", Check::Key02, "the same, with its bundle", |real| misnamed(real).with_its_files()),
    ("F84", Check::Key06, "another key under the trusted name", |real| impostor(real)),
    ("F84", Check::Key03, "the same, with its bundle", |real| impostor(real).with_its_files()),
    ("F85", Check::Key06, "another certificate", Real::stranger),
    ("F85", Check::Key04, "the TLS certificate for a bundle", |real| {
        let mut scenario = real.stranger();
        scenario.tls_leaf = Some(real.trusted.der.clone());
        scenario.with_its_files()
    }),
    ("F87", Check::Key06, "a chain to nobody", |real| {
        let scenario = real.stranger();
        let chain = scenario.signer.x5c();
        scenario.header(move |header| header["x5c"] = chain.clone())
    }),
    ("F89", Check::Jwt03, "no signature", |real| {
        real.trusted().header(|header| header["alg"] = "none".into())
    }),
    ("F100", Check::Acc01, "no access", |real| {
        real.trusted().claims(|claims| claims["access"] = Value::Null)
    }),
    ("F101", Check::Acc04, "a scope for access", |real| {
        real.trusted().claims(|claims| {
            claims["access"] = Value::Null;
            claims["scope"] = "repository:team/app:pull".into();
        })
    }),
    ("F102", Check::Acc02, "the host in the name", |real| {
        let entry =
            json!([{ "type": "repository", "name": "host:5000/team/app", "actions": ["pull"] }]);
        real.trusted().claims(move |claims| claims["access"] = entry.clone())
    }),
    ("F103", Check::Acc03, "push alone", |real| {
        let entry = json!([{ "type": "repository", "name": "team/app", "actions": ["push"] }]);
        real.trusted().claims(move |claims| claims["access"] = entry.clone())
    }),
    ("F104", Check::Acc01, "another repository", |real| {
        let entry = json!([{ "type": "repository", "name": "public/app", "actions": ["pull"] }]);
        real.trusted().claims(move |claims| claims["access"] = entry.clone())
    }),
    ("F128", Check::Jwt07, "a number in the list", |real| {
        real.trusted().claims(|claims| claims["access"] = json!([1]))
    }),
];

fn misnamed(real: &Real) -> Scenario {
    let id = CertifiedKey::new("x").libtrust();
    real.trusted().header(move |header| header["kid"] = id.clone().into())
}

fn impostor(real: &Real) -> Scenario {
    let id = real.trusted.libtrust();
    real.stranger().header(move |header| header["kid"] = id.clone().into())
}

#[tokio::test]
async fn distribution_2_is_read_rightly_from_its_answers() {
    let real = Real::start();
    for (row, check, what, set_up) in TABLE {
        let report = set_up(&real).diagnose_real(real.registry.address()).await;
        let cause =
            report.cause().unwrap_or_else(|| panic!("{row}, {what}: nothing failed: {report:#?}"));
        assert_eq!(cause.check, *check, "{row}, {what}: {cause:#?}");
        assert!(cause.rows.contains(row), "{row}, {what}: {cause:#?}");
        assert_eq!(cause_of(&report), *check);
        let style = report.finding(Check::Use04).unwrap();
        assert!(style.summary.contains("distribution 2"), "{style:#?}");
    }
}

#[tokio::test]
async fn distribution_2_with_tokens_that_it_takes_has_no_fault() {
    let real = Real::start();
    let chain = real.trusted.x5c();
    let healthy = [
        ("a libtrust key id", real.trusted()),
        ("a certificate", real.trusted().header(move |header| header["x5c"] = chain.clone())),
        ("padding", real.trusted().rewritten(|token| format!("{token}=="))),
        ("no repository", Scenario { repository: false, ..real.trusted() }),
    ];
    for (what, scenario) in healthy {
        let report = scenario.with_its_files().diagnose_real(real.registry.address()).await;
        assert!(report.cause().is_none(), "{what}: {:#?}", report.cause());
        let taken = report.finding(Check::Use02).unwrap();
        assert_eq!(taken.verdict.as_str(), "pass", "{what}: {taken:#?}");
    }
}

#[tokio::test]
async fn distribution_2_calls_an_expired_token_invalid() {
    let real = Real::start();
    let mut scenario = real.trusted().claims(|claims| {
        claims["exp"] = (claims["exp"].as_u64().unwrap() - 5000).into();
    });
    scenario.now();
    scenario.inputs.token = Some(scenario.token("repository:team/app:pull").into());
    let report = scenario.diagnose_real(real.registry.address()).await;
    assert_eq!(cause_of(&report), Check::Clm04);
    assert_eq!(report.finding(Check::Use06).unwrap().verdict.as_str(), "pass");
}
