//! Where accounts come from: sources, asked in the order of the configuration.

pub mod htpasswd;
pub mod http;
pub mod last_uses;
pub mod ldap;
mod listing;
pub mod local;
pub mod machines;
mod rejection;
mod remote;
pub mod robots;
mod secrets;
mod shadow;
mod watched;
#[cfg(test)]
mod work;
pub mod workload;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_federation::workload::ClaimedToken;
use portpass_password::{Busy, CostProof, PasswordCheck, QueueClass};
use portpass_token::ServiceName;

pub use self::{
    listing::{ListedAccount, Listing},
    machines::{Machines, SecretProblem},
    rejection::{Reason, RejectedToken, Rejection},
    secrets::ListedKey,
    shadow::{Namesake, Shadowed},
};
use self::{robots::RobotAccounts, workload::WorkloadAccounts};
use crate::{
    groups::Groups,
    policy::{RuleId, RuleSet},
    subject::{Account, AccountId, AccountName, Login, ROBOT_PREFIX, SourceName, TokenLogin},
};

/// One source of accounts: our own database, an htpasswd file.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync {
    /// What rules and refresh tokens call this source.
    fn source(&self) -> &SourceName;

    /// Checks a password. [`Outcome::Unknown`] lets the next source be asked; whoever knows the
    /// name decides, and a wrong or disabled account is never passed on.
    ///
    /// Nobody is refused whose account was added or set right a moment ago: a source that keeps what it has
    /// read looks again first, and does so too before it says that there is no room for hashing. Whether the
    /// name is known is not to be seen by the time.
    ///
    /// A source hashes for the names that it knows alone, and [`CostProof`] proves that its rejection
    /// took as long as any other; for a name that no source knows the [`AuthenticatorChain`] pays.
    async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable>;

    /// The account as it is now, for a refresh token; `None` where it is gone or disabled.
    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable>;

    /// The account of that name as it is now, also a disabled one, for explaining what it would
    /// reach; `None` where the source does not know the name.
    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable>;

    /// Whether the name is its: no later source has a say in it then, nor has what proves an account of one.
    ///
    /// A source that is far away remembers what it said, for as long as it remembers a password.
    async fn has_name(&self, name: &AccountName, now: SystemTime) -> Result<bool, Unavailable> {
        Ok(self.by_name(name, now).await?.is_some())
    }

    /// Whether [`Outcome::Unknown`] means that the name is none of its. A source without passwords says it of all.
    fn has_passwords(&self) -> bool {
        true
    }

    /// What a token for an account that was found at `now` names as the time of its issue (`iat`): never
    /// later than what ends the tokens of an account that it was found before (VO14). A source that reads
    /// accounts, keeps them and gives them up by itself says an earlier time; [`local`] has the reasons.
    fn issue_time(&self, _account: &Account, now: SystemTime) -> SystemTime {
        now
    }

    /// What keeps the account of that name from getting any token whatever its password, for explaining it;
    /// `None` where the source knows of nothing.
    async fn obstacle(
        &self,
        _name: &AccountName,
        _now: SystemTime,
    ) -> Result<Option<String>, Unavailable> {
        Ok(None)
    }

    /// The names of all its accounts, in no order, for looking over them. A source that cannot tell
    /// names none.
    async fn names(&self, _now: SystemTime) -> Result<Vec<AccountName>, Unavailable> {
        Ok(Vec::new())
    }

    /// Whether those that it names are all that it has.
    fn names_all(&self) -> bool {
        false
    }
}

/// Where, when and how urgently somebody asks to be let in.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Which registry it is about.
    pub service: &'a ServiceName,
    /// Where the request comes from, where that is known.
    pub address: Option<IpAddr>,
    /// In which queue it waits for hashing. It has no part in the decision.
    pub queue_class: QueueClass,
    /// When.
    pub now: SystemTime,
}

/// What a source says of a login.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is this account, and the password is right.
    Authenticated(Account),
    /// The account is this source's, but the password is wrong or the account is disabled.
    Rejected(Rejection),
    /// The name is none of this source's; nothing was hashed.
    Unknown,
}

/// Nobody can say who it is at the moment. Never a no, and never a pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too many passwords are being checked.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// A source does not answer.
    #[error("accounts of `{source_name}` cannot be checked: {reason}")]
    Source {
        /// Which.
        source_name: SourceName,
        /// Why; for the log alone.
        reason: String,
    },
}

impl Unavailable {
    /// When to come back, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy(busy) => Some(busy.retry_after),
            Self::Source { .. } => None,
        }
    }
}

/// A source that could not be started: it keeps its place and answers [`Unavailable`], so that the
/// sources before it go on working and none behind it takes over its names.
#[derive(Debug)]
pub struct Uninitialized {
    source: SourceName,
    reason: String,
}

impl Uninitialized {
    /// Stands for `source`, which failed for `reason`.
    pub fn new(source: SourceName, reason: impl Into<String>) -> Self {
        Self { source, reason: reason.into() }
    }

