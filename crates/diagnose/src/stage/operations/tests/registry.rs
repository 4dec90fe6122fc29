//! A registry with one image, whose answers can be replaced one by one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use portpass_client::credentials::{Credential, CredentialSource, FoundCredential};
use portpass_protocol::Digest;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};
use portpass_token::Clock;
use reqwest::header::{HeaderName, LOCATION};
use serde_json::json;

use super::super::check;
use crate::{
    Inputs, LocalInputs, Report,
    inputs::Timer,
    observations::{Requester, RequiredAuth, Token},
    run::Run,
};

pub(super) const NAME: &str = "team/app";
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What was pushed.
type Blobs = Arc<Mutex<BTreeSet<String>>>;

/// How a diagnosis is asked for.
pub(super) struct Options {
    pub(super) write: bool,
    pub(super) wait_expiry: bool,
    pub(super) credential: bool,
    pub(super) target: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { write: false, wait_expiry: false, credential: true, target: "/team/app" }
    }
}

impl Options {
    pub(super) fn to_write() -> Self {
        Self { write: true, ..Self::default() }
    }
}

/// Runs the stage against a good registry in which `other` has the first word; also says what was pushed
/// and is still there, and what came in.
pub(super) async fn diagnosed(
    asked: Options,
    other: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> (Report, Vec<String>, Vec<Seen>) {
    let (mut run, served, blobs) = run(asked, other).await;
    check(&mut run).await;
    let left = blobs.lock().unwrap().iter().cloned().collect();
    (run.into_report(), left, served.seen())
}

/// A diagnosis that has come as far as a good token.
pub(super) async fn run(
    asked: Options,
    other: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> (Run, Served, Blobs) {
    let blobs = Blobs::default();
    let kept = Arc::clone(&blobs);
    let served =
        Served::start(move |seen| other(seen).unwrap_or_else(|| answer(seen, &kept))).await;
    let origin = served.url("/");
    let host = origin.trim_start_matches("http://").trim_end_matches('/');
    let target = format!("{host}{}", asked.target).parse().unwrap();
    let mut inputs = Inputs::none(LocalInputs::default());
    inputs.write = asked.write;
    inputs.wait_expiry = asked.wait_expiry;
    let mut run = Run::new(target, inputs, Arc::new(FrozenClock::new()));
    run.observed.origin = Some(origin.parse().unwrap());
    run.observed.realm = Some(served.url("/token").parse().unwrap());
    run.observed.required_auth = Some(RequiredAuth::Bearer {
        realm: served.url("/token"),
        service: Some("registry".to_owned()),
        scope: None,
    });
    run.observed.token = Some(Token {
        text: token(&[]).into(),
        requester: if asked.credential { Requester::Credential } else { Requester::Anonymous },
        scope: Some(format!("repository:{NAME}:pull")),
        expires_in: Some(300),
        decoded: None,
    });
    if asked.credential {
        let credential =
            Credential::Password { username: "ann".to_owned(), password: "secret".into() };
        run.observed.credential =
            Some(FoundCredential { credential, place: CredentialSource::Given("the test") });
    }
    (run, served, blobs)
}

/// A token that grants these actions on the catalog.
pub(super) fn token(catalog: &[&str]) -> String {
    let claims = json!({
        "iss": "i", "aud": "registry", "sub": "ann", "exp": 1_700_000_300, "nbf": 1_700_000_000,
        "iat": 1_700_000_000, "jti": "x",
        "access": [{ "type": "registry", "name": "catalog", "actions": catalog }],
    });
    let parts = [json!({ "alg": "ES256", "typ": "JWT", "kid": "k" }), claims];
    let parts = parts.map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([7; 64]))
}

/// An answer of the token service with this token.
pub(super) fn issued(token: &str) -> Reply {
    reply(200, json!({ "token": token, "access_token": token, "expires_in": 300 }).to_string())
}

/// A 401 that asks for this scope.
pub(super) fn lacks(scope: &str) -> Reply {
    challenge(format!(
        r#"Bearer realm="http://x/token",service="registry",scope="{scope}",error="insufficient_scope""#
    ))
}

pub(super) fn configuration() -> Digest {
    Digest::sha256(b"{}")
}

fn manifest() -> String {
    let config = json!({ "digest": configuration().to_string(), "size": 2 });
    json!({ "schemaVersion": 2, "config": config, "layers": [] }).to_string()
}

/// What a good registry and its token service answer.
fn answer(seen: &Seen, blobs: &Blobs) -> Reply {
    let method = seen.method.as_str();
    let below = format!("/v2/{NAME}/");
    let path = seen.path.strip_prefix(&below).unwrap_or(&seen.path);
    match (method, path) {
        ("GET", "/token") => issued(&token(&["*"])),
        (_, "/v2/_catalog") => match &seen.authorization {
            Some(_) => reply(200, r#"{"repositories":["team/app"]}"#),
            None => lacks("registry:catalog:*"),
        },
        ("GET", "tags/list") => reply(200, r#"{"name":"team/app","tags":["v1"]}"#),
        (_, "manifests/v1") => {
            reply(200, manifest()).with(DIGEST, Digest::sha256(manifest().as_bytes()).to_string())
        }
        ("POST", "blobs/uploads/") => begun(seen),
        (_, path) => match path.strip_prefix("blobs/uploads/") {
            Some(upload) => upload_step(seen, upload, blobs),
            None => blob(method, path.trim_start_matches("blobs/"), blobs),
        },
    }
}

fn begun(seen: &Seen) -> Reply {
    match seen.one("from") {
        Some(NAME) => reply(201, ""),
        Some(other) => lacks(&format!("repository:{other}:pull repository:{NAME}:pull,push")),
        None => reply(202, "").with(LOCATION, format!("/v2/{NAME}/blobs/uploads/1?_state=a")),
    }
}

fn upload_step(seen: &Seen, upload: &str, blobs: &Blobs) -> Reply {
    match seen.method.as_str() {
        "PATCH" => {
            reply(202, "").with(LOCATION, format!("/v2/{NAME}/blobs/uploads/{upload}?_state=b"))
        }
        "PUT" => {
            blobs.lock().unwrap().insert(seen.one("digest").unwrap().to_owned());
            reply(201, "")
        }
        _ => reply(204, ""),
    }
}

fn blob(method: &str, digest: &str, blobs: &Blobs) -> Reply {
    let there = digest == configuration().to_string() || blobs.lock().unwrap().contains(digest);
    match method {
        "DELETE" if blobs.lock().unwrap().remove(digest) => reply(202, ""),
        "GET" | "HEAD" if there => reply(200, "{}"),
        _ => reply(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
    }
}

/// A clock that moves only where somebody waits.
#[derive(Debug)]
struct FrozenClock(Mutex<SystemTime>);

impl FrozenClock {
    fn new() -> Self {
        let seconds = 1_700_000_100;
        Self(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

impl Timer for FrozenClock {
    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += time;
        Box::pin(std::future::ready(()))
    }
}
