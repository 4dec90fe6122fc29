//! A signing key in files that somebody else replaces, and what others are told of tokens and endpoints.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "how long another process takes is what is measured"
)]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use portpass_testkit::{Certificates, Portpass};
use reqwest::StatusCode;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "correct horse battery staple";
const FILE: &str = "{folder}/portpass.yml";

fn serve(configuration: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let pair = Certificates::new();
    fs::copy(pair.certificate(), folder.path().join("tls.crt")).unwrap();
    fs::copy(pair.key(), folder.path().join("tls.key")).unwrap();
    fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
    let portpass = Portpass::serve_in(Path::new(PROGRAM), &["--config", FILE], folder);
    for account in ["ann", "registry"] {
        let words = ["user", "add", account, "--password-stdin", "--config", FILE];
        portpass.command(&words, PASSWORD).expect_success();
    }
    portpass
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn token(url: &str) -> Result<String, StatusCode> {
    let query = [("service", "registry"), ("scope", "repository:ann/app:pull")];
    let request = client().get(format!("{url}/token")).query(&query);
    let answer = request.basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
    match answer.status() {
        StatusCode::OK => {
            let answer: Value = answer.json().await.unwrap();
            Ok(answer["token"].as_str().unwrap().to_owned())
        }
        status => Err(status),
    }
}

/// 404 where the token counts: there is no such image.
async fn pull(url: &str, token: &str) -> StatusCode {
    let url = format!("{url}/v2/ann/app/manifests/latest");
    client().get(url).bearer_auth(token).send().await.unwrap().status()
}

async fn json(url: String) -> Value {
    client().get(url).send().await.unwrap().json().await.unwrap()
}

/// Asks for tokens and uses them, and the first one again, until it is told to stop.
async fn load(url: String, stop: Arc<AtomicBool>) -> usize {
    let first = token(&url).await.unwrap();
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let another = token(&url).await.unwrap();
        for token in [&first, &another] {
            assert_eq!(pull(&url, token).await, StatusCode::NOT_FOUND);
        }
        rounds += 1;
    }
    rounds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_key_signs_and_no_request_fails_meanwhile() {
    let portpass = serve(
        "\
data: data
http: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  signing: { certificate: tls.crt, key: tls.key }
",
    );
    let (folder, url) = (portpass.folder().to_path_buf(), portpass.url());
    let listed = || {
        let words = ["signing-key", "list", "--json", "--config", FILE];
        let listed = portpass.command(&words, "").expect_success().stdout.clone();
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        listed.iter().map(|key| (text(key, "id"), text(key, "phase"))).collect::<Vec<_>>()
    };
    let first = listed().remove(0).0;
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..3).map(|_| tokio::spawn(load(url.clone(), stop.clone()))).collect();

    // Two files cannot change at once: for a while they do not fit.
    let pair = Certificates::new();
    fs::copy(pair.key(), folder.join("tls.key")).unwrap();
    portpass.wait_for_log(&["the changed key is not used", "tls.crt"]);
    let old = token(&url).await.unwrap();
    fs::copy(pair.certificate(), folder.join("tls.crt")).unwrap();
    let changed = portpass.wait_for_log(&["tokens are signed with the changed", "tls.crt"]);

    let keys = listed();
    let [(retired, "retired"), (signing, "from-files")] =
        [(keys[0].0.as_str(), keys[0].1.as_str()), (keys[1].0.as_str(), keys[1].1.as_str())]
    else {
        panic!("{keys:?}")
    };
    assert_eq!(retired, first);
    assert!(changed.contains(signing), "{changed}");
    let set = json(format!("{url}/.well-known/jwks.json")).await;
    let ids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(ids, [&json!(retired), &json!(signing)]);
    assert_eq!(pull(&url, &old).await, StatusCode::NOT_FOUND);
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        assert!(load.await.unwrap() > 0);
    }

    let mut portpass = portpass;
    portpass.restart();
    assert_eq!(pull(&portpass.url(), &old).await, StatusCode::NOT_FOUND, "also after a restart");
}

/// IM1 to IM4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_elsewhere_finds_the_endpoints_and_asks_what_a_token_is_worth() {
    let portpass = serve(
        "\
data: data
http: { addr: 127.0.0.1:0 }
token_service:
  issuer: http://127.0.0.1:1/auth
  introspection: { to: \"user:local/registry\" }
",
    );
    let url = portpass.url();
    let metadata = json(format!("{url}/.well-known/oauth-authorization-server/auth")).await;
    assert_eq!(metadata["issuer"], "http://127.0.0.1:1/auth");
    // There is no issuer of workloads whose tokens could be exchanged.
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.iter().all(|grant| grant == "password" || grant == "refresh_token"));
    assert_eq!(metadata["introspection_endpoint"], "http://127.0.0.1:1/oauth/introspect");
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = client().get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }

    let token = token(&url).await.unwrap();
    let ask = async |account: &str| {
        let request = client().post(format!("{url}/oauth/introspect")).form(&[("token", &token)]);
        let answer = request.basic_auth(account, Some(PASSWORD)).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, answer) = ask("registry").await;
    assert_eq!((status, &answer["active"]), (StatusCode::OK, &json!(true)));
    assert_eq!(
        (&answer["sub"], &answer["scope"]),
        (&json!("ann"), &json!("repository:ann/app:pull"))
    );
    assert_eq!(ask("ann").await.0, StatusCode::FORBIDDEN);
    portpass.wait_for_log(&["refusal=\"introspection-denied\"", "ann"]);

    // VO14: no registry is here, and all the same it is known.
    portpass.command(&["user", "disable", "ann", "--config", FILE], "").expect_success();
    let since = std::time::Instant::now();
    while ask("registry").await.1 != json!({ "active": false }) {
        assert!(since.elapsed() < std::time::Duration::from_secs(2), "it is still active");
    }
    portpass.wait_for_log(&["a token that was asked about is not active", "token was revoked"]);
}