    fn unavailable(&self) -> Unavailable {
        Unavailable::Source {
            source_name: self.source.clone(),
            reason: format!("the source did not start: {}", self.reason),
        }
    }
}

#[async_trait]
impl Authenticator for Uninitialized {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(&self, _: &Login, _: &Circumstances<'_>) -> Result<Outcome, Unavailable> {
        Err(self.unavailable())
    }

    async fn by_id(&self, _: &AccountId, _: SystemTime) -> Result<Option<Account>, Unavailable> {
        Err(self.unavailable())
    }

    async fn by_name(
        &self,
        _: &AccountName,
        _: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        Err(self.unavailable())
    }
}

/// All sources, in the order in which they are asked. Each account is in the groups that its source says, and in those
/// of the configuration.
#[derive(Debug)]
pub struct AuthenticatorChain {
    sources: Vec<Arc<dyn Authenticator>>,
    check: PasswordCheck,
    machines: Option<Arc<Machines>>,
    /// Those among the sources that decide about tokens.
    workloads: Vec<Arc<WorkloadAccounts>>,
    groups: Groups,
}

impl AuthenticatorChain {
    /// Sources in the order in which they are asked, and the check that makes a refusal of an unknown
    /// name cost what every refusal costs.
    pub fn new(sources: Vec<Arc<dyn Authenticator>>, check: PasswordCheck) -> Self {
        let groups = Groups::default();
        Self { sources, check, machines: None, workloads: Vec::new(), groups }
    }

    /// The same, with robots and API keys: whose a secret is shows by the secret, whatever source its account is of.
    #[must_use]
    pub fn with_machines(mut self, machines: Arc<Machines>) -> Self {
        self.sources.insert(0, Arc::new(RobotAccounts::new(Arc::clone(&machines))));
        Self { machines: Some(machines), ..self }
    }

    /// The same, with those among the sources that decide about tokens.
    #[must_use]
    pub fn with_workloads(self, workloads: Vec<Arc<WorkloadAccounts>>) -> Self {
        Self { workloads, ..self }
    }

    /// The same, with the groups that the configuration puts accounts into.
    #[must_use]
    pub fn with_groups(self, groups: Groups) -> Self {
        Self { groups, ..self }
    }

    /// The names of the sources, in order: what `user:SOURCE/NAME` in a rule may name.
    pub fn names(&self) -> impl Iterator<Item = &SourceName> {
        self.sources.iter().map(|source| source.source())
    }

    /// Asks the sources in turn; the first that knows the name decides.
    pub async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Result<Account, Rejection>, Unavailable> {
        self.decide(login, at, Rejection::from).await
    }

    /// The account that a token in place of a password is for. Its issuer decides, and no other source is asked; one that
    /// nobody here knows is a password like others.
    pub async fn by_token(
        &self,
        login: &TokenLogin,
        at: &Circumstances<'_>,
    ) -> Result<Result<Account, Rejection>, Unavailable> {
        if let Some(source) = self.vouched_by(&login.token) {
            let verified = self.verify(source, &login.token, at).await?;
            return Ok(verified.map(|account| self.groups.join(account)).map_err(Rejection::from));
        }
        let of_stranger = |paid| RejectedToken::of_stranger(paid, &login.token).into();
        self.decide(&login.as_password(), at, of_stranger).await
    }

    /// Asks the sources; `unknown` is what is said of a login of nobody's.
    async fn decide(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
        unknown: impl FnOnce(CostProof) -> Rejection,
    ) -> Result<Result<Account, Rejection>, Unavailable> {
        match self.ask(login, at).await? {
            Outcome::Authenticated(account) => Ok(Ok(self.groups.join(account))),
            Outcome::Rejected(rejection) => Ok(Err(rejection)),
            Outcome::Unknown => Ok(Err(unknown(self.refuse(login, at).await?))),
        }
    }

    /// The account that a token is for which is presented as what it is.
    pub async fn exchange(
        &self,
        token: &ClaimedToken,
        at: &Circumstances<'_>,
    ) -> Result<Result<Account, RejectedToken>, Unavailable> {
        if let Some(source) = self.vouched_by(token) {
            let verified = self.verify(source, token, at).await?;
            return Ok(verified.map(|account| self.groups.join(account)));
        }
        let login = Login { account: AccountName::workload(), password: token.text().clone() };
        let paid = self.refuse(&login, at).await?;
        Ok(Err(RejectedToken::of_stranger(paid, token)))
    }

    /// A name that is an earlier source's is no workload's, whatever its issuer says.
    async fn verify(
        &self,
        source: &WorkloadAccounts,
        token: &ClaimedToken,
        at: &Circumstances<'_>,
    ) -> Result<Result<Account, RejectedToken>, Unavailable> {
        let account = match source.verify(token, at).await? {
            Ok(account) => account,
            rejected @ Err(_) => return Ok(rejected),
        };
        let Some(shadowed) = self.shadow(&account, at.now).await? else { return Ok(Ok(account)) };
        let login = Login { account: account.name, password: token.text().clone() };
        let paid = self.refuse(&login, at).await?;
        Ok(Err(RejectedToken::new(paid, Reason::from(&shadowed))))
    }

