//! LDAP directories, Active Directory among them.
//!
//! ```text
//!  name, password ──> Directory::login
//!        search for the entry      none ─────────────> Login::Unknown
//!        │                         several ──────────> Login::Refused(Ambiguous)
//!        bind as that entry        not 0 ────────────> Login::Refused(why, by the server's codes)
//!        │ 0
//!        its state, its groups ──────────────────────> Login::Proved(Person)
//!  a server that is away, busy or slow: the next one; all of them ──> Fault
//! ```
//!
//! A password is right if a bind of a name that is not empty, with a password that is not empty, ends with
//! result 0; nothing else is a yes. What is not an answer is a [`Fault`], never a no: a list of groups that
//! was cut would take rights away without a word. Referrals are not followed.

mod connection;
mod dn;
mod entry;
mod examine;
mod fault;
mod groups;
mod lane;
mod pace;
mod pool;
mod refusal;
pub mod settings;
mod template;
pub mod tls;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use ldap3::Scope;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::OnceCell, time::Instant};

use self::{
    connection::{Query, Wanted},
    entry::{ASKED, Entry, EntryId},
    groups::{GroupSearch, Reader},
    pace::Pace,
    pool::{Asker, Pool},
    settings::{AccountLookup, GroupLookup, Settings},
};
pub use self::{
    dn::Dn,
    examine::{Examination, Examinee, Step},
    fault::Fault,
    refusal::Refusal,
    template::{FilterTemplate, NameTemplate, TemplateError},
};

/// A directory. It is asked when somebody logs in, and not before.
#[derive(Debug)]
pub struct Directory {
    settings: Settings,
    pool: Pool,
    /// Whether it has the rule for membership through other groups, once that is known.
    has_chain_rule: OnceCell<bool>,
    /// Whether the account that searches has ever seen an entry.
    sees: AtomicBool,
    told_of_referrals: AtomicBool,
    pace: Pace,
}

/// What a directory says of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The password is right, and the account may log in.
    Proved(Arc<Person>),
    /// Not so. The reason is for the log.
    Refused(Refusal),
    /// Nobody has the name.
    Unknown,
}

/// An account of a directory, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the directory calls it for ever.
    pub id: String,
    /// Its name, in lower case.
    pub name: String,
    /// Changes with its password, where the directory tells of that.
    pub version: String,
    /// Its entry.
    pub dn: String,
    /// The groups that it is in.
    pub groups: Vec<Group>,
    /// What keeps it out, whatever the password.
    pub obstacle: Option<Refusal>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its whole name.
    pub dn: Dn,
    /// The first part of it: `developers` of `cn=developers,ou=groups,dc=example,dc=org`.
    pub name: String,
}

impl Directory {
    /// Connects to nobody yet.
    pub fn new(settings: Settings) -> Self {
        let identity = match &settings.accounts {
            AccountLookup::Search { identity, .. } => Some(identity.clone()),
            AccountLookup::Direct { .. } => None,
        };
        let tls = Arc::clone(&settings.tls);
        let pool =
            Pool::new(&settings.servers, tls, identity, settings.timeout, settings.connections);
        Self {
            settings,
            pool,
            has_chain_rule: OnceCell::new(),
            sees: AtomicBool::new(false),
            told_of_referrals: AtomicBool::new(false),
            pace: Pace::default(),
        }
    }

    /// Whether accounts can be read without their passwords.
    pub fn can_search(&self) -> bool {
        matches!(self.settings.accounts, AccountLookup::Search { .. })
    }

    /// Checks a password.
    pub async fn login(
        self: &Arc<Self>,
        account: &str,
        password: &SecretString,
        now: SystemTime,
    ) -> Result<Login, Fault> {
        if password.expose_secret().is_empty() {
            return Ok(Login::Refused(Refusal::EmptyPassword));
        }
        let (directory, account, password) =
            (Arc::clone(self), account.to_owned(), password.clone());
        self.in_time(async move {
            let asker = directory.asker();
            match &directory.settings.accounts {
                AccountLookup::Search { .. } => {
                    directory.search_and_bind(&account, &password, asker, now).await
                }
                AccountLookup::Direct { .. } => {
                    directory.bind_directly(&account, &password, asker, now).await
                }
            }
        })
        .await
    }

    /// The account that a login of that name would be, without one.
    pub async fn by_name(
        self: &Arc<Self>,
        account: &str,
        now: SystemTime,
    ) -> Result<Option<Person>, Fault> {
        let (directory, account) = (Arc::clone(self), account.to_owned());
        self.in_time(async move {
            let asker = directory.asker();
            let entries = directory.find(&account, asker).await?;
            let [entry] = &entries[..] else { return Ok(None) };
            directory.read(entry, asker, now).await
        })
        .await
    }

    /// Whether a login of that name is for the directory to decide, whoever may get in.
    pub async fn has_name(self: &Arc<Self>, account: &str) -> Result<bool, Fault> {
        let (directory, account) = (Arc::clone(self), account.to_owned());
        self.in_time(async move {
            let found = directory.find(&account, directory.asker()).await?;
            Ok(!found.is_empty())
        })
        .await
    }

