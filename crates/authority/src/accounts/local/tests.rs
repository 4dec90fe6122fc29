use std::{num::NonZeroUsize, pin::pin, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use portpass_password::{CredentialCache, HashPool, cost::HighestCost, pool::PoolSettings};
use portpass_state::{Addition, AuditRecord, Change, NewAccount};
use secrecy::SecretString;

use super::*;
use crate::{
    accounts::AuthenticatorChain,
    fixture::{Counter, record, unproved},
};

struct Bench {
    db: Db,
    accounts: LocalAccounts,
}

/// bcrypt at its cheapest, and nothing that a test waits for.
const OPENSESAME: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
const EMPTY: &str = "$2y$05$eENeEfHAjnQs5BcHFEYx/OUmD6ohaNEZQwkSnfF.jRg9mDMIyev5m";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_secs(seconds)
}

fn passwords() -> PasswordCheck {
    let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
    let entries = NonZeroUsize::new(100).unwrap();
    let cache = CredentialCache::new([1; 32], entries, Duration::from_mins(5));
    PasswordCheck::new(pool, Arc::new(cache))
}

impl Bench {
    async fn new() -> Self {
        let db = Db::in_memory().await.unwrap();
        Self { accounts: LocalAccounts::new(db.clone(), passwords()), db }
    }

    async fn add(&self, name: &str, hash: Option<&str>) -> String {
        let mut bits = [0; 16];
        bits[..name.len()].copy_from_slice(name.as_bytes());
        let id = state::AccountId::from_random(bits);
        let account = NewAccount {
            id,
            name: name.to_owned(),
            password_hash: hash.map(SecretString::from),
            groups: ["developers".to_owned()].into(),
        };
        assert_eq!(self.db.add_account(&account, &audit()).await.unwrap(), Addition::Added);
        id.to_string()
    }

    async fn login(&self, name: &str, password: &str, now: SystemTime) -> Outcome {
        let login = Login { account: name.parse().unwrap(), password: password.into() };
        self.accounts.authenticate(&login, &unproved(now)).await.unwrap()
    }

    async fn set_status(&self, name: &str, status: AccountStatus) {
        let change = self.db.set_account_status(name, status, &audit()).await.unwrap();
        assert_eq!(change, Change::Done);
    }
}

#[tokio::test]
async fn a_right_password_makes_an_account_with_its_groups_and_version() {
    let bench = Bench::new().await;
    let id = bench.add("ann", Some(OPENSESAME)).await;
    let Outcome::Authenticated(account) = bench.login("ann", "opensesame", at(0)).await else {
        panic!("rejected")
    };
    assert_eq!((account.source.as_str(), account.name.as_str()), ("local", "ann"));
    assert_eq!((account.id.as_str(), account.version.as_str()), (&*id, "1"));
    assert_eq!(
        account.groups.iter().map(crate::subject::Group::as_str).collect::<Vec<_>>(),
        ["developers"]
    );
}

#[tokio::test]
async fn wrong_empty_and_absent_passwords_are_rejected_and_unknown_names_are_not_ours() {
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    bench.add("hollow", Some(EMPTY)).await;
    bench.add("nobody", None).await;
    bench.add("des", Some("2pMSb2DBjuAQ6")).await;
    for (name, password) in
        [("ann", "Opensesame"), ("ann", ""), ("hollow", ""), ("nobody", "x"), ("des", "opensesame")]
    {
        assert!(matches!(bench.login(name, password, at(0)).await, Outcome::Rejected(_)), "{name}");
    }
    assert_eq!(bench.login("Ann", "opensesame", at(0)).await, Outcome::Unknown);
}

#[tokio::test]
async fn a_disabled_account_is_known_within_two_seconds_though_its_password_was_proved() {
    let bench = Bench::new().await;
    let id = AccountId::new(bench.add("ann", Some(OPENSESAME)).await);
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    assert!(bench.accounts.by_id(&id, at(0)).await.unwrap().is_some());

    bench.set_status("ann", AccountStatus::Disabled { since: at(0) }).await;
    assert!(matches!(bench.login("ann", "opensesame", at(1)).await, Outcome::Rejected(_)));
    assert_eq!(bench.accounts.by_id(&id, at(1)).await, Ok(None));
    let name = "ann".parse().unwrap();
    assert!(bench.accounts.by_name(&name, at(1)).await.unwrap().is_some());

    bench.set_status("ann", AccountStatus::Enabled).await;
    assert!(matches!(bench.login("ann", "opensesame", at(2)).await, Outcome::Authenticated(_)));

    assert_eq!(bench.db.remove_account("ann", &audit()).await.unwrap(), Change::Done);
    assert_eq!(bench.login("ann", "opensesame", at(3)).await, Outcome::Unknown);
    assert_eq!(bench.accounts.by_id(&id, at(3)).await, Ok(None));
}

