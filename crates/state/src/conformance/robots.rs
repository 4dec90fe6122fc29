use std::{collections::HashMap, time::SystemTime};

use super::{accounts, at, record};
use crate::{
    AccountId, AccountKey, AccountStatus, Addition, Change, Db, EndedSecret, KeyId, NewApiKey,
    NewRobot, NewSecret, Permission, Robot, RobotId, Rotation, SecretEnd, SecretId, StateError,
    TokenHash, Used, sql::sql,
};

pub(super) async fn a_robot_comes_back_as_it_was_made(db: Db) {
    assert_eq!(add(&db, 1, "ci", Some(at(100))).await, Addition::Added);
    assert_eq!(add(&db, 2, "ci", None).await, Addition::Exists);
    assert_eq!(add(&db, 3, "backup", None).await, Addition::Added);

    let ci = find(&db, "ci").await;
    assert_eq!((ci.id, ci.name.as_str()), (RobotId::from_random([1; 16]), "ci"));
    assert_eq!((ci.description.as_str(), &ci.permission), ("pushes", &permission()));
    assert_eq!((ci.expires_at, ci.status), (Some(at(100)), AccountStatus::Enabled));
    assert_eq!(ci.created_at, at(0));
    let [secret] = ci.secrets.as_slice() else { panic!("{ci:?}") };
    assert_eq!((secret.id, secret.hash), (secret_id(1), TokenHash([1; 32])));
    assert_eq!((secret.created_at, secret.expires_at, secret.used_at), (at(0), None, None));

    let names: Vec<String> = db.robots().await.unwrap().into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["backup", "ci"]);
    assert!(db.robot("other").await.unwrap().is_none());
    assert!(!format!("{ci:?}").contains("[1, 1"), "a hash is never printed");
}

pub(super) async fn a_rotation_keeps_the_last_secret_for_a_while_and_no_other(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    assert_eq!(rotate(&db, 2, 60, None, 10).await, Change::Done);
    let secrets = find(&db, "ci").await.secrets;
    let seen: Vec<_> = secrets.iter().map(|secret| (secret.id, secret.expires_at)).collect();
    assert_eq!(seen, [(secret_id(2), None), (secret_id(1), Some(at(60)))]);

    assert_eq!(rotate(&db, 3, 80, Some(at(500)), 20).await, Change::Done);
    let ci = find(&db, "ci").await;
    let seen: Vec<_> = ci.secrets.iter().map(|secret| (secret.id, secret.expires_at)).collect();
    assert_eq!(seen, [(secret_id(3), None), (secret_id(2), Some(at(80)))]);
    assert_eq!(ci.expires_at, Some(at(500)));
}

pub(super) async fn a_rotation_without_an_overlap_leaves_one_secret(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    assert_eq!(rotate(&db, 2, 60, None, 10).await, Change::Done);
    assert_eq!(find(&db, "ci").await.tokens_from, None);
    assert_eq!(rotate(&db, 3, 20, None, 20).await, Change::Done);
    let ci = find(&db, "ci").await;
    assert_eq!(ci.secrets.iter().map(|secret| secret.id).collect::<Vec<_>>(), [secret_id(3)]);
    assert_eq!(ci.tokens_from, Some(at(21)));
}

pub(super) async fn a_disabled_robot_stays_disabled_since_it_was(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    for seconds in [3, 9] {
        let status = AccountStatus::Disabled { since: at(seconds) };
        let change = db.set_robot_status("ci", status, &record("disable", seconds)).await;
        assert_eq!(change.unwrap(), Change::Done);
    }
    let ci = find(&db, "ci").await;
    assert_eq!(ci.status, AccountStatus::Disabled { since: at(3) });
    assert_eq!(ci.tokens_from, Some(at(10)), "its tokens end with it");
    let enabled = AccountStatus::Enabled;
    let change = db.set_robot_status("ci", enabled, &record("enable", 10)).await;
    assert_eq!(change.unwrap(), Change::Done);
    assert_eq!(find(&db, "ci").await.status, enabled);
}

