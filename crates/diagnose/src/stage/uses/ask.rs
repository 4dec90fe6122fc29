//! Shows the registry nonsense, then the token. Nonsense is all that a probe may make up: what a real
//! token would be changed into, somebody could find in a log (failure catalogue, section 2, rule 8).

use portpass_client::credentials::Credential;
use portpass_jose::danger::Unverified;
use portpass_protocol::{challenge, token_response};
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Check,
    case::Case,
    facts::{Asker, Demand, Opened, Style, Token},
    probe::{Ask, Authorization, Seen},
    reply::Reply,
    settings::Settings,
};

/// No token of anybody's.
const GARBAGE: &str = "Bearer garbage";
/// The same, as only distribution 2 does not see it.
const TWO_SPACES: &str = "Bearer  garbage";
/// How often the token is shown again, to nodes that may know other keys.
const AGAIN: usize = 3;

/// Asks what the later stages look at; answers no check.
pub(crate) async fn ask(case: &mut Case) {
    case.facts.settings = Settings::of(case.inputs.clone()).await;
    know_the_token(case);
    let Some(ping) = case.url("/v2/") else { return };
    let asks_for_token = matches!(case.facts.demand, Some(Demand::Bearer { .. }));
    if case.facts.demand == Some(Demand::Basic) {
        return ask_with_password(case).await;
    }
    let token = case.facts.token.as_ref().map(|token| token.text.clone()).filter(can_be_sent);
    if !asks_for_token && token.is_none() {
        return;
    }
    if case.facts.ping.is_none() {
        case.facts.ping = hear(case, Ask::get(ping.clone())).await;
    }
    let words = |words: &str| Ask::get(ping.clone()).with(Authorization::Words(words.to_owned()));
    case.facts.replies.garbage = hear(case, words(GARBAGE)).await;
    case.facts.replies.two_spaces = hear(case, words(TWO_SPACES)).await;
    case.facts.style = style(case);
    if let Some(token) = token {
        show(case, token).await;
    }
    ask_with_too_little(case).await;
    ask_with_either(case).await;
}

/// Where Basic stands beside Bearer, docker sends the password in the token's place. It was taken by the token
/// service, so it is no wrong one.
async fn ask_with_either(case: &mut Case) {
    let asked = case.facts.ping.iter().flat_map(|seen| seen.headers.get_all(WWW_AUTHENTICATE));
    let asks_for_it = challenge::parse(asked.map(HeaderValue::as_bytes)).basic().is_some();
    let is_good = !case.facts.answers.refused && case.has_passed(Check::Tok02);
    let credential = case.facts.credential.as_ref().map(|found| found.credential.clone());
    let Some(Credential::Password { username, password }) =
        credential.filter(|_| asks_for_it && is_good)
    else {
        return;
    };
    let Some(url) = repository(case).or_else(|| case.url("/v2/")) else { return };
    let ask = Ask::get(url).with(Authorization::Basic { username, password });
    case.facts.replies.password = hear(case, ask).await;
}

/// The token on `/v2/`, and on the repository.
async fn show(case: &mut Case, token: SecretString) {
    let as_bearer = || Authorization::Bearer(token.clone());
    let Some(ping) = case.url("/v2/") else { return };
    case.facts.replies.real = hear_token(case, Ask::get(ping.clone()).with(as_bearer())).await;
    if let Some(url) = repository(case) {
        case.facts.replies.repository = hear_token(case, Ask::get(url).with(as_bearer())).await;
    }
    let first = case.facts.replies.real.as_ref().map(Reply::of);
    if matches!(first, Some(Reply::Taken | Reply::Invalid | Reply::Unnamed)) {
        for _ in 0..AGAIN {
            let ask = Ask::get(ping.clone()).with(as_bearer()).fresh();
            let seen = hear_token(case, ask).await;
            case.facts.replies.again.extend(seen);
        }
    }
}

/// The token of `docker login`, which grants nothing, on the repository.
async fn ask_with_too_little(case: &mut Case) {
    let Some(url) = repository(case) else { return };
    let login = case.facts.answers.login.as_ref().filter(|seen| seen.status.is_success());
    let Some(token) = login.and_then(|seen| token_response::read(&seen.body).ok()) else { return };
    let bearer = Authorization::Bearer(token.token.into());
    case.facts.replies.scopeless = hear(case, Ask::get(url).with(bearer)).await;
}

async fn ask_with_password(case: &mut Case) {
    let found = case.facts.credential.as_ref().map(|found| found.credential.clone());
    let Some(Credential::Password { username, password }) = found else { return };
    let basic = || Authorization::Basic { username: username.clone(), password: password.clone() };
    let Some(ping) = case.url("/v2/") else { return };
    case.facts.replies.real = hear_token(case, Ask::get(ping).with(basic())).await;
    if let Some(url) = repository(case) {
        case.facts.replies.repository = hear_token(case, Ask::get(url).with(basic())).await;
    }
}

/// A GET that needs pull and counts for no rate limit of pulls.
pub(super) fn repository(case: &Case) -> Option<reqwest::Url> {
    let name = case.target.repository.as_ref()?;
    case.url(&format!("/v2/{name}/tags/list"))
}

pub(super) async fn hear(case: &Case, ask: Ask) -> Option<Seen> {
    case.probe.ask(&ask).await.ok()
}

async fn hear_token(case: &mut Case, ask: Ask) -> Option<Seen> {
    match case.probe.ask(&ask).await {
        Ok(seen) => Some(seen),
        Err(silence) => {
            case.facts.replies.silence.get_or_insert(silence);
            None
        }
    }
}

/// A token that was given is looked at where no stage before has got one; it is opened if it can be.
fn know_the_token(case: &mut Case) {
    if let (None, Some(text)) = (&case.facts.token, &case.inputs.token) {
        let text = text.clone();
        case.facts.token = Some(Token {
            text,
            asker: Asker::Unknown,
            scope: None,
            expires_in: None,
            opened: None,
        });
    }
    if let Some(token) = case.facts.token.as_mut().filter(|token| token.opened.is_none()) {
        token.opened = open(token.text.expose_secret());
    }
}

/// Header and claims, of a token in quotes or with padding too.
pub(super) fn open(text: &str) -> Option<Opened> {
    let bare = crate::stage::jwt::bare(text);
    let opened = Unverified::parse(&bare).ok()?;
    Some(Opened { header: opened.header().clone(), claims: opened.claims().ok()? })
}

fn can_be_sent(token: &SecretString) -> bool {
    HeaderValue::from_str(token.expose_secret()).is_ok()
}

/// Rule 4: how two spaces are read tells the verifiers apart.
fn style(case: &Case) -> Option<Style> {
    let reply = |seen: &Option<Seen>| seen.as_ref().map(Reply::of);
    let replies = &case.facts.replies;
    Some(match (reply(&replies.garbage)?, reply(&replies.two_spaces)?) {
        (Reply::Invalid, Reply::Unnamed) => Style::Two,
        (Reply::Invalid, Reply::Invalid) => Style::Three,
        _ => Style::Other,
    })
}
