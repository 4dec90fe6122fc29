//! `login`, `token` and `logout` against a registry and a token service that are not ours.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::IntoResponse,
};
use insta::assert_snapshot;
use portpass_testkit::program::{CommandOutput, run};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

/// A JWT of an issuer that nobody has to trust here: it grants pull on `team/app`, until 2286.
const JWT: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im1pbmUifQ.eyJpc3MiOiJkdGVzdCIsInN1YiI6ImFubiIsImF1ZCI6InJlZ2lzdHJ5IiwiZXhwIjo5OTk5OTk5OTk5LCJhY2Nlc3MiOlt7InR5cGUiOiJyZXBvc2l0b3J5IiwibmFtZSI6InRlYW0vYXBwIiwiYWN0aW9ucyI6WyJwdWxsIl19XX0.c2ln";

/// A registry and its token service, which answers as it is told, and somebody's home.
struct World {
    registry: SocketAddr,
    service: SocketAddr,
    home: TempDir,
    revoked: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl World {
    fn new(answer: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let listen = || runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (registry, service) = (listen(), listen());
        let addresses = (registry.local_addr().unwrap(), service.local_addr().unwrap());
        let challenge =
            format!(r#"Bearer realm="http://{}/token",service="registry""#, addresses.1);
        let taken = format!("Bearer {JWT}");
        let at_registry = move |headers: HeaderMap| {
            let shown =
                headers.get(header::AUTHORIZATION).is_some_and(|shown| shown == taken.as_str());
            let status = if shown { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            let answer = (status, [(header::WWW_AUTHENTICATE, challenge.clone())], "{}");
            async { answer }
        };
        let revoked = Arc::new(Mutex::new(Vec::new()));
        let (answer, given_back) = (answer.replace("JWT", JWT), Arc::clone(&revoked));
        let at_service = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let wrong = headers
                .get(header::AUTHORIZATION)
                .is_some_and(|basic| basic != "Basic YW5uOnNlY3JldA==");
            let answer = if uri.path() == "/oauth/revoke" && method == Method::POST {
                given_back.lock().unwrap().push(String::from_utf8_lossy(&body).into_owned());
                StatusCode::OK.into_response()
            } else if wrong {
                (StatusCode::UNAUTHORIZED, r#"{"details":"incorrect username or password"}"#)
                    .into_response()
            } else {
                answer.clone().into_response()
            };
            async { answer }
        };
        runtime.spawn(async { axum::serve(registry, Router::new().fallback(at_registry)).await });
        runtime.spawn(async { axum::serve(service, Router::new().fallback(at_service)).await });
        let home = tempfile::tempdir().unwrap();
        Self { registry: addresses.0, service: addresses.1, home, revoked, _runtime: runtime }
    }

    /// Runs portpass in that home; `HOST` stands for the registry.
    fn portpass(&self, words: &str, input: &str) -> CommandOutput {
        let host = self.registry.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portpass"));
        command.env_clear().env("HOME", self.home.path()).env("NO_COLOR", "1");
        // A machine that trusts no authority yet has to be good enough for loopback.
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
        command
            .args(words.split(' ').map(|word| if word == "HOST" { host.as_str() } else { word }));
        run(&mut command, input)
    }

    fn login(&self, password: &str) -> CommandOutput {
        self.portpass("login --username ann --password-stdin HOST", password)
    }

    /// What was said, without what differs from run to run.
    fn said(&self, ran: &CommandOutput) -> String {
        let home = self.home.path().display().to_string();
        ran.stderr
            .replace(&self.registry.to_string(), "HOST")
            .replace(&self.service.to_string(), "SERVICE")
            .replace(&home, "HOME")
    }

    fn config(&self) -> Option<String> {
        let config =
            fs::read_to_string(self.home.path().join(Path::new(".docker/config.json"))).ok()?;
        Some(config.replace(&self.registry.to_string(), "HOST"))
    }
}

const GOOD: &str =
    r#"{"token":"JWT","access_token":"JWT","expires_in":300,"refresh_token":"refresh-me"}"#;

#[test]
fn a_password_is_changed_for_an_identity_token_which_ends_at_logout() {
    let world = World::new(GOOD);
    let login = world.login("secret");
    login.expect_success();
    assert_snapshot!(world.said(&login), @"logged in to HOST as ann; an identity token is stored in HOME/.docker/config.json");
    assert_snapshot!(world.config().unwrap(), @r#"
    {
    	"auths": {
    		"HOST": {
    			"auth": "YW5uOg==",
    			"identitytoken": "refresh-me"
    		}
    	}
    }
    "#);

    let token = world.portpass("token HOST --scope repository:team/app:pull,push", "");
    token.expect_success();
    assert_eq!(token.stdout, format!("{JWT}\n"));
    assert_snapshot!(world.said(&token), @"warning: the token service does not grant repository:team/app:push");

    let logout = world.portpass("logout HOST", "");
    logout.expect_success();
    assert_snapshot!(world.said(&logout), @r#"
    logged out of HOST; nothing is stored in HOME/.docker/config.json any more
    the identity token has been revoked
    "#);
    assert_eq!(*world.revoked.lock().unwrap(), ["token=refresh-me&token_type_hint=refresh_token"]);
    assert_snapshot!(world.config().unwrap(), @r#"
    {
    	"auths": {}
    }
    "#);
    assert_snapshot!(world.said(world.portpass("logout HOST", "").expect_success()), @"not logged in to HOST");
}

#[test]
fn a_wrong_password_is_not_kept() {
    let world = World::new(GOOD);
    let login = world.login("wrong");
    login.expect_failure();
    assert_snapshot!(world.said(&login), @"error: the token service http://SERVICE/token refuses the name or the password: incorrect username or password");
    assert_eq!((login.status, world.config()), (Some(1), None));
}

/// Both failures of the story that this began with, as the client tells them.
#[test]
fn a_token_service_that_gives_no_token_or_no_jwt_is_told_by_what_it_gives() {
    let mut said = Vec::new();
    for answer in [r#"{"jwt":"JWT"}"#, r#"{"token":"0123456789abcdef","expires_in":"300"}"#] {
        let world = World::new(answer);
        let login = world.login("secret");
        login.expect_failure();
        assert!(
            !login.output().contains("eyJ") && !login.output().contains("0123456789"),
            "{login}"
        );
        assert_eq!(world.config(), None);
        said.push(world.said(&login));
    }
    assert_snapshot!(said.join("\n"), @r#"
    error: the token service's response has no token; its keys are "jwt" (http://SERVICE/token)
    hint: the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds

    error: HOST refuses the token of its token service: token has 1 part, expected 3: it is not a JWT
    hint: the token service must issue JWTs with the registry's claims
    "#);
}

#[test]
fn the_json_of_a_token_says_whose_it_is_and_what_is_odd() {
    let world = World::new(r#"{"token":"JWT","expires_in":"300"}"#);
    let token = world.portpass("token HOST --anonymous --json --scope repository:team/app:*", "");
    token.expect_success();
    let json = token.stdout.replace(JWT, "JWT").replace(&world.service.to_string(), "SERVICE");
    assert_snapshot!(json, @r#"
    {
      "account": null,
      "asked": [
        "repository:team/app:*"
      ],
      "credential": null,
      "expires_in": 300,
      "got": "anonymously",
      "missing": [],
      "oddities": [
        {
          "breaks": [
            "docker",
            "containerd",
            "oras"
          ],
          "id": "only-token",
          "text": "no \"access_token\" beside \"token\""
        },
        {
          "breaks": [
            "docker",
            "containerd",
            "podman",
            "crane",
            "regclient"
          ],
          "id": "expires-in-not-integer",
          "text": "\"expires_in\" is not an integer"
        }
      ],
      "realm": "http://SERVICE/token",
      "service": "registry",
      "token": "JWT"
    }
    "#);
    assert_snapshot!(world.said(&token), @r#"
    warning: the token service's answer: no "access_token" beside "token"; that breaks docker, containerd, oras
    warning: the token service's answer: "expires_in" is not an integer; that breaks docker, containerd, podman, crane, regclient
    "#);
}

#[test]
fn a_token_can_be_looked_into() {
    let world = World::new("");
    let shown = world.portpass("token inspect", &format!("{{\"token\":\"{JWT}\"}}"));
    shown.expect_success();
    // How far away 2286 is changes every day.
    let stable: Vec<&str> = shown.stdout.lines().filter(|line| !line.starts_with("exp")).collect();
    assert_snapshot!(stable.join("\n"), @r#"
    header
    alg     ES256
    typ     JWT
    key     mine, the issuer's own name
    claim
    aud    registry
    iss    dtest
    sub    ann
    access               actions
    repository:team/app  pull
    "#);
    assert_snapshot!(shown.stderr, @r#"
    warning: only a registry with a JWK set that has this key id finds the key
    its signature was not checked; name the trusted keys with --bundle or --jwks
    "#);

    let json = world.portpass("token inspect --json -", JWT);
    assert_snapshot!(json.expect_success().stdout, @r#"
    {
      "chain": [],
      "claims": {
        "access": [
          {
            "actions": [
              "pull"
            ],
            "name": "team/app",
            "type": "repository"
          }
        ],
        "aud": "registry",
        "exp": 9999999999,
        "iss": "dtest",
        "sub": "ann"
      },
      "header": {
        "alg": "ES256",
        "kid": "mine",
        "typ": "JWT"
      },
      "holds": null,
      "key": "mine, the issuer's own name",
      "key_ids": null,
      "notes": [
        "only a registry with a JWK set that has this key id finds the key"
      ],
      "refusal": null
    }
    "#);
    let mut said = Vec::new();
    for words in
        ["token inspect 0123456789abcdef", "token inspect a.b", "token inspect --issuer x a.b.c"]
    {
        let ran = world.portpass(words, "");
        ran.expect_failure();
        said.push(format!("{:?} {}", ran.status, ran.stderr));
    }
    assert_snapshot!(said.concat(), @r#"
    Some(1) error: token has 1 part, expected 3: it is not a JWT
    Some(1) error: token has 2 parts, expected 3: it is not a JWT
    Some(2) error: --issuer and --service need --bundle or --jwks
    "#);
}
