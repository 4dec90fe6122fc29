//! Tokens, keys and settings with one fault each.

use portpass_testkit::http::reply;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::{
    InputFile, Report,
    tests::tokens::{
        certified_key::CertifiedKey,
        scenario::{RegistryKind, Scenario, given},
    },
};

pub(super) fn without_signature(token: &str) -> String {
    token.rsplit_once('.').map(|(head, _)| head.to_owned()).unwrap_or_default()
}

pub(super) fn later(time: &Value, seconds: u64) -> Value {
    (time.as_u64().unwrap() + seconds).into()
}

pub(super) fn entry(name: &str, actions: &[&str]) -> Value {
    json!([{ "type": "repository", "name": name, "actions": actions }])
}

pub(super) async fn claims(kind: RegistryKind, edit: fn(&mut Value)) -> Report {
    Scenario::of(kind).claims(edit).diagnose().await
}

pub(super) async fn header(kind: RegistryKind, edit: fn(&mut Value)) -> Report {
    Scenario::of(kind).header(edit).diagnose().await
}

pub(super) async fn access(value: Value) -> Report {
    Scenario::of(RegistryKind::Distribution2)
        .claims(move |claims| claims["access"] = value.clone())
        .diagnose()
        .await
}

pub(super) fn issuer(name: &str) -> Scenario {
    let mut scenario = Scenario::of(RegistryKind::Distribution2);
    scenario.issuer = name.to_owned();
    scenario
}

pub(super) fn named(kind: RegistryKind, id: &str) -> Scenario {
    let id = id.to_owned();
    Scenario::of(kind).header(move |header| header["kid"] = id.clone().into())
}

/// The registry has its JWK set under the issuer's own name; tokens come with the fingerprint.
pub(super) fn keycloak() -> Scenario {
    let mut scenario = Scenario::of(RegistryKind::Distribution3);
    scenario.bundle = CertifiedKey::new("another").pem;
    scenario.jwks = Some(scenario.signer.jwks("FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE2"));
    scenario
}

pub(super) fn another_pair(kind: RegistryKind) -> Scenario {
    let mut scenario = Scenario::of(kind);
    scenario.bundle = CertifiedKey::new("another").pem;
    scenario
}

/// Tokens under the name of the key that the registry trusts, signed by another.
pub(super) fn misnamed(kind: RegistryKind) -> Scenario {
    let trusted = CertifiedKey::new("tokens");
    let mut scenario = Scenario::of(kind);
    scenario.bundle.clone_from(&trusted.pem);
    let id =
        if kind == RegistryKind::Distribution2 { trusted.libtrust() } else { trusted.thumbprint() };
    scenario.header(move |header| header["kid"] = id.clone().into())
}

pub(super) fn untrusted_chain() -> Scenario {
    let scenario = another_pair(RegistryKind::Distribution2);
    let chain = scenario.signer.x5c();
    scenario.header(move |header| header["x5c"] = chain.clone())
}

pub(super) async fn bundle(content: Vec<u8>) -> Report {
    let content = Ok(content.into());
    let scenario = another_pair(RegistryKind::Distribution2);
    scenario
        .given(|inputs| inputs.bundle = Some(InputFile { path: "b.pem".into(), content }))
        .diagnose()
        .await
}

/// Without a repository and an opaque token: nothing but the files can tell.
pub(super) async fn key_without_token() -> Report {
    let scenario = another_pair(RegistryKind::Portpass).rewritten(|_| "b3BhcXVl".to_owned());
    let scenario = scenario.behind(|seen| {
        let shown = seen.authorization.as_deref()?;
        shown.contains("b3BhcXVl").then(|| reply(503, "{}"))
    });
    let pair = KeyPair::generate().unwrap();
    let pem = pair.serialize_pem();
    let mut scenario =
        scenario.with_its_files().given(|inputs| inputs.token_key = Some(given("key.pem", &pem)));
    scenario.repository = false;
    scenario.diagnose().await
}

pub(super) fn pem_to_der(pem: &str) -> Vec<u8> {
    portpass_jose::TrustRoots::from_pem(pem).unwrap().certificates()[0].der().to_vec()
}

/// An authority in PEM, and a certificate that it issued in DER.
pub(super) fn authority() -> (String, Vec<u8>) {
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
