//! One way to check a password, for every source of accounts.

use std::{sync::Arc, time::SystemTime};

use secrecy::SecretString;

use crate::{
    cache::CredentialCache,
    format::PasswordHash,
    pool::{Busy, HashPool, Paid},
};

/// Who somebody says to be, and the password that is to prove it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Which source is asked: two sources may know the same name.
    pub source: &'a str,
    /// The account.
    pub name: &'a str,
    /// What was presented.
    pub password: &'a SecretString,
}

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The password is right.
    Accepted,
    /// It is not, and the refusal has been paid for.
    Rejected(Paid),
}

/// Asks the cache first, then the pool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PasswordCheck {}

impl PasswordCheck {
    /// One for all sources of a process.
    pub fn new(_pool: HashPool, _cache: Arc<CredentialCache>) -> Self {
        todo!()
    }

    /// Whether the claim's password is the one that is stored.
    pub async fn check(
        &self,
        _claim: Claim<'_>,
        _stored: &Arc<PasswordHash>,
        _now: SystemTime,
    ) -> Result<Verdict, Busy> {
        todo!()
    }

    /// Pays for a refusal that no stored hash was compared for: nobody of that name in any source,
    /// an account that is disabled, a stored hash that is not accepted.
    pub async fn refuse(&self, _claim: Claim<'_>) -> Result<Paid, Busy> {
        todo!()
    }

    /// The pool, for hashing new passwords.
    pub fn pool(&self) -> &HashPool {
        todo!()
    }
}
