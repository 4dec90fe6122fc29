//! Accounts of an LDAP directory, Active Directory among them.

use std::{
    collections::BTreeSet,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_federation::ldap::{Directory, Fault, Login as Answer, Person};
use portpass_password::{Credentials, PasswordCheck, VerdictCache};

use super::{
    Authenticator, Circumstances, Outcome, Rejection, Unavailable,
    remote::{Recent, Verdict},
};
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
    /// Who an account is; `None`: it is gone, or kept out.
    people: Recent<AccountId, Option<Arc<Account>>>,
    /// Whether a name is the directory's.
    names: Recent<AccountName, bool>,
}

impl LdapAccounts {
    /// The accounts of a directory, which is asked nothing yet. For `cache` it is not asked again.
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
            people: Recent::new(cache),
            names: Recent::new(cache),
            passwords,
        }
    }

    /// A password that was right is right for as long as the account is the one that it was right for.
    fn holds(&self, proved: &Account, now: SystemTime) -> bool {
        let account = self.people.get(&proved.id, now).flatten();
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
        self.people.insert(&account.id, Some(Arc::clone(&account)), now);
        Verdict::Proved(account)
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
        let asked = self.ask(login, credentials, now);
        let holds = |proved: &Account| self.holds(proved, now);
        let verdict =
            Verdict::remembered_or(asked, &self.verdicts, &credentials, holds, now).await?;
        match verdict {
            Verdict::Proved(proved) => {
                // Its groups may have been read again since.
                let latest = self.people.get(&proved.id, now).flatten();
                Verdict::Proved(latest.unwrap_or(proved))
            }
            verdict => verdict,
        }
        .outcome()
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        if let Some(account) = self.people.get(id, now) {
            return Ok(account.map(|account| (*account).clone()));
        }
        let read = self.directory.by_id(id.as_str(), now).await;
        let person = read.map_err(|fault| self.unavailable(&fault))?;
        let admitted = person.filter(|person| person.obstacle.is_none());
        let account = admitted.and_then(|person| self.account(&person).ok()).map(Arc::new);
        self.people.insert(id, account.clone(), now);
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
        self.names.insert(name, has, now);
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
