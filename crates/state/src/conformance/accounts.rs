use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::{
    at, record,
    refresh::{keep, touch, try_to_keep},
};
use crate::{
    Account, AccountId, AccountKey, AccountStatus, Addition, Change, Db, GroupChange, NewAccount,
    RefreshState, Revocation, TokenAddition, Touch, sql::sql,
};

pub(super) async fn a_name_is_given_once(db: Db) {
    assert_eq!(add(&db, 1, "ann", &["developers", "release"]).await, Addition::Added);
    assert_eq!(add(&db, 2, "ann", &[]).await, Addition::Exists);
    assert_eq!(add(&db, 3, "Ann", &[]).await, Addition::Added, "names are compared byte by byte");

    let ann = find(&db, "ann").await;
    assert_eq!(ann.id, id(1));
    assert_eq!(ann.groups, groups(&["developers", "release"]));
    assert_eq!(ann.status, AccountStatus::Enabled);
    assert_eq!(ann.credential_version, 1);
    assert_eq!(ann.created_at, at(0));
    assert_eq!(hash_of(&ann), Some("$argon2id$1"));

    let names: Vec<String> = db.accounts().await.unwrap().into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["Ann", "ann"]);
    assert!(db.account("bob").await.unwrap().is_none());
}

/// A password change revokes refresh tokens.
pub(super) async fn a_new_password_raises_the_version_and_ends_the_sessions(db: Db) {
    add(&db, 1, "ann", &[]).await.taken();
    add(&db, 2, "bob", &[]).await.taken();
    keep(&db, 1, &AccountKey::local(id(1)), "docker", 0).await;
    keep(&db, 2, &AccountKey::local(id(2)), "docker", 0).await;
    let of_another_source = AccountKey { source: "htpasswd".to_owned(), id: id(1).to_string() };
    keep(&db, 3, &of_another_source, "docker", 0).await;

    let change = db.set_password("ann", &hash("$argon2id$new"), &record("password", 5)).await;
    assert_eq!(change.unwrap(), Change::Done);

    let ann = find(&db, "ann").await;
    assert_eq!((hash_of(&ann), ann.credential_version), (Some("$argon2id$new"), 2));
    assert_eq!(find(&db, "bob").await.credential_version, 1);
    let revoked = RefreshState::Revoked { at: at(5), why: Revocation::PasswordChanged };
    assert_eq!(state(&db, 1).await, revoked);
    assert!(matches!(state(&db, 2).await, RefreshState::Valid { .. }));
    assert!(matches!(state(&db, 3).await, RefreshState::Valid { .. }));
}

pub(super) async fn another_hash_of_the_same_password_ends_nothing(db: Db) {
    add(&db, 1, "ann", &[]).await.taken();
    keep(&db, 1, &AccountKey::local(id(1)), "docker", 0).await;
    let (old, new) = (hash("$argon2id$1"), hash("$argon2id$dearer"));
    let change = db.replace_hash(id(1), &old, &new, &record("rehash", 1)).await.unwrap();
    assert_eq!(change, Change::Done);
    let ann = find(&db, "ann").await;
    assert_eq!((hash_of(&ann), ann.credential_version), (Some("$argon2id$dearer"), 1));
    assert!(matches!(state(&db, 1).await, RefreshState::Valid { .. }));
    assert_eq!(db.accounts_version().await.unwrap(), 2);

    // Whoever set another password meanwhile is not undone.
    let change = db.replace_hash(id(1), &old, &new, &record("rehash", 2)).await.unwrap();
    assert_eq!(change, Change::Unknown);
    assert_eq!(db.accounts_version().await.unwrap(), 2);
}

