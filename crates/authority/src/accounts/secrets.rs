//! Whose a secret is, whatever source its account is of.

use std::{sync::Arc, time::SystemTime};

use portpass_state::{KeyId, Used};
use secrecy::SecretString;

use super::{
    AuthenticatorChain, Circumstances, SecretProblem, Shadowed, Unavailable,
    machines::{Found, Key},
};
use crate::{
    secret::MachineLogin,
    subject::{Account, AccountId, AccountKind, Login},
};

/// An API key, and what it makes of its owner's account.
#[derive(Debug, Clone)]
pub struct ListedKey {
    /// Which.
    pub id: KeyId,
    /// The account, limited by the key.
    pub account: Account,
    /// Whether it is good no more.
    pub is_expired: bool,
    /// Which earlier source has its owner's name: no login reaches the key then.
    pub shadowed: Option<Shadowed>,
}

impl AuthenticatorChain {
    /// Whose the secret of a robot or an API key is, and what was used. The account of a key is as its source has it
    /// now: a person who is gone or disabled has no keys, nor has one whose name an earlier source has.
    ///
    /// Nothing is hashed for a secret that is known and no good any more: it was not guessed. An unknown one costs what
    /// every refusal costs.
    pub async fn by_secret(
        &self,
        login: &MachineLogin,
        at: &Circumstances<'_>,
    ) -> Result<Result<(Arc<Account>, Used), SecretProblem>, Unavailable> {
        let found = match &self.machines {
            Some(machines) => machines.find(&login.account, &login.secret, at.now).await?,
            None => Err(SecretProblem::Unknown),
        };
        match found {
            Ok(Found::Robot(robot, used)) => Ok(Ok((self.groups.join_shared(robot), used))),
            Ok(Found::Key(key)) => {
                let id = key.id;
                let Some(account) = self.holder(&key, at.now).await? else {
                    let name = key.owner_name.clone();
                    return Ok(Err(SecretProblem::AccountGone { id, name }));
                };
                Ok(match self.shadow(&account, at.now).await? {
                    None => Ok((Arc::new(account), Used::Key(id))),
                    Some(shadowed) => Err(SecretProblem::AccountShadowed { id, shadowed }),
                })
            }
            Err(SecretProblem::Unknown) => {
                let password = SecretString::from(login.secret.expose());
                let unknown = Login { account: login.account.clone(), password };
                self.refuse(&unknown, at).await?;
                Ok(Err(SecretProblem::Unknown))
            }
            Err(problem) => Ok(Err(problem)),
        }
    }

    /// What an API key makes of its owner's account, good or not; `None` where there is no such key or no such account.
    pub async fn by_key(&self, id: KeyId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        let Some(machines) = &self.machines else { return Ok(None) };
        match machines.key(id, now).await? {
            Some(key) => self.holder(&key, now).await,
            None => Ok(None),
        }
    }

    /// All API keys of persons who are there and enabled, by owner and id.
    ///
    /// Those of a source that is away are left out, and those behind it: [`AuthenticatorChain::list`] says that it is.
    pub async fn list_keys(&self, now: SystemTime) -> Result<Vec<ListedKey>, Unavailable> {
        let Some(machines) = &self.machines else { return Ok(Vec::new()) };
        let mut keys = Vec::new();
        for key in machines.keys(now).await? {
            if let Ok(Some(account)) = self.holder(&key, now).await
                && let Ok(shadowed) = self.shadow(&account, now).await
            {
                let is_expired = account.valid_until.is_some_and(|until| until <= now);
                keys.push(ListedKey { id: key.id, account, is_expired, shadowed });
            }
        }
        keys.sort_by_key(|key| (key.account.name.clone(), key.id.to_string()));
        Ok(keys)
    }

    async fn holder(&self, key: &Key, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        let owner = AccountId::new(key.owner.id.as_str());
        let owner = self.by_id(&key.owner.source, &owner, now).await?;
        // Robots and workloads have no keys, and what is limited already would be limited less.
        let person =
            owner.filter(|owner| owner.kind == AccountKind::Person && owner.ceiling.is_none());
        Ok(person.map(|person| key.limit(person)))
    }
}
