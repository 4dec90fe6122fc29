//! A certified OpenID provider that is not ours: discovery, keys and access tokens of RFC 9068 as it makes them.

use std::{fs, path::Path};

use portpass_testkit::{Client as _, OpenIdProvider, Portpass, RegistryAddress, Skopeo};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::{
    PROGRAM,
    exchange::{GRANT, JWT},
};

const AUDIENCE: &str = "registry.example.com";

fn serve(provider: &OpenIdProvider, client: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "data: {}/data
http: {{ addr: 127.0.0.1:0 }}
registry: {{}}
token_service:
  services: [ {{ name: registry }} ]
  accounts:
    - workload:
        issuer: {}
        audience: {AUDIENCE}
        accounts: [ {{ name: 'ci/${{claim:sub}}', when: {{ client_id: {client} }}, groups: 'scope:${{claim:scope}}' }} ]
  policy:
    - {{ allow: [pull, push], repository: 'ci/**', to: 'group:scope:push' }}
",
        folder.path().display(),
        provider.url()
    );
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder)
}

async fn token_of(provider: &OpenIdProvider) -> String {
    let (name, secret) = OpenIdProvider::CLIENT;
    let form = [("grant_type", "client_credentials"), ("scope", "push")];
    let request = Client::builder().build().unwrap().post(provider.token_url());
    let answer = request.basic_auth(name, Some(secret)).form(&form).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_access_tokens_log_in_and_are_exchanged() {
    let provider = OpenIdProvider::start(AUDIENCE);
    let portpass = serve(&provider, "ci");
    let token = token_of(&provider).await;
    let place = RegistryAddress::plain(portpass.address());
    let mut skopeo = Skopeo::default();
    skopeo.login(&place, "oidc", &token).unwrap().expect_success();

    let form = [
        ("grant_type", GRANT),
        ("subject_token", &token),
        ("subject_token_type", JWT),
        ("scope", "repository:ci/app:pull,push repository:other:pull"),
    ];
    let request = Client::builder().build().unwrap().post(format!("{}/token", portpass.url()));
    let answer = request.form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["scope"], "repository:ci/app:pull,push");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_not_meant_is_refused() {
    let provider = OpenIdProvider::start(AUDIENCE);
    let portpass = serve(&provider, "somebody-else");
    let place = RegistryAddress::plain(portpass.address());
    let token = token_of(&provider).await;
    Skopeo::default().login(&place, "oidc", &token).unwrap().expect_failure();
    portpass.wait_for_log(&["workload-claims", "client_id"]);
}
