//! One registry: ping it, log in, get tokens from its token service.

use std::sync::Arc;

use portpass_jose::{Compact, unverified::Unverified};
use portpass_protocol::{Access, Action, Actions};
use portpass_token::{Claims, Clock};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;

use crate::{
    credentials::{Credential, CredentialSource, CredentialStore, FoundCredential},
    host::Host,
    realm::{Realm, RegistryEndpoint},
    scopes::Scopes,
    tokens::{IssuedToken, Revocation, TokenRequest, Tokens, basic},
    transport::{BufferedRequest, BufferedResponse, NetworkZone, Transport, TransportError, shown},
};

mod authentication;
mod error;
mod internal;
mod open;
#[cfg(test)]
mod tests;

pub(crate) use authentication::{RequiredAuthentication, required_authentication};
pub use error::Error;

/// A registry: how to reach it, its credentials, and the tokens of its token service.
///
/// It sends requests for tokens and logins. A [`Session`](crate::Session) does the rest.
#[derive(Debug)]
pub struct Registry {
    host: Host,
    transport: Arc<Transport>,
    tokens: Tokens,
    credentials: Arc<dyn CredentialStore>,
    probe: OnceCell<Probe>,
}

/// The first request to a registry and its response.
#[derive(Debug)]
struct Probe {
    endpoint: RegistryEndpoint,
    /// The response to `/v2/` without credentials.
    ping: BufferedResponse,
}

/// A token that was granted.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub issued: Arc<IssuedToken>,
    /// The credential that was sent; `None` for an anonymous token.
    pub found: Option<FoundCredential>,
    /// The token service.
    pub realm: Realm,
    /// The service that the challenge names.
    pub service: Option<String>,
    /// The requested scopes.
    pub scopes: Scopes,
}

impl Granted {
    /// The requested access that the token does not grant. Empty for a token that is no JWT.
    ///
    /// A token service may grant less than requested and reports it nowhere else (TG4).
    pub fn missing(&self) -> Vec<Access> {
        missing(&self.issued, &self.scopes)
    }
}

/// The result of a login.
#[derive(Debug)]
pub struct LoggedIn {
    /// Where the credential is stored; `None` if the registry requires none and nothing was stored.
    pub kept: Option<CredentialSource>,
    /// The token that proved the login, if the registry has a token service.
    pub issued: Option<Arc<IssuedToken>>,
    /// Whether an identity token was stored instead of the password.
    pub identity_token: bool,
}

/// The result of a logout.
#[derive(Debug)]
pub struct LoggedOut {
    /// Where the credential was deleted; empty if there was none.
    pub erased: Vec<CredentialSource>,
    /// The result of revoking the identity token, if one was stored.
    pub identity_token: Option<Revocation>,
}

impl Registry {
    /// A registry from its parts. [`Registry::open`] takes them from the environment. No request is
    /// sent yet.
    pub fn new(
        host: Host,
        transport: Arc<Transport>,
        credentials: Arc<dyn CredentialStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tokens = Tokens::new(Arc::clone(&transport), clock);
        Self { host, transport, tokens, credentials, probe: OnceCell::new() }
    }

    /// Its host, as typed.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Gets a token for these scopes with the stored credential of this registry, else an anonymous
    /// one.
    ///
    /// The challenge comes from `/v2/`. If the registry serves `/v2/` without one, it comes from the
    /// first requested repository. If the token service returns a new refresh token, the new one
    /// replaces the stored one.
    ///
    /// # Errors
    /// The credential cannot be read, the registry or its token service cannot be reached or
    /// refuses, or the registry uses no tokens.
    pub async fn token(&self, scopes: &Scopes) -> Result<Granted, Error> {
        let repository = first_repository(scopes);
        let found = self.credentials.get(&self.host, repository.as_deref()).await?;
        self.token_with(scopes, found).await
    }

    /// Gets a token for these scopes with this credential, or an anonymous one with `None`.
    ///
    /// # Errors
    /// As for [`Registry::token`].
    pub async fn token_with(
        &self,
        scopes: &Scopes,
        found: Option<FoundCredential>,
    ) -> Result<Granted, Error> {
        let demand = self.required_for(scopes).await?;
        let request = self.token_request(demand, scopes, false).await?;
        let credential = found.as_ref().map(|found| &found.credential);
        let issued = self.tokens.get(&request, credential).await?;
        self.keep_renewed(credential, &issued).await?;
        Ok(Granted {
            issued,
            found,
            realm: request.realm,
            service: request.service,
            scopes: request.scopes,
        })
    }

