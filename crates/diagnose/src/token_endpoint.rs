//! The token endpoint, and the requests that clients send it.

use portpass_client::{credentials::Credential, host::is_loopback, transport::NetworkZone};
use portpass_protocol::{
    AccessSet,
    token_response::{self, TokenResponseError},
};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Check, Finding, Needs,
    complaint::Complaint,
    exchange::{Authorization, Request, RequestBody, Response},
    observations::{Decoded, RequiredAuth},
    probe::RequestErrorKind,
    redact,
    run::Run,
};

#[cfg(test)]
pub(super) mod fixture;

/// Where tokens are requested, and for which service.
#[derive(Debug, Clone)]
pub(super) struct TokenEndpoint {
    realm: Url,
    service: Option<String>,
}

/// The account that requests tokens.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Without credentials.
    Anonymous,
    /// With a name and a password.
    Password { username: String, password: SecretString },
    /// With a refresh token.
    RefreshToken(SecretString),
}

/// How several scopes are sent (T6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopeEncoding {
    /// In a parameter each.
    Repeated,
    /// In one, with spaces between.
    Joined,
}

impl TokenEndpoint {
    /// The one that the registry names, if credentials may be sent there.
    pub(super) fn of(run: &Run) -> Option<Self> {
        Self::at(run, run.observed.realm.as_ref()?)
    }

    /// The one that no credentials may be sent to.
    pub(super) fn apart(run: &Run) -> Option<Self> {
        Self::at(run, run.observed.anonymous_endpoint.as_ref()?.url())
    }

    fn at(run: &Run, realm: &Url) -> Option<Self> {
        let Some(RequiredAuth::Bearer { service, .. }) = &run.observed.required_auth else {
            return None;
        };
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
    pub(super) fn reach(&self) -> NetworkZone {
        let host = self.realm.host_str().unwrap_or_default();
        let here = is_loopback(host.trim_matches(['[', ']']));
        if here { NetworkZone::Loopback } else { NetworkZone::Private }
    }

    /// GET with parameters and scopes; the realm's own query stays (TG1).
    pub(super) fn get(
        &self,
        caller: &Caller,
        parameters: &[(&str, &str)],
        scopes: &[String],
    ) -> Request {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(parameters);
            query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
            query.extend_pairs(self.service().map(|service| ("service", service)));
        }
        match caller {
            Caller::Password { username, password } => {
                let (username, password) = (username.clone(), password.clone());
                Request::get(url).with(Authorization::Basic { username, password })
            }
            Caller::Anonymous | Caller::RefreshToken(_) => Request::get(url),
        }
    }

    /// GET as `docker login` sends it: no scope, and a refresh token is wanted.
    pub(super) fn login(&self, caller: &Caller) -> Request {
        let account = caller.username();
        let parameters = [("account", account), ("client_id", "docker"), ("offline_token", "true")];
        self.get(caller, &parameters, &[])
    }

