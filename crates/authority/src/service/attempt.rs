//! One try of a credential: admitted by the limits, checked, and counted as what it was.

use std::{sync::Arc, time::SystemTime};

use portpass_password::{Admission, Attempt, Limited};
use secrecy::SecretString;

use super::{Authenticated, TokenError, TokenService};
use crate::{
    accounts::{Circumstances, Rejection},
    request::{ClientInfo, Credential},
    secret::MachineLogin,
    subject::{Account, AccountName, Login, TokenLogin},
};

impl TokenService {
    /// Whether the credential may be tried now.
    pub(super) async fn admit(
        &self,
        credential: &Credential,
        client: &ClientInfo,
        now: SystemTime,
    ) -> Result<Admission<'_>, Limited> {
        // A directory takes `Ann` for `ann`: who guesses has no new attempts by another spelling.
        let lower_case;
        let attempt = match credential {
            Credential::Anonymous => return Ok(Admission::uncounted()),
            Credential::Refresh(secret) => Attempt::Secret(secret.expose()),
            // Nobody guesses 256 bits, and a robot behind the address of many is not to stop the others.
            Credential::Machine(login) => Attempt::Secret(login.secret.expose()),
            // Many jobs come by one name, and whose a token is stands in the token.
            Credential::Exchange(token) => Attempt::Secret(token.expose()),
            Credential::Token(TokenLogin { token, .. }) if self.accounts.vouches_for(token) => {
                Attempt::Secret(token.expose())
            }
            Credential::Token(TokenLogin { account, token }) => {
                lower_case = account.as_str().to_lowercase();
                password_of(&lower_case, token.text())
            }
            Credential::Password(Login { account, password }) => {
                lower_case = account.as_str().to_lowercase();
                password_of(&lower_case, password)
            }
        };
        self.limits.admit(client.address, attempt, now).await
    }

    pub(super) async fn by_password(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Authenticated, TokenError> {
        proved(&login.account, self.accounts.authenticate(login, at).await?)
    }

    pub(super) async fn by_token(
        &self,
        login: &TokenLogin,
        at: &Circumstances<'_>,
    ) -> Result<Authenticated, TokenError> {
        proved(&login.account, self.accounts.by_token(login, at).await?)
    }

    pub(super) async fn by_secret(
        &self,
        login: &MachineLogin,
        at: &Circumstances<'_>,
    ) -> Result<Authenticated, TokenError> {
        let (account, used) = self.accounts.by_secret(login, at).await??;
        Ok(Authenticated::BySecret(account, used))
    }
}

fn proved(
    claimed: &AccountName,
    checked: Result<Account, Rejection>,
) -> Result<Authenticated, TokenError> {
    match checked {
        Ok(account) => Ok(Authenticated::ByPassword(Arc::new(account))),
        Err(rejection) => Err(TokenError::rejected(claimed.clone(), &rejection)),
    }
}

fn password_of<'a>(account: &'a str, password: &'a SecretString) -> Attempt<'a> {
    Attempt::Password { realm: LIMITED_AS, account, password }
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
