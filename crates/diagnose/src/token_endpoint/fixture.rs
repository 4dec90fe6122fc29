//! A registry and a token service in which nothing is wrong, until a test replaces a part.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use axum::http::header;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use portpass_client::credentials::{Credential, CredentialSource, FoundCredential};
use portpass_protocol::AccessSet;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};
use portpass_token::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::{
    Check, Finding, Inputs, LocalInputs, Report, Timer,
    observations::{Decoded, RequiredAuth},
    run::Run,
    stage::{expiry, token_request, token_response},
};

/// What is known to everybody in these tests.
pub(crate) const PASSWORD: &str = "s3cret-Password";
pub(crate) const REFRESH: &str = "refresh-token-of-ann";

/// The real time, and what was waited since.
#[derive(Debug, Default)]
pub(crate) struct InstantTimer(Mutex<Duration>);

impl InstantTimer {
    fn waits(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for InstantTimer {
    fn now(&self) -> SystemTime {
        SystemClock.now() + *self.0.lock().unwrap()
    }
}

impl Timer for InstantTimer {
    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.waits(time);
        Box::pin(std::future::ready(()))
    }
}

/// A healthy answer of either service, or what a test has in its place.
pub(crate) type Answer = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// Who a request of the token service is from: `Err` where it is refused.
fn caller(seen: &Seen) -> Result<Option<&'static str>, Reply> {
    if seen.method == "POST" {
        return match seen.one("grant_type") {
            Some("password") if seen.one("password") == Some(PASSWORD) => Ok(Some("ann")),
            Some("refresh_token") if seen.one("refresh_token") == Some(REFRESH) => Ok(Some("ann")),
            Some("password" | "refresh_token") => Err(refused()),
            _ => Err(json_reply(400, &json!({"error": "unsupported_grant_type"}))),
        };
    }
    match seen.basic() {
        None => Ok(None),
        Some(pair) if pair == format!("ann:{PASSWORD}") => Ok(Some("ann")),
        Some(_) => Err(refused()),
    }
}

