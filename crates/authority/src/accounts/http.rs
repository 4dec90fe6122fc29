//! Accounts that a service of the operator's own knows, asked over HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_federation::hook::{
    AccountKey, Answer, Fault, Hook, HookAccount, HookCeiling, Question,
};
use portpass_password::{Credentials, PasswordCheck, VerdictCache};
use secrecy::ExposeSecret as _;

use super::{
    Authenticator, Circumstances, Outcome, Rejection, Unavailable,
    remote::{Recent, Verdict},
};
use crate::{
    ceiling::{Ceiling, CeilingError},
    subject::{
        Account, AccountId, AccountKind, AccountName, CredentialVersion, Group, Labels, Login,
        NameError, SourceName,
    },
};

/// Accounts of a service: in the groups, with the labels and below the ceiling that it says.
///
/// That a password is right is remembered for a while, for the same registry and the same address alone: the service knows
/// both, and may decide by them. That it is wrong is asked again each time. What a lookup says is remembered apart, since
/// it depends on neither.
pub struct HttpAccounts {
    source: SourceName,
    hook: Hook,
    lookups: Lookups,
    passwords: PasswordCheck,
    verdicts: VerdictCache<Verdict>,
    /// What an account is; `None`: it is gone, or disabled.
    looked_up: Recent<AccountId, Option<Arc<Account>>>,
    /// Whether a name is the service's.
    names: Recent<AccountName, bool>,
}

/// Whether the service can be asked for an account without its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookups {
    /// It can.
    Answered,
    /// It cannot: there are no sessions then, since nobody would learn that an account is disabled.
    None,
}

