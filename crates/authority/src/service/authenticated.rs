//! Who it is, and what proved it.

use std::sync::Arc;

use portpass_state::{AccountKey, KeyId, Used};

use crate::{
    refresh::{RefreshSecret, Session},
    subject::{Account, AccountKind, Subject},
};

/// Somebody whose credential was checked, or who needs none.
#[derive(Debug)]
pub(super) enum Authenticated {
    Nobody,
    ByPassword(Arc<Account>),
    /// By the secret of a robot or an API key.
    BySecret(Arc<Account>, Used),
    ByRefresh(Arc<Account>, Session, RefreshSecret),
}

impl Authenticated {
    pub(super) fn account(&self) -> Option<&Arc<Account>> {
        match self {
            Self::Nobody => None,
            Self::ByPassword(account)
            | Self::BySecret(account, _)
            | Self::ByRefresh(account, ..) => Some(account),
        }
    }

    pub(super) fn subject(&self) -> Subject {
        self.account().map_or(Subject::Anonymous, |account| Subject::SignedIn(Arc::clone(account)))
    }

    /// The API key that proved the account.
    pub(super) fn key(&self) -> Option<KeyId> {
        match self {
            Self::BySecret(_, Used::Key(key)) => Some(*key),
            Self::Nobody | Self::ByPassword(_) | Self::BySecret(..) | Self::ByRefresh(..) => None,
        }
    }

    /// Of what the last use is kept: what an issuer calls its workloads has no end. That of a secret is its account's
    /// as well.
    pub(super) fn used(&self) -> Option<Used> {
        match self {
            Self::BySecret(_, used) => Some(used.clone()),
            Self::Nobody => None,
            Self::ByPassword(account) | Self::ByRefresh(account, ..) => {
                let (source, id) = (account.source.to_string(), account.id.as_str().to_owned());
                let used = Used::Account(AccountKey { source, id });
                (account.kind != AccountKind::Workload).then_some(used)
            }
        }
    }
}