    /// Checks a name and a password at the registry and stores them, or the identity token that the
    /// token service returned for them (CL12).
    ///
    /// # Errors
    /// The registry or its token service refuses the password, or the credential cannot be stored.
    /// Then nothing is stored.
    pub async fn log_in(&self, username: &str, password: SecretString) -> Result<LoggedIn, Error> {
        if username.is_empty() || username.contains(':') {
            return Err(crate::credentials::CredentialsError::Username.into());
        }
        let typed = Credential::Password { username: username.to_owned(), password };
        let (kept, issued) = match self.ping().await? {
            RequiredAuthentication::None => {
                return Ok(LoggedIn { kept: None, issued: None, identity_token: false });
            }
            RequiredAuthentication::Basic => {
                self.check_password(&typed).await?;
                (typed, None)
            }
            token @ RequiredAuthentication::Bearer { .. } => {
                let request = self.token_request(token, &Scopes::none(), true).await?;
                let issued = self.tokens.get(&request, Some(&typed)).await?;
                self.check_token(&issued).await?;
                (identity(&issued, username).unwrap_or(typed), Some(issued))
            }
        };
        let place = self.credentials.store(&self.host, &kept).await?;
        let identity_token = matches!(kept, Credential::IdentityToken { .. });
        Ok(LoggedIn { kept: Some(place), issued, identity_token })
    }

    /// Deletes the stored credential and revokes an identity token at its token service.
    ///
    /// A failed revocation is part of the result: the credential is deleted all the same.
    ///
    /// # Errors
    /// The credential cannot be deleted.
    pub async fn log_out(&self) -> Result<LoggedOut, Error> {
        // A broken entry is one to forget too.
        let found = self.credentials.get(&self.host, None).await.ok().flatten();
        let erased = self.credentials.erase(&self.host).await?;
        let identity_token = match found {
            Some(FoundCredential {
                credential: Credential::IdentityToken { token, .. },
                place,
            }) if erased.contains(&place) => Some(self.revoke(&token).await),
            _ => None,
        };
        Ok(LoggedOut { erased, identity_token })
    }

    async fn revoke(&self, token: &SecretString) -> Revocation {
        let realm = match self.ping().await {
            Ok(demand) => self
                .token_request(demand, &Scopes::none(), false)
                .await
                .map(|request| request.realm),
            Err(error) => Err(error),
        };
        match realm {
            Ok(realm) => self.tokens.revoke(&realm, token).await,
            Err(error) => Revocation::Failed(error.to_string()),
        }
    }

    async fn check_password(&self, credential: &Credential) -> Result<(), Error> {
        let Credential::Password { username, password } = credential else { return Ok(()) };
        let answer = self.send("/v2/", Some(basic(username, password))).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED => {
                Err(Error::Password { host: self.host.to_string(), said: answer.said() })
            }
            status => Err(Error::Status { url: answer.shown_url(), status, said: answer.said() }),
        }
    }

    /// The registry has to take what its own token service gave; if it does not, the token itself
    /// often says why.
    async fn check_token(&self, issued: &IssuedToken) -> Result<(), Error> {
        let bearer = format!("Bearer {}", issued.token.expose_secret());
        let answer = self.send("/v2/", Some(bearer.into())).await?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        match required_authentication(&answer)? {
            RequiredAuthentication::Bearer { error, .. } => Err(Error::TokenRefused {
                host: self.host.to_string(),
                error,
                why: token_fault(issued.token.expose_secret()),
            }),
            RequiredAuthentication::Basic | RequiredAuthentication::None => Err(Error::Status {
                url: answer.shown_url(),
                status: answer.status,
                said: answer.said(),
            }),
        }
    }

    async fn required_for(&self, scopes: &Scopes) -> Result<RequiredAuthentication, Error> {
        match (self.ping().await?, first_repository(scopes)) {
            (RequiredAuthentication::None, Some(name)) => {
                let answer = self.send(&format!("/v2/{name}/tags/list"), None).await?;
                // What is not there, or is public, needs no token.
                if answer.status == StatusCode::UNAUTHORIZED {
                    required_authentication(&answer)
                } else {
                    Ok(RequiredAuthentication::None)
                }
            }
            (demand, _) => Ok(demand),
        }
    }

    /// What is to be asked of whom; the challenge's own scopes are asked for as well.
    async fn token_request(
        &self,
        demand: RequiredAuthentication,
        scopes: &Scopes,
        offline: bool,
    ) -> Result<TokenRequest, Error> {
        let host = || self.host.to_string();
        match demand {
            RequiredAuthentication::None => {
                Err(Error::NoTokens { host: host(), why: "it requires none" })
            }
            RequiredAuthentication::Basic => {
                Err(Error::NoTokens { host: host(), why: "it requires the password itself" })
            }
            RequiredAuthentication::Bearer { realm, service, scope, .. } => {
                let realm = Realm::check(&realm, &self.probe().await?.endpoint)?;
                Ok(TokenRequest {
                    realm,
                    service,
                    scopes: scopes.clone().union(&Scopes::parse(&scope)),
                    offline,
                })
            }
        }
    }

    async fn ping(&self) -> Result<RequiredAuthentication, Error> {
        required_authentication(&self.probe().await?.ping)
    }

    async fn send(
        &self,
        path: &str,
        authorization: Option<SecretString>,
    ) -> Result<BufferedResponse, Error> {
        let mut url = self.probe().await?.endpoint.origin.clone();
        url.set_path(path);
        let call =
            BufferedRequest { authorization, ..BufferedRequest::get(url, NetworkZone::Loopback) };
        Ok(self.transport.send(call).await?)
    }

    /// Finds out how the registry is reached: by HTTPS; on loopback, as docker does, by HTTP if it
    /// speaks no TLS; by HTTP alone if that was asked for.
    async fn probe(&self) -> Result<&Probe, Error> {
        self.probe.get_or_try_init(|| self.send_probe()).await
    }

    /// Finds out how to reach the registry, and what it says without credentials.
    async fn send_probe(&self) -> Result<Probe, Error> {
        let schemes = schemes(self.transport.plain_http(), &self.host);
        match self.probe_by(schemes.first).await {
            Err(Error::Transport(error)) if may_be_plain(&error) => match schemes.then {
                Some(scheme) => self.probe_by(scheme).await,
                None => Err(error.into()),
            },
            probe => probe,
        }
    }

    async fn probe_by(&self, scheme: &str) -> Result<Probe, Error> {
        let asked = Url::parse(&format!("{scheme}://{}/v2/", self.host.api()))
            .map_err(|_| Error::Host { host: self.host.to_string() })?;
        // Whatever the user named may be gone to, however near it is.
        let ping =
            self.transport.send(BufferedRequest::get(asked.clone(), NetworkZone::Loopback)).await?;
        let mut origin = ping.url.clone();
        // To its own HTTPS a registry may lead; to anybody else its credentials will not follow (R9).
        let moved = origin.origin() != asked.origin();
        if moved && (origin.scheme() != "https" || origin.host() != asked.host()) {
            return Err(TransportError::Redirect { from: shown(&asked), to: shown(&origin) }.into());
        }
        origin.set_path("/");
        origin.set_query(None);
        let zone =
            ping.address.map_or(NetworkZone::Public, |address| NetworkZone::of(address.ip()));
        Ok(Probe {
            endpoint: RegistryEndpoint { origin, zone, plain_http: self.transport.plain_http() },
            ping,
        })
    }
}