/// VO14: what ends an account's tokens writes down the second behind it, and every token of before says that
/// it is older, whoever looked when.
#[tokio::test]
async fn a_token_is_older_than_the_end_of_the_account_it_is_for_and_not_than_the_account_after_it()
{
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    let login = async |now| match bench.login("ann", "opensesame", now).await {
        Outcome::Authenticated(account) => account,
        other => panic!("{other:?}"),
    };
    let issued = |account: &Account, now| bench.accounts.issue_time(account, now);
    let end = async || bench.db.not_before().await.unwrap().entries[0].at;
    let change = async |status, now| {
        let change = bench.db.set_account_status("ann", status, &record(now)).await;
        assert_eq!(change.unwrap(), Change::Done);
    };

    let before = login(at(20)).await;
    assert_eq!(issued(&before, at(20)), at(10), "nothing has ended yet");
    change(AccountStatus::Disabled { since: at(21) }, at(21)).await;
    change(AccountStatus::Enabled, at(21)).await;
    let ended = end().await;
    assert_eq!(ended, at(22));
    // Not seen yet, for a second at most.
    assert!(issued(&before, at(21)) < ended);
    // Seen by somebody else, while this one was on its way.
    let after = login(at(22)).await;
    assert!(issued(&before, at(22)) < ended);
    assert_ne!(before.version, after.version);
    assert_eq!(issued(&after, at(22)), ended, "it counts at once");
    assert_eq!(issued(&after, at(60)), at(50));

    change(AccountStatus::Disabled { since: at(22) }, at(22)).await;
    assert!(issued(&after, at(22)) < end().await, "also within the same second");
    let gone = Account { id: AccountId::new("gone"), ..after };
    assert_eq!(issued(&gone, at(30)), at(20));
}

#[tokio::test]
async fn a_new_password_counts_at_once_and_raises_the_version() {
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    let hash = PasswordHash::argon2id(b"new", [3; 16]);
    let text = SecretString::from(hash.expose());
    assert_eq!(bench.db.set_password("ann", &text, &audit()).await.unwrap(), Change::Done);
    assert!(matches!(bench.login("ann", "opensesame", at(1)).await, Outcome::Rejected(_)));
    let Outcome::Authenticated(account) = bench.login("ann", "new", at(1)).await else {
        panic!("rejected")
    };
    assert_eq!(account.version.as_str(), "2");
}

/// What the command line has just changed counts for the very next login, though the accounts were
/// looked at in this same second.
#[tokio::test]
async fn nobody_is_refused_for_what_has_just_been_set_right() {
    let bench = Bench::new().await;
    let check = bench.accounts.passwords.clone();
    let Bench { accounts, db } = bench;
    let chain = AuthenticatorChain::new(vec![Arc::new(accounts)], check.clone());
    let log_in = async |password: &str| {
        let login = Login { account: "ann".parse().unwrap(), password: password.into() };
        chain.authenticate(&login, &unproved(at(0))).await.unwrap().map(|account| account.version)
    };
    assert!(log_in("opensesame").await.is_err());

    // Only `add` is needed of this one; its accounts are never asked.
    let bench = Bench { accounts: LocalAccounts::new(db.clone(), check), db };
    bench.add("ann", Some(OPENSESAME)).await;
    assert!(log_in("opensesame").await.is_ok());

    let hash = PasswordHash::argon2id(b"new", [3; 16]);
    let text = SecretString::from(hash.expose());
    assert_eq!(bench.db.set_password("ann", &text, &audit()).await.unwrap(), Change::Done);
    assert_eq!(log_in("new").await.unwrap().as_str(), "2");
    assert!(log_in("opensesame").await.is_err());
}

/// A refusal that is paid for twice would tell that the name is known, whenever anybody is added.
#[tokio::test]
async fn a_login_is_not_decided_twice_because_somebody_else_has_changed() {
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    let worked = async |name: &str| {
        let before = bench.accounts.passwords.pool().work_done();
        assert!(matches!(bench.login(name, "wrong", at(0)).await, Outcome::Rejected(_)));
        bench.accounts.passwords.pool().work_done().since(before)
    };
    let once = worked("ann").await;
    bench.add("bob", Some(OPENSESAME)).await;
    assert_eq!(worked("ann").await, once);
    bench.set_status("bob", AccountStatus::Disabled { since: at(0) }).await;
    assert_eq!(worked("ann").await, once);
    assert_eq!(worked("bob").await, once, "its change was seen before");
}

