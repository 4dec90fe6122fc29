//! Tokens that a token service issued (docs/protocol.md §7).

use std::sync::Arc;

use async_trait::async_trait;
use portpass_protocol::{
    Access, Challenge, Origin,
    challenge::{Bearer, BearerError, Quotable},
};
use portpass_token::{Clock, Verifier, unverified_summary};

use super::{AccessController, Denial, MissingCredentials, Reason};
use crate::{
    credentials::{Caller, Credentials},
    grant::Grant,
};

/// Grants what a token's `access` claim says.
#[derive(Debug)]
pub struct TokenController {
    /// Knows the issuer, the service and whose signatures count.
    pub verifier: Arc<Verifier>,
    /// Where tokens are to be had.
    pub realm: Realm,
    /// What clients name as the service when they ask for one.
    pub service: Quotable,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Where a challenge sends clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Realm {
    /// To this URL.
    Fixed(Quotable),
    /// To this path at the address that the client used for us (CH13).
    SameOrigin {
        /// Begins with `/`.
        path: Quotable,
    },
}

impl Realm {
    fn at(&self, origin: &Origin) -> Quotable {
        match self {
            Self::Fixed(url) => url.clone(),
            Self::SameOrigin { path } => Quotable::at(origin, path),
        }
    }
}

#[async_trait]
impl AccessController for TokenController {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        let token = match caller.credentials {
            Credentials::Bearer(token) => token,
            Credentials::Nothing => return Err(Denial::Missing(MissingCredentials::Nothing)),
            Credentials::Basic { .. } => {
                return Err(Denial::Missing(MissingCredentials::BasicForBearer));
            }
            Credentials::Other(why) => {
                return Err(Denial::Missing(MissingCredentials::Unreadable(why)));
            }
        };
        let now = self.clock.now();
        match self.verifier.verify(token, now) {
            Ok(claims) => {
                let grant = Grant::listed(&claims.subject, claims.access.clone());
                Ok(match self.verifier.holds_until(&claims, now) {
                    Some(end) => grant.until(end),
                    None => grant,
                })
            }
            Err(invalid) => Err(Denial::InvalidToken(Reason {
                id: invalid.id(),
                text: invalid.to_string(),
                token: unverified_summary(token).map(Box::new),
            })),
        }
    }

    fn challenge(&self, origin: &Origin, needed: &[Access], denial: &Denial) -> Challenge {
        let bearer = Bearer::new(self.realm.at(origin), self.service.clone()).scope(needed);
        // CH6, R6: containerd drops a token only where it is told what was wrong with it.
        match denial {
            Denial::InsufficientScope { .. } => bearer.error(BearerError::InsufficientScope),
            Denial::InvalidToken(_) => bearer.error(BearerError::InvalidToken),
            Denial::Limited(_)
            | Denial::Missing(_)
            | Denial::Unavailable { .. }
            | Denial::WrongPassword { .. } => bearer,
        }
        .into()
    }
}
