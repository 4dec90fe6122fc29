//! Asks the token service, in the very shapes that clients ask it in.

use portpass_client::{credentials::Credential, host::is_loopback, transport::Reach};
use portpass_protocol::{
    AccessSet,
    token_response::{self, NoToken},
};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Check, Finding, Needs,
    case::Case,
    complaint::Complaint,
    facts::{Demand, Opened},
    probe::{Ask, Authorization, Seen, Sent, SilenceKind},
    redact,
};

#[cfg(test)]
pub(super) mod fixture;

/// Where tokens are asked for, and for which service.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    realm: Url,
    service: Option<String>,
}

/// Who is asking.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Somebody without credentials.
    Nobody,
    /// Somebody with a name and a password.
    Password { username: String, password: SecretString },
    /// Somebody with a refresh token.
    Identity(SecretString),
}

/// How several scopes are said (T6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Several {
    /// In a parameter each.
    Repeated,
    /// In one, with spaces between.
    Joined,
}

impl Desk {
    /// The one that the registry names, if credentials may be sent there.
    pub(super) fn of(case: &Case) -> Option<Self> {
        Self::at(case, case.facts.realm.as_ref()?)
    }

    /// The one that no credentials may be sent to.
    pub(super) fn apart(case: &Case) -> Option<Self> {
        Self::at(case, case.facts.apart.as_ref()?.url())
    }

    fn at(case: &Case, realm: &Url) -> Option<Self> {
        let Some(Demand::Bearer { service, .. }) = &case.facts.demand else { return None };
        let service = service.clone().filter(|service| !service.is_empty());
        Some(Self { realm: realm.clone(), service })
    }

    /// The same token service, asked for tokens of another registry.
    pub(super) fn for_service(&self, service: &str) -> Self {
        Self { realm: self.realm.clone(), service: Some(service.to_owned()) }
    }

    /// The same token service, asked for no registry's token.
    pub(super) fn without_service(&self) -> Self {
        Self { realm: self.realm.clone(), service: None }
    }

    pub(super) fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    pub(super) fn realm(&self) -> &Url {
        &self.realm
    }

    /// How near it may be: what is not on this machine by its spelling is in a network, at the nearest.
    pub(super) fn reach(&self) -> Reach {
        let host = self.realm.host_str().unwrap_or_default();
        let here = is_loopback(host.trim_matches(['[', ']']));
        if here { Reach::Loopback } else { Reach::Private }
    }

    /// GET with parameters and scopes; the realm's own query stays (TG1).
    pub(super) fn get(&self, who: &Who, parameters: &[(&str, &str)], scopes: &[String]) -> Ask {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(parameters);
            query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
            query.extend_pairs(self.service().map(|service| ("service", service)));
        }
        match who {
            Who::Password { username, password } => {
                let (username, password) = (username.clone(), password.clone());
                Ask::get(url).with(Authorization::Basic { username, password })
            }
            Who::Nobody | Who::Identity(_) => Ask::get(url),
        }
    }

    /// GET as `docker login` sends it: no scope, and a refresh token is wanted.
    pub(super) fn login(&self, who: &Who) -> Ask {
        let account = who.username();
        let parameters = [("account", account), ("client_id", "docker"), ("offline_token", "true")];
        self.get(who, &parameters, &[])
    }

    /// POST with fields and scopes.
    pub(super) fn post(&self, fields: Vec<(&'static str, SecretString)>, scopes: &[String]) -> Ask {
        let mut fields = fields;
        fields.extend(scopes.iter().map(|scope| ("scope", scope.clone().into())));
        fields.extend(self.service().map(|service| ("service", service.into())));
        Ask::new(Method::POST, self.realm.clone()).send(Sent::Form(fields))
    }

    /// POST with a password, as containerd sends it.
    pub(super) fn post_password(
        &self,
        username: &str,
        password: &SecretString,
        scopes: &[String],
    ) -> Ask {
        let fields = vec![
            ("client_id", "containerd-client".into()),
            ("grant_type", "password".into()),
            ("password", password.clone()),
            ("username", username.into()),
        ];
        self.post(fields, &joined(scopes))
    }

    /// POST with a refresh token, as docker sends it: `scope` is there even if it is empty (TP8).
    pub(super) fn refresh(&self, token: &SecretString, scopes: &[String]) -> Ask {
        self.post(refresh_fields(token), &[scopes.join(" ")])
    }

    /// Several scopes at once, by GET or by what else this caller has.
    pub(super) fn several(&self, who: &Who, scopes: &[String], how: Several) -> Ask {
        let scopes = match how {
            Several::Repeated => scopes.to_vec(),
            Several::Joined => joined(scopes),
        };
        match who {
            Who::Identity(token) => self.post(refresh_fields(token), &scopes),
            Who::Nobody | Who::Password { .. } => self.get(who, &[], &scopes),
        }
    }
}

