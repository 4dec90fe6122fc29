//! What sources that are far away say, and for how long it is remembered.

use std::{
    hash::Hash,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_password::{Credentials, VerdictCache, verdicts::Known};
use quick_cache::sync::Cache;

use super::{Outcome, Rejection, Unavailable};
use crate::subject::Account;

/// What is said of some credentials.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// They are right, and were this account's.
    Proved(Arc<Account>),
    /// Not so.
    Refused(Rejection),
    /// Nobody has the name.
    Unknown,
    /// Nobody can say.
    Unavailable(Unavailable),
}

impl Verdict {
    /// What is remembered of the credentials, while it `holds` of the account; else what the source says now. All who
    /// wait for the same are told, and only a yes is remembered.
    pub(super) async fn remembered_or(
        asked: impl Future<Output = Result<Self, Unavailable>>,
        verdicts: &VerdictCache<Self>,
        credentials: &Credentials<'_>,
        holds: impl Fn(&Account) -> bool,
        now: SystemTime,
    ) -> Result<Self, Unavailable> {
        let holds = |verdict: &Self| match verdict {
            Self::Proved(account) => holds(account),
            Self::Refused(_) | Self::Unknown | Self::Unavailable(_) => false,
        };
        match verdicts.look_up(credentials, now, holds).await {
            Known::Said(verdict) => Ok(verdict),
            Known::Nothing(question) => {
                let verdict = asked.await?;
                match &verdict {
                    Self::Proved(_) => question.keep(verdict.clone(), now),
                    _ => question.pass_on(verdict.clone()),
                }
                Ok(verdict)
            }
        }
    }

    /// What the source says of the login.
    pub(super) fn outcome(self) -> Result<Outcome, Unavailable> {
        match self {
            Self::Proved(account) => Ok(Outcome::Authenticated((*account).clone())),
            Self::Refused(rejection) => Ok(Outcome::Rejected(rejection)),
            Self::Unknown => Ok(Outcome::Unknown),
            Self::Unavailable(unavailable) => Err(unavailable),
        }
    }
}

/// What was said of this and that lately.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    said: Cache<K, (SystemTime, V)>,
    /// How long it counts.
    lifetime: Duration,
}

impl<K: Eq + Hash + Clone, V: Clone> Recent<K, V> {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { said: Cache::new(ENTRIES), lifetime }
    }

    /// What was said of it lately; the clock may have been set back since.
    pub(super) fn get(&self, key: &K, now: SystemTime) -> Option<V> {
        let (at, said) = self.said.get(key)?;
        let age = now.duration_since(at).ok()?;
        (age < self.lifetime).then_some(said)
    }

    pub(super) fn insert(&self, key: &K, said: V, now: SystemTime) {
        self.said.insert(key.clone(), (now, said));
    }

    pub(super) fn remove(&self, key: &K) {
        self.said.remove(key);
    }
}

/// Of names a hundred bytes each; of accounts a few hundred, more with many groups.
const ENTRIES: usize = 10_000;
