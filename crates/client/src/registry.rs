//! One registry, seen from outside: ping it, log in, get its token service's tokens.

use std::sync::Arc;

use portpass_jose::{Compact, danger::Unverified};
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

/// A registry and what is known of it.
#[derive(Debug)]
pub struct Registry {
    host: Host,
    transport: Arc<Transport>,
    tokens: Tokens,
    credentials: Arc<dyn CredentialStore>,
    probe: OnceCell<Probe>,
}

/// How a registry was first met, and what it said.
#[derive(Debug)]
struct Probe {
    endpoint: RegistryEndpoint,
    /// Its answer to `/v2/` without credentials.
    ping: BufferedResponse,
}

/// A token that was granted.
#[derive(Debug)]
pub struct Granted {
    /// The token.
    pub issued: Arc<IssuedToken>,
    /// Whose credential got it; `None` if it is anonymous.
    pub found: Option<FoundCredential>,
    /// The token service.
    pub realm: Realm,
    /// For whom it is, if the registry says so.
    pub service: Option<String>,
    /// What was asked for.
    pub scopes: Scopes,
}

impl Granted {
    /// What was asked for and is not in the token, as far as the token can be read. A service may
    /// grant less than it was asked for, and says so nowhere else (TG4).
    pub fn missing(&self) -> Vec<Access> {
        missing(&self.issued, &self.scopes)
    }
}

/// What logging in came to.
#[derive(Debug)]
pub struct LoggedIn {
    /// Where the credential is kept now; `None` if the registry asked for none, and nothing is kept.
    pub kept: Option<CredentialSource>,
    /// The token that was got on the way, where there is a token service.
    pub issued: Option<Arc<IssuedToken>>,
    /// Whether an identity token is kept in place of the password.
    pub identity_token: bool,
}

/// What logging out came to.
#[derive(Debug)]
pub struct LoggedOut {
    /// From where the credential is gone; empty if there was none.
    pub erased: Vec<CredentialSource>,
    /// What became of the identity token, if one was kept.
    pub identity_token: Option<Revocation>,
}

impl Registry {
    /// Not yet spoken to.
    pub fn new(
        host: Host,
        transport: Arc<Transport>,
        credentials: Arc<dyn CredentialStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let tokens = Tokens::new(Arc::clone(&transport), clock);
        Self { host, transport, tokens, credentials, probe: OnceCell::new() }
    }

    /// Its name as typed.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Gets a token for these scopes with the credential that is kept for this registry, else
    /// anonymously.
    ///
    /// The challenge comes from `/v2/`; of a registry that serves that to everybody, from the first
    /// repository asked for. A refresh token that its service has replaced is kept in the place of
    /// the old one.
    pub async fn token(&self, scopes: &Scopes) -> Result<Granted, Error> {
        let repository = first_repository(scopes);
        let found = self.credentials.get(&self.host, repository.as_deref()).await?;
        self.token_with(scopes, found).await
    }

    /// The same with this credential, or with none.
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

    /// Checks a name and a password at the registry and keeps them, or the identity token that was
    /// given for them (CL12). Nothing is kept that the registry did not accept.
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

    /// Forgets the credential. An identity token is given back to its service first, so that it is
    /// no good to anybody; that this fails is told, and keeps nothing from being forgotten.
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
                Err(Error::NoTokens { host: host(), why: "it asks for none" })
            }
            RequiredAuthentication::Basic => {
                Err(Error::NoTokens { host: host(), why: "it asks for the password itself" })
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

    /// Finds out how the registry is reached, and what it says to those who show nothing.
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
