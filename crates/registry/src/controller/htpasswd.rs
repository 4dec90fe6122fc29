//! Names and passwords from an htpasswd file (HT1 to HT8).

use std::sync::Arc;

use async_trait::async_trait;
use portpass_password::{Busy, Claim, HtpasswdFile, PasswordCheck, Standing, Verdict};
use portpass_protocol::{
    Access, Challenge, Origin,
    challenge::{Basic, Quotable},
};
use portpass_token::Clock;

use super::{Absence, AccessController, Denial, shortened};
use crate::access::{Grant, Presented};

/// Grants everything to whoever the file knows (HT1).
#[derive(Debug)]
pub struct HtpasswdController {
    /// Who there is.
    pub file: Arc<HtpasswdFile>,
    /// Compares passwords, in a pool that is shared with whoever else does.
    pub check: PasswordCheck,
    /// What a client's user is asked for a password for.
    pub realm: Quotable,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl HtpasswdController {
    /// An unknown name costs what a wrong password costs (HT7).
    async fn check(&self, claim: Claim<'_>) -> Result<Verdict, Busy> {
        let now = self.clock.now();
        let entry = self.file.find(claim.name, now).await;
        match entry.as_ref().map(|entry| entry.hash()) {
            Some(Ok(stored)) => self.check.check(claim, stored, now).await,
            Some(Err(_)) | None => self.check.refuse(claim, now).await.map(Verdict::Reject),
        }
    }
}

#[async_trait]
impl AccessController for HtpasswdController {
    async fn authorize(&self, presented: Presented<'_>) -> Result<Grant, Denial> {
        let (username, password) = match presented {
            Presented::Basic { username, password } => (username, password),
            Presented::Nothing => return Err(Denial::Missing(Absence::Nothing)),
            Presented::Bearer(_) => return Err(Denial::Missing(Absence::BearerForBasic)),
            Presented::Other(why) => return Err(Denial::Missing(Absence::Unusable(why))),
        };
        let (name, standing) = (&*username, Standing::Unproved);
        match self.check(Claim { source: SOURCE, name, password: &password, standing }).await {
            Ok(Verdict::Accept) => Ok(Grant::everything(username)),
            Ok(Verdict::Reject(_)) => Err(Denial::WrongPassword { username: shortened(&username) }),
            Err(busy) => {
                Err(Denial::Unavailable { what: busy.to_string(), retry_after: busy.retry_after })
            }
        }
    }

    fn challenge(&self, _origin: &Origin, _needed: &[Access], _denial: &Denial) -> Challenge {
        Basic::new(self.realm.clone()).into()
    }
}

/// Tells this file's accounts from others of the same name.
const SOURCE: &str = "registry-htpasswd";
