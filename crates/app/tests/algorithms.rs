//! A key for each service: Debian's docker-registry takes RS256, and the registry of this installation ES256.
//!
//! ```text
//! portpass ── service `registry`, ES256 ──> its own registry
//!          ├─ service `old`, RS256, x5c ──> docker-registry with the root alone
//!          └─ service `older`, RS256, libtrust ──> docker-registry with the whole bundle
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::prelude::*;
use portpass_testkit::{Distribution, Portpass, TrustedTokens};
use reqwest::StatusCode;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "correct horse battery staple";
const FILE: &str = "{folder}/portpass.yml";
const CONFIGURATION: &str = "\
data: data
http: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  introspection: { to: \"user:local/registry\" }
  services:
    - { name: registry }
    - { name: old, algorithm: RS256 }
    - { name: older, algorithm: RS256, key_id: libtrust }
";

/// Who gives tokens.
struct World {
    portpass: Portpass,
    url: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("portpass.yml"), CONFIGURATION).unwrap();
        let portpass = Portpass::serve_in(Path::new(PROGRAM), &["--config", FILE], folder);
        let url = portpass.url();
        let world = Self { portpass, url };
        for account in ["ann", "registry"] {
            world.manage(&["user", "add", account, "--password-stdin"]);
        }
        world
    }

    fn manage(&self, words: &[&str]) -> String {
        let words = [words, &["--config", FILE]].concat();
        self.portpass.command(&words, PASSWORD).expect_success().stdout.clone()
    }

    /// Of each key: its algorithm, its phase and the services that it signs for.
    fn keys(&self) -> Vec<(String, String, Value)> {
        let listed = self.manage(&["signing-key", "list", "--json"]);
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        let row =
            |key: &Value| (text(key, "algorithm"), text(key, "phase"), key["services"].clone());
        listed.iter().map(row).collect()
    }

    /// The certificate of the root, without those of the keys.
    fn root(&self) -> PathBuf {
        let bundle = fs::read_to_string(self.bundle()).unwrap();
        let end = "-----END CERTIFICATE-----\n";
        let path = self.portpass.folder().join("root-alone.crt");
        fs::write(&path, &bundle[..bundle.find(end).unwrap() + end.len()]).unwrap();
        path
    }

    fn bundle(&self) -> PathBuf {
        self.portpass.folder().join("data/root.crt")
    }

    /// Debian's registry, with the certificates of this moment.
    fn distribution(&self, service: &str, bundle: &Path) -> Distribution {
        let realm = format!("{}/token", self.url);
        let tokens = TrustedTokens { realm: &realm, service, issuer: "portpass", bundle };
        Distribution::start(&tokens)
    }
}

fn url(registry: &Distribution) -> String {
    format!("http://{}", registry.address())
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn token(url: &str, service: &str) -> String {
    let query = [("service", service), ("scope", "repository:ann/app:pull")];
    let request = client().get(format!("{url}/token")).query(&query);
    let answer = request.basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn algorithm(token: &str) -> String {
    header(token)["alg"].as_str().unwrap().to_owned()
}

fn header(token: &str) -> Value {
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&header).unwrap()
}

/// With another signature: its first letter is changed, since the last has bits that do not count.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let letter = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{letter}{}", &signature[1..])
}

/// 404 where the token counts: there is no such image.
async fn pull(registry: &str, token: &str) -> StatusCode {
    let url = format!("{registry}/v2/ann/app/manifests/latest");
    client().get(url).bearer_auth(token).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_registry_takes_the_tokens_of_its_own_algorithm() {
    let world = World::new();
    let (old, older) =
        (world.distribution("old", &world.root()), world.distribution("older", &world.bundle()));
    let registries = [
        ("registry", "ES256", world.url.clone()),
        ("old", "RS256", url(&old)),
        ("older", "RS256", url(&older)),
    ];
    for (service, expected, registry) in &registries {
        let token = token(&world.url, service).await;
        assert_eq!(algorithm(&token), *expected, "{service}");
        for (other, _, address) in &registries {
            let status = if other == service { 404 } else { 401 };
            assert_eq!(pull(address, &token).await, status, "for {service} at {other}");
        }
        assert!(is_active(&world, &token).await, "{service}");
        assert_eq!(pull(registry, &forged(&token)).await, 401, "{service}");
    }
    let set: Value = json_of(format!("{}/.well-known/jwks.json", world.url)).await;
    let algorithms: Vec<_> =
        set["keys"].as_array().unwrap().iter().map(|key| &key["alg"]).collect();
    assert_eq!(algorithms, [&json!("ES256"), &json!("RS256")]);
    let signing =
        |algorithm: &str, services: Value| (algorithm.to_owned(), "signing".to_owned(), services);
    let expected =
        [signing("ES256", json!(["registry"])), signing("RS256", json!(["old", "older"]))];
    assert_eq!(world.keys(), expected);
}

/// While tokens are fetched and used at both registries, first the one key is replaced, then the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_key_is_replaced_on_its_own_and_no_request_fails() {
    let world = World::new();
    let old = world.distribution("old", &world.root());
    let stop = Arc::new(AtomicBool::new(false));
    let loads = [("registry", world.url.clone()), ("old", url(&old))].map(|(service, registry)| {
        tokio::spawn(load(world.url.clone(), service, registry, Arc::clone(&stop)))
    });
    for algorithm in ["RS256", "ES256"] {
        let before = key_of(&token(&world.url, service_of(algorithm)).await);
        world.manage(&["signing-key", "rotate", "--algorithm", algorithm]);
        while key_of(&token(&world.url, service_of(algorithm)).await) == before {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        assert!(load.await.unwrap() > 0);
    }
    let phases: Vec<_> =
        world.keys().into_iter().map(|(algorithm, phase, _)| (algorithm, phase)).collect();
    let key = |algorithm: &str, phase: &str| (algorithm.to_owned(), phase.to_owned());
    let expected = [
        key("ES256", "retired"),
        key("RS256", "retired"),
        key("RS256", "signing"),
        key("ES256", "signing"),
    ];
    assert_eq!(phases, expected);
    // Who names keys by id needs the new file.
    let older = world.distribution("older", &world.bundle());
    assert_eq!(pull(&url(&older), &token(&world.url, "older").await).await, 404);

    let words = ["signing-key", "rotate", "--algorithm", "EdDSA", "--config", FILE];
    let refused = world.portpass.command(&words, "");
    assert!(
        refused.output().contains("no service signs by EdDSA; in use: ES256, RS256"),
        "{refused}"
    );
}

/// Fetches tokens and uses them, and the first one again, until it is told to stop.
async fn load(
    tokens: String,
    service: &'static str,
    registry: String,
    stop: Arc<AtomicBool>,
) -> usize {
    let first = token(&tokens, service).await;
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let another = token(&tokens, service).await;
        for token in [&first, &another] {
            assert_eq!(pull(&registry, token).await, StatusCode::NOT_FOUND, "{service}");
        }
        rounds += 1;
    }
    rounds
}

fn service_of(algorithm: &str) -> &'static str {
    if algorithm == "RS256" { "old" } else { "registry" }
}

/// The first certificate that a token carries.
fn key_of(token: &str) -> Value {
    header(token)["x5c"][0].clone()
}

async fn is_active(world: &World, token: &str) -> bool {
    let request = client().post(format!("{}/oauth/introspect", world.url));
    let request = request.form(&[("token", token)]).basic_auth("registry", Some(PASSWORD));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["active"] == true
}

async fn json_of(url: String) -> Value {
    client().get(url).send().await.unwrap().json().await.unwrap()
}