fn refresh_fields(token: &SecretString) -> Vec<(&'static str, SecretString)> {
    vec![
        ("client_id", "docker".into()),
        ("grant_type", "refresh_token".into()),
        ("refresh_token", token.clone()),
    ]
}

/// One scope with spaces, or none (TP1).
fn joined(scopes: &[String]) -> Vec<String> {
    if scopes.is_empty() { Vec::new() } else { vec![scopes.join(" ")] }
}

impl Who {
    /// Whoever the credential is of. A token for the registry is none that a token service takes, and where no
    /// credentials may be sent, nobody asks.
    pub(super) fn of(case: &Case) -> Self {
        if case.facts.apart.is_some() {
            return Self::Nobody;
        }
        match case.facts.credential.as_ref().map(|found| &found.credential) {
            Some(Credential::Password { username, password }) => {
                Self::Password { username: username.clone(), password: password.clone() }
            }
            Some(Credential::IdentityToken { token, .. }) => Self::Identity(token.clone()),
            Some(Credential::RegistryToken(_)) | None => Self::Nobody,
        }
    }

    /// The name; empty where there is none.
    pub(super) fn username(&self) -> &str {
        match self {
            Self::Password { username, .. } => username,
            Self::Nobody | Self::Identity(_) => "",
        }
    }

    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}

/// Asks for a check's sake. Where there is no answer the check has been answered with that.
///
/// A service that says 429, or keeps us waiting, is asked nothing more.
pub(super) async fn put(case: &mut Case, check: Check, ask: Ask) -> Option<Seen> {
    if case.facts.answers.stopped {
        case.skip(&[check], &Needs::Check(Check::Tok11));
        return None;
    }
    match case.probe.ask(&ask).await {
        Ok(seen) => {
            let answers = &mut case.facts.answers;
            answers.slowest = answers.slowest.max(seen.took);
            answers.served |= seen.status.is_success();
            let limited = seen.status == StatusCode::TOO_MANY_REQUESTS;
            match Complaint::of(&seen) {
                Some(Complaint::Maintenance) => closed(case, &seen),
                Some(Complaint::RateLimit) => had_enough(case, &seen),
                _ if limited => had_enough(case, &seen),
                _ => return Some(seen),
            }
            case.skip(&[check], &Needs::Check(Check::Tok11));
        }
        Err(silence) => match silence.kind {
            SilenceKind::Budget => {
                case.skip(&[check], &Needs::Nothing("enough has been asked for one diagnosis"));
            }
            SilenceKind::Time => {
                case.facts.answers.stopped = true;
                case.found(too_slow(&ask));
                case.skip(&[check], &Needs::Check(Check::Tok11));
            }
            SilenceKind::Connect | SilenceKind::Broken => {
                let asked = redact::request(&ask).into_iter().next().unwrap_or_default();
                case.found(
                    Finding::fail(check, "the token service breaks off without an answer")
                        .seen(cut(&asked))
                        .seen(cut(&silence.reason))
                        .fix("look into the token service's log, and that of the proxy before it, for this request: it ends there, not in an answer"),
                );
            }
        },
    }
    None
}

fn had_enough(case: &mut Case, seen: &Seen) {
    let summary = format!("the token service answers {}: too many requests", seen.status.as_u16());
    // A limit that only a diagnosis reaches is no fault.
    let finding = if case.facts.answers.served {
        Finding::warn(Check::Tok11, summary)
    } else {
        Finding::fail(Check::Tok11, summary)
    };
    case.facts.answers.stopped = true;
    let wait = match seen.header("retry-after") {
        Some(time) => format!("Retry-After: {}", cut(time)),
        None => "there is no Retry-After to say for how long".to_owned(),
    };
    case.found(
        finding
            .seen(told("the token service", seen))
            .seen(wait)
            .seen("nothing more was asked of it")
            .fix("wait as long as Retry-After says, then diagnose again. At the token service, raise the limit for this address or account (every pull asks for a token, and all users behind one NAT or proxy count as one address), and let it send Retry-After")
            .rows(&["F55"]),
    );
}

