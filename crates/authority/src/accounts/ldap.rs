//! Accounts of an LDAP directory, Active Directory among them.

use std::{
    collections::BTreeSet,
    fmt,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_federation::ldap::{Directory, Fault, Login as Answer, Person};
use portpass_password::{Credentials, PasswordCheck, VerdictCache, verdicts::Known};
use quick_cache::sync::Cache;

use super::{Authenticator, Circumstances, Outcome, Rejection, Unavailable, shadow::RecentNames};
use crate::subject::{
    Account, AccountId, AccountKind, AccountName, CredentialVersion, Group, Labels, Login,
    SourceName,
};

/// Accounts of a directory: in the groups that it says, without a ceiling.
///
/// What it says is remembered for a while: that a password is right, and who somebody is. That a password is
/// wrong is asked again each time. Refresh tokens are bound to what the directory calls the entry for ever
/// and, where it tells, to the time of the last password change.
pub struct LdapAccounts {
    source: SourceName,
    directory: Arc<Directory>,
    passwords: PasswordCheck,
    verdicts: VerdictCache<Verdict>,
    people: Cache<AccountId, Reading>,
    names: RecentNames,
    /// How long the directory is not asked again.
    cache: Duration,
}

/// What is said of some credentials.
#[derive(Debug, Clone)]
enum Verdict {
    /// They are right, and were this account's.
    Proved(Arc<Account>),
    /// Not so.
    Refused(Rejection),
    /// Nobody has the name.
    Unknown,
    /// Nobody can say.
    Unavailable(Unavailable),
}

/// What was read of an account.
#[derive(Debug, Clone)]
struct Reading {
    at: SystemTime,
    /// `None`: it is gone, or kept out.
    account: Option<Arc<Account>>,
}

impl LdapAccounts {
    /// The accounts of a directory, which is asked nothing yet.
    pub fn new(
        source: SourceName,
        directory: Directory,
        passwords: PasswordCheck,
        cache: Duration,
    ) -> Self {
        Self {
            source,
            directory: Arc::new(directory),
            verdicts: passwords.verdicts(cache),
            people: Cache::new(PEOPLE.get()),
            names: RecentNames::new(cache),
            passwords,
            cache,
        }
    }

    /// What was read lately; the clock may have been set back since.
    fn reading(&self, id: &AccountId, now: SystemTime) -> Option<Reading> {
        let reading = self.people.get(id)?;
        let age = now.duration_since(reading.at).ok()?;
        (age < self.cache).then_some(reading)
    }

    /// A password that was right is right for as long as the account is the one that it was right for.
    fn holds(&self, verdict: &Verdict, now: SystemTime) -> bool {
        let Verdict::Proved(proved) = verdict else { return false };
        let account = self.reading(&proved.id, now).and_then(|reading| reading.account);
        account.is_some_and(|account| account.version == proved.version)
    }

    async fn ask(
        &self,
        login: &Login,
        credentials: Credentials<'_>,
        now: SystemTime,
    ) -> Result<Verdict, Unavailable> {
        let answer = self.directory.login(login.account.as_str(), &login.password, now).await;
        let refusal = match answer {
            Ok(Answer::Unknown) => return Ok(Verdict::Unknown),
            Err(fault) => return Ok(Verdict::Unavailable(self.unavailable(&fault))),
            Ok(Answer::Proved(person)) => match self.account(&person) {
                Ok(account) => return Ok(self.proved(account, now)),
                Err(reason) => reason,
            },
            Ok(Answer::Refused(refusal)) => refusal.to_string(),
        };
        let reason = format!("{}: {refusal}", self.source);
        let paid = self.passwords.refuse(credentials, now).await?;
        Ok(Verdict::Refused(Rejection::because(paid, reason)))
    }

    fn proved(&self, account: Account, now: SystemTime) -> Verdict {
        let account = Arc::new(account);
        let reading = Reading { at: now, account: Some(Arc::clone(&account)) };
        self.people.insert(account.id.clone(), reading);
        Verdict::Proved(account)
    }

    fn outcome(&self, verdict: Verdict, now: SystemTime) -> Result<Outcome, Unavailable> {
        match verdict {
            Verdict::Refused(rejection) => Ok(Outcome::Rejected(rejection)),
            Verdict::Unknown => Ok(Outcome::Unknown),
            Verdict::Unavailable(unavailable) => Err(unavailable),
            Verdict::Proved(proved) => {
                // Its groups may have been read again since.
                let latest = self.reading(&proved.id, now).and_then(|reading| reading.account);
                Ok(Outcome::Authenticated((*latest.unwrap_or(proved)).clone()))
            }
        }
    }

    fn account(&self, person: &Person) -> Result<Account, String> {
        let name: AccountName = person.name.parse().map_err(|error| {
            format!(
                "{:?} of {:?} cannot be the name of an account: {error}",
                person.name, person.dn
            )
        })?;
        let texts = person.groups.iter().flat_map(|group| [group.name.as_str(), group.dn.as_str()]);
        let mut groups: BTreeSet<Group> = BTreeSet::new();
        for text in texts {
            match text.parse() {
                Ok(group) => drop(groups.insert(group)),
                Err(error) => {
                    tracing::warn!(source = %self.source, group = text, %error, "a group is left out");
                }
            }
        }
        let kind = if self.directory.can_search() {
            AccountKind::Person
        } else {
            AccountKind::PasswordOnly
        };
        Ok(Account {
            source: self.source.clone(),
            id: AccountId::new(person.id.as_str()),
            version: CredentialVersion::new(person.version.as_str()),
            name,
            groups,
            labels: Labels::default(),
            kind,
            ceiling: None,
            valid_until: None,
        })
    }

    fn unavailable(&self, fault: &Fault) -> Unavailable {
        Unavailable::Source { source_name: self.source.clone(), reason: fault.to_string() }
    }
}

#[async_trait]
impl Authenticator for LdapAccounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable> {
        let now = at.now;
        let credentials = login.credentials(self.source.as_str(), at.queue_class);
        let holds = |verdict: &Verdict| self.holds(verdict, now);
        let verdict = match self.verdicts.look_up(&credentials, now, holds).await {
            Known::Said(verdict) => verdict,
            Known::Nothing(question) => {
                let verdict = self.ask(login, credentials, now).await?;
                match &verdict {
                    Verdict::Proved(..) => question.keep(verdict.clone(), now),
                    _ => question.pass_on(verdict.clone()),
                }
                verdict
            }
        };
        self.outcome(verdict, now)
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        if let Some(reading) = self.reading(id, now) {
            return Ok(reading.account.map(|account| (*account).clone()));
        }
        let read = self.directory.by_id(id.as_str(), now).await;
        let person = read.map_err(|fault| self.unavailable(&fault))?;
        let admitted = person.filter(|person| person.obstacle.is_none());
        let account = admitted.and_then(|person| self.account(&person).ok()).map(Arc::new);
        self.people.insert(id.clone(), Reading { at: now, account: account.clone() });
        Ok(account.map(|account| (*account).clone()))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let read = self.directory.by_name(name.as_str(), now).await;
        let person = read.map_err(|fault| self.unavailable(&fault))?;
        Ok(person.and_then(|person| self.account(&person).ok()))
    }

    /// Also of somebody who is kept out, or whom no account can be made of: a login asks nobody else then.
    async fn has_name(&self, name: &AccountName, now: SystemTime) -> Result<bool, Unavailable> {
        if let Some(has) = self.names.get(name, now) {
            return Ok(has);
        }
        let has = self.directory.has_name(name.as_str()).await;
        let has = has.map_err(|fault| self.unavailable(&fault))?;
        self.names.keep(name, has, now);
        Ok(has)
    }

    async fn obstacle(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<String>, Unavailable> {
        let read = self.directory.by_name(name.as_str(), now).await;
        let person = read.map_err(|fault| self.unavailable(&fault))?;
        Ok(person.and_then(|person| person.obstacle).map(|obstacle| obstacle.to_string()))
    }
}

impl fmt::Debug for LdapAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdapAccounts").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A few hundred bytes each, more with many groups.
const PEOPLE: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
