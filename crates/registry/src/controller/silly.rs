//! The controller for trying out clients: it believes everybody who says anything (SI1).

use async_trait::async_trait;
use portpass_protocol::{
    Access, Challenge, Origin,
    challenge::{Bearer, Quotable},
};

use super::{AccessController, Denial, MissingCredentials};
use crate::{
    credentials::{Caller, Credentials},
    grant::Grant,
};

/// Grants everything for any `Authorization` header at all, unread. Never for a registry that
/// matters.
#[derive(Debug, Clone)]
pub struct SillyController {
    realm: Quotable,
    service: Quotable,
}

impl SillyController {
    /// Challenges with this realm and service.
    pub fn new(realm: Quotable, service: Quotable) -> Self {
        Self { realm, service }
    }
}

#[async_trait]
impl AccessController for SillyController {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        match caller.credentials {
            Credentials::Nothing => Err(Denial::Missing(MissingCredentials::Nothing)),
            Credentials::Basic { .. } | Credentials::Bearer(_) | Credentials::Other(_) => {
                Ok(Grant::everything("silly"))
            }
        }
    }

    fn challenge(&self, _origin: &Origin, needed: &[Access], _denial: &Denial) -> Challenge {
        Bearer::new(self.realm.clone(), self.service.clone()).scope_per_action(needed).into()
    }
}