/// A maintenance page stands in the place of whatever would have been answered.
fn closed(case: &mut Case, seen: &Seen) {
    case.facts.answers.stopped = true;
    let wait = seen.header("retry-after").map(|time| format!("Retry-After: {}", cut(time)));
    let finding = Finding::fail(
        Check::Tok11,
        format!("the token service is switched off for maintenance, it answers {}", seen.status),
    )
    .seen(told("the token service", seen))
    .seen("nothing more was asked of it")
    .breaks(&portpass_protocol::challenge::Peer::ALL)
    .fix("wait until it is back, then diagnose again. Whoever runs it can leave the realm's path out of the maintenance page, or let that answer 503 with Retry-After and JSON. Clients wait for it, and a page for browsers they take for a broken answer")
    .rows(&["F59"]);
    case.found(wait.into_iter().fold(finding, Finding::seen));
}

fn too_slow(ask: &Ask) -> Finding {
    let asked = redact::request(ask).into_iter().next().unwrap_or_default();
    Finding::fail(Check::Tok11, "the token service gives no answer within 15 s, docker's limit")
        .seen(cut(&asked))
        .fix("make the token service faster. Look for a user directory that does not answer, for password hashes that cost too much, and for a proxy that waits for a dead backend")
        .breaks(&[portpass_protocol::challenge::Peer::Docker])
        .rows(&["F05"])
}

/// `GET as docker login: 401 Unauthorized, {"errors":[…]}`
pub(super) fn told(what: &str, seen: &Seen) -> String {
    let mut line = format!("{what}: {}", seen.status);
    if let Some(location) = seen.header("location") {
        let shown = Url::parse(location).map_or_else(
            |_| location.split('?').next().unwrap_or_default().to_owned(),
            |location| redact::url(&location),
        );
        line.push_str(" to ");
        line.push_str(&cut(&shown));
    }
    if !seen.body.is_empty() {
        line.push_str(", ");
        line.push_str(&seen.excerpt());
    }
    line
}

/// Foreign text as one short line.
pub(super) fn cut(text: &str) -> String {
    redact::body(text.as_bytes())
}

/// Whether somebody else answers: a redirect, or a page for browsers where a token was expected.
pub(super) fn is_page(seen: &Seen) -> bool {
    seen.status.is_redirection() || (seen.status.is_success() && is_html(seen))
}

/// Whether the body is a page. JSON that is called HTML, as PHP does by default, is none.
pub(super) fn is_html(seen: &Seen) -> bool {
    seen.is_html() && serde_json::from_slice::<serde::de::IgnoredAny>(&seen.body).is_err()
}

/// Whether the body is JSON.
pub(super) fn is_json(seen: &Seen) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(&seen.body).is_ok()
}

/// The token in an answer, and how long it was said to live. One that no header can carry is still
/// a token, to be looked into.
pub(super) fn token_in(seen: &Seen) -> Option<(String, Option<u64>)> {
    if !seen.status.is_success() {
        return None;
    }
    match token_response::read(&seen.body) {
        Ok(answer) => Some((answer.token, answer.expires_in)),
        Err(NoToken::Unsendable { key }) => {
            let value: serde_json::Value = serde_json::from_slice(&seen.body).ok()?;
            Some((value.get(key)?.as_str()?.to_owned(), None))
        }
        Err(_) => None,
    }
}

/// What the token in an answer says it grants, if it can be opened.
pub(super) fn granted(seen: &Seen) -> Option<AccessSet> {
    let claims = Opened::of(&token_in(seen)?.0)?.claims;
    match claims.get("access") {
        None | Some(serde_json::Value::Null) => Some(AccessSet::new()),
        Some(access) => serde_json::from_value(access.clone()).ok(),
    }
}

/// The secret as it is, where it has to be looked at.
pub(super) fn exposed(secret: &SecretString) -> &str {
    secret.expose_secret()
}