/// Somebody else who was refused meanwhile has looked already, and nothing has changed since that look.
#[tokio::test]
async fn a_right_password_is_not_refused_because_another_saw_the_change_first() {
    let bench = Bench::new().await;
    bench.add("ann", None).await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Rejected(_)));
    let hash = SecretString::from(OPENSESAME);
    assert_eq!(bench.db.set_password("ann", &hash, &audit()).await.unwrap(), Change::Done);
    let mut login = pin!(bench.login("ann", "opensesame", at(0)));
    assert!(login.as_mut().now_or_never().is_none(), "it is being decided on what was known");
    bench.accounts.accounts.latest(at(0)).await.unwrap();
    assert!(matches!(login.await, Outcome::Authenticated(_)));
}

/// Within a second nothing is asked; after it, one small question.
#[tokio::test]
async fn a_database_that_is_away_is_no_refusal() {
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    bench.db.close().await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    for (name, now) in [("bob", at(0)), ("ann", at(1))] {
        let login = Login { account: name.parse().unwrap(), password: "opensesame".into() };
        let error = bench.accounts.authenticate(&login, &unproved(now)).await.unwrap_err();
        assert!(matches!(error, Unavailable::Source { .. }), "{error}");
    }
    assert!(bench.accounts.by_id(&AccountId::new("x"), at(1)).await.is_err());
}

#[tokio::test]
async fn refusals_cost_what_new_passwords_cost_also_where_there_is_no_account() {
    let bench = Bench::new().await;
    let highest = || bench.accounts.passwords.pool().highest();
    assert_eq!(highest(), OURS.into());
    bench.add("ann", Some(OPENSESAME)).await;
    bench.login("bob", "x", at(0)).await;
    assert_eq!(highest(), HighestCost::from_iter([OURS, Cost::Bcrypt(5)]));
}

#[tokio::test]
async fn rows_that_could_not_be_made_here_are_left_out() {
    let bench = Bench::new().await;
    bench.add("a/b", Some(OPENSESAME)).await;
    bench.add("ann", Some(OPENSESAME)).await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    let accounts = bench.accounts.accounts.recent(at(0)).await.unwrap();
    assert_eq!(accounts.by_name.len(), 1);
}

/// The start looks over all names; who is added the moment after is not to be unknown for a second.
#[tokio::test]
async fn names_are_told_and_not_kept() {
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    assert_eq!(bench.accounts.names(at(0)).await, Ok(vec!["ann".parse().unwrap()]));
    bench.add("bob", Some(OPENSESAME)).await;
    assert!(matches!(bench.login("bob", "opensesame", at(0)).await, Outcome::Authenticated(_)));
}

fn audit() -> AuditRecord {
    record(at(0))
}

/// Many logins at once, and those after them, hash once more; sessions and tokens of before stay.
#[tokio::test]
async fn an_older_hash_is_replaced_once_and_nothing_ends() {
    let Bench { accounts, db } = Bench::new().await;
    let bench = Bench { accounts: accounts.with_upgrades(Arc::new(Counter::default())), db };
    let id = AccountId::new(bench.add("ann", Some(OPENSESAME)).await);
    bench.add("bob", Some(OPENSESAME)).await;
    let before = bench.accounts.by_id(&id, at(0)).await.unwrap();
    let issued = bench.accounts.issue_time(before.as_ref().unwrap(), at(0));
    assert!(matches!(bench.login("ann", "Opensesame", at(0)).await, Outcome::Rejected(_)));
    for outcome in join_all((0..8).map(|_| bench.login("ann", "opensesame", at(0)))).await {
        assert!(matches!(outcome, Outcome::Authenticated(_)), "{outcome:?}");
    }
    let hash = async |name: &str| {
        let text = bench.db.account(name).await.unwrap().unwrap().password_hash.unwrap();
        text.expose_secret().to_owned()
    };
    let replaced = async {
        while !hash("ann").await.starts_with("$argon2id$") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), replaced).await.unwrap();

    for second in 0..4 {
        let outcome = bench.login("ann", "opensesame", at(second)).await;
        assert!(matches!(outcome, Outcome::Authenticated(_)), "{second}: {outcome:?}");
    }
    assert!(matches!(bench.login("ann", "Opensesame", at(4)).await, Outcome::Rejected(_)));
    let after = bench.accounts.by_id(&id, at(4)).await.unwrap();
    assert_eq!(after, before, "the version too, which sessions are bound to");
    assert_eq!(bench.accounts.issue_time(after.as_ref().unwrap(), at(0)), issued);
    assert_eq!(hash("bob").await, OPENSESAME);
    let trail = bench.db.audit_after(0, 100).await.unwrap();
    let rehashed = trail.iter().filter(|entry| entry.record.action == "password-rehashed");
    assert_eq!(
        rehashed.map(|entry| entry.record.object.as_deref()).collect::<Vec<_>>(),
        [Some("ann")]
    );
}