    /// POST with fields and scopes.
    pub(super) fn post(
        &self,
        fields: Vec<(&'static str, SecretString)>,
        scopes: &[String],
    ) -> Request {
        let mut fields = fields;
        fields.extend(scopes.iter().map(|scope| ("scope", scope.clone().into())));
        fields.extend(self.service().map(|service| ("service", service.into())));
        Request::new(Method::POST, self.realm.clone()).body(RequestBody::Form(fields))
    }

    /// POST with a password, as containerd sends it.
    pub(super) fn post_password(
        &self,
        username: &str,
        password: &SecretString,
        scopes: &[String],
    ) -> Request {
        let fields = vec![
            ("client_id", "containerd-client".into()),
            ("grant_type", "password".into()),
            ("password", password.clone()),
            ("username", username.into()),
        ];
        self.post(fields, &joined(scopes))
    }

    /// POST with a refresh token, as docker sends it: `scope` is there even if it is empty (TP8).
    pub(super) fn refresh(&self, token: &SecretString, scopes: &[String]) -> Request {
        self.post(refresh_fields(token), &[scopes.join(" ")])
    }

    /// Several scopes at once, by GET or by what else this caller has.
    pub(super) fn several(
        &self,
        caller: &Caller,
        scopes: &[String],
        how: ScopeEncoding,
    ) -> Request {
        let scopes = match how {
            ScopeEncoding::Repeated => scopes.to_vec(),
            ScopeEncoding::Joined => joined(scopes),
        };
        match caller {
            Caller::RefreshToken(token) => self.post(refresh_fields(token), &scopes),
            Caller::Anonymous | Caller::Password { .. } => self.get(caller, &[], &scopes),
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

impl Caller {
    /// The owner of the credential. A token service takes no registry token. Where no credentials may be sent, the
    /// caller is anonymous.
    pub(super) fn of(run: &Run) -> Self {
        if run.observed.anonymous_endpoint.is_some() {
            return Self::Anonymous;
        }
        match run.observed.credential.as_ref().map(|found| &found.credential) {
            Some(Credential::Password { username, password }) => {
                Self::Password { username: username.clone(), password: password.clone() }
            }
            Some(Credential::IdentityToken { token, .. }) => Self::RefreshToken(token.clone()),
            Some(Credential::RegistryToken(_)) | None => Self::Anonymous,
        }
    }

    /// The name; empty where there is none.
    pub(super) fn username(&self) -> &str {
        match self {
            Self::Password { username, .. } => username,
            Self::Anonymous | Self::RefreshToken(_) => "",
        }
    }

    pub(super) fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// Sends a request for a check. Where there is no answer, that is the answer to the check.
///
/// A service that answers 429, or too late, is asked nothing more.
pub(super) async fn send(run: &mut Run, check: Check, request: Request) -> Option<Response> {
    if run.observed.answers.stopped {
        run.skip(&[check], &Needs::Check(Check::Tok11));
        return None;
    }
    match run.probe.send(&request).await {
        Ok(response) => {
            let answers = &mut run.observed.answers;
            answers.slowest = answers.slowest.max(response.took);
            answers.served |= response.status.is_success();
            let limited = response.status == StatusCode::TOO_MANY_REQUESTS;
            match Complaint::of(&response) {
                Some(Complaint::Maintenance) => closed(run, &response),
                Some(Complaint::RateLimit) => had_enough(run, &response),
                _ if limited => had_enough(run, &response),
                _ => return Some(response),
            }
            run.skip(&[check], &Needs::Check(Check::Tok11));
        }
        Err(error) => match error.kind {
            RequestErrorKind::Budget => {
                run.skip(&[check], &Needs::Nothing("the limit of requests is reached"));
            }
            RequestErrorKind::Timeout => {
                run.observed.answers.stopped = true;
                run.record(too_slow(&request));
                run.skip(&[check], &Needs::Check(Check::Tok11));
            }
            RequestErrorKind::Connect | RequestErrorKind::Broken => {
                let asked = redact::request(&request).into_iter().next().unwrap_or_default();
                run.record(
                    Finding::fail(check, "the token service closes the connection without a response")
                        .evidence(cut(&asked))
                        .evidence(cut(&error.reason))
                        .fix("look for this request in the logs of the token service and of the proxy in front of it"),
                );
            }
        },
    }
    None
}

fn had_enough(run: &mut Run, response: &Response) {
    let summary =
        format!("the token service responds with {}: too many requests", response.status.as_u16());
    // A limit that only a diagnosis reaches is no fault.
    let finding = if run.observed.answers.served {
        Finding::warn(Check::Tok11, summary)
    } else {
        Finding::fail(Check::Tok11, summary)
    };
    run.observed.answers.stopped = true;
    let wait = match response.header("retry-after") {
        Some(time) => format!("Retry-After: {}", cut(time)),
        None => "there is no Retry-After".to_owned(),
    };
    run.record(
        finding
            .evidence(describe("the token service", response))
            .evidence(wait)
            .evidence("`diagnose` sent it nothing more")
            .fix("wait as long as Retry-After says, then run the command again. At the token service, raise the limit for this address or account (every pull requests a token, and all users behind one NAT or proxy count as one address), and let it send Retry-After")
            .rows(&["F55"]),
    );
}

/// A maintenance page replaces every other response.
fn closed(run: &mut Run, response: &Response) {
    run.observed.answers.stopped = true;
    let wait = response.header("retry-after").map(|time| format!("Retry-After: {}", cut(time)));
    let finding = Finding::fail(
        Check::Tok11,
        format!("the token service is down for maintenance and responds with {}", response.status),
    )
    .evidence(describe("the token service", response))
    .evidence("`diagnose` sent it nothing more")
    .breaks(&portpass_protocol::challenge::KnownClient::ALL)
    .fix("wait until it is back, then run the command again. Its operator can exclude the realm's path from the maintenance page, or respond with 503, Retry-After and JSON. Clients wait then, but treat a web page as a broken response")
    .rows(&["F59"]);
    run.record(wait.into_iter().fold(finding, Finding::evidence));
}

fn too_slow(request: &Request) -> Finding {
    let asked = redact::request(request).into_iter().next().unwrap_or_default();
    Finding::fail(Check::Tok11, "the token service does not respond within 15 s, docker's limit")
        .evidence(cut(&asked))
        .fix("make the token service faster. Look for a user directory that does not respond, password hashes that cost too much, or a proxy that waits for a dead backend")
        .breaks(&[portpass_protocol::challenge::KnownClient::Docker])
        .rows(&["F05"])
}

/// `GET as docker login: 401 Unauthorized, {"errors":[…]}`
pub(super) fn describe(what: &str, response: &Response) -> String {
    let mut line = format!("{what}: {}", response.status);
    if let Some(location) = response.header("location") {
        let shown = Url::parse(location).map_or_else(
            |_| location.split('?').next().unwrap_or_default().to_owned(),
            |location| redact::url(&location),
        );
        line.push_str(" to ");
        line.push_str(&cut(&shown));
    }
    if !response.body.is_empty() {
        line.push_str(", ");
        line.push_str(&redact::excerpt(response));
    }
    line
}

/// Foreign text as one short line.
pub(super) fn cut(text: &str) -> String {
    redact::body(text.as_bytes())
}

/// Whether another server answers: a redirect, or a page for browsers where a token was expected.
pub(super) fn is_page(response: &Response) -> bool {
    response.status.is_redirection() || (response.status.is_success() && is_html(response))
}

/// Whether the body is a page. JSON that is called HTML, as PHP does by default, is none.
pub(super) fn is_html(response: &Response) -> bool {
    response.is_html() && serde_json::from_slice::<serde::de::IgnoredAny>(&response.body).is_err()
}

/// Whether the body is JSON.
pub(super) fn is_json(response: &Response) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(&response.body).is_ok()
}

/// The token in an answer, and how long it was said to live. One that no header can carry is still
/// a token, to be looked into.
pub(super) fn token_in(response: &Response) -> Option<(String, Option<u64>)> {
    if !response.status.is_success() {
        return None;
    }
    match token_response::read(&response.body) {
        Ok(answer) => Some((answer.token, answer.expires_in)),
        Err(TokenResponseError::Unsendable { key }) => {
            let value: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
            Some((value.get(key)?.as_str()?.to_owned(), None))
        }
        Err(_) => None,
    }
}

/// What the token in an answer says it grants, if it can be opened.
pub(super) fn granted(response: &Response) -> Option<AccessSet> {
    let claims = Decoded::of(&token_in(response)?.0)?.claims;
    match claims.get("access") {
        None | Some(serde_json::Value::Null) => Some(AccessSet::new()),
        Some(access) => serde_json::from_value(access.clone()).ok(),
    }
}

/// The secret as it is, where it has to be looked at.
pub(super) fn exposed(secret: &SecretString) -> &str {
    secret.expose_secret()
}