/// An account that the service describes as none can be.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the account's `name`: {0}")]
    Name(#[from] NameError),
    #[error("the account has no `name`, and the question had none either")]
    NoName,
    /// To leave it out would give the account more than the service means.
    #[error("the account's `ceiling`: {0}")]
    Ceiling(#[from] CeilingError),
}

impl HttpAccounts {
    /// The accounts of a service, which is asked nothing yet. For `cache` it is not asked again.
    pub fn new(
        source: SourceName,
        hook: Hook,
        lookups: Lookups,
        passwords: PasswordCheck,
        cache: Duration,
    ) -> Self {
        Self {
            source,
            hook,
            lookups,
            verdicts: passwords.verdicts(cache),
            looked_up: Recent::new(cache),
            names: Recent::new(cache),
            passwords,
        }
    }

    async fn ask(
        &self,
        login: &Login,
        credentials: Credentials<'_>,
        at: &Circumstances<'_>,
    ) -> Result<Verdict, Unavailable> {
        let question = Question::Login {
            name: login.account.as_str(),
            password: &login.password,
            service: at.service.as_str(),
            address: at.address,
        };
        let why = match self.hook.ask(&question).await {
            Err(fault) => return Ok(Verdict::Unavailable(self.unreachable(&fault))),
            Ok(Answer::Unavailable { reason }) => {
                return Ok(Verdict::Unavailable(self.cannot_say(reason)));
            }
            Ok(Answer::Unknown) => return Ok(Verdict::Unknown),
            Ok(Answer::Yes(person)) => match self.account(person, Some(&login.account)) {
                Ok(account) if is_over(&account, at.now) => {
                    "its `valid_until` is in the past".to_owned()
                }
                Ok(account) => {
                    // What a lookup said before counts no more.
                    self.looked_up.remove(&account.id);
                    return Ok(Verdict::Proved(Arc::new(account)));
                }
                Err(unusable) => {
                    let reason = without_password(unusable.to_string(), login);
                    return Ok(Verdict::Unavailable(self.unavailable(reason)));
                }
            },
            Ok(Answer::No { reason, .. }) => said(reason),
        };
        let paid = self.passwords.refuse(credentials, at.now).await?;
        Ok(Verdict::Refused(Rejection::because(paid, format!("{}: {why}", self.source))))
    }

    /// A password that was right is right until its account has an end, or a lookup says something else.
    fn holds(&self, proved: &Account, now: SystemTime) -> bool {
        let unchanged = match self.looked_up.get(&proved.id, now) {
            None => true,
            Some(account) => account.is_some_and(|account| account.version == proved.version),
        };
        unchanged && !is_over(proved, now)
    }

    async fn look_up(&self, account: AccountKey<'_>) -> Result<Answer, Unavailable> {
        if self.lookups == Lookups::None {
            let reason = "the service is asked for nobody without a password (`lookup: false`)";
            return Err(self.unavailable(reason.to_owned()));
        }
        let answered = self.hook.ask(&Question::Lookup { account }).await;
        match answered.map_err(|fault| self.unreachable(&fault))? {
            Answer::Unavailable { reason } => Err(self.cannot_say(reason)),
            answer => Ok(answer),
        }
    }

    /// `asked` is what it is called where the service does not say.
    fn account(
        &self,
        found: HookAccount,
        asked: Option<&AccountName>,
    ) -> Result<Account, Unusable> {
        let name = match found.name {
            Some(name) => name.parse()?,
            None => asked.ok_or(Unusable::NoName)?.clone(),
        };
        let id = match found.id {
            Some(id) => format!("{BY_ID}{id}"),
            None => format!("{BY_NAME}{name}"),
        };
        let limit = |ceiling: HookCeiling| {
            Ceiling::parse(&ceiling.actions, &ceiling.repositories).map(Arc::new)
        };
        Ok(Account {
            source: self.source.clone(),
            id: AccountId::new(id),
            version: CredentialVersion::new(found.version.unwrap_or_default()),
            groups: self.groups(&found.groups, &name),
            labels: self.labels(&found.labels, &name),
            name,
            kind: match self.lookups {
                Lookups::Answered => AccountKind::Person,
                Lookups::None => AccountKind::PasswordOnly,
            },
            ceiling: found.ceiling.map(limit).transpose()?,
            valid_until: found.valid_until,
        })
    }

    /// The log has the place of one that is none, and not its text: nobody knows what that is.
    fn groups(&self, texts: &[String], account: &AccountName) -> BTreeSet<Group> {
        let group = |(number, text): (usize, &String)| match text.parse() {
            Ok(group) => Some(group),
            Err(error) => {
                tracing::warn!(source = %self.source, %account, number, %error, "a group is left out");
                None
            }
        };
        texts.iter().enumerate().filter_map(group).collect()
    }

    fn labels(&self, found: &BTreeMap<String, Vec<String>>, account: &AccountName) -> Labels {
        let mut labels = Labels::default();
        for (name, value) in
            found.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        {
            if let Err(error) = labels.insert(name, value) {
                tracing::warn!(source = %self.source, %account, %error, "a label is left out");
            }
        }
        labels
    }

    fn unreachable(&self, fault: &Fault) -> Unavailable {
        self.unavailable(fault.to_string())
    }

    fn cannot_say(&self, reason: Option<String>) -> Unavailable {
        let reason = reason.unwrap_or_else(|| "it gives no reason".to_owned());
        self.unavailable(format!("the service cannot say: {reason}"))
    }

    fn unavailable(&self, reason: String) -> Unavailable {
        Unavailable::Source { source_name: self.source.clone(), reason }
    }
}

#[async_trait]
impl Authenticator for HttpAccounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable> {
        let address = at.address.map(|address| address.to_string()).unwrap_or_default();
        // The first space ends the source, and the last one the service.
        let asked = format!("{} {} {address}", self.source, at.service);
        let credentials = login.credentials(&asked, at.queue_class);
        let asked = self.ask(login, credentials, at);
        let holds = |proved: &Account| self.holds(proved, at.now);
        Verdict::remembered_or(asked, &self.verdicts, &credentials, holds, at.now).await?.outcome()
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        if let Some(account) = self.looked_up.get(id, now) {
            let account = account.filter(|account| !is_over(account, now));
            return Ok(account.map(|account| (*account).clone()));
        }
        let (key, name) = match (id.as_str().strip_prefix(BY_ID), id.as_str().strip_prefix(BY_NAME))
        {
            (Some(own), _) => (AccountKey::Id(own), None),
            (None, Some(name)) => (AccountKey::Name(name), name.parse().ok()),
            (None, None) => return Ok(None),
        };
        let account = match self.look_up(key).await? {
            Answer::Yes(mut found) => {
                if let AccountKey::Id(own) = key {
                    found.id.get_or_insert_with(|| own.to_owned());
                }
                let account = self.account(found, name.as_ref());
                Some(account.map_err(|unusable| self.unavailable(unusable.to_string()))?)
            }
            Answer::No { .. } | Answer::Unknown | Answer::Unavailable { .. } => None,
        };
        // One that is called otherwise now is another one.
        let account = account.filter(|account| account.id == *id).map(Arc::new);
        self.looked_up.insert(id, account.clone(), now);
        let account = account.filter(|account| !is_over(account, now));
        Ok(account.map(|account| (*account).clone()))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        _: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let found = match self.look_up(AccountKey::Name(name.as_str())).await? {
            Answer::Yes(found) => found,
            Answer::No { account, .. } => account.unwrap_or_default(),
            Answer::Unknown | Answer::Unavailable { .. } => return Ok(None),
        };
        let account = self.account(found, Some(name));
        Ok(Some(account.map_err(|unusable| self.unavailable(unusable.to_string()))?))
    }

    async fn has_name(&self, name: &AccountName, now: SystemTime) -> Result<bool, Unavailable> {
        if let Some(has) = self.names.get(name, now) {
            return Ok(has);
        }
        if self.lookups == Lookups::None {
            let reason = "the service is asked for nobody without a password (`lookup: false`), so keys and sessions of \
                          sources behind it cannot be checked: put it last in `token_service.accounts`";
            return Err(self.unavailable(reason.to_owned()));
        }
        let has = match self.look_up(AccountKey::Name(name.as_str())).await? {
            Answer::Yes(_) | Answer::No { .. } => true,
            Answer::Unknown | Answer::Unavailable { .. } => false,
        };
        self.names.insert(name, has, now);
        Ok(has)
    }

    async fn obstacle(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<String>, Unavailable> {
        match self.look_up(AccountKey::Name(name.as_str())).await? {
            Answer::No { reason, .. } => Ok(Some(said(reason))),
            Answer::Yes(found) => {
                let over = found.valid_until.is_some_and(|until| until <= now);
                Ok(over.then(|| "its `valid_until` is in the past".to_owned()))
            }
            Answer::Unknown | Answer::Unavailable { .. } => Ok(None),
        }
    }
}

impl fmt::Debug for HttpAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAccounts").field("source", &self.source).finish_non_exhaustive()
    }
}

fn said(reason: Option<String>) -> String {
    match reason {
        Some(reason) => format!("the service says no: {reason}"),
        None => "the service says no".to_owned(),
    }
}

/// A pattern of a ceiling is repeated, whatever the service has written there.
fn without_password(reason: String, login: &Login) -> String {
    if reason.contains(login.password.expose_secret()) {
        "the service describes an account that cannot be".to_owned()
    } else {
        reason
    }
}

fn is_over(account: &Account, now: SystemTime) -> bool {
    account.valid_until.is_some_and(|until| until <= now)
}

/// What tells an `id` of the service's from a name in its place.
const BY_ID: &str = "id:";
const BY_NAME: &str = "name:";

#[cfg(test)]
mod tests;