    /// Whether one of the sources decides about a token.
    pub fn vouches_for(&self, token: &ClaimedToken) -> bool {
        self.vouched_by(token).is_some()
    }

    fn vouched_by(&self, token: &ClaimedToken) -> Option<&Arc<WorkloadAccounts>> {
        self.workloads.iter().find(|source| source.issuer() == token.issuer())
    }

    async fn ask(&self, login: &Login, at: &Circumstances<'_>) -> Result<Outcome, Unavailable> {
        for source in &self.sources {
            match source.authenticate(login, at).await? {
                Outcome::Unknown => {}
                Outcome::Authenticated(account) => {
                    let Some(shadowed) = self.usurped(&account, login, at.now).await? else {
                        return Ok(Outcome::Authenticated(account));
                    };
                    let paid = self.refuse(login, at).await?;
                    return Ok(Outcome::Rejected(Rejection::shadowed(paid, &shadowed)));
                }
                rejected @ Outcome::Rejected(_) => return Ok(rejected),
            }
        }
        Ok(Outcome::Unknown)
    }

    /// The earlier source that has the name of an account after all. A directory knows one account by several names, and
    /// whoever logs in as `Ann` must not become the `ann` of a source that is asked first. Those that were asked about
    /// this very name have said that it is none of theirs.
    async fn usurped(
        &self,
        account: &Account,
        login: &Login,
        now: SystemTime,
    ) -> Result<Option<Shadowed>, Unavailable> {
        let was_asked = account.name == login.account;
        self.shadow_among(account, |source| !(was_asked && source.has_passwords()), now).await
    }

    async fn refuse(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<CostProof, Unavailable> {
        Ok(self.check.refuse(login.credentials("", at.queue_class), at.now).await?)
    }

    /// The account that a refresh token is bound to, as it is now. A source that is no longer
    /// configured knows nobody.
    pub async fn by_id(
        &self,
        source: &str,
        id: &AccountId,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let source = self.sources.iter().find(|candidate| candidate.source().as_str() == source);
        let Some(source) = source else { return Ok(None) };
        Ok(source.by_id(id, now).await?.map(|account| self.groups.join(account)))
    }

    /// What a token for the account names as the time of its issue (`iat`).
    pub fn issue_time(&self, account: &Account, now: SystemTime) -> SystemTime {
        let source = self.sources.iter().find(|source| *source.source() == account.source);
        source.map_or(now, |source| source.issue_time(account, now))
    }

    /// The account that a login of that name would be, as it is now, also a disabled one; of this source alone, where one
    /// is named.
    pub async fn by_name(
        &self,
        source: Option<&str>,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let asked = |candidate: &&Arc<dyn Authenticator>| {
            source.is_none_or(|source| candidate.source().as_str() == source)
        };
        for source in self.sources.iter().filter(asked) {
            if let Some(account) = source.by_name(name, now).await? {
                return Ok(Some(self.groups.join(account)));
            }
        }
        Ok(None)
    }

    /// What keeps an account from getting any token, as its source says.
    pub async fn obstacle(
        &self,
        account: &Account,
        now: SystemTime,
    ) -> Result<Option<String>, Unavailable> {
        match self.sources.iter().find(|source| *source.source() == account.source) {
            Some(source) => source.obstacle(&account.name, now).await,
            None => Ok(None),
        }
    }

    /// Accounts that own, by their name alone, what `rules` mean for others, or are called like robots: made before the
    /// rule, or in a file that somebody else writes. By name; a source that does not answer has none.
    pub async fn squatters(&self, rules: &RuleSet, now: SystemTime) -> Vec<Squatter> {
        let mut found = Vec::new();
        for source in self.sources.iter().filter(|source| *source.source() != SourceName::robot()) {
            let mut names = source.names(now).await.unwrap_or_default();
            names.sort_unstable();
            found.extend(names.into_iter().filter_map(|account| {
                let claim = match rules.reserves(&account) {
                    Some(rule) => Claim::Repositories(rule),
                    None if account.as_str().starts_with(ROBOT_PREFIX) => Claim::Robot,
                    None => return None,
                };
                Some(Squatter { source: source.source().clone(), account, claim })
            }));
        }
        found
    }
}

/// An account that is called like a namespace, or like a robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Squatter {
    /// Where the account comes from.
    pub source: SourceName,
    /// The account.
    pub account: AccountName,
    /// What its name is taken for.
    pub claim: Claim,
}

/// What the name of an account stands for beside the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The rule that speaks of that namespace and means others.
    Repositories(RuleId),
    /// Robots alone are called so.
    Robot,
}

impl fmt::Display for Squatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, account, claim } = self;
        match claim {
            Claim::Repositories(rule) => write!(
                f,
                "the account `{account}` of `{source}` has the name of repositories that {rule} names, and owns them for that reason: rename the account, or the repositories"
            ),
            Claim::Robot => write!(
                f,
                "the account `{account}` of `{source}` is called like a robot: rules and logs cannot tell it from one; rename it"
            ),
        }
    }
}
