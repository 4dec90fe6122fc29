//! The management commands beside a running server: what they print, how they end, and that the
//! server follows.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use portpass_testkit::Portpass;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

#[test]
fn a_running_server_follows_what_is_managed() {
    // The test asks with a password until it counts, which is what the limits are against.
    let folder = tempfile::tempdir().unwrap();
    let configuration = "registry: {}\ntoken_service: { limits: { enabled: false } }\n";
    fs::write(folder.path().join("portpass.yaml"), configuration).unwrap();
    let arguments =
        ["--config", "{folder}/portpass.yaml", "--data", "{folder}/data", "--addr", "127.0.0.1:0"];
    let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
    manage(&portpass, &["user", "password", "admin", "--password-stdin"], "the first\n");
    let listed = manage_json(&portpass, &["user", "list", "--json"]);
    assert_eq!((&listed[0]["name"], &listed[0]["status"]), (&json!("admin"), &json!("enabled")));
    assert_eq!(
        manage(&portpass, &["user", "list"], "").lines().count(),
        2,
        "a heading and one account"
    );

    let login = |password| {
        let query = [("service", "registry"), ("offline_token", "true"), ("client_id", "test")];
        get(&portpass, password, &query)
    };
    // The server looks at most once a second whether an account was changed.
    let token = until(|| login("the first").1["refresh_token"].as_str().map(str::to_owned));
    let refresh = || post_refresh(&portpass, &token);
    assert_eq!(refresh(), StatusCode::OK);

    let sessions = manage_json(&portpass, &["session", "list", "admin", "--json"]);
    let [session, ..] = sessions.as_array().unwrap().as_slice() else { panic!("{sessions}") };
    assert_eq!((&session["client"], &session["state"]), (&json!("test"), &json!("valid")));
    manage(&portpass, &["session", "revoke", "--account", "admin"], "");
    assert_eq!(refresh(), StatusCode::UNAUTHORIZED);
    assert_eq!(manage_json(&portpass, &["session", "list", "--json"]), json!([]));
    let all = manage_json(&portpass, &["session", "list", "--all", "--json"]);
    assert_eq!(all[0]["why"], "session-revoked");

    manage(&portpass, &["user", "disable", "admin"], "");
    until(|| (login("the first").0 == StatusCode::UNAUTHORIZED).then_some(()));
    manage(&portpass, &["user", "enable", "admin"], "");
    until(|| (login("the first").0 == StatusCode::OK).then_some(()));

    let rotated = manage_json(&portpass, &["signing-key", "rotate", "--json"]);
    let signing = rotated.as_array().unwrap().iter().find(|key| key["phase"] == "signing").unwrap();
    until(|| (header(&login("the first").1)["kid"] == signing["id"]).then_some(()));
    let exported = manage(&portpass, &["signing-key", "export", "--format", "jwks"], "");
    let served = fetch(&portpass, "/.well-known/jwks.json");
    assert_eq!(serde_json::from_str::<Value>(&exported).unwrap(), served);
}

/// A machine whose clock was eleven years ahead for a while: its keys and its root were made anew then,
/// and are nobody's to use for years.
#[test]
fn a_clock_that_was_ahead_and_is_set_right_leaves_tokens_that_count() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--data", "{folder}/data", "--addr", "127.0.0.1:0"];
    let mut portpass = Portpass::serve_with_clock(Path::new(PROGRAM), &arguments, folder, "+4000d");
    manage(&portpass, &["user", "password", "admin", "--password-stdin"], "the first\n");
    let signed = || {
        let query = [("service", "registry"), ("scope", "repository:admin/app:pull")];
        let (status, answer) = get(&portpass, "the first", &query);
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    };
    let ahead = signed();
    assert_eq!(ask_registry(&portpass, &ahead), StatusCode::OK);

    portpass.set_clock("+0");
    assert_eq!(ask_registry(&portpass, &ahead), StatusCode::UNAUTHORIZED);
    let right = signed();
    assert_eq!(ask_registry(&portpass, &right), StatusCode::OK);
    portpass.restart();
    assert_eq!(ask_registry(&portpass, &right), StatusCode::OK, "the key is still there");
    let query = [("service", "registry")];
    let token = get(&portpass, "the first", &query).1["token"].as_str().unwrap().to_owned();
    assert_eq!(ask_registry(&portpass, &token), StatusCode::OK);
}