pub(super) async fn disabling_ends_the_sessions_and_enabling_does_not_bring_them_back(db: Db) {
    add(&db, 1, "ann", &[]).await.taken();
    keep(&db, 1, &AccountKey::local(id(1)), "docker", 0).await;
    let disable = |seconds| AccountStatus::Disabled { since: at(seconds) };

    let change = db.set_account_status("ann", disable(3), &record("disable", 3)).await;
    assert_eq!(change.unwrap(), Change::Done);
    let change = db.set_account_status("ann", disable(9), &record("disable", 9)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(find(&db, "ann").await.status, disable(3), "disabled since the first time");

    let change = db.set_account_status("ann", AccountStatus::Enabled, &record("enable", 10)).await;
    assert_eq!(change.unwrap(), Change::Done);
    let ann = find(&db, "ann").await;
    assert_eq!((ann.status, ann.credential_version), (AccountStatus::Enabled, 3));
    let revoked = RefreshState::Revoked { at: at(3), why: Revocation::AccountDisabled };
    assert_eq!(state(&db, 1).await, revoked);
}

/// Who looked at the account before it ended comes too late.
pub(super) async fn a_token_of_an_account_that_is_not_what_it_was_is_not_kept(db: Db) {
    let ann = AccountKey::local(id(1));
    add(&db, 1, "ann", &[]).await.taken();
    assert_eq!(try_to_keep(&db, 1, &ann, 1).await, TokenAddition::Added(Vec::new()));
    let disabled = AccountStatus::Disabled { since: at(2) };
    let change = db.set_account_status("ann", disabled, &record("disable", 2)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(try_to_keep(&db, 2, &ann, 3).await, TokenAddition::AccountChanged);
    let change = db.set_account_status("ann", AccountStatus::Enabled, &record("enable", 4)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(
        try_to_keep(&db, 2, &ann, 5).await,
        TokenAddition::AccountChanged,
        "of before the end"
    );

    add(&db, 2, "bob", &[]).await.taken();
    let bob = AccountKey::local(id(2));
    let change = db.set_password("bob", &hash("$argon2id$new"), &record("password", 5)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(try_to_keep(&db, 2, &bob, 6).await, TokenAddition::AccountChanged);
    assert_eq!(db.remove_account("bob", &record("remove", 7)).await.unwrap(), Change::Done);
    assert_eq!(try_to_keep(&db, 2, &bob, 8).await, TokenAddition::AccountChanged);

    assert_eq!(db.refresh_tokens(None, at(9)).await.unwrap().len(), 1);
    let trail = db.audit_after(0, 20).await.unwrap();
    assert_eq!(trail.iter().filter(|entry| entry.record.action == "issued").count(), 1);
}

/// Whatever lets a token outlive its account's end, the next use finds out.
pub(super) async fn a_token_of_an_account_that_is_not_what_it_was_is_not_used(db: Db) {
    for change in [
        "UPDATE account SET disabled_at = 1 WHERE name = 'ann'",
        "UPDATE account SET disabled_at = NULL, credential_version = 7 WHERE name = 'ann'",
        "DELETE FROM account WHERE name = 'ann'",
    ] {
        add(&db, 1, "ann", &[]).await.taken();
        keep(&db, 1, &AccountKey::local(id(1)), "docker", 0).await;
        assert_eq!(touch(&db, 1, 1).await, Touch::Used);
        db.change(sql(change)).await.unwrap();
        assert_eq!(touch(&db, 1, 2).await, Touch::Void, "{change}");
        for clear in ["DELETE FROM account", "DELETE FROM refresh_token"] {
            db.change(sql(clear)).await.unwrap();
        }
    }
}

pub(super) async fn groups_are_replaced_as_a_whole(db: Db) {
    add(&db, 1, "ann", &["a", "b"]).await.taken();
    add(&db, 2, "bob", &["b"]).await.taken();
    let (before, after) = (groups(&["a", "b"]), groups(&["b", "c"]));
    let change = db.replace_groups("ann", &before, &after, &record("groups", 1)).await;
    assert_eq!(change.unwrap(), GroupChange::Done);
    assert_eq!(find(&db, "ann").await.groups, groups(&["b", "c"]));
    assert_eq!(find(&db, "bob").await.groups, groups(&["b"]));
    // Begun before that, and written behind it.
    let change = db.replace_groups("ann", &before, &groups(&["a"]), &record("groups", 2)).await;
    assert_eq!(change.unwrap(), GroupChange::Outdated);
    assert_eq!(find(&db, "ann").await.groups, after);
    let change = db.replace_groups("ann", &after, &groups(&[]), &record("groups", 2)).await;
    assert_eq!(change.unwrap(), GroupChange::Done);
    assert!(find(&db, "ann").await.groups.is_empty());
}

pub(super) async fn removal_frees_the_name_but_not_the_identity(db: Db) {
    add(&db, 1, "ann", &["admins"]).await.taken();
    keep(&db, 1, &AccountKey::local(id(1)), "docker", 0).await;
    let change = db.remove_account("ann", &record("remove", 2)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert!(db.account("ann").await.unwrap().is_none());

    add(&db, 2, "ann", &[]).await.taken();
    let ann = find(&db, "ann").await;
    assert_eq!(ann.id, id(2));
    assert!(ann.groups.is_empty(), "groups do not pass to a successor");
    let revoked = RefreshState::Revoked { at: at(2), why: Revocation::AccountRemoved };
    assert_eq!(state(&db, 1).await, revoked);
}

/// A process that watches this one number notices another process's change.
pub(super) async fn every_change_moves_the_version_and_leaves_a_record(db: Db) {
    let none = groups(&[]);
    let enabled = AccountStatus::Enabled;
    let mut seen = vec![db.accounts_version().await.unwrap()];
    add(&db, 1, "ann", &[]).await.taken();
    seen.push(db.accounts_version().await.unwrap());
    assert_eq!(db.set_password("ann", &hash("x"), &record("b", 1)).await.unwrap(), Change::Done);
    seen.push(db.accounts_version().await.unwrap());
    assert_eq!(db.set_account_status("ann", enabled, &record("c", 2)).await.unwrap(), Change::Done);
    seen.push(db.accounts_version().await.unwrap());
    let change = db.replace_groups("ann", &none, &none, &record("d", 3)).await;
    assert_eq!(change.unwrap(), GroupChange::Done);
    seen.push(db.accounts_version().await.unwrap());
    assert_eq!(db.remove_account("ann", &record("e", 4)).await.unwrap(), Change::Done);
    seen.push(db.accounts_version().await.unwrap());
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);

    let trail = db.audit_after(0, 10).await.unwrap();
    let actions: Vec<&str> = trail.iter().map(|entry| entry.record.action.as_str()).collect();
    assert_eq!(actions, ["add", "b", "c", "d", "e"]);
}

pub(super) async fn a_change_of_an_unknown_account_changes_nothing(db: Db) {
    let disabled = AccountStatus::Disabled { since: at(0) };
    let audit = record("x", 0);
    assert_eq!(db.set_password("ann", &hash("x"), &audit).await.unwrap(), Change::Unknown);
    assert_eq!(db.set_account_status("ann", disabled, &audit).await.unwrap(), Change::Unknown);
    let change = db.replace_groups("ann", &groups(&[]), &groups(&["a"]), &audit).await;
    assert_eq!(change.unwrap(), GroupChange::Unknown);
    assert_eq!(db.remove_account("ann", &audit).await.unwrap(), Change::Unknown);
    assert_eq!(db.accounts_version().await.unwrap(), 0);
    assert!(db.latest_audit(10).await.unwrap().is_empty());
}

pub(super) async fn a_hash_is_never_printed(db: Db) {
    add(&db, 1, "ann", &[]).await.taken();
    let printed = format!("{:?}", find(&db, "ann").await);
    assert!(!printed.contains("argon2"), "{printed}");
}

impl Addition {
    /// For the steps of a test that only need it done.
    pub(super) fn taken(self) {
        assert_eq!(self, Self::Added);
    }
}

pub(super) async fn add(db: &Db, number: u8, name: &str, groups_: &[&str]) -> Addition {
    let account = NewAccount {
        id: id(number),
        name: name.to_owned(),
        password_hash: Some(hash(&format!("$argon2id${number}"))),
        groups: groups(groups_),
    };
    db.add_account(&account, &record("add", 0)).await.unwrap()
}

pub(super) async fn find(db: &Db, name: &str) -> Account {
    db.account(name).await.unwrap().unwrap()
}

async fn state(db: &Db, number: u16) -> RefreshState {
    super::refresh::find(db, number, 20).await.state
}

fn id(number: u8) -> AccountId {
    AccountId::from_random([number; 16])
}

pub(super) fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

pub(super) fn hash(text: &str) -> SecretString {
    SecretString::from(text)
}

fn hash_of(account: &Account) -> Option<&str> {
    account.password_hash.as_ref().map(ExposeSecret::expose_secret)
}