pub(crate) fn refused() -> Reply {
    json_reply(401, &json!({"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}))
}

pub(crate) fn json_reply(status: u16, body: &Value) -> Reply {
    reply(status, body.to_string()).with(header::CONTENT_TYPE, "application/json")
}

/// Whether it is a request of the token service.
pub(crate) fn at_desk(seen: &Seen) -> bool {
    seen.path == "/token"
}

/// What ann may do; who is nobody may pull.
fn rights(caller: Option<&str>, asked: &AccessSet) -> AccessSet {
    let all =
        if caller.is_some() { "repository:team/app:pull,push" } else { "repository:team/app:pull" };
    let all: AccessSet = all.parse().unwrap();
    asked.intersection(&all).into_iter().filter(|access| !access.actions.is_empty()).collect()
}

/// Everything that is asked for, in whichever form.
pub(crate) fn asked(seen: &Seen) -> AccessSet {
    seen.all("scope")
        .join(" ")
        .split(' ')
        .filter_map(|scope| scope.parse::<AccessSet>().ok())
        .flatten()
        .collect()
}

/// A token with these claims beside the usual ones. Nobody has signed it.
pub(crate) fn jwt(life: u64, service: &str, caller: Option<&str>, access: &AccessSet) -> String {
    let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "one"});
    let claims = json!({
        "iss": "https://auth.example.com", "sub": caller.unwrap_or_default(), "aud": service,
        "iat": now, "nbf": now - 60, "exp": now + life, "jti": "x", "access": access,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(&claims), URL_SAFE_NO_PAD.encode([7; 64]))
}

/// What the token service answers to those whom it serves.
pub(crate) fn body(seen: &Seen) -> Result<Value, Reply> {
    body_for(seen, &asked(seen))
}

/// The same, for other scopes than were asked for.
pub(crate) fn body_for(seen: &Seen, asked: &AccessSet) -> Result<Value, Reply> {
    let caller = caller(seen)?;
    let service = seen.one("service").unwrap_or_default();
    if service != "registry" {
        return Err(json_reply(400, &json!({"error": "invalid_request"})));
    }
    let token = jwt(300, service, caller, &rights(caller, asked));
    let now = jiff::Timestamp::try_from(SystemClock.now()).unwrap();
    let now = jiff::Timestamp::from_second(now.as_second()).unwrap().to_string();
    let mut body =
        json!({"token": token, "access_token": token, "expires_in": 300, "issued_at": now});
    if caller.is_some() && seen.one("offline_token") == Some("true") {
        body["refresh_token"] = json!(REFRESH);
    }
    Ok(body)
}

/// Nothing is wrong.
pub(crate) fn healthy(seen: &Seen) -> Reply {
    if at_desk(seen) {
        return body(seen).map_or_else(|refused| refused, |body| json_reply(200, &body));
    }
    challenge(r#"Bearer realm="http://HOST/token",service="registry",error="invalid_token""#)
}

/// A registry that takes every JWT, and has `team/app:v1`.
fn registry(seen: &Seen, host: &str) -> Reply {
    let scope = match seen.path.as_str() {
        "/v2/" => "",
        "/v2/_catalog" => ",scope=\"registry:catalog:*\"",
        _ => ",scope=\"repository:team/app:pull\"",
    };
    let refuse = |error: &str| {
        let realm = format!("Bearer realm=\"http://{host}/token\",service=\"registry\"");
        challenge(format!("{realm}{scope}{error}"))
            .with(header::CONTENT_TYPE, "application/json")
            .with(API_VERSION, "registry/2.0")
    };
    let bearer = seen.authorization.as_deref().and_then(|words| words.strip_prefix("Bearer "));
    let claims = bearer.and_then(|token| Decoded::of(token.trim())).map(|opened| opened.claims);
    match (bearer, claims) {
        (None | Some(""), _) => refuse(""),
        (Some(_), None) => refuse(",error=\"invalid_token\""),
        (Some(_), Some(claims)) => {
            let mine = claims["access"].to_string().contains("team/app");
            match seen.path.as_str() {
                "/v2/" => json_reply(200, &json!({})).with(API_VERSION, "registry/2.0"),
                path if mine && path.starts_with("/v2/team/app/") => held(path),
                _ => refuse(",error=\"insufficient_scope\""),
            }
        }
    }
}

const API_VERSION: header::HeaderName =
    header::HeaderName::from_static("docker-distribution-api-version");

/// An index of no images.
fn held(path: &str) -> Reply {
    let reply = if path.contains("/manifests/") {
        let media_type = "application/vnd.oci.image.index.v1+json";
        reply(200, r#"{"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#)
            .with(header::CONTENT_TYPE, media_type)
            .with(header::HeaderName::from_static("docker-content-digest"), DIGEST)
    } else {
        json_reply(200, &json!({"name": "team/app", "tags": ["v1"]}))
    };
    reply.with(API_VERSION, "registry/2.0")
}

const DIGEST: &str = "sha256:93e16ab8fb1bfb08f051a420835b414851eaeedb9f7105d26dacb84f26d810b5";

/// One part is replaced.
pub(crate) fn but(
    when: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Answer {
    Box::new(move |seen| if at_desk(seen) && when(seen) { answer(seen) } else { healthy(seen) })
}

/// What those who are served get is changed.
pub(crate) fn changed(
    when: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    change: impl Fn(&mut Value) + Send + Sync + 'static,
) -> Answer {
    but(when, move |seen| match body(seen) {
        Ok(mut body) => {
            change(&mut body);
            json_reply(200, &body)
        }
        Err(refused) => refused,
    })
}

pub(crate) fn any(_: &Seen) -> bool {
    true
}

pub(crate) fn by_get(seen: &Seen) -> bool {
    seen.method == "GET"
}

pub(crate) fn by_post(seen: &Seen) -> bool {
    seen.method == "POST"
}

pub(crate) fn logging_in(seen: &Seen) -> bool {
    seen.one("client_id") == Some("docker") && by_get(seen)
}

/// What came of it, and what was asked.
pub(crate) struct Finished {
    pub(crate) report: Report,
    pub(crate) seen: Vec<Seen>,
    pub(crate) token: Option<String>,
}

impl Finished {
    pub(crate) fn finding(&self, check: Check) -> &Finding {
        self.report.finding(check).unwrap()
    }

    /// `TOK-02 fail`, for those that are neither passed nor left out.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let findings = self.report.findings.iter();
        let troubles = findings.filter(|found| matches!(found.verdict.as_str(), "warn" | "fail"));
        troubles
            .map(|found| {
                let from = found.follows_from.map(|check| format!(" from {check}"));
                format!("{} {}{}", found.check, found.verdict.as_str(), from.unwrap_or_default())
            })
            .collect()
    }
}

/// Who asks.
pub(crate) fn ann() -> Credential {
    Credential::Password { username: "ann".into(), password: PASSWORD.into() }
}

pub(crate) fn identity(token: &str) -> Credential {
    Credential::IdentityToken { username: Some("ann".into()), token: token.into() }
}

/// Walks through the stages of the token service, as ann, for `team/app`.
pub(crate) async fn walk(answer: Answer) -> Finished {
    walk_as(answer, Some(ann()), "/team/app", |_| ()).await
}

pub(crate) async fn walk_as(
    answer: Answer,
    credential: Option<Credential>,
    target: &str,
    inputs: impl FnOnce(&mut Inputs),
) -> Finished {
    let served = Served::start(answer).await;
    let mut given = Inputs::none(LocalInputs::default());
    inputs(&mut given);
    let target = format!("{}{target}", served.address).parse().unwrap();
    let mut run = Run::new(target, given, Arc::new(InstantTimer::default()));
    let realm = served.url("/token");
    run.observed.origin = Some(served.url("/").parse().unwrap());
    run.observed.realm = Some(realm.parse().unwrap());
    run.observed.required_auth =
        Some(RequiredAuth::Bearer { realm, service: Some("registry".into()), scope: None });
    let place = match &credential {
        Some(Credential::Password { .. }) => CredentialSource::Given("--username"),
        _ => CredentialSource::File("config.json".into()),
    };
    run.observed.credential = credential.map(|credential| FoundCredential { credential, place });
    token_request::check(&mut run).await;
    token_response::check(&mut run);
    expiry::check(&mut run).await;
    let token = run.observed.token.as_ref().map(|token| super::exposed(&token.text).to_owned());
    let walked = Finished { report: run.into_report(), seen: served.seen(), token };
    nothing_secret(&walked);
    walked
}

/// The whole diagnosis of `team/app:v1`, as ann.
pub(crate) async fn walk_whole(answer: Answer, inputs: impl FnOnce(&mut Inputs)) -> Finished {
    let address = Arc::new(OnceLock::<String>::new());
    let own = Arc::clone(&address);
    let served = Served::start(move |seen| {
        if at_desk(seen) { answer(seen) } else { registry(seen, own.get().unwrap()) }
    })
    .await;
    address.set(served.address.to_string()).unwrap();
    let mut given = Inputs::none(LocalInputs::default());
    given.password = Some(("ann".to_owned(), PASSWORD.into()));
    inputs(&mut given);
    let target = format!("{}/team/app:v1", served.address).parse().unwrap();
    let report = crate::diagnose(target, given, Arc::new(InstantTimer::default())).await;
    let walked = Finished { report, seen: served.seen(), token: None };
    nothing_secret(&walked);
    walked
}

/// No password and no token in anything that is shown.
fn nothing_secret(walked: &Finished) {
    let exchanges = walked.report.exchanges.iter();
    let mut lines: Vec<String> =
        exchanges.flat_map(|said| said.request.iter().chain(&said.answer)).cloned().collect();
    for finding in &walked.report.findings {
        lines.push(finding.summary.clone());
        lines.extend(finding.evidence.iter().chain(&finding.fix).cloned());
    }
    for line in lines {
        for secret in [PASSWORD, REFRESH, "eyJ"] {
            assert!(!line.contains(secret), "{line}");
        }
        assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line:?}");
    }
}