pub(super) async fn every_change_of_a_robot_or_key_moves_the_version_and_leaves_a_record(db: Db) {
    let enabled = AccountStatus::Enabled;
    let mut seen = vec![db.robots_version().await.unwrap()];
    add(&db, 1, "ci", None).await.taken();
    seen.push(db.robots_version().await.unwrap());
    assert_eq!(rotate(&db, 2, 60, None, 1).await, Change::Done);
    seen.push(db.robots_version().await.unwrap());
    let change = db.set_robot_status("ci", enabled, &record("enable", 2)).await;
    assert_eq!(change.unwrap(), Change::Done);
    seen.push(db.robots_version().await.unwrap());
    assert_eq!(db.remove_robot("ci", &record("remove", 3)).await.unwrap(), Change::Done);
    seen.push(db.robots_version().await.unwrap());
    add_key(&db, 1, &ann()).await;
    seen.push(db.robots_version().await.unwrap());
    let change = db.revoke_api_key(key_id(1), &record("revoke", 4)).await;
    assert_eq!(change.unwrap(), Change::Done);
    seen.push(db.robots_version().await.unwrap());
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);

    let trail = db.audit_after(0, 10).await.unwrap();
    let actions: Vec<&str> = trail.iter().map(|entry| entry.record.action.as_str()).collect();
    assert_eq!(actions, ["add", "rotate", "enable", "remove", "key", "revoke"]);
    assert_eq!(db.accounts_version().await.unwrap(), 0);
}

pub(super) async fn a_change_of_an_unknown_robot_changes_nothing(db: Db) {
    let audit = record("x", 0);
    let disabled = AccountStatus::Disabled { since: at(0) };
    assert_eq!(rotate(&db, 2, 60, None, 1).await, Change::Unknown);
    assert_eq!(db.set_robot_status("ci", disabled, &audit).await.unwrap(), Change::Unknown);
    assert_eq!(db.remove_robot("ci", &audit).await.unwrap(), Change::Unknown);
    assert_eq!(db.revoke_api_key(key_id(1), &audit).await.unwrap(), Change::Unknown);
    assert_eq!(db.robots_version().await.unwrap(), 0);
    assert!(db.latest_audit(10).await.unwrap().is_empty());
}

pub(super) async fn a_key_is_there_until_it_is_revoked(db: Db) {
    add_key(&db, 1, &ann()).await;
    add_key(&db, 2, &ann()).await;
    let keys = db.api_keys().await.unwrap();
    let [first, _] = keys.as_slice() else { panic!("{keys:?}") };
    assert_eq!((first.id, first.hash), (key_id(1), TokenHash([1; 32])));
    assert_eq!((&first.account, first.account_name.as_str()), (&ann(), "ann"));
    assert_eq!((first.description.as_str(), &first.permission), ("laptop", &permission()));
    assert_eq!((first.expires_at, first.created_at), (Some(at(100)), at(1)));
    assert_eq!(first.used_at, None);

    let change = db.revoke_api_key(key_id(1), &record("revoke", 4)).await;
    assert_eq!(change.unwrap(), Change::Done);
    let left: Vec<KeyId> = db.api_keys().await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(left, [key_id(2)]);
}

pub(super) async fn the_keys_of_a_removed_account_go_with_it_and_no_others(db: Db) {
    let local = AccountKey::local(AccountId::from_random([7; 16]));
    accounts::add(&db, 7, "ann", &[]).await.taken();
    add_key(&db, 1, &local).await;
    add_key(&db, 2, &ann()).await;
    let version = db.robots_version().await.unwrap();
    assert_eq!(db.remove_account("ann", &record("remove", 2)).await.unwrap(), Change::Done);
    let left: Vec<KeyId> = db.api_keys().await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(left, [key_id(2)]);
    assert_eq!(db.robots_version().await.unwrap(), version + 1);
}

pub(super) async fn a_secret_that_was_ended_is_known_until_it_is_forgotten(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    assert_eq!(rotate(&db, 2, 60, None, 10).await, Change::Done);
    assert_eq!(ended(&db, 1).await, None, "its overlap lasts");
    assert_eq!(rotate(&db, 3, 60, None, 20).await, Change::Done);
    assert_eq!(rotate(&db, 4, 30, None, 30).await, Change::Done);
    assert_eq!(db.remove_robot("ci", &record("remove", 40)).await.unwrap(), Change::Done);
    add_key(&db, 5, &ann()).await;
    let change = db.revoke_api_key(key_id(5), &record("revoke", 50)).await;
    assert_eq!(change.unwrap(), Change::Done);
    let local = AccountKey::local(AccountId::from_random([7; 16]));
    accounts::add(&db, 7, "ann", &[]).await.taken();
    add_key(&db, 6, &local).await;
    assert_eq!(db.remove_account("ann", &record("remove", 60)).await.unwrap(), Change::Done);

    let key = |number| key_id(number).to_string();
    for (number, end, owner, seconds) in [
        (1, SecretEnd::Rotated, "ci".to_owned(), 20),
        (2, SecretEnd::Rotated, "ci".to_owned(), 30),
        (3, SecretEnd::Rotated, "ci".to_owned(), 30),
        (4, SecretEnd::RobotRemoved, "ci".to_owned(), 40),
        (5, SecretEnd::KeyRevoked, key(5), 50),
        (6, SecretEnd::AccountRemoved, key(6), 60),
    ] {
        let expected = EndedSecret { end, owner, at: at(seconds) };
        assert_eq!(ended(&db, number).await, Some(expected), "{number}");
    }
    assert_eq!(ended(&db, 9).await, None, "it never was one");
    assert_eq!(db.prune_ended_secrets(at(40)).await.unwrap(), 3);
    assert_eq!((ended(&db, 3).await, ended(&db, 4).await.is_some()), (None, true));
}