fn ask_registry(portpass: &Portpass, token: &str) -> StatusCode {
    let asked = client().get(format!("{}/v2/", portpass.url())).bearer_auth(token).send();
    Runtime::new().unwrap().block_on(asked).unwrap().status()
}

#[test]
fn failures_end_with_one_and_wrong_usage_with_two() {
    let portpass =
        Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"]);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["user", "add", "public", "--password-stdin"], 1, "`public` is reserved"),
        (&["user", "add", "admin", "--password-stdin"], 1, "hint: `portpass user password admin`"),
        (&["user", "add", "a/b", "--password-stdin"], 2, "cannot be an account name"),
        (&["user", "add", "ann"], 2, "--password-stdin"),
        (
            &["user", "add", "ann", "--password-stdin"],
            2,
            "the password has fewer than 8 characters",
        ),
        (
            &["user", "password", "admin", "--password-stdin"],
            2,
            "token_service.passwords.min_length",
        ),
        (&["user", "password", "nobody"], 1, "no account named `nobody`"),
        (&["user", "remove"], 2, "Usage:"),
        (&["user", "groups", "admin"], 2, "--add"),
        (&["user", "groups", "admin", "--remove", "x"], 1, "is not in the group"),
        (&["user", "add", "robot-x", "--password-stdin"], 1, "hint: `portpass robot add`"),
        (&["robot", "add", "ci", "--allow", "pull"], 2, "--repository"),
        (&["robot", "add", "ci", "--allow", "write", "--repository", "a"], 2, "is no action"),
        (&["robot", "add", "robot$ci", "--allow", "pull", "--repository", "a"], 2, "write `ci`"),
        (&["robot", "rotate", "ci", "--overlap", "soon"], 2, "soon"),
        (&["robot", "disable", "ci"], 1, "hint: `portpass robot list`"),
        (&["key", "add", "nobody", "--allow", "pull", "--repository", "a"], 1, "`nobody`"),
        (&["key", "revoke", "x"], 1, "hint: `portpass key list`"),
        (&["session", "revoke"], 2, "Usage:"),
        (&["session", "revoke", "x"], 1, "no session x"),
        (&["session", "revoke", "--account", "nobody"], 1, "no account named `nobody`"),
        (&["session", "revoke", "--account", "htpasswd/admin"], 1, "named `htpasswd/admin`"),
        (&["session", "list", "nobody"], 1, "no account named `nobody`"),
        (&["key", "list", "nobody"], 1, "no account named `nobody`"),
        (&["audit", "--account", "nobody"], 0, "warning: there is no account named `nobody`"),
        (&["user", "revoke", "local/a b"], 2, "\"a b\" cannot be an account name"),
        (&["session", "list", "admin", "--json"], 0, ""),
        (&["policy", "explain", "nobody", "repository:a:pull"], 1, "no account named `nobody`"),
        (&["policy", "explain", "admin", "nonsense"], 2, "nonsense"),
        (&["policy", "explain", "admin", "a:b:c", "--service", "x"], 2, "service `x`"),
        (&["signing-key", "export", "--format", "pem"], 2, "bundle, jwks"),
        (&["signing-key", "export", "--output", "{folder}/none/x"], 1, "cannot write"),
    ];
    for (words, status, said) in cases {
        let ran = portpass.command(&[*words, &["--data", "{folder}/data"]].concat(), "secret");
        assert_eq!(ran.status, Some(*status), "{ran}");
        assert!(ran.stderr.contains(said), "{said:?} is not in {ran}");
        assert!(*status == 0 || ran.stdout.is_empty(), "{ran}");
    }
    let elsewhere = portpass.command(&["user", "list", "--data", "{folder}/none"], "");
    assert_eq!(elsewhere.status, Some(1), "{elsewhere}");
    assert!(elsewhere.stderr.contains("portpass serve"), "{elsewhere}");
    assert!(!portpass.folder().join("none").exists(), "managing makes nothing");
}

