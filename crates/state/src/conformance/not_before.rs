use std::time::{Duration, SystemTime};

use super::{accounts, at, record, refresh};
use crate::{
    AccountKey, AccountStatus, Change, Db, GroupChange, NotBefore, RefreshState, Revocation,
    RevokedTokens,
};

pub(super) async fn what_ends_an_account_s_sessions_ends_its_other_tokens(db: Db) {
    accounts::add(&db, 1, "ann", &[]).await.taken();
    accounts::add(&db, 2, "bob", &[]).await.taken();
    assert_eq!(list(&db).await, []);
    assert_eq!(accounts::find(&db, "ann").await.tokens_from, None);

    let change = db.set_password("ann", &accounts::hash("x"), &record("password", 5)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(list(&db).await, [entry("ann", 6)], "whole seconds, rounded up");
    assert_eq!(accounts::find(&db, "ann").await.tokens_from, Some(at(6)));
    assert_eq!(accounts::find(&db, "bob").await.tokens_from, None);

    let disabled = AccountStatus::Disabled { since: at(8) };
    let change = db.set_account_status("ann", disabled, &record("disable", 8)).await;
    assert_eq!(change.unwrap(), Change::Done);
    let change = db.remove_account("bob", &record("remove", 9)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(list(&db).await, [entry("ann", 9), entry("bob", 10)]);

    accounts::add(&db, 3, "bob", &[]).await.taken();
    let again = accounts::find(&db, "bob").await.tokens_from;
    assert_eq!(again, Some(at(10)), "tokens have the name alone");
    let listed = db.accounts().await.unwrap();
    let from: Vec<_> = listed.iter().map(|account| account.tokens_from).collect();
    assert_eq!(from, [Some(at(9)), Some(at(10))]);
}

pub(super) async fn what_takes_nothing_away_ends_no_tokens(db: Db) {
    accounts::add(&db, 1, "ann", &[]).await.taken();
    let none = accounts::groups(&[]);
    let change = db.replace_groups("ann", &none, &none, &record("groups", 1)).await;
    assert_eq!(change.unwrap(), GroupChange::Done);
    let enabled = AccountStatus::Enabled;
    let change = db.set_account_status("ann", enabled, &record("enable", 2)).await;
    assert_eq!(change.unwrap(), Change::Done);
    let hash = accounts::hash("x");
    assert_eq!(db.set_password("eve", &hash, &record("x", 3)).await.unwrap(), Change::Unknown);
    assert_eq!(list(&db).await, []);
    assert_eq!(db.not_before_version().await.unwrap(), 0);
}

pub(super) async fn an_administrator_ends_the_tokens_of_a_name_in_every_source(db: Db) {
    let of_a_file = AccountKey { source: "htpasswd".to_owned(), id: "ann".to_owned() };
    refresh::keep(&db, 1, &of_a_file, "docker", 0).await;
    let name = refresh::find(&db, 1, 20).await.account_name;
    let version = db.accounts_version().await.unwrap();
    assert_eq!(
        db.revoke_tokens((&*name).into(), RevokedTokens::Access, &record("revoke", 1))
            .await
            .unwrap(),
        0
    );
    assert!(matches!(refresh::find(&db, 1, 20).await.state, RefreshState::Valid { .. }));
    assert_eq!(list(&db).await, [entry(&name, 2)]);
    assert_eq!(
        db.revoke_tokens((&*name).into(), RevokedTokens::All, &record("revoke", 3)).await.unwrap(),
        1
    );
    let revoked = RefreshState::Revoked { at: at(3), why: Revocation::SessionRevoked };
    assert_eq!(refresh::find(&db, 1, 20).await.state, revoked);
    assert_eq!(list(&db).await, [entry(&name, 4)]);
    assert!(db.accounts_version().await.unwrap() > version, "who holds accounts reads again");
    assert_eq!(db.latest_audit(1).await.unwrap()[0].record.action, "revoke");

    assert_eq!(
        db.revoke_tokens((&*name).into(), RevokedTokens::All, &record("revoke", 2)).await.unwrap(),
        0
    );
    assert_eq!(list(&db).await, [entry(&name, 5)], "each end is later than the last one");
    assert_eq!(db.not_before_version().await.unwrap(), 3);
}

pub(super) async fn entries_are_forgotten_when_they_end_nothing_any_more(db: Db) {
    for (name, seconds) in [("ann", 10), ("bob", 20), ("eve", 9_000)] {
        db.revoke_tokens(name.into(), RevokedTokens::Access, &record("revoke", seconds))
            .await
            .unwrap();
    }
    let version = db.not_before_version().await.unwrap();
    assert_eq!(db.prune_not_before(at(11), at(9_001)).await.unwrap(), 0);
    assert_eq!(db.not_before_version().await.unwrap(), version);
    assert_eq!(db.prune_not_before(at(12), at(8_000)).await.unwrap(), 2);
    assert_eq!(list(&db).await, [entry("bob", 21)]);
    assert_eq!(db.not_before_version().await.unwrap(), version + 1);
}

/// A token of the second in which it happened may be from before it.
pub(super) async fn within_a_second_the_next_one_counts(db: Db) {
    for (name, milliseconds) in [("a", 0), ("b", 1), ("c", 999)] {
        let mut audit = record("revoke", 10);
        audit.at += Duration::from_millis(milliseconds);
        db.revoke_tokens(name.into(), RevokedTokens::Access, &audit).await.unwrap();
    }
    let mut early = record("revoke", 0);
    early.at = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
    db.revoke_tokens("d".into(), RevokedTokens::Access, &early).await.unwrap();
    let times: Vec<_> = list(&db).await.into_iter().map(|entry| entry.at).collect();
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    assert_eq!(times, [at(11), at(11), at(11), epoch]);
}

async fn list(db: &Db) -> Vec<NotBefore> {
    db.not_before().await.unwrap().entries
}

fn entry(subject: &str, seconds: u64) -> NotBefore {
    NotBefore { subject: subject.to_owned(), at: at(seconds) }
}
