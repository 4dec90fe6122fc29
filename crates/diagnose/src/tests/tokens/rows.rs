//! One set-up for each row of the failure catalogue: the check that names it, and no other failure beside it.

use std::{future::Future, pin::Pin};

use portpass_testkit::http::{challenge, reply};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::world::{Like, Pair, World, cause_of, every_second, given, unnamed};
use crate::{Check, Given, Report, facts::Demand};

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
        Box::pin(World::of(Like::Two).rewritten(|token| without_signature(&token)).diagnose())
    }),
    ("F70", Check::Jwt01, "cut short", || {
        Box::pin(
            World::of(Like::Three).rewritten(|token| token[..token.len() - 20].into()).diagnose(),
        )
    }),
    ("F70", Check::Jwt01, "an opaque word", || {
        Box::pin(World::of(Like::Two).rewritten(|_| "c2Vzc2lvbg".into()).diagnose())
    }),
    ("F70", Check::Jwt01, "an opaque word that no header can carry", || {
        Box::pin(World::of(Like::Two).rewritten(|_| "c2Vzc2lvbg\u{1b}".into()).diagnose())
    }),
    ("F70", Check::Jwt02, "quotes", || {
        Box::pin(World::of(Like::Three).rewritten(|token| format!("\"{token}\"")).diagnose())
    }),
    ("F70", Check::Jwt02, "a line break", || {
        Box::pin(World::of(Like::Two).rewritten(|token| format!("{token}\n")).diagnose())
    }),
    ("F71", Check::Jwt02, "padded", || {
        Box::pin(World::of(Like::Three).rewritten(|token| format!("{token}==")).diagnose())
    }),
    ("F72", Check::Clm01, "a list", || {
        Box::pin(claims(Like::Two, |claims| claims["aud"] = json!([claims["aud"]])))
    }),
    ("F73", Check::Jwt07, "exp as text", || {
        Box::pin(claims(Like::Three, |claims| claims["exp"] = claims["exp"].to_string().into()))
    }),
    ("F73", Check::Jwt07, "exp with a fraction", || {
        Box::pin(claims(Like::Two, |claims| claims["exp"] = json!(1.8e9 + 0.5)))
    }),
    ("F73", Check::Jwt07, "iat as a date", || {
        Box::pin(claims(Like::Three, |claims| claims["iat"] = "2027-01-15T08:00:00Z".into()))
    }),
    ("F74", Check::Jwt07, "no exp", || {
        Box::pin(claims(Like::Two, |claims| drop(claims.as_object_mut().unwrap().remove("exp"))))
    }),
    ("F75", Check::Clm02, "with --issuer", || {
        Box::pin(issuer("https://tokens.example/").with_its_files().diagnose())
    }),
    ("F75", Check::Clm02, "with --registry-config", || {
        let yaml = "auth: { token: { issuer: Tokens.example, service: registry.example } }";
        let world = issuer("Tokens.example");
        Box::pin(
            world.given(|inputs| inputs.registry_config = Some(given("c.yml", yaml))).diagnose(),
        )
    }),
    ("F75", Check::Key06, "with nothing", || Box::pin(issuer("https://tokens.example").diagnose())),
    ("F75", Check::Key06, "with nothing, distribution 3", || {
        let mut world = World::of(Like::Three);
        world.issuer = "another".to_owned();
        Box::pin(world.diagnose())
    }),
    ("F76", Check::Clm01, "another name", || {
        Box::pin(claims(Like::Two, |claims| claims["aud"] = "Registry.example".into()))
    }),
    ("F76", Check::Clm01, "none", || {
        Box::pin(claims(Like::Three, |claims| drop(claims.as_object_mut().unwrap().remove("aud"))))
    }),
    ("F77", Check::Clm03, "local time", || {
        Box::pin(claims(Like::Two, |claims| claims["nbf"] = later(&claims["nbf"], 7200)))
    }),
    ("F78", Check::Clm04, "the registry's clock", || {
        let mut world = World::of(Like::Three);
        world.ahead = 3600;
        Box::pin(world.diagnose())
    }),
    ("F79", Check::Jwt08, "too long for the proxy", || {
        let world =
            World::of(Like::Three).claims(|claims| claims["groups"] = "g".repeat(9000).into());
        let too_long = |seen: &portpass_testkit::http::Seen| {
            let length = seen.authorization.as_ref().map_or(0, String::len);
            (length > 8192)
                .then(|| reply(400, "<html>400 Request Header Or Cookie Too Large</html>"))
        };
        Box::pin(world.behind(too_long).diagnose())
    }),
    ("F80", Check::Jwt04, "no key id", || {
        let world = World::of(Like::Two);
        Box::pin(
            world.header(|header| drop(header.as_object_mut().unwrap().remove("kid"))).diagnose(),
        )
    }),
    ("F81", Check::Key02, "a fingerprint of something else", || {
        Box::pin(named(Like::Two, &Pair::new("x").libtrust()).with_its_files().diagnose())
    }),
    ("F81", Check::Key02, "a thumbprint of something else", || {
        Box::pin(named(Like::Three, &Pair::new("x").thumbprint()).with_its_files().diagnose())
    }),
    ("F81", Check::Key06, "with nothing", || {
        Box::pin(named(Like::Two, &Pair::new("x").libtrust()).diagnose())
    }),
    ("F82", Check::Jwt05, "libtrust for distribution 3", || {
        let world = World::of(Like::Three);
        let id = world.signer.libtrust();
        Box::pin(world.header(move |header| header["kid"] = id.clone().into()).diagnose())
    }),
    ("F82", Check::Jwt05, "RFC 7638 for distribution 2", || {
        let world = World::of(Like::Two);
        let id = world.signer.thumbprint();
        Box::pin(world.header(move |header| header["kid"] = id.clone().into()).diagnose())
    }),
    ("F83", Check::Key02, "with the JWK set", || {
        Box::pin(keycloak().with_its_files().given(|inputs| inputs.bundle = None).diagnose())
    }),
    ("F83", Check::Key06, "with nothing", || Box::pin(keycloak().diagnose())),
    ("F84", Check::Key02, "another pair", || {
        Box::pin(another_pair(Like::Two).with_its_files().diagnose())
    }),
    ("F84", Check::Key03, "another pair under the old name", || {
        Box::pin(misnamed(Like::Two).with_its_files().diagnose())
    }),
    ("F84", Check::Key03, "distribution 3, with its files", || {
        Box::pin(misnamed(Like::Three).with_its_files().diagnose())
    }),
    ("F84", Check::Key06, "distribution 3, with nothing", || {
        Box::pin(misnamed(Like::Three).diagnose())
    }),
    ("F84", Check::Key06, "distribution 2, with nothing", || {
        Box::pin(misnamed(Like::Two).diagnose())
    }),
    ("F84", Check::Key06, "portpass, with nothing", || {
        Box::pin(misnamed(Like::Portpass).diagnose())
    }),
    ("F84", Check::Key05, "the token service's key alone", || Box::pin(key_without_token())),
    ("F85", Check::Key04, "the TLS certificate", || {
        let mut world = another_pair(Like::Two);
        world.tls_leaf = Some(pem_to_der(&world.bundle));
        Box::pin(world.with_its_files().diagnose())
    }),
    ("F85", Check::Key04, "the authority of the TLS certificate", || {
        let (authority, leaf) = authority();
        let mut world = World::of(Like::Three);
        world.bundle = authority;
        world.tls_leaf = Some(leaf);
        Box::pin(world.with_its_files().diagnose())
    }),
    ("F85", Check::Key06, "with nothing", || Box::pin(another_pair(Like::Three).diagnose())),
    ("F86", Check::Key01, "a private key", || {
        Box::pin(bundle(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec()))
    }),
    ("F86", Check::Key01, "DER", || Box::pin(bundle(Pair::new("x").der))),
    ("F86", Check::Key01, "empty", || Box::pin(bundle(b"\n".to_vec()))),
    ("F86", Check::Key01, "not readable", || {
        let content = Err("Permission denied (os error 13)".to_owned());
        let world = another_pair(Like::Two);
        Box::pin(
            world
                .given(|inputs| inputs.bundle = Some(Given { path: "b.pem".into(), content }))
                .diagnose(),
        )
    }),
    ("F87", Check::Jwt06, "the other alphabet", || {
        let world = World::of(Like::Two);
        let chain = world.signer.x5c();
        let chain = chain[0].as_str().unwrap().replace('+', "-").replace('/', "_");
        Box::pin(world.header(move |header| header["x5c"] = json!([chain])).diagnose())
    }),
    ("F87", Check::Key02, "a chain to nobody", || {
        Box::pin(untrusted_chain().with_its_files().diagnose())
    }),
    ("F87", Check::Key06, "with nothing", || Box::pin(untrusted_chain().diagnose())),
    ("F88", Check::Jwt06, "expired", || {
        let mut world = World::of(Like::Three);
        world.signer = Pair::until("old", 2022);
        world.bundle = world.signer.pem.clone();
        let chain = world.signer.x5c();
        Box::pin(world.header(move |header| header["x5c"] = chain.clone()).diagnose())
    }),
    ("F89", Check::Jwt03, "none", || {
        Box::pin(header(Like::Three, |header| header["alg"] = "none".into()))
    }),
    ("F89", Check::Jwt03, "a shared secret", || {
        Box::pin(header(Like::Two, |header| header["alg"] = "HS256".into()))
    }),
    ("F89", Check::Jwt03, "EdDSA for distribution 2", || {
        Box::pin(header(Like::Two, |header| header["alg"] = "EdDSA".into()))
    }),
    ("F89", Check::Jwt06, "another algorithm than the certificate's", || {
        let world = World::of(Like::Three);
        let chain = world.signer.x5c();
        let wrong = move |header: &mut Value| {
            header["x5c"] = chain.clone();
            header["alg"] = "EdDSA".into();
        };
        Box::pin(world.header(wrong).diagnose())
    }),
    ("F90", Check::Key01, "no list", || {
        let yaml = "auth: { token: { signingalgorithms: RS256 } }";
        let world = issuer("another");
        Box::pin(
            world.given(|inputs| inputs.registry_config = Some(given("c.yml", yaml))).diagnose(),
        )
    }),
    ("F91", Check::Jwt05, "the base point's id, distribution 3", || {
        Box::pin(named(Like::Three, BASE_POINT).diagnose())
    }),
    ("F91", Check::Jwt05, "the same, with its files", || {
        Box::pin(named(Like::Three, BASE_POINT).with_its_files().diagnose())
    }),
    ("F91", Check::Jwt05, "the same, distribution 2", || {
        Box::pin(named(Like::Two, BASE_POINT).with_its_files().diagnose())
    }),
    ("F91", Check::Key06, "a wrong thumbprint at the registry", || {
        let world = World::of(Like::Three).with_its_files();
        Box::pin(World { bundle: Pair::new("x").pem, ..world }.diagnose())
    }),
    ("F92", Check::Use02, "a node that knows another key", || {
        let second = every_second();
        let world = World::of(Like::Two).behind(move |seen| {
            second(seen)
                .then(|| challenge("Bearer realm=\"r\",service=\"s\",error=\"invalid_token\""))
        });
        Box::pin(world.diagnose())
    }),
    ("F100", Check::Acc01, "null", || Box::pin(access(Value::Null))),
    ("F100", Check::Acc01, "empty", || Box::pin(access(json!([])))),
    ("F100", Check::Acc01, "missing", || {
        Box::pin(claims(Like::Three, |claims| {
            drop(claims.as_object_mut().unwrap().remove("access"));
        }))
    }),
    ("F101", Check::Acc04, "as OAuth has it", || {
        Box::pin(claims(Like::Two, |claims| {
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
        let mut world = World::of(Like::Two).claims(|claims| claims["access"] = json!([]));
        world.anonymous = true;
        Box::pin(world.diagnose())
    }),
    ("F120", Check::Use01, "the proxy drops it", || {
        Box::pin(World { strips: true, ..World::of(Like::Two) }.diagnose())
    }),
    ("F127", Check::Use06, "after the wait", || {
        let mut world = World::of(Like::Three);
        let clock = world.clock.clone();
        let end = portpass_token::Clock::now(&*clock) + std::time::Duration::from_mins(6);
        world = world.behind(move |seen| {
            let late = portpass_token::Clock::now(&*clock) > end;
            (late && seen.path != "/token").then(|| unnamed(seen))
        });
        world.inputs.wait_expiry = true;
        Box::pin(world.diagnose())
    }),
    ("F128", Check::Jwt07, "null in the list", || Box::pin(access(json!([null])))),
    ("F144", Check::Use02, "a hash that is not bcrypt", || {
        let mut world =
            World::of(Like::Two).behind(|_| Some(challenge("Basic realm=\"the file\"")));
        world.demand = Some(Demand::Basic);
        Box::pin(world.diagnose())
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
    let mut world = World::of(Like::Two);
    world.bundle.push_str(&Pair::until("old", 2022).pem);
    let report = world.with_its_files().diagnose().await;
    let finding = report.finding(Check::Key07).unwrap();
    assert_eq!((finding.verdict.as_str(), &*finding.rows), ("warn", &["F88"][..]));
    assert!(report.cause().is_none());
}

/// As distribution 3.0.0 takes it, and as later ones do with a JWK set.
#[tokio::test]
async fn an_id_that_is_of_no_key_is_warned_of_where_the_registry_knows_it() {
    let known = || {
        let mut world = named(Like::Three, BASE_POINT);
        world.jwks = Some(world.signer.jwks(BASE_POINT));
        world
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

fn without_signature(token: &str) -> String {
    token.rsplit_once('.').map(|(head, _)| head.to_owned()).unwrap_or_default()
}

fn later(time: &Value, seconds: u64) -> Value {
    (time.as_u64().unwrap() + seconds).into()
}

fn entry(name: &str, actions: &[&str]) -> Value {
    json!([{ "type": "repository", "name": name, "actions": actions }])
}

async fn claims(like: Like, edit: fn(&mut Value)) -> Report {
    World::of(like).claims(edit).diagnose().await
}

async fn header(like: Like, edit: fn(&mut Value)) -> Report {
    World::of(like).header(edit).diagnose().await
}

async fn access(value: Value) -> Report {
    World::of(Like::Two).claims(move |claims| claims["access"] = value.clone()).diagnose().await
}

fn issuer(name: &str) -> World {
    let mut world = World::of(Like::Two);
    world.issuer = name.to_owned();
    world
}

fn named(like: Like, id: &str) -> World {
    let id = id.to_owned();
    World::of(like).header(move |header| header["kid"] = id.clone().into())
}

/// The registry has its JWK set under the issuer's own name; tokens come with the fingerprint.
fn keycloak() -> World {
    let mut world = World::of(Like::Three);
    world.bundle = Pair::new("another").pem;
    world.jwks = Some(world.signer.jwks("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE2"));
    world
}

fn another_pair(like: Like) -> World {
    let mut world = World::of(like);
    world.bundle = Pair::new("another").pem;
    world
}

/// Tokens under the name of the key that the registry trusts, signed by another.
fn misnamed(like: Like) -> World {
    let trusted = Pair::new("tokens");
    let mut world = World::of(like);
    world.bundle.clone_from(&trusted.pem);
    let id = if like == Like::Two { trusted.libtrust() } else { trusted.thumbprint() };
    world.header(move |header| header["kid"] = id.clone().into())
}

fn untrusted_chain() -> World {
    let world = another_pair(Like::Two);
    let chain = world.signer.x5c();
    world.header(move |header| header["x5c"] = chain.clone())
}

async fn bundle(content: Vec<u8>) -> Report {
    let content = Ok(content.into());
    let world = another_pair(Like::Two);
    world
        .given(|inputs| inputs.bundle = Some(Given { path: "b.pem".into(), content }))
        .diagnose()
        .await
}

/// Without a repository and an opaque token: nothing but the files can tell.
async fn key_without_token() -> Report {
    let world = another_pair(Like::Portpass).rewritten(|_| "b3BhcXVl".to_owned());
    let world = world.behind(|seen| {
        let shown = seen.authorization.as_deref()?;
        shown.contains("b3BhcXVl").then(|| reply(503, "{}"))
    });
    let pair = KeyPair::generate().unwrap();
    let pem = pair.serialize_pem();
    let mut world =
        world.with_its_files().given(|inputs| inputs.token_key = Some(given("key.pem", &pem)));
    world.repository = false;
    world.diagnose().await
}

fn pem_to_der(pem: &str) -> Vec<u8> {
    portpass_jose::TrustRoots::from_pem(pem).unwrap().certificates()[0].der().to_vec()
}

/// An authority in PEM, and a certificate that it issued in DER.
fn authority() -> (String, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the house's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::from_params(&params, &key);
    let leaf = CertificateParams::new(vec!["registry.example".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    (authority.pem(), leaf.der().to_vec())
}
