//! What a login by a directory costs, beside what the directory itself takes for it. By hand, on an idle
//! machine: `cargo bench -p portpass-authority --bench ldap`.
//!
//! ```text
//! bare, a connection each    connect, search, bind: a program that keeps nothing
//! bare, kept connections     the same questions on two connections that are there
//! portpass, first login      LdapAccounts without a memory
//! portpass, repeated login   LdapAccounts with its memory of five minutes
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run says why"
)]

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ldap3::{Ldap, LdapConnAsync, Scope, SearchEntry};
use portpass_authority::{
    accounts::{Authenticator as _, Circumstances, Outcome, ldap::LdapAccounts},
    subject::{Login, SourceName},
};
use portpass_federation::ldap::{
    Directory, FilterTemplate,
    settings::{AccountLookup, GroupLookup, Identity, Nesting, Server, Settings},
    tls,
};
use portpass_password::{CredentialCache, HashPool, PasswordCheck, QueueClass, pool::PoolSettings};
use portpass_testkit::Slapd;
use portpass_token::ServiceName;
use tokio::time::Instant;

const PASSWORD: &str = "correct horse";
const BASE: &str = "dc=example,dc=org";
const PEOPLE: &str = "\
dn: uid=ann,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Lee
userPassword: correct horse

dn: cn=developers,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: developers
member: uid=ann,ou=people,dc=example,dc=org
";

#[tokio::main]
async fn main() {
    let slapd = Slapd::start(None);
    slapd.add(PEOPLE);
    let url = slapd.url();
    // Side by side: each in its turn, several times, and the best counts.
    let (mut connecting, mut kept, mut first, mut repeated) = (MOST, MOST, MOST, MOST);
    let forgetful = accounts(&url, Duration::ZERO);
    let remembering = accounts(&url, Duration::from_mins(5));
    for _ in 0..ROUNDS {
        connecting = connecting.min(time(200, async || bare_login(&url).await).await);
        let (mut searcher, mut binder) = (connect(&url).await, connect(&url).await);
        let bare = async || ask(&mut searcher, &mut binder).await;
        kept = kept.min(time(1_000, bare).await);
        first = first.min(time(1_000, async || login(&forgetful).await).await);
        repeated = repeated.min(time(100_000, async || login(&remembering).await).await);
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("bare, a connection each   {:9.1} µs", micros(connecting));
    println!("bare, kept connections    {:9.1} µs", micros(kept));
    println!("portpass, first login     {:9.1} µs", micros(first));
    println!("portpass, repeated login  {:9.2} µs", micros(repeated));
    println!(
        "first login / bare with kept connections     {:6.2} (at most 1.3)",
        ratio(first, kept)
    );
    println!(
        "bare with kept connections / repeated login  {:6.0} (at least 100)",
        ratio(kept, repeated)
    );
    println!("bare, a connection each / repeated login     {:6.0}", ratio(connecting, repeated));
}

/// The mean of so many.
async fn time(number: u32, mut one: impl AsyncFnMut()) -> Duration {
    one().await;
    let began = Instant::now();
    for _ in 0..number {
        one().await;
    }
    began.elapsed() / number
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}

async fn bare_login(url: &str) {
    let (mut searcher, mut binder) = (connect(url).await, connect(url).await);
    ask(&mut searcher, &mut binder).await;
}

/// What portpass asks: for the entry, for the password, and for the groups.
async fn ask(searcher: &mut Ldap, binder: &mut Ldap) {
    let found = searcher.search(BASE, Scope::Subtree, "(uid=ann)", vec!["*", "+"]).await;
    let (mut entries, _) = found.unwrap().success().unwrap();
    let entry = SearchEntry::construct(entries.pop().unwrap());
    binder.simple_bind(&entry.dn, PASSWORD).await.unwrap().success().unwrap();
    let filter = format!("(member={})", entry.dn);
    let groups = searcher.search(BASE, Scope::Subtree, &filter, vec!["1.1"]).await;
    assert_eq!(groups.unwrap().success().unwrap().0.len(), 1);
}

async fn connect(url: &str) -> Ldap {
    let (connection, ldap) = LdapConnAsync::new(url).await.unwrap();
    tokio::spawn(async move { connection.drive().await });
    ldap
}

fn accounts(url: &str, cache: Duration) -> LdapAccounts {
    let filter = |text| FilterTemplate::of_groups(text).unwrap();
    let settings = Settings {
        servers: vec![Server::parse(url, false).unwrap()],
        tls: tls::of_this_machine().unwrap(),
        accounts: AccountLookup::Search {
            identity: Identity::Anonymous,
            base: BASE.to_owned(),
            filter: FilterTemplate::of_accounts("(uid=${account})").unwrap(),
            attribute: "uid".to_owned(),
        },
        groups: GroupLookup::Search {
            base: BASE.to_owned(),
            filter: filter("(member=${dn})"),
            nested: Nesting::Ignored,
        },
        timeout: Duration::from_secs(3),
        connections: NonZeroUsize::new(16).unwrap(),
    };
    let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
    let cached = CredentialCache::new([1; 32], NonZeroUsize::MIN, Duration::from_mins(5));
    let check = PasswordCheck::new(pool, Arc::new(cached));
    LdapAccounts::new(SourceName::ldap(), Directory::new(settings), check, cache)
}

async fn login(accounts: &LdapAccounts) {
    let login = Login { account: "ann".parse().unwrap(), password: PASSWORD.into() };
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    let service = ServiceName::new("registry");
    let queue_class = QueueClass::Unproved;
    let at = Circumstances { service: &service, address: None, queue_class, now };
    let outcome = accounts.authenticate(&login, &at).await.unwrap();
    assert!(matches!(outcome, Outcome::Authenticated(_)), "{outcome:?}");
}

const ROUNDS: usize = 5;
const MOST: Duration = Duration::MAX;