async fn ended(db: &Db, number: u8) -> Option<EndedSecret> {
    db.ended_secret(&TokenHash([number; 32])).await.unwrap()
}

pub(super) async fn a_use_is_remembered_and_never_moves_back(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    add_key(&db, 1, &ann()).await;
    let version = db.robots_version().await.unwrap();
    let robot = RobotId::from_random([1; 16]);
    let all = |seconds| -> HashMap<Used, SystemTime> {
        [
            Used::Account(ann()),
            Used::Secret(robot, secret_id(1)),
            Used::Key(key_id(1)),
            Used::Key(key_id(9)),
        ]
        .map(|used| (used, at(seconds)))
        .into()
    };
    db.record_uses(&HashMap::new()).await.unwrap();
    for seconds in [5, 9, 7] {
        db.record_uses(&all(seconds)).await.unwrap();
    }
    assert_eq!(find(&db, "ci").await.secrets[0].used_at, Some(at(9)));
    assert_eq!(db.api_keys().await.unwrap()[0].used_at, Some(at(9)));
    let uses = [(ann(), at(9)), (AccountKey::robot(robot), at(9))];
    assert_eq!(db.account_uses().await.unwrap(), HashMap::from(uses), "its account is used too");
    assert_eq!(db.robots_version().await.unwrap(), version, "nothing is read again for that");
}

pub(super) async fn what_a_removed_account_used_is_forgotten(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    let robot = AccountKey::robot(RobotId::from_random([1; 16]));
    let uses = [robot, ann()].map(|account| (Used::Account(account), at(3)));
    db.record_uses(&uses.into()).await.unwrap();
    assert_eq!(db.remove_robot("ci", &record("remove", 3)).await.unwrap(), Change::Done);
    assert_eq!(db.account_uses().await.unwrap(), HashMap::from([(ann(), at(3))]));
}

pub(super) async fn a_secret_that_is_no_hash_is_inconsistent(db: Db) {
    add(&db, 1, "ci", None).await.taken();
    db.change(sql("UPDATE robot_secret SET hash = 'short'")).await.unwrap();
    let error = db.robots().await.unwrap_err();
    assert!(matches!(error, StateError::Inconsistent { .. }), "{error:?}");
}

async fn add(db: &Db, number: u8, name: &str, expires_at: Option<SystemTime>) -> Addition {
    let robot = NewRobot {
        id: RobotId::from_random([number; 16]),
        name: name.to_owned(),
        description: "pushes".to_owned(),
        permission: permission(),
        expires_at,
        secret: secret(number),
    };
    db.add_robot(&robot, &record("add", 0)).await.unwrap()
}

async fn rotate(
    db: &Db,
    number: u8,
    old_until: u64,
    expires_at: Option<SystemTime>,
    seconds: u64,
) -> Change {
    let rotation = Rotation { old_until: at(old_until), expires_at };
    let audit = record("rotate", seconds);
    db.rotate_robot("ci", &secret(number), rotation, &audit).await.unwrap()
}

async fn add_key(db: &Db, number: u8, account: &AccountKey) {
    let key = NewApiKey {
        id: key_id(number),
        hash: TokenHash([number; 32]),
        account: account.clone(),
        account_name: "ann".to_owned(),
        description: "laptop".to_owned(),
        permission: permission(),
        expires_at: Some(at(100)),
    };
    db.add_api_key(&key, &record("key", number.into())).await.unwrap();
}

async fn find(db: &Db, name: &str) -> Robot {
    db.robot(name).await.unwrap().unwrap()
}

fn permission() -> Permission {
    Permission {
        actions: vec!["pull".to_owned(), "push".to_owned()],
        repositories: vec!["team/app-*".to_owned()],
    }
}

fn secret(number: u8) -> NewSecret {
    NewSecret { id: secret_id(number), hash: TokenHash([number; 32]) }
}

fn secret_id(number: u8) -> SecretId {
    SecretId::from_random([number; 16])
}

fn key_id(number: u8) -> KeyId {
    KeyId::from_random([number; 16])
}

fn ann() -> AccountKey {
    AccountKey { source: "htpasswd".to_owned(), id: "ann".to_owned() }
}
