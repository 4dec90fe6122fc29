//! What the stages have observed: each adds to it, and later ones read it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use portpass_client::{
    credentials::{Credential, FoundCredential},
    transport::NetworkZone,
};
use portpass_jose::{
    json::{Map, Value},
    unverified::Unverified,
};
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    exchange::Response, network::ConnectError, probe::RequestError, redact::Secrets,
    settings::Settings,
};

/// What has been observed, so that nothing is asked twice. What is `None` was not observed.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// The credential that is used: typed, or kept for this host.
    pub(super) credential: Option<FoundCredential>,
    /// What clients' folders of certificates hold for this registry.
    pub(super) certificates: Certificates,
    /// Where the registry's name leads.
    pub(super) addresses: Vec<SocketAddr>,
    /// `http://HOST:PORT/` or `https://…`: what answers.
    pub(super) origin: Option<Url>,
    /// The registry's TLS certificate, DER.
    pub(super) tls_leaf: Option<Vec<u8>>,
    /// What TLS agrees on: `h2`, `http/1.1`.
    pub(super) alpn: Option<String>,
    /// How near the registry is.
    pub(super) reach: Option<NetworkZone>,
    /// `GET /v2/` without credentials.
    pub(super) ping: Option<Response>,
    /// `HEAD /v2/` without credentials.
    pub(super) ping_head: Option<Response>,
    /// A GET of the repository without credentials.
    pub(super) repository: Option<Response>,
    /// A HEAD of a manifest in it without credentials.
    pub(super) repository_head: Option<Response>,
    /// What the registry asks for.
    pub(super) required_auth: Option<RequiredAuth>,
    /// The token endpoint, if credentials may be sent there.
    pub(super) realm: Option<Url>,
    /// The endpoint that is asked without credentials, where there is no other.
    pub(super) anonymous_endpoint: Option<AnonymousEndpoint>,
    /// Whether the realm's port takes connections.
    pub(super) realm_connection: Option<Result<(), ConnectError>>,
    /// The answers of the token service, by how it was asked.
    pub(super) answers: TokenAnswers,
    /// The token that is looked into: given, or got for what is wanted.
    pub(super) token: Option<Token>,
    /// What the registry said to tokens.
    pub(super) replies: RegistryAnswers,
    /// Which verifier the registry is like.
    pub(super) verifier: Option<Verifier>,
    /// What the registry is set up with, as far as it was given.
    pub(super) settings: Settings,
}

impl Observations {
    /// Whether the token was got without credentials, though a credential is there.
    pub(super) fn is_anonymous_token(&self) -> bool {
        let nobody =
            self.token.as_ref().is_some_and(|token| token.requester == Requester::Anonymous);
        nobody && self.credential.is_some()
    }

    /// Adds its secrets to those that must not be shown, though they may never have been sent.
    pub(super) fn tell_secrets(&self, secrets: &Secrets) {
        match self.credential.as_ref().map(|found| &found.credential) {
            Some(Credential::Password { username, password }) => {
                secrets.learn_login(username, password.expose_secret());
            }
            Some(Credential::IdentityToken { token, .. } | Credential::RegistryToken(token)) => {
                secrets.learn(token.expose_secret());
            }
            None => {}
        }
        let token = self.token.iter().map(|token| &token.text);
        for token in token.chain(&self.answers.refresh_token) {
            secrets.learn(token.expose_secret());
        }
    }
}

/// Authorities that clients were told of.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    /// Each with the file that it is in.
    pub(super) authorities: Vec<(CertificateDer<'static>, PathBuf)>,
    /// The clients' folders that are there and hold none for this registry.
    pub(super) without: Vec<PathBuf>,
}

/// The authentication that a registry requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequiredAuth {
    /// Nothing: it serves everybody.
    Nothing,
    /// The password itself.
    Basic,
    /// A token.
    Bearer {
        /// As written; empty where there is none.
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// A token endpoint that no credential is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnonymousEndpoint {
    /// The realm itself: it is in plain HTTP, or too near.
    Realm(Url),
    /// The realm leads nowhere, and its path is served here, beside the registry.
    SameHost(Url),
}

