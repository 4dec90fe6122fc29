//! Tokens that are over before their time: what is done to an account, the registry beside its token service
//! follows within two seconds.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]
#![expect(
    clippy::disallowed_methods,
    reason = "how long another process takes is what is measured"
)]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use portpass_testkit::Portpass;
use reqwest::{Response, StatusCode, header::WWW_AUTHENTICATE};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "correct horse battery staple";
const FILE: &str = "{folder}/portpass.yml";

/// bcrypt 5 of `opensesame`.
const HTPASSWD: &str = "bob:$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu\n";

struct World(Portpass);

impl World {
    /// With `ann` in the database and `bob` in a file.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
        let configuration = "\
data: data
http: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  limits: { enabled: false }
  accounts: [ local: {}, htpasswd: { path: htpasswd } ]
";
        fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
        let portpass = Portpass::serve_in(Path::new(PROGRAM), &["--config", FILE], folder);
        let world = Self(portpass);
        world.manage(&["user", "add", "ann", "--password-stdin"], PASSWORD);
        world
    }

    fn manage(&self, words: &[&str], input: &str) -> String {
        self.0.command(&[words, &["--config", FILE]].concat(), input).expect_success().output()
    }

    /// A token for one's own repositories, and a refresh token.
    async fn log_in(&self, account: &str, password: &str) -> (String, String) {
        let scope = format!("repository:{account}/app:pull");
        let query = [("service", "registry"), ("scope", scope.as_str()), ("offline_token", "true")];
        let request = client().get(format!("{}/token", self.0.url())).query(&query);
        let answer = request.basic_auth(account, Some(password)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (text("token"), text("refresh_token"))
    }

    async fn refresh(&self, account: &str, refresh_token: &str) -> Result<String, StatusCode> {
        let scope = format!("repository:{account}/app:pull");
        let form = [
            ("grant_type", "refresh_token"),
            ("service", "registry"),
            ("client_id", "test"),
            ("scope", &scope),
            ("refresh_token", refresh_token),
        ];
        let answer = client().post(format!("{}/token", self.0.url())).form(&form).send().await;
        let answer = answer.unwrap();
        match answer.status() {
            StatusCode::OK => {
                let answer: Value = answer.json().await.unwrap();
                Ok(answer["token"].as_str().unwrap().to_owned())
            }
            status => Err(status),
        }
    }

    async fn pull(&self, account: &str, token: &str) -> Response {
        let url = format!("{}/v2/{account}/app/manifests/latest", self.0.url());
        client().get(url).bearer_auth(token).send().await.unwrap()
    }

    /// It is authorized, and there is no such image.
    async fn counts(&self, account: &str, token: &str) {
        assert_eq!(self.pull(account, token).await.status(), StatusCode::NOT_FOUND);
    }

    /// The answer to a token that ended, at most two seconds after it did.
    async fn ends(&self, account: &str, token: &str, since: Instant) -> Response {
        loop {
            let answer = self.pull(account, token).await;
            if answer.status() == StatusCode::UNAUTHORIZED {
                return answer;
            }
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            assert!(since.elapsed() < Duration::from_secs(2), "it still counts");
        }
    }
}

/// VO14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tokens_of_a_disabled_account_end_within_two_seconds_and_the_reason_is_told() {
    let mut world = World::new();
    let (token, _) = world.log_in("ann", PASSWORD).await;
    let (other, _) = world.log_in("bob", "opensesame").await;
    world.counts("ann", &token).await;

    world.manage(&["user", "disable", "ann"], "");
    let answer = world.ends("ann", &token, Instant::now()).await;
    let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap();
    assert!(challenge.ends_with(",error=\"invalid_token\""), "{challenge}");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body = answer.text().await.unwrap();
    assert!(!body.contains("revoked"), "the client does not learn why: {body}");
    world.0.wait_for_log(&["refusal=\"token-revoked\"", "GET", &id]);
    let explained = world.manage(&["explain", &id], "");
    for words in ["token-revoked", "its sub     ann", "`user revoke` was run"] {
        assert!(explained.contains(words), "{words:?} is not in {explained}");
    }
    world.counts("bob", &other).await;

    // Also behind a start, and for who is enabled again.
    world.0.restart();
    assert_eq!(world.pull("ann", &token).await.status(), StatusCode::UNAUTHORIZED);
    world.manage(&["user", "enable", "ann"], "");
    let (fresh, _) = world.log_in("ann", PASSWORD).await;
    world.counts("ann", &fresh).await;
    assert_eq!(world.pull("ann", &token).await.status(), StatusCode::UNAUTHORIZED);
}

/// VO14: within the same second as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_after_the_change_has_a_token_that_counts_at_once_and_stays() {
    let world = World::new();
    let mut before: Vec<String> = Vec::new();
    for password in ["the first", "the second", "the third"] {
        world.manage(&["user", "password", "ann", "--password-stdin"], &format!("{password}\n"));
        let since = Instant::now();
        let (token, _) = world.log_in("ann", password).await;
        for old in &before {
            world.ends("ann", old, since).await;
        }
        world.counts("ann", &token).await;
        before.push(token);
    }
    // The same name, another account.
    world.manage(&["user", "remove", "ann"], "");
    world.manage(&["user", "add", "ann", "--password-stdin"], PASSWORD);
    let since = Instant::now();
    let (token, _) = world.log_in("ann", PASSWORD).await;
    for old in &before {
        world.ends("ann", old, since).await;
    }
    world.counts("ann", &token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_ends_the_tokens_of_an_account_of_any_source() {
    let world = World::new();
    for (account, password) in [("ann", PASSWORD), ("bob", "opensesame")] {
        let (token, session) = world.log_in(account, password).await;
        world.manage(&["user", "revoke", account, "--keep-sessions"], "");
        world.ends(account, &token, Instant::now()).await;
        assert!(world.refresh(account, &session).await.is_ok(), "the session stays");

        let said = world.manage(&["user", "revoke", account], "");
        assert!(said.contains("ended its sessions: 1"), "{said}");
        assert_eq!(world.refresh(account, &session).await, Err(StatusCode::UNAUTHORIZED));
    }
    let said = world.manage(&["user", "revoke", "nobody"], "");
    assert!(said.contains("warning: there is no account named `nobody`"), "{said}");
    let trail = world.manage(&["audit", "--action", "tokens-revoked"], "");
    assert_eq!(trail.matches("tokens-revoked").count(), 5, "{trail}");
    let bad = world.0.command(&["user", "revoke", "a b", "--config", FILE], "");
    assert_eq!(bad.status, Some(2), "{bad}");
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