/// What `session list` and `key list` print is what the others take.
#[test]
fn an_account_is_called_by_its_name_with_or_without_its_source() {
    let portpass =
        Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"]);
    manage(&portpass, &["user", "password", "admin", "--password-stdin"], "first password\n");
    let query = [("service", "registry"), ("offline_token", "true"), ("client_id", "test")];
    let log_in = || {
        let token = until(|| {
            get(&portpass, "first password", &query).1["refresh_token"].as_str().map(str::to_owned)
        });
        assert_eq!(post_refresh(&portpass, &token), StatusCode::OK);
        token
    };
    for name in ["admin", "local/admin"] {
        let token = log_in();
        let listed = manage_json(&portpass, &["session", "list", name, "--json"]);
        assert_eq!(listed.as_array().unwrap().len(), 1, "{name}: {listed}");
        manage(&portpass, &["session", "revoke", "--account", name], "");
        assert_eq!(post_refresh(&portpass, &token), StatusCode::UNAUTHORIZED, "{name}");

        let token = log_in();
        manage(&portpass, &["user", "revoke", name], "");
        assert_eq!(post_refresh(&portpass, &token), StatusCode::UNAUTHORIZED, "{name}");
        assert_ne!(manage(&portpass, &["audit", "--account", name], ""), "", "{name}");
    }
    let token = log_in();
    let elsewhere = ["user", "revoke", "htpasswd/admin", "--data", "{folder}/data"];
    let revoked = portpass.command(&elsewhere, "");
    let said = "warning: there is no account named `htpasswd/admin` in local";
    assert!(revoked.expect_success().stderr.contains(said), "{revoked}");
    assert_eq!(post_refresh(&portpass, &token), StatusCode::OK, "another account's session stays");

    manage(&portpass, &["user", "remove", "admin"], "");
    let gone = ["session", "revoke", "--account", "local/admin", "--data", "{folder}/data"];
    let gone = portpass.command(&gone, "");
    assert!(gone.expect_success().stderr.contains("revoked 0 sessions"), "{gone}");
}

/// The header of an answer's token.
fn header(answer: &Value) -> Value {
    let token = answer["token"].as_str().unwrap();
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

/// Runs a management command on the server's installation; it must succeed.
fn manage(portpass: &Portpass, words: &[&str], input: &str) -> String {
    let words = [words, &["--data", "{folder}/data"]].concat();
    portpass.command(&words, input).expect_success().stdout.clone()
}

fn manage_json(portpass: &Portpass, words: &[&str]) -> Value {
    serde_json::from_str(&manage(portpass, words, "")).unwrap()
}

fn get(portpass: &Portpass, password: &str, query: &[(&str, &str)]) -> (StatusCode, Value) {
    let request = client().get(format!("{}/token", portpass.url())).query(query);
    answer(request.basic_auth("admin", Some(password)))
}

fn post_refresh(portpass: &Portpass, token: &str) -> StatusCode {
    let form = [
        ("grant_type", "refresh_token"),
        ("service", "registry"),
        ("client_id", "test"),
        ("refresh_token", token),
    ];
    answer(client().post(format!("{}/token", portpass.url())).form(&form)).0
}

fn fetch(portpass: &Portpass, path: &str) -> Value {
    answer(client().get(format!("{}{path}", portpass.url()))).1
}

fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    Runtime::new().unwrap().block_on(async {
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    })
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Asks again until there is an answer: the server follows within seconds.
#[track_caller]
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(answer) = ask() {
            return answer;
        }
        // Nothing tells us when another process has looked; asking is the only way.
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    panic!("the server did not follow within half a minute");
}
