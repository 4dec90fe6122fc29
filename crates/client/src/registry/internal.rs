//! The part of a registry that only sessions use.

use std::{sync::Arc, time::SystemTime};

use secrecy::ExposeSecret as _;

use super::{Error, Registry, RequiredAuthentication, required_authentication};
use crate::{
    credentials::{Credential, FoundCredential},
    realm::RegistryEndpoint,
    tokens::{IssuedToken, TokenRequest, Tokens},
    transport::Transport,
};

impl Registry {
    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.tokens.now()
    }

    /// How it is reached. The first call sends a request.
    pub(crate) async fn endpoint(&self) -> Result<&RegistryEndpoint, Error> {
        Ok(&self.probe().await?.endpoint)
    }

    /// What `/v2/` requires of an anonymous request. An unreadable response counts as `None`: the
    /// next 401 may say more.
    pub(crate) async fn first_required_authentication(
        &self,
    ) -> Result<RequiredAuthentication, Error> {
        Ok(required_authentication(&self.probe().await?.ping)
            .unwrap_or(RequiredAuthentication::None))
    }

    pub(crate) async fn credential(
        &self,
        repository: Option<&str>,
    ) -> Result<Option<FoundCredential>, Error> {
        Ok(self.credentials.get(&self.host, repository).await?)
    }

    /// Stores the new refresh token that came with a token, instead of the one that was sent (CL6).
    pub(crate) async fn keep_renewed(
        &self,
        credential: Option<&Credential>,
        issued: &IssuedToken,
    ) -> Result<Option<Credential>, Error> {
        let (Some(Credential::IdentityToken { username, token: old }), Some(new)) =
            (credential, &issued.refresh_token)
        else {
            return Ok(None);
        };
        if old.expose_secret() == new.expose_secret() {
            return Ok(None);
        }
        let renewed = Credential::IdentityToken { username: username.clone(), token: new.clone() };
        self.credentials.store(&self.host, &renewed).await?;
        Ok(Some(renewed))
    }

    /// Drops a token that the registry has refused from the cache.
    pub(crate) async fn forget(
        &self,
        request: &TokenRequest,
        found: Option<&FoundCredential>,
        refused: &Arc<IssuedToken>,
    ) {
        self.tokens.forget(request, found.map(|found| &found.credential), refused).await;
    }
}