/// In which schemes a registry is tried.
#[derive(Debug, PartialEq, Eq)]
struct Schemes {
    first: &'static str,
    /// If the first turns out not to be spoken there.
    then: Option<&'static str>,
}

/// HTTPS; on loopback HTTP as well, as for docker, unless `https://` was typed; nothing but HTTP for those who
/// asked for it.
fn schemes(plain_http: bool, host: &Host) -> Schemes {
    match (plain_http, host.is_loopback() && !host.demands_tls()) {
        (true, _) => Schemes { first: "http", then: None },
        (false, true) => Schemes { first: "https", then: Some("http") },
        (false, false) => Schemes { first: "https", then: None },
    }
}

/// Whether a failure over TLS is what a server of plain HTTP causes. A certificate that is not
/// trusted is none: that one speaks TLS.
fn may_be_plain(error: &TransportError) -> bool {
    matches!(
        error,
        TransportError::NotTls { .. }
            | TransportError::Connect { .. }
            | TransportError::Unreadable { .. }
    )
}

/// What of the scopes is not in a token, as far as the token can be read.
pub(crate) fn missing(issued: &IssuedToken, scopes: &Scopes) -> Vec<Access> {
    let token = Unverified::parse(issued.token.expose_secret()).ok();
    let Some(claims) = token.and_then(|token| Claims::from_json(token.payload()).ok()) else {
        return Vec::new();
    };
    let missing = scopes.known().iter().filter_map(|asked| {
        let granted = claims.access.actions_on(&asked.resource).cloned().unwrap_or_default();
        // `*` may be granted by naming the actions there are.
        let lacks = |action: &&Action| {
            !granted.grants(action) && (**action != Action::Any || granted.is_empty())
        };
        let actions: Actions = asked.actions.iter().filter(lacks).cloned().collect();
        (!actions.is_empty()).then(|| Access { resource: asked.resource.clone(), actions })
    });
    missing.collect()
}

/// The identity token that was given for a password, if one was.
fn identity(issued: &IssuedToken, username: &str) -> Option<Credential> {
    let token = issued.refresh_token.clone()?;
    Some(Credential::IdentityToken { username: Some(username.to_owned()), token })
}

/// What is wrong with a token, as far as it says itself.
pub(crate) fn token_fault(token: &str) -> Option<String> {
    if let Err(malformed) = Compact::parse(token) {
        return Some(malformed.to_string());
    }
    let opened = Unverified::parse(token).ok()?;
    Claims::from_json(opened.payload()).err().map(|error| error.to_string())
}

fn first_repository(scopes: &Scopes) -> Option<String> {
    let mut known = scopes.known().iter();
    let access = known.find(|access| &*access.resource.resource_type == "repository")?;
    Some(access.resource.name.to_string())
}