    /// The account that was called so once, as it is now.
    pub async fn by_id(
        self: &Arc<Self>,
        id: &str,
        now: SystemTime,
    ) -> Result<Option<Person>, Fault> {
        let Some(id) = EntryId::parse(id) else { return Ok(None) };
        let directory = Arc::clone(self);
        self.in_time(async move {
            let asker = directory.asker();
            let entries = directory.find_again(&id, asker).await?;
            let [entry] = &entries[..] else { return Ok(None) };
            directory.read(entry, asker, now).await
        })
        .await
    }

    async fn search_and_bind(
        &self,
        account: &str,
        password: &SecretString,
        asker: Asker<'_>,
        now: SystemTime,
    ) -> Result<Login, Fault> {
        let entries = self.find(account, asker).await?;
        let entry = match &entries[..] {
            [] => {
                self.sees_anything(asker).await?;
                self.pace.keep().await;
                return Ok(Login::Unknown);
            }
            [entry] => entry,
            [first, second, ..] => {
                let (first, second) = (first.dn.clone(), second.dn.clone());
                return Ok(Login::Refused(Refusal::Ambiguous { first, second }));
            }
        };
        self.sees.store(true, Ordering::Relaxed);
        if entry.dn.trim().is_empty() {
            return Err(Fault::Garbled);
        }
        let began = Instant::now();
        let (result, _) = asker.bind(&entry.dn, password).await?;
        if result.rc != 0 {
            self.pace.note(began.elapsed());
            let refusal = match Refusal::of_bind(&result) {
                Refusal::WrongPassword if entry.is_locked() => Refusal::Locked { data: None },
                refusal => refusal,
            };
            return Ok(Login::Refused(refusal));
        }
        if let Some(refusal) = Refusal::beside_success(&result) {
            return Ok(Login::Refused(refusal));
        }
        Ok(self.admitted(self.read(entry, asker, now).await?, entry))
    }

    async fn bind_directly(
        &self,
        account: &str,
        password: &SecretString,
        asker: Asker<'_>,
        now: SystemTime,
    ) -> Result<Login, Fault> {
        let AccountLookup::Direct { name, entry, .. } = &self.settings.accounts else {
            return Err(Fault::NeedsPassword);
        };
        let dn = name.fill(account);
        if dn.trim().is_empty() {
            return Ok(Login::Refused(Refusal::WrongPassword));
        }
        let (result, mut lease) = asker.bind_own(&dn, password).await?;
        if result.rc != 0 {
            return Ok(Login::Refused(Refusal::of_bind(&result)));
        }
        if let Some(refusal) = Refusal::beside_success(&result) {
            return Ok(Login::Refused(refusal));
        }
        let query = match entry {
            None => self.query(dn.clone(), Scope::Base, "(objectClass=*)".to_owned()),
            Some((base, filter)) => {
                self.query(base.clone(), Scope::Subtree, filter.for_account(account))
            }
        };
        let connection = &mut lease.connection;
        let entries = Reader::Itself(connection).search(&query).await?;
        let [entry] = &entries[..] else { return Err(Fault::OwnEntry { dn }) };
        let has_chain_rule = self.has_chain_rule(Reader::Itself(connection)).await?;
        let read = self.person(entry, has_chain_rule, Reader::Itself(connection), now).await?;
        Ok(self.admitted(read, entry))
    }

    /// A right password is not all.
    fn admitted(&self, person: Option<Person>, entry: &Entry) -> Login {
        match person {
            None => Login::Refused(Refusal::Nameless {
                dn: entry.dn.clone(),
                attribute: self.attribute().to_owned(),
            }),
            Some(Person { obstacle: Some(refusal), .. }) => Login::Refused(refusal),
            Some(person) => Login::Proved(Arc::new(person)),
        }
    }

    /// Two entries at most: more than one is a mistake.
    async fn find(&self, account: &str, asker: Asker<'_>) -> Result<Vec<Entry>, Fault> {
        let AccountLookup::Search { base, filter, .. } = &self.settings.accounts else {
            return Err(Fault::NeedsPassword);
        };
        let query = self.query(base.clone(), Scope::Subtree, filter.for_account(account));
        self.searched(&query, asker).await
    }

    /// What the filter no longer finds is gone, whatever its identifier.
    async fn find_again(&self, id: &EntryId, asker: Asker<'_>) -> Result<Vec<Entry>, Fault> {
        let AccountLookup::Search { base, filter, .. } = &self.settings.accounts else {
            return Err(Fault::NeedsPassword);
        };
        let query = match id {
            EntryId::Name(dn) => self.query(dn.clone(), Scope::Base, filter.for_any()),
            EntryId::Unique { attribute, value } => {
                let filter =
                    format!("(&({attribute}={}){})", entry::escaped(value), filter.for_any());
                self.query(base.clone(), Scope::Subtree, filter)
            }
        };
        self.searched(&query, asker).await
    }

