//! Names and passwords from an htpasswd file (HT1 to HT8).

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use portpass_password::{Attempt, Busy, HtpasswdFile, Limits, PasswordCheck, Verdict};
use portpass_protocol::{
    Access, Challenge, Origin,
    challenge::{Basic, Quotable},
};
use portpass_token::Clock;

use super::{AccessController, Denial, MissingCredentials, shortened};
use crate::{
    credentials::{Caller, Credentials},
    grant::Grant,
};

/// Grants everything to whoever the file knows (HT1).
#[derive(Debug)]
pub struct HtpasswdController {
    /// Who there is.
    pub file: Arc<HtpasswdFile>,
    /// Compares passwords, in a pool that is shared with whoever else does.
    pub check: PasswordCheck,
    /// How often one may try, shared with whoever else checks passwords.
    pub limits: Arc<Limits>,
    /// What a client's user is asked for a password for.
    pub realm: Quotable,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl HtpasswdController {
    /// An unknown name costs what a wrong password costs (HT7).
    async fn check(
        &self,
        credentials: portpass_password::Credentials<'_>,
        now: SystemTime,
    ) -> Result<Verdict, Busy> {
        let entry = self.file.find(credentials.name, now).await;
        match entry.as_ref().map(|entry| entry.hash()) {
            Some(Ok(stored)) => self.check.check(credentials, stored, now).await,
            Some(Err(_)) | None => self.check.refuse(credentials, now).await.map(Verdict::Reject),
        }
    }
}

#[async_trait]
impl AccessController for HtpasswdController {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        let (username, password) = match caller.credentials {
            Credentials::Basic { username, password } => (username, password),
            Credentials::Nothing => return Err(Denial::Missing(MissingCredentials::Nothing)),
            Credentials::Bearer(_) => {
                return Err(Denial::Missing(MissingCredentials::BearerForBasic));
            }
            Credentials::Other(why) => {
                return Err(Denial::Missing(MissingCredentials::Unreadable(why)));
            }
        };
        let (name, now) = (&*username, self.clock.now());
        let attempt = Attempt::Password { realm: SOURCE, account: name, password: &password };
        let admission = self.limits.admit(caller.address, attempt, now).await?;
        let queue_class = admission.queue_class();
        match self
            .check(
                portpass_password::Credentials {
                    source: SOURCE,
                    name,
                    password: &password,
                    queue_class,
                },
                now,
            )
            .await
        {
            Ok(Verdict::Accept) => {
                admission.accepted();
                Ok(Grant::everything(username))
            }
            Ok(Verdict::Reject(_)) => {
                admission.rejected(now);
                Err(Denial::WrongPassword { username: shortened(&username) })
            }
            Err(busy) => {
                admission.withdraw();
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