/// Of a change of the password and the replacement of its hash the change wins, whichever comes first.
#[tokio::test]
async fn a_password_that_is_changed_meanwhile_is_not_undone() {
    let Bench { accounts, db } = Bench::new().await;
    let bench = Bench { accounts: accounts.with_upgrades(Arc::new(Counter::default())), db };
    let outdated = async |name: &str| {
        bench.add(name, Some(OPENSESAME)).await;
        OutdatedHash {
            id: bench.db.account(name).await.unwrap().unwrap().id,
            name: name.parse().unwrap(),
            stored: Arc::new(PasswordHash::parse(OPENSESAME, Formats::Current).unwrap()),
            password: "opensesame".into(),
        }
    };
    let upgrades = bench.accounts.upgrades.clone().unwrap();
    let change = async |name: &str| {
        let hash = PasswordHash::argon2id(b"another", [3; 16]);
        bench.db.set_password(name, &hash.expose().into(), &audit()).await.unwrap()
    };

    let first = outdated("first").await;
    assert_eq!(change("first").await, Change::Done);
    assert_eq!(upgrades.replace(first, at(0)).await.unwrap(), Change::Unknown);
    let second = outdated("second").await;
    assert_eq!(upgrades.replace(second, at(0)).await.unwrap(), Change::Done);
    assert_eq!(change("second").await, Change::Done);
    let third = outdated("third").await;
    let (replaced, changed) = tokio::join!(upgrades.replace(third, at(0)), change("third"));
    assert!(replaced.is_ok() && changed == Change::Done);
    for name in ["first", "second", "third"] {
        assert!(
            matches!(bench.login(name, "opensesame", at(1)).await, Outcome::Rejected(_)),
            "{name}"
        );
        let outcome = bench.login(name, "another", at(1)).await;
        assert!(
            matches!(outcome, Outcome::Authenticated(account) if account.version.as_str() == "2")
        );
    }
}

/// A login that finds no room for hashing once more is a login all the same, and the next one tries again.
#[tokio::test]
async fn a_hash_that_cannot_be_replaced_stays_until_the_next_login() {
    let Bench { accounts, db } = Bench::new().await;
    let bench = Bench { accounts: accounts.with_upgrades(Arc::new(Counter::default())), db };
    bench.add("ann", Some(OPENSESAME)).await;
    let accounts = bench.accounts.accounts.recent(at(0)).await.unwrap();
    let local = Arc::clone(&accounts.by_name[&"ann".parse().unwrap()]);
    bench.db.close().await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    assert!(local.is_upgraded.load(Ordering::Acquire));
    let given_up = async {
        while local.is_upgraded.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), given_up).await.unwrap();
}

/// Else whoever guesses names makes a line in which all others stand.
#[tokio::test]
async fn many_refusals_at_once_look_at_the_database_together() {
    let bench = Bench::new().await;
    bench.add("ann", Some(OPENSESAME)).await;
    assert!(matches!(bench.login("ann", "opensesame", at(0)).await, Outcome::Authenticated(_)));
    let before = bench.accounts.accounts.looks_begun();
    let guesses = (0..50).map(|number| bench.login("nobody", "wrong", at(number % 2)));
    for outcome in join_all(guesses).await {
        assert_eq!(outcome, Outcome::Unknown);
    }
    let looks = bench.accounts.accounts.looks_begun() - before;
    assert!(looks < 10, "{looks} looks for 50 refusals");
    // The next refusal looks for itself.
    bench.add("bob", Some(OPENSESAME)).await;
    assert!(matches!(bench.login("bob", "opensesame", at(0)).await, Outcome::Authenticated(_)));
}