impl AnonymousEndpoint {
    /// Its URL.
    pub(super) fn url(&self) -> &Url {
        match self {
            Self::Realm(url) | Self::SameHost(url) => url,
        }
    }
}

/// Answers of the token service, for one question each.
#[derive(Debug, Default)]
pub(super) struct TokenAnswers {
    /// GET without credentials, with the scope that is wanted.
    pub(super) anonymous: Option<Response>,
    /// GET as `docker login` does.
    pub(super) login: Option<Response>,
    /// GET with credentials and the scope that is wanted.
    pub(super) scoped: Option<Response>,
    /// POST `grant_type=password`, or `refresh_token` where that is what there is.
    pub(super) posted: Option<Response>,
    /// The refresh token that `login` gave.
    pub(super) refresh_token: Option<SecretString>,
    /// Whether the password was refused: it is not sent again, for accounts lock.
    pub(super) refused: bool,
    /// Whether any of them was a success.
    pub(super) served: bool,
    /// How long the slowest took.
    pub(super) slowest: Duration,
    /// Whether the token service has had enough of us, or is too slow: nothing more is asked of it.
    pub(super) stopped: bool,
}

/// A token and what it says.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// As it is sent.
    pub(super) text: SecretString,
    /// Who asked for it.
    pub(super) requester: Requester,
    /// What it was asked for with; empty for a login token, `None` for one that was given.
    pub(super) scope: Option<String>,
    /// Seconds, as the token service said.
    pub(super) expires_in: Option<u64>,
    /// Its header and claims, if it can be opened.
    pub(super) decoded: Option<Decoded>,
}

/// Who asked for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Requester {
    /// The credential.
    Credential,
    /// A client without credentials, also where there are some that were refused or kept back.
    Anonymous,
    /// Not known: the token was given, or is kept.
    Unknown,
}

/// A token's two objects.
#[derive(Debug, Clone)]
pub(super) struct Decoded {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
}

impl Token {
    /// Opens it, if it can be opened.
    pub(super) fn new(
        text: String,
        requester: Requester,
        scope: Option<String>,
        expires_in: Option<u64>,
    ) -> Self {
        let decoded = Decoded::of(&text);
        Self { text: text.into(), requester, scope, expires_in, decoded }
    }
}

impl Decoded {
    /// Reads header and claims; nothing has verified them.
    pub(super) fn of(token: &str) -> Option<Self> {
        let unverified = Unverified::parse(token).ok()?;
        let claims = unverified.claims().ok()?;
        Some(Self { header: unverified.header().clone(), claims })
    }
}

/// What the registry answered on `/v2/` and the repository.
#[derive(Debug, Default)]
pub(super) struct RegistryAnswers {
    /// To `Bearer` and nonsense.
    pub(super) garbage: Option<Response>,
    /// To two spaces before the nonsense.
    pub(super) two_spaces: Option<Response>,
    /// To the token, on `/v2/`.
    pub(super) real: Option<Response>,
    /// To the token, on the repository.
    pub(super) repository: Option<Response>,
    /// To the token, on `/v2/`, on connections of their own.
    pub(super) again: Vec<Response>,
    /// To the password itself, on the repository or else on `/v2/`, where a challenge asks for that too.
    pub(super) password: Option<Response>,
    /// To a token without any grant, on the repository.
    pub(super) scopeless: Option<Response>,
    /// Why there is no answer to the token.
    pub(super) error: Option<RequestError>,
}

/// How a registry verifies, as far as its answers tell (failure catalogue, section 2, rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verifier {
    /// As distribution 2.x: libtrust key ids.
    Distribution2,
    /// As distribution 3.x: RFC 7638 key ids.
    Distribution3,
    /// It does not answer as either does.
    Other,
}
