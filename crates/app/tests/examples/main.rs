//! The examples of the crates, run against real servers. An example that no test runs fails the first test.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod built;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use portpass_testkit::{
    Client as _, Distribution, Layout, Portpass, RegistryAddress, Skopeo, TrustedTokens, run,
};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Response, StatusCode};
use tempfile::TempDir;

use crate::built::example;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// Those that a test below runs.
const RUN: &[&str] = &[
    "client/pull",
    "diagnose/diagnose",
    "protocol/token_request",
    "token/axum_service",
    "token/mint_for_distribution",
];

#[test]
fn every_example_is_run() {
    assert_eq!(built::names(), RUN, "run the new example in this file, then add it to RUN");
}

#[test]
fn pull_downloads_an_image() {
    let portpass = serve();
    let scratch = tempfile::tempdir().unwrap();
    let image = push(&portpass, scratch.path());
    let target = scratch.path().join("pulled");

    let pulled = run(example("client/pull", scratch.path()).arg(&image).arg(&target), "");
    pulled.expect_success();
    // An index, two manifests, and a configuration and a layer of each.
    assert!(pulled.stdout.starts_with("3 manifests, "), "{pulled}");
    assert_eq!(Layout::blobs(&target), Layout::blobs(&scratch.path().join("layout")));
}

#[test]
fn diagnose_names_the_cause() {
    let portpass = serve();
    let scratch = tempfile::tempdir().unwrap();
    let image = push(&portpass, scratch.path());
    let diagnose = |image: &str| run(example("diagnose/diagnose", scratch.path()).arg(image), "");

    let healthy = diagnose(&image);
    healthy.expect_success();
    assert!(healthy.stdout.starts_with(&image), "{healthy}");
    assert!(!healthy.stdout.contains("cause:"), "{healthy}");

    let private = format!("{}/admin/app:v1", portpass.address());
    let broken = diagnose(&private);
    assert_eq!(broken.status, Some(1), "{broken}");
    assert!(broken.stdout.starts_with(&format!("{private}: fail\n")), "{broken}");
    assert!(broken.stdout.contains("\ncause: "), "{broken}");
    assert!(broken.stdout.contains("\nfix: "), "{broken}");
}

#[tokio::test]
async fn token_request_prints_the_url_that_the_token_service_answers() {
    let portpass = serve();
    let url = format!("{}/v2/admin/app/tags/list", portpass.url());
    let refused = reqwest::get(&url).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();

    let home = tempfile::tempdir().unwrap();
    let printed = run(example("protocol/token_request", home.path()).arg(challenge), "");
    printed.expect_success();
    assert_eq!(printed.stderr, "");
    assert!(printed.stdout.contains("scope=repository%3Aadmin%2Fapp%3Apull"), "{printed}");
    let token = token_from(&portpass, printed.stdout.trim()).await;
    // The token counts, and the repository is not there.
    assert_eq!(get(&url, &token).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn axum_service_takes_the_tokens_that_grant_a_pull() {
    let portpass = serve();
    let home = tempfile::tempdir().unwrap();
    let bundle = portpass.folder().join("data/root.crt");
    let mut service = example("token/axum_service", home.path());
    service.arg(bundle).args(["portpass", "notes", "127.0.0.1:0"]).stdout(Stdio::piped());
    let mut service = Stopped(service.spawn().unwrap());
    let mut printed = BufReader::new(service.0.stdout.take().unwrap()).lines();
    let mut next = || printed.next().unwrap().unwrap();
    let address = next();
    let address = address.strip_prefix("listening on ").unwrap();
    let notes = |repository| format!("http://{address}/notes/{repository}");

    let ours = |service| {
        format!("{}/token?service={service}&scope=repository:admin/app:pull", portpass.url())
    };
    let token = token_from(&portpass, &ours("notes")).await;
    let answer = get(&notes("admin/app"), &token).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), "admin, these are the notes of admin/app\n");
    assert_eq!(get(&notes("admin/other"), &token).await.status(), StatusCode::FORBIDDEN);

    let for_another = token_from(&portpass, &ours("registry")).await;
    let refused = get(&notes("admin/app"), &for_another).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
    let reason = next();
    assert!(reason.contains("registry") && reason.contains("notes"), "{reason}");
    let nothing = reqwest::get(notes("admin/app")).await.unwrap();
    assert_eq!(nothing.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn mint_for_distribution_makes_a_token_that_distribution_takes() {
    let home = tempfile::tempdir().unwrap();
    let [key_file, bundle] = ["key.pem", "certificate.pem"].map(|name| home.path().join(name));
    let key = KeyPair::generate().unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    fs::write(&bundle, CertificateParams::default().self_signed(&key).unwrap().pem()).unwrap();
    let registry = Distribution::start(&TrustedTokens {
        realm: "http://127.0.0.1/token",
        service: "registry",
        issuer: "example",
        bundle: &bundle,
    });

    let mint = |issuer: &str| {
        let mut command = example("token/mint_for_distribution", home.path());
        command.arg(&key_file).arg(&bundle);
        let minted = run(command.args([issuer, "registry", "repository:team/app:pull"]), "");
        minted.expect_success();
        minted.stdout.trim().to_owned()
    };
    let url = |name| format!("http://{}/v2/{name}/tags/list", registry.address());
    let token = mint("example");
    // The token counts, and the repository is not there.
    assert_eq!(get(&url("team/app"), &token).await.status(), StatusCode::NOT_FOUND);
    // What it does not grant, and whom the registry does not know, stays refused.
    assert_eq!(get(&url("team/other"), &token).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get(&url("team/app"), &mint("other")).await.status(), StatusCode::UNAUTHORIZED);
}

/// A registry with its token service, which has tokens for a second service.
fn serve() -> Portpass {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let configuration = format!(
        "data: {}
http: {{ addr: 127.0.0.1:0 }}
registry: {{}}
token_service:
  services: [ {{ name: registry }}, {{ name: notes }} ]
",
        folder.path().join("data").display()
    );
    fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
    Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder)
}

/// Pushes an image that everybody may pull, from `folder/layout`.
fn push(portpass: &Portpass, folder: &Path) -> String {
    let registry = RegistryAddress::plain(portpass.address());
    let mut skopeo = Skopeo::default();
    skopeo.login(&registry, "admin", &password(portpass)).unwrap().expect_success();
    let layout = Layout::multi_arch(&folder.join("layout"), &["amd64", "arm64"]);
    let image = registry.image("public/app:v1");
    skopeo.push(&layout, &image).expect_success();
    image.to_string()
}

fn password(portpass: &Portpass) -> String {
    let file = portpass.folder().join("data/admin-password");
    fs::read_to_string(file).unwrap().trim().to_owned()
}

/// The token that the administrator gets at this URL.
async fn token_from(portpass: &Portpass, url: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the limits of our own client are not tested here"
    )]
    let client = reqwest::Client::new();
    let request = client.get(url).basic_auth("admin", Some(password(portpass)));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: serde_json::Value = answer.json().await.unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

async fn get(url: &str, token: &str) -> Response {
    #[expect(
        clippy::disallowed_methods,
        reason = "the limits of our own client are not tested here"
    )]
    let client = reqwest::Client::new();
    client.get(url).bearer_auth(token).send().await.unwrap()
}

/// A process that ends with its test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
