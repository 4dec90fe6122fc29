//! Sends the registry nonsense, then the token. Nonsense is all that a probe may make up: what a real
//! token would be changed into, somebody could find in a log (failure catalogue, section 2, rule 8).

use portpass_client::credentials::Credential;
use portpass_jose::unverified::Unverified;
use portpass_protocol::{challenge, token_response};
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Check,
    exchange::{Authorization, Request, Response},
    observations::{Decoded, Requester, RequiredAuth, Token, Verifier},
    outcome::Outcome,
    run::Run,
    settings::Settings,
};

/// No token of anybody's.
const GARBAGE: &str = "Bearer garbage";
/// The same, as only distribution 2 does not see it.
const TWO_SPACES: &str = "Bearer  garbage";
/// How often the token is shown again, to nodes that may know other keys.
const AGAIN: usize = 3;

/// Asks what the later stages look at; answers no check.
pub(crate) async fn send_tokens(run: &mut Run) {
    run.observed.settings = Settings::of(run.inputs.clone()).await;
    remember_token(run);
    let Some(ping) = run.url("/v2/") else { return };
    let asks_for_token = matches!(run.observed.required_auth, Some(RequiredAuth::Bearer { .. }));
    if run.observed.required_auth == Some(RequiredAuth::Basic) {
        return send_password(run).await;
    }
    let token = run.observed.token.as_ref().map(|token| token.text.clone()).filter(can_be_sent);
    if !asks_for_token && token.is_none() {
        return;
    }
    if run.observed.ping.is_none() {
        run.observed.ping = send(run, Request::get(ping.clone())).await;
    }
    let words =
        |words: &str| Request::get(ping.clone()).with(Authorization::Literal(words.to_owned()));
    run.observed.replies.garbage = send(run, words(GARBAGE)).await;
    run.observed.replies.two_spaces = send(run, words(TWO_SPACES)).await;
    run.observed.verifier = verifier(run);
    if let Some(token) = token {
        show(run, token).await;
    }
    send_without_scope(run).await;
    send_either(run).await;
}

/// Where Basic stands beside Bearer, docker sends the password in the token's place. It was taken by the token
/// service, so it is no wrong one.
async fn send_either(run: &mut Run) {
    let asked =
        run.observed.ping.iter().flat_map(|response| response.headers.get_all(WWW_AUTHENTICATE));
    let asks_for_it = challenge::parse(asked.map(HeaderValue::as_bytes)).basic().is_some();
    let is_good = !run.observed.answers.refused && run.has_passed(Check::Tok02);
    let credential = run.observed.credential.as_ref().map(|found| found.credential.clone());
    let Some(Credential::Password { username, password }) =
        credential.filter(|_| asks_for_it && is_good)
    else {
        return;
    };
    let Some(url) = repository(run).or_else(|| run.url("/v2/")) else { return };
    let request = Request::get(url).with(Authorization::Basic { username, password });
    run.observed.replies.password = send(run, request).await;
}

/// The token on `/v2/`, and on the repository.
async fn show(run: &mut Run, token: SecretString) {
    let as_bearer = || Authorization::Bearer(token.clone());
    let Some(ping) = run.url("/v2/") else { return };
    run.observed.replies.real = send_token(run, Request::get(ping.clone()).with(as_bearer())).await;
    if let Some(url) = repository(run) {
        run.observed.replies.repository =
            send_token(run, Request::get(url).with(as_bearer())).await;
    }
    let first = run.observed.replies.real.as_ref().map(Outcome::of);
    if matches!(first, Some(Outcome::Accepted | Outcome::InvalidToken | Outcome::Unauthorized)) {
        for _ in 0..AGAIN {
            let request = Request::get(ping.clone()).with(as_bearer()).fresh();
            let response = send_token(run, request).await;
            run.observed.replies.again.extend(response);
        }
    }
}

/// The token of `docker login`, which grants nothing, on the repository.
async fn send_without_scope(run: &mut Run) {
    let Some(url) = repository(run) else { return };
    let login = run.observed.answers.login.as_ref().filter(|response| response.status.is_success());
    let Some(token) = login.and_then(|response| token_response::read(&response.body).ok()) else {
        return;
    };
    let bearer = Authorization::Bearer(token.token.into());
    run.observed.replies.scopeless = send(run, Request::get(url).with(bearer)).await;
}

async fn send_password(run: &mut Run) {
    let found = run.observed.credential.as_ref().map(|found| found.credential.clone());
    let Some(Credential::Password { username, password }) = found else { return };
    let basic = || Authorization::Basic { username: username.clone(), password: password.clone() };
    let Some(ping) = run.url("/v2/") else { return };
    run.observed.replies.real = send_token(run, Request::get(ping).with(basic())).await;
    if let Some(url) = repository(run) {
        run.observed.replies.repository = send_token(run, Request::get(url).with(basic())).await;
    }
}

/// A GET that needs pull and counts for no rate limit of pulls.
pub(super) fn repository(run: &Run) -> Option<reqwest::Url> {
    let name = run.target.repository.as_ref()?;
    run.url(&format!("/v2/{name}/tags/list"))
}

pub(super) async fn send(run: &Run, request: Request) -> Option<Response> {
    run.probe.send(&request).await.ok()
}

async fn send_token(run: &mut Run, request: Request) -> Option<Response> {
    match run.probe.send(&request).await {
        Ok(response) => Some(response),
        Err(error) => {
            run.observed.replies.error.get_or_insert(error);
            None
        }
    }
}

/// A token that was given is looked at where no stage before has got one; it is opened if it can be.
fn remember_token(run: &mut Run) {
    if let (None, Some(text)) = (&run.observed.token, &run.inputs.token) {
        let text = text.clone();
        run.observed.token = Some(Token {
            text,
            requester: Requester::Unknown,
            scope: None,
            expires_in: None,
            decoded: None,
        });
    }
    if let Some(token) = run.observed.token.as_mut().filter(|token| token.decoded.is_none()) {
        token.decoded = open(token.text.expose_secret());
    }
}

/// Header and claims, of a token in quotes or with padding too.
pub(super) fn open(text: &str) -> Option<Decoded> {
    let bare = crate::stage::jwt::bare(text);
    let opened = Unverified::parse(&bare).ok()?;
    Some(Decoded { header: opened.header().clone(), claims: opened.claims().ok()? })
}

fn can_be_sent(token: &SecretString) -> bool {
    HeaderValue::from_str(token.expose_secret()).is_ok()
}

/// Rule 4: how two spaces are read tells the verifiers apart.
fn verifier(run: &Run) -> Option<Verifier> {
    let reply = |response: &Option<Response>| response.as_ref().map(Outcome::of);
    let replies = &run.observed.replies;
    Some(match (reply(&replies.garbage)?, reply(&replies.two_spaces)?) {
        (Outcome::InvalidToken, Outcome::Unauthorized) => Verifier::Distribution2,
        (Outcome::InvalidToken, Outcome::InvalidToken) => Verifier::Distribution3,
        _ => Verifier::Other,
    })
}
