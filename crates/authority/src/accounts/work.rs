//! Refusals of the token service work the same, whoever is named and whatever is stored: what a caller
//! could measure is the same by construction, and nothing here reads a clock.

use std::{collections::BTreeSet, fs, num::NonZeroUsize};

use portpass_password::{
    CredentialCache, Formats, HashPool, HtpasswdFile, cost::Work, htpasswd::HtpasswdSettings,
    pool::PoolSettings,
};
use portpass_state::{AccountStatus, Addition, Change, Db, NewAccount};
use secrecy::SecretString;

use super::{htpasswd::HtpasswdAccounts, local::LocalAccounts, *};
use crate::fixture::{record, unproved};

/// Every kind of hash that counts in a file, cheap and dear, and one that never does.
const USERS: &str = "\
bcrypt:$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu
apr1:$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHCQ0
sha1:{SHA}F2GPAaOiG5EcklvLUlodIavTBnM=
sha256:$5$EhQl2uqVKKYK75cs$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25
sha512:$6$JAu96dy01u7V9.WV$0nPHD/x4lAY08YA.T6SP7Kja1ygjb8nZYZHchrAv0M5fAmg64qsgUhoYHj8lTdU3RU4NBBwYmGkrs2RMy1QMC0
argon2id:$argon2id$v=19$m=64,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$3d5OJMl9nIPkVTU4F4f1PC+WVfHWgQyNSzSxFKUmAHE
plain:opensesame
";
const BCRYPT_6: &str = "$2y$06$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

/// A database with accounts of its own, a file behind it, and one pool for both.
struct Bench {
    pool: HashPool,
    chain: AuthenticatorChain,
    _file: tempfile::NamedTempFile,
}

impl Bench {
    async fn new() -> Self {
        let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
        let cache = CredentialCache::new([1; 32], NonZeroUsize::MIN, Duration::from_mins(5));
        let check = PasswordCheck::new(pool.clone(), Arc::new(cache));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), USERS).unwrap();
        let settings = HtpasswdSettings { path: file.path().to_owned(), formats: Formats::Legacy };
        let users = HtpasswdFile::open(settings, pool.source(), now()).unwrap();
        let users = HtpasswdAccounts::new(SourceName::htpasswd(), Arc::new(users), check.clone());
        let local = LocalAccounts::new(database().await, check.clone());
        let chain = AuthenticatorChain::new(vec![Arc::new(local), Arc::new(users)], check);
        Self { pool, chain, _file: file }
    }

    /// What a refusal has worked.
    async fn refused(&self, name: &str, password: &str) -> Work {
        let before = self.pool.work_done();
        let login = Login { account: name.parse().unwrap(), password: password.into() };
        assert!(
            self.chain.authenticate(&login, &unproved(now())).await.unwrap().is_err(),
            "{name}"
        );
        self.pool.work_done().since(before)
    }
}

async fn database() -> Db {
    let db = Db::in_memory().await.unwrap();
    let audit = record(now());
    for (name, hash) in
        [("local", Some(BCRYPT_6)), ("disabled", Some(BCRYPT_6)), ("no-password", None)]
    {
        let mut bits = [0; 16];
        bits[..name.len()].copy_from_slice(name.as_bytes());
        let account = NewAccount {
            id: portpass_state::AccountId::from_random(bits),
            name: name.to_owned(),
            password_hash: hash.map(SecretString::from),
            groups: BTreeSet::new(),
        };
        assert_eq!(db.add_account(&account, &audit).await.unwrap(), Addition::Added);
    }
    let disabled = AccountStatus::Disabled { since: now() };
    let change = db.set_account_status("disabled", disabled, &audit).await.unwrap();
    assert_eq!(change, Change::Done);
    db
}

/// T8: known to the database, to the file or to nobody, enabled or not, with a hash of any
/// kind or none.
#[tokio::test]
async fn every_refusal_works_the_same_for_every_account_and_kind_of_hash() {
    let bench = Bench::new().await;
    // Whoever asks first has the database read; the costs are known from then on.
    bench.refused("local", "wrong").await;
    let unknown = bench.refused("nobody", "wrong").await;
    assert_eq!((unknown.apr1, unknown.bcrypt), (1, 1 << 6), "{unknown:?}");
    assert_eq!((unknown.sha256_crypt, unknown.sha512_crypt), (5_000, 5_000), "{unknown:?}");
    let file = USERS.lines().map(|line| line.split(':').next().unwrap());
    for name in file.chain(["local", "disabled", "no-password"]) {
        let known = bench.refused(name, "wrong").await;
        // Argon2id counts in whole KiB per pass, and does nothing below eight of them.
        assert!(known.argon2id.abs_diff(unknown.argon2id) < 16, "{name}: {known:?}, {unknown:?}");
        assert_eq!(Work { argon2id: 0, ..known }, Work { argon2id: 0, ..unknown }, "{name}");
    }
    assert_eq!(bench.refused("nobody-else", "opensesame").await, unknown);
}

/// containerd asks for a token to resolve a tag and for another to fetch it, often for both at once.
#[tokio::test]
async fn the_token_requests_of_one_pull_are_served_by_one_hash() {
    let bench = Bench::new().await;
    let login = Login { account: "bcrypt".parse().unwrap(), password: "opensesame".into() };
    let at = unproved(now());
    let ask = || bench.chain.authenticate(&login, &at);
    let before = bench.pool.work_done();
    let (resolve, fetch) = tokio::join!(ask(), ask());
    for answer in [resolve, fetch, ask().await] {
        assert!(answer.unwrap().is_ok());
    }
    let work = bench.pool.work_done().since(before);
    assert_eq!(work, Work { bcrypt: 1 << 5, ..Work::default() });
}
