//! Accounts of jobs and pods, for which an issuer of workload identities vouches.

use std::{collections::BTreeSet, time::SystemTime};

use async_trait::async_trait;
use portpass_federation::workload::{ClaimedToken, Failure, Refusal, Workload, WorkloadIssuer};
use portpass_password::PasswordCheck;
use portpass_state::{Db, FirstUse, StateError};
use sha2::{Digest as _, Sha256};

use super::{Authenticator, Circumstances, Outcome, Reason, RejectedToken, Unavailable};
use crate::subject::{
    Account, AccountId, AccountKind, AccountName, CredentialVersion, Group, Labels, Login,
    NameError, SourceName,
};

/// The accounts that the tokens of one issuer are for. The name beside a token counts for nothing.
///
/// A token that counts costs one signature and no hash; one that does not costs what every refusal costs.
#[derive(Debug)]
pub struct WorkloadAccounts {
    source: SourceName,
    issuer: WorkloadIssuer,
    passwords: PasswordCheck,
    /// Remembers the tokens that may be used once, also for other processes and after a restart.
    db: Db,
}

impl WorkloadAccounts {
    /// Asks the issuer for nothing yet.
    pub fn new(
        source: SourceName,
        issuer: WorkloadIssuer,
        passwords: PasswordCheck,
        db: Db,
    ) -> Self {
        Self { source, issuer, passwords, db }
    }

    /// Whose tokens it decides about, whatever the name beside them.
    pub fn issuer(&self) -> &str {
        self.issuer.rules().issuer.as_str()
    }

    /// Whose account a token is, or why it is nobody's.
    pub async fn verify(
        &self,
        token: &ClaimedToken,
        at: &Circumstances<'_>,
    ) -> Result<Result<Account, RejectedToken>, Unavailable> {
        let refused = match self.check(token.expose(), at.now).await {
            Ok(account) => return Ok(Ok(account)),
            Err(Refused::Failure(Failure::Unavailable(why))) => {
                return Err(self.unavailable(why.to_string()));
            }
            Err(Refused::State(why)) => return Err(self.unavailable(why.to_string())),
            Err(refused) => refused,
        };
        let login = Login { account: AccountName::workload(), password: token.text().clone() };
        let credentials = login.credentials(self.source.as_str(), at.queue_class);
        let paid = self.passwords.refuse(credentials, at.now).await?;
        Ok(Err(RejectedToken::new(paid, reason(&refused))))
    }

    async fn check(&self, token: &str, now: SystemTime) -> Result<Account, Refused> {
        let workload = self.issuer.verify(token, now).await?;
        let (use_once, until) = (workload.use_once.clone(), workload.until);
        let account = self.account(&workload)?;
        if let Some(id) = use_once {
            let hash = self.hash_of(&id);
            if self.db.use_token_once(&hash, until, now).await? == FirstUse::No {
                return Err(Failure::Refused(Refusal::Used).into());
            }
        }
        Ok(account)
    }

    /// What tells a token from all others: an issuer gives each its own `jti`.
    fn hash_of(&self, id: &str) -> [u8; 32] {
        let issuer = self.issuer.rules().issuer.as_str();
        let mut hash = Sha256::new();
        hash.update((issuer.len() as u64).to_be_bytes());
        hash.update(issuer);
        hash.update(id);
        hash.finalize().into()
    }

    fn account(&self, workload: &Workload) -> Result<Account, NameError> {
        let name: AccountName = workload.name.parse()?;
        let mut labels = Labels::default();
        for (label, value) in
            workload.labels.iter().flat_map(|(l, all)| all.iter().map(move |v| (l, v)))
        {
            if let Err(error) = labels.insert(label, value) {
                tracing::warn!(account = %name, label = %label, "a label of a workload is left out: {error}");
            }
        }
        Ok(Account {
            source: self.source.clone(),
            // Two workloads never have one name.
            id: AccountId::new(name.as_str()),
            version: CredentialVersion::new(""),
            groups: groups(&workload.groups, &name),
            name,
            labels,
            kind: AccountKind::Workload,
            ceiling: None,
            valid_until: Some(workload.until),
        })
    }

    fn unavailable(&self, reason: String) -> Unavailable {
        Unavailable::Source { source_name: self.source.clone(), reason }
    }
}

/// Why a token is nobody's.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("the token makes no account name: {0}")]
    Name(#[from] NameError),
    #[error(transparent)]
    State(#[from] StateError),
}

#[async_trait]
impl Authenticator for WorkloadAccounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    /// A token is no password: [`WorkloadAccounts::verify`] decides about it.
    async fn authenticate(&self, _: &Login, _: &Circumstances<'_>) -> Result<Outcome, Unavailable> {
        Ok(Outcome::Unknown)
    }

    /// Nobody keeps a workload's account: it is gone with its token.
    async fn by_id(&self, _: &AccountId, _: SystemTime) -> Result<Option<Account>, Unavailable> {
        Ok(None)
    }

    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let known = self.issuer.rules().by_name(name.as_str(), now);
        Ok(known.and_then(|workload| self.account(&workload).ok()))
    }

    /// A token is no password.
    fn has_passwords(&self) -> bool {
        false
    }

    /// Those whose names no claim decides.
    async fn names(&self, _: SystemTime) -> Result<Vec<AccountName>, Unavailable> {
        let mappings = self.issuer.rules().mappings.iter();
        Ok(mappings.filter_map(|mapping| mapping.name.fixed()?.parse().ok()).collect())
    }
}

/// What the issuer has signed is no guess, whatever is wrong with it.
fn reason(refused: &Refused) -> Reason {
    let (id, is_guess) = match refused {
        Refused::Failure(Failure::Refused(refusal)) => {
            let forged = matches!(refusal, Refusal::Malformed(_) | Refusal::Signature(_));
            (refusal.id(), forged)
        }
        Refused::Failure(Failure::Unavailable(_)) | Refused::Name(_) | Refused::State(_) => {
            ("workload-unnamed", false)
        }
    };
    Reason { id, text: refused.to_string(), is_guess }
}

fn groups(names: &BTreeSet<String>, account: &AccountName) -> BTreeSet<Group> {
    let group = |name: &String| {
        let group = name.parse::<Group>();
        group.inspect_err(|error| {
            tracing::warn!(%account, "a group of a workload is left out: {error}");
        })
    };
    names.iter().filter_map(|name| group(name).ok()).collect()
}

#[cfg(test)]
mod tests;