    async fn searched(&self, query: &Query, asker: Asker<'_>) -> Result<Vec<Entry>, Fault> {
        let found = asker.search(query).await?;
        if found.referrals > 0 && !self.told_of_referrals.swap(true, Ordering::Relaxed) {
            tracing::info!(
                base = query.base,
                "the directory refers to other servers for parts of it; portpass does not follow, and knows no accounts there"
            );
        }
        Ok(found.entries)
    }

    fn query(&self, base: String, scope: Scope, filter: String) -> Query {
        let mut attributes: Vec<String> = ASKED.iter().map(|name| (*name).to_owned()).collect();
        attributes.push(self.attribute().to_owned());
        if let GroupLookup::MemberOf { attribute, .. } = &self.settings.groups {
            attributes.push(attribute.clone());
        }
        let (question, wanted) = ("the search for an account", Wanted::First(2));
        Query { question, base, scope, filter, attributes, wanted }
    }

    /// The account of an entry, with its groups; `None` if it has no name.
    async fn read(
        &self,
        entry: &Entry,
        asker: Asker<'_>,
        now: SystemTime,
    ) -> Result<Option<Person>, Fault> {
        let has_chain_rule = self.has_chain_rule(Reader::Searcher(asker)).await?;
        self.person(entry, has_chain_rule, Reader::Searcher(asker), now).await
    }

    async fn person(
        &self,
        entry: &Entry,
        has_chain_rule: bool,
        reader: Reader<'_>,
        now: SystemTime,
    ) -> Result<Option<Person>, Fault> {
        let Some(name) = entry.account_name(self.attribute()) else { return Ok(None) };
        let lookup = &self.settings.groups;
        let search = GroupSearch { lookup, entry, account: &name, has_chain_rule };
        let groups = search.run(reader).await?;
        Ok(Some(Person {
            id: entry.id().to_text(),
            version: entry.password_version().unwrap_or_else(|| UNKNOWN_VERSION.to_owned()),
            dn: entry.dn.clone(),
            obstacle: entry.obstacle(now),
            groups,
            name,
        }))
    }

    /// Asked once, and only by those who need to know.
    async fn has_chain_rule(&self, mut reader: Reader<'_>) -> Result<bool, Fault> {
        if !matches!(self.settings.groups, GroupLookup::Chain { .. }) {
            return Ok(false);
        }
        let look = async || {
            let query = Query {
                question: "the search for its capabilities",
                base: String::new(),
                scope: Scope::Base,
                filter: "(objectClass=*)".to_owned(),
                attributes: vec!["supportedCapabilities".to_owned()],
                wanted: Wanted::First(1),
            };
            let found = reader.search(&query).await?;
            let mut capabilities =
                found.iter().flat_map(|entry| entry.texts("supportedCapabilities"));
            Ok(capabilities.any(|capability| capability == ACTIVE_DIRECTORY))
        };
        self.has_chain_rule.get_or_try_init(look).await.copied()
    }

    /// Nobody of that name, and nobody at all are not the same.
    async fn sees_anything(&self, asker: Asker<'_>) -> Result<(), Fault> {
        let AccountLookup::Search { base, .. } = &self.settings.accounts else { return Ok(()) };
        if self.sees.load(Ordering::Relaxed) {
            return Ok(());
        }
        let query = self.query(base.clone(), Scope::Subtree, "(objectClass=*)".to_owned());
        if asker.search(&query).await?.entries.is_empty() {
            let server = self.settings.servers.first().map(fault::name).unwrap_or_default();
            return Err(Fault::Blind { server, base: base.clone() });
        }
        self.sees.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn attribute(&self) -> &str {
        match &self.settings.accounts {
            AccountLookup::Search { attribute, .. } | AccountLookup::Direct { attribute, .. } => {
                attribute
            }
        }
    }

    fn asker(&self) -> Asker<'_> {
        self.pool.asker(self.limit())
    }

    /// How long a login may take with all servers.
    fn limit(&self) -> Duration {
        let servers = u32::try_from(self.settings.servers.len()).unwrap_or(1).max(1);
        self.settings.timeout * servers
    }

    /// In a task of its own: the library panics on answers that are none, and a caller who goes away must not
    /// leave half a question behind.
    async fn in_time<T: Send + 'static>(
        &self,
        asking: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let limit = self.limit();
        let task = tokio::spawn(tokio::time::timeout(limit + A_MOMENT, asking));
        match task.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                let all: Vec<String> =
                    self.settings.servers.iter().map(ToString::to_string).collect();
                Err(Fault::TimedOut { server: all.join(", ").into(), after: limit })
            }
            Err(_) => Err(Fault::Garbled),
        }
    }
}

/// `LDAP_CAP_ACTIVE_DIRECTORY_OID` ([MS-ADTS] 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// The last server's own time is over before that of the login: else nobody would note that it stands still.
const A_MOMENT: Duration = Duration::from_millis(250);
/// Of a directory that does not tell when passwords change.
const UNKNOWN_VERSION: &str = "0";
