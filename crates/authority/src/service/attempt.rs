//! One try of a credential: admitted by the limits, checked, and counted as what it was.

use std::{sync::Arc, time::SystemTime};

use portpass_password::{Admission, Attempt, Limited, QueueClass};
use secrecy::ExposeSecret;

use super::{Authenticated, TokenError, TokenService};
use crate::{
    request::{ClientInfo, Credential},
    secret::MachineLogin,
    subject::Login,
};

impl TokenService {
    /// Whether the credential may be tried now.
    pub(super) async fn admit(
        &self,
        credential: &Credential,
        client: &ClientInfo,
        now: SystemTime,
    ) -> Result<Admission<'_>, Limited> {
        let lower_case;
        let attempt = match credential {
            Credential::Anonymous => return Ok(Admission::uncounted()),
            Credential::Refresh(secret) => Attempt::Secret(secret.expose()),
            // Nobody guesses 256 bits, and a robot behind the address of many is not to stop the others.
            Credential::Machine(login) => Attempt::Secret(login.secret.expose()),
            // Many jobs come by one name, and whose a token is stands in the token.
            Credential::Exchange(Login { password, .. }) => {
                Attempt::Secret(password.expose_secret())
            }
            Credential::Password(Login { password, .. })
                if self.accounts.is_vouched_for(password) =>
            {
                Attempt::Secret(password.expose_secret())
            }
            Credential::Password(Login { account, password }) => {
                // A directory takes `Ann` for `ann`: who guesses has no new attempts by another spelling.
                lower_case = account.as_str().to_lowercase();
                Attempt::Password { realm: LIMITED_AS, account: &lower_case, password }
            }
        };
        self.limits.admit(client.address, attempt, now).await
    }

    pub(super) async fn by_password(
        &self,
        login: &Login,
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<Authenticated, TokenError> {
        match self.accounts.authenticate(login, queue_class, now).await? {
            Ok(account) => Ok(Authenticated::ByPassword(Arc::new(account))),
            Err(rejection) => Err(TokenError::rejected(login.account.clone(), &rejection)),
        }
    }

    pub(super) async fn by_secret(
        &self,
        login: &MachineLogin,
        queue_class: QueueClass,
        now: SystemTime,
    ) -> Result<Authenticated, TokenError> {
        let (account, used) = self.accounts.by_secret(login, queue_class, now).await??;
        Ok(Authenticated::BySecret(Arc::new(account), used))
    }
}

/// Tells the limits what became of an attempt.
pub(super) fn conclude<T>(
    admission: Admission<'_>,
    checked: Result<T, TokenError>,
    now: SystemTime,
) -> Result<T, TokenError> {
    match &checked {
        Ok(_) => admission.accepted(),
        Err(error) if error.is_wrong_credential() => admission.rejected(now),
        Err(_) => admission.withdraw(),
    }
    checked
}

/// Tells these accounts from others of the same name.
const LIMITED_AS: &str = "token-service";
