//! A registry with its token service, and two accounts that must not reach each other.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use base64::prelude::*;
use portpass_protocol::Digest;
use portpass_testkit::{Certificates, Portpass};
use serde_json::Value;

use crate::wire::{Answer, request, send};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// Of every account.
pub(crate) const PASSWORD: &str = "opensesame";
const HASH: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

/// What bob has, and nobody else may see.
pub(crate) const SECRET: &[u8] = b"the plans for the winter";

const CONFIGURATION: &str = "\
data: {folder}/data
http: { addr: 127.0.0.1:0 }
admin: { addr: 127.0.0.1:0 }
registry:
  storage: { delete: { enabled: true } }
token_service:
  services: [ { name: registry }, { name: elsewhere } ]
  accounts: [ htpasswd: { path: users } ]
  anonymous: true
  limits: { enabled: false }
  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push, delete], repository: \"${account}/**\", to: signed-in }
";

/// A server of this run's own.
pub(crate) struct World {
    pub(crate) portpass: Portpass,
    /// How much had been logged before anybody came.
    quiet: usize,
}

impl World {
    /// With ann, bob, and bob's secret in `bob/secret`.
    pub(crate) fn new() -> Self {
        Self::with_accounts(&["ann", "bob"])
    }

    pub(crate) fn with_accounts(names: &[&str]) -> Self {
        let world = Self::start(names, CONFIGURATION, &[]);
        if names.contains(&"bob") {
            world.push("bob", "bob/secret", SECRET);
        }
        world
    }

    /// With ann alone, and no more open files than these; over TLS with such a certificate.
    pub(crate) fn with_files(files: u32, tls: Option<&Certificates>) -> Self {
        let limit = format!("--nofile={files}");
        let file = |path: PathBuf| path.to_str().unwrap().to_owned();
        let encrypted = tls.map(|tls| {
            let (certificate, key) = (file(tls.certificate()), file(tls.key()));
            format!("addr: 127.0.0.1:0, tls: {{ certificate: {certificate}, key: {key} }}")
        });
        let configuration = match encrypted {
            Some(http) => CONFIGURATION.replacen("addr: 127.0.0.1:0", &http, 1),
            None => CONFIGURATION.to_owned(),
        };
        Self::start(&["ann"], &configuration, &["prlimit".to_owned(), limit])
    }

    fn start(names: &[&str], configuration: &str, starter: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        fs::write(folder.path().join("portpass.yml"), configuration.replace("{folder}", here))
            .unwrap();
        let lines: Vec<String> = names.iter().map(|name| format!("{name}:{HASH}\n")).collect();
        fs::write(folder.path().join("users"), lines.concat()).unwrap();
        let portpass = Portpass::serve_by(
            starter,
            Path::new(PROGRAM),
            &["--config", "{folder}/portpass.yml"],
            folder,
        );
        let quiet = portpass.log().len();
        Self { portpass, quiet }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.portpass.address()
    }

    /// What has been logged since it began to listen.
    pub(crate) fn log(&self) -> String {
        self.portpass.log().split_off(self.quiet)
    }

    /// One request with these headers.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        self.send(&request(method, target, headers, b""))
    }

    /// With a token.
    pub(crate) fn ask_with(&self, token: &str, method: &str, target: &str) -> Answer {
        self.ask(method, target, &[&format!("Authorization: Bearer {token}")])
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        let said = || String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
        send(self.address(), bytes).unwrap_or_else(|| panic!("no answer to {}", said()))
    }

    /// A token for one scope, percent-encoded here.
    pub(crate) fn token(&self, account: &str, scope: &str) -> String {
        self.token_for("registry", account, scope)
    }

    pub(crate) fn token_for(&self, service: &str, account: &str, scope: &str) -> String {
        let target = format!("/token?service={service}&scope={}", encoded(scope));
        let answer = self.ask("GET", &target, &[&basic(account, PASSWORD)]);
        assert_eq!(answer.status, 200, "{account} {scope}: {answer:?}");
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Puts an image of one layer under the tag `v1`.
    pub(crate) fn push(&self, account: &str, repository: &str, layer: &[u8]) {
        let token = self.token(account, &format!("repository:{repository}:pull,push"));
        let bearer = format!("Authorization: Bearer {token}");
        for blob in [layer, CONFIG] {
            let target = format!("/v2/{repository}/blobs/uploads/?digest={}", Digest::sha256(blob));
            assert_eq!(self.send(&request("POST", &target, &[&bearer], blob)).status, 201);
        }
        let target = format!("/v2/{repository}/manifests/v1");
        let kind = format!("Content-Type: {KIND}");
        let answer = self.send(&request("PUT", &target, &[&bearer, &kind], &manifest(layer)));
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

/// The claims of a token, without asking who signed it.
pub(crate) fn claims(token: &str) -> Value {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

pub(crate) fn basic(account: &str, password: &str) -> String {
    format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("{account}:{password}")))
}

/// Every byte but letters and digits.
pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The manifest of an image of one layer.
pub(crate) fn manifest(layer: &[u8]) -> Vec<u8> {
    let pointer = |kind: &str, bytes: &[u8]| serde_json::json!({ "mediaType": kind, "digest": Digest::sha256(bytes), "size": bytes.len() });
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": KIND,
        "config": pointer("application/vnd.oci.image.config.v1+json", CONFIG),
        "layers": [pointer("application/vnd.oci.image.layer.v1.tar", layer)],
    })
    .to_string()
    .into_bytes()
}

const CONFIG: &[u8] = b"{}";
/// The media type of an image of OCI.
pub(crate) const KIND: &str = "application/vnd.oci.image.manifest.v1+json";
