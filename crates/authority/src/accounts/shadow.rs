//! Whose a name is: that of the first source that has it, whatever proves an account of another.

use std::time::SystemTime;

use super::{Authenticator, AuthenticatorChain, Unavailable};
use crate::subject::{Account, AccountName, SourceName};

/// A source that is asked first has the name of an account: rules would take one for the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the account `{name}` of `{loser}` is shadowed: `{owner}` is asked first, and the name is its"
)]
pub struct Shadowed {
    /// What both are called.
    pub name: AccountName,
    /// The source of the account that counts no more.
    pub loser: SourceName,
    /// The source that has the name.
    pub owner: SourceName,
}

impl Shadowed {
    /// A stable word for logs and metrics, whatever the credential was.
    pub fn id(&self) -> &'static str {
        "account-shadowed"
    }
}

impl AuthenticatorChain {
    /// Which earlier source has the name of the account, if any. A source that does not answer is unavailable, as it is
    /// for a password.
    pub async fn shadow(
        &self,
        account: &Account,
        now: SystemTime,
    ) -> Result<Option<Shadowed>, Unavailable> {
        self.shadow_among(account, |_| true, now).await
    }

    /// The same, where only some of the earlier sources are to be asked.
    pub(super) async fn shadow_among(
        &self,
        account: &Account,
        is_asked: impl Fn(&dyn Authenticator) -> bool + Send,
        now: SystemTime,
    ) -> Result<Option<Shadowed>, Unavailable> {
        for earlier in self.sources.iter().take_while(|source| *source.source() != account.source) {
            if is_asked(&**earlier) && earlier.has_name(&account.name, now).await? {
                return Ok(Some(Shadowed {
                    name: account.name.clone(),
                    loser: account.source.clone(),
                    owner: earlier.source().clone(),
                }));
            }
        }
        Ok(None)
    }
}

/// A source that has the name of another source's account too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namesake {
    /// Which.
    pub source: SourceName,
    /// Whether it is asked before the other.
    pub is_first: bool,
}

impl AuthenticatorChain {
    /// The other sources that have the name of an account of `source`. One that does not answer has none.
    pub async fn namesakes(
        &self,
        source: &SourceName,
        name: &AccountName,
        now: SystemTime,
    ) -> Vec<Namesake> {
        let mut found = Vec::new();
        let mut is_first = true;
        for other in &self.sources {
            if other.source() == source {
                is_first = false;
            } else if other.has_name(name, now).await == Ok(true) {
                found.push(Namesake { source: other.source().clone(), is_first });
            }
        }
        found
    }
}
