use super::{at, record};
use crate::{
    AccountKey, Change, Db, Kept, NewRefreshToken, RefreshId, RefreshState, RefreshToken,
    Revocation, StateError, TokenHash, Touch, sql::sql,
};

const IDLE: u64 = 90;
const ABSOLUTE: u64 = 365;

pub(super) async fn a_token_is_found_by_its_hash_with_all_that_was_kept(db: Db) {
    let token = NewRefreshToken {
        ceiling: Some("repository:a/b:pull repository:c/d:".parse().unwrap()),
        ..new(1, &ann(), "docker", 7)
    };
    let kept = db.add_refresh_token(&token, at(7), &record("issued", 7)).await.unwrap();
    assert_eq!(kept, Kept::Kept);
    keep(&db, 2, &ann(), "docker", 7).await;

    let expected = RefreshToken {
        id: token.id,
        account: ann(),
        account_name: "ann".to_owned(),
        credential_version: "1".to_owned(),
        service: "registry".to_owned(),
        client: "docker".to_owned(),
        ceiling: token.ceiling.clone(),
        created_at: at(7),
        used_at: at(7),
        state: RefreshState::Valid { until: at(7 + IDLE) },
    };
    assert_eq!(find(&db, 1, 8).await, expected);
    assert_eq!(find(&db, 2, 8).await.ceiling, None);
    assert_eq!(db.refresh_token(&TokenHash([9; 32]), at(8)).await.unwrap(), None);
    assert_eq!(db.latest_audit(1).await.unwrap()[0].record.action, "issued");
}

pub(super) async fn a_token_ends_at_the_earlier_of_idle_and_absolute_end(db: Db) {
    keep(&db, 1, &ann(), "docker", 0).await;
    let state = async |seconds| find(&db, 1, seconds).await.state;
    assert_eq!(state(IDLE - 1).await, RefreshState::Valid { until: at(IDLE) });
    assert_eq!(state(IDLE).await, RefreshState::Expired { at: at(IDLE) });

    for seconds in (80..ABSOLUTE).step_by(80) {
        assert_eq!(touch(&db, 1, seconds).await, Touch::Used);
    }
    assert_eq!(state(ABSOLUTE - 1).await, RefreshState::Valid { until: at(ABSOLUTE) });
    assert_eq!(state(ABSOLUTE).await, RefreshState::Expired { at: at(ABSOLUTE) });
    assert_eq!(touch(&db, 1, ABSOLUTE).await, Touch::Void);
}

pub(super) async fn a_use_moves_the_idle_end_and_is_recorded(db: Db) {
    keep(&db, 1, &ann(), "docker", 0).await;
    assert_eq!(touch(&db, 1, 50).await, Touch::Used);
    let token = find(&db, 1, 60).await;
    assert_eq!((token.created_at, token.used_at), (at(0), at(50)));
    assert_eq!(token.state, RefreshState::Valid { until: at(50 + IDLE) });
    let trail = db.latest_audit(1).await.unwrap();
    assert_eq!((trail[0].record.action.as_str(), trail[0].record.at), ("used", at(50)));
}

pub(super) async fn a_revoked_or_expired_token_cannot_be_used(db: Db) {
    keep(&db, 1, &ann(), "docker", 0).await;
    keep(&db, 2, &ann(), "docker", 0).await;
    revoke(&db, 1, Revocation::LoggedOut, 5).await;
    assert_eq!(touch(&db, 1, 6).await, Touch::Void);
    assert_eq!(touch(&db, 2, IDLE).await, Touch::Void);
    assert_eq!(touch(&db, 3, 6).await, Touch::Void, "there is no such token");
    let trail = db.latest_audit(10).await.unwrap();
    assert!(trail.iter().all(|entry| entry.record.action != "used"));
}

/// Design §5: at most fifty live ones per account and client.
pub(super) async fn the_least_recently_used_token_above_fifty_goes(db: Db) {
    for number in 0..50 {
        keep(&db, number, &ann(), "ci", u64::from(number)).await;
    }
    assert_eq!(touch(&db, 0, 60).await, Touch::Used);
    keep(&db, 50, &ann(), "ci", 61).await;
    keep(&db, 51, &ann(), "ci", 61).await;

    for (number, why) in [(1, 61), (2, 61)] {
        let state = find(&db, number, 62).await.state;
        assert_eq!(state, RefreshState::Revoked { at: at(why), why: Revocation::Crowded });
    }
    let live = db.refresh_tokens(Some("ann"), at(62)).await.unwrap();
    let live = live.iter().filter(|token| matches!(token.state, RefreshState::Valid { .. }));
    assert_eq!(live.count(), Db::LIVE_REFRESH_TOKENS);
    for number in [0, 3, 50, 51] {
        assert!(
            matches!(find(&db, number, 62).await.state, RefreshState::Valid { .. }),
            "{number}"
        );
    }
}

pub(super) async fn tokens_of_other_clients_and_accounts_are_not_crowded_out(db: Db) {
    let bob = AccountKey { source: "htpasswd".to_owned(), id: "bob".to_owned() };
    keep(&db, 200, &ann(), "docker", 0).await;
    keep(&db, 201, &bob, "ci", 0).await;
    for number in 0..60 {
        keep(&db, number, &ann(), "ci", 1).await;
    }
    for number in [200, 201] {
        assert!(matches!(find(&db, number, 2).await.state, RefreshState::Valid { .. }), "{number}");
    }
}

pub(super) async fn tokens_are_revoked_by_id_and_by_account(db: Db) {
    for number in 1..=3 {
        keep(&db, number, &ann(), "docker", 0).await;
    }
    revoke(&db, 1, Revocation::SessionRevoked, 1).await;
    let again = db.revoke_refresh_token(id(1), Revocation::LoggedOut, &record("again", 2)).await;
    assert_eq!(again.unwrap(), Change::Unknown);
    let audit = record("all", 3);
    let all = db.revoke_refresh_tokens("ann", Revocation::SessionRevoked, &audit).await;
    assert_eq!(all.unwrap(), 2, "two were left");
    let none = db.revoke_refresh_tokens("bob", Revocation::SessionRevoked, &audit).await;
    assert_eq!(none.unwrap(), 0);

    let expected = [
        (1, 1, Revocation::SessionRevoked),
        (2, 3, Revocation::SessionRevoked),
        (3, 3, Revocation::SessionRevoked),
    ];
    for (number, seconds, why) in expected {
        let state = find(&db, number, 4).await.state;
        assert_eq!(state, RefreshState::Revoked { at: at(seconds), why });
    }
    let trail = db.latest_audit(10).await.unwrap();
    let actions: Vec<&str> = trail.iter().map(|entry| entry.record.action.as_str()).collect();
    assert_eq!(actions[..2], ["all", "revoked"], "what changed nothing is not recorded");
}

pub(super) async fn dead_tokens_are_forgotten_after_a_while(db: Db) {
    keep(&db, 1, &ann(), "docker", 0).await;
    keep(&db, 2, &ann(), "docker", 50).await;
    keep(&db, 3, &ann(), "docker", 50).await;
    revoke(&db, 3, Revocation::LoggedOut, 60).await;
    assert_eq!(db.forget_refresh_tokens(at(60)).await.unwrap(), 0);
    assert_eq!(db.forget_refresh_tokens(at(IDLE + 1)).await.unwrap(), 2);
    let left = db.refresh_tokens(None, at(100)).await.unwrap();
    assert_eq!(left.iter().map(|token| token.id).collect::<Vec<_>>(), [id(2)]);
}

/// Style §5.2: a row that is in none of its states is never taken for one that is.
pub(super) async fn a_token_revoked_without_a_reason_is_inconsistent(db: Db) {
    keep(&db, 1, &ann(), "docker", 0).await;
    for change in [
        sql("UPDATE refresh_token SET revoked_at = 5"),
        sql("UPDATE refresh_token SET revoked_why = 'because'"),
        sql("UPDATE refresh_token SET revoked_at = NULL"),
    ] {
        db.change(change).await.unwrap();
        let error = db.refresh_token(&hash(1), at(1)).await.unwrap_err();
        assert!(matches!(error, StateError::Inconsistent { .. }), "{error}");
    }
}

/// Keeps a token numbered `number`, issued at a time.
pub(super) async fn keep(db: &Db, number: u8, account: &AccountKey, client: &str, seconds: u64) {
    let token = new(number, account, client, seconds);
    let kept = db.add_refresh_token(&token, at(seconds), &record("issued", seconds)).await;
    assert_eq!(kept.unwrap(), Kept::Kept);
}

pub(super) async fn find(db: &Db, number: u8, seconds: u64) -> RefreshToken {
    db.refresh_token(&hash(number), at(seconds)).await.unwrap().unwrap()
}

/// As [`keep`], where it may come to nothing.
pub(super) async fn try_to_keep(db: &Db, number: u8, account: &AccountKey, seconds: u64) -> Kept {
    let token = new(number, account, "docker", seconds);
    db.add_refresh_token(&token, at(seconds), &record("issued", seconds)).await.unwrap()
}

fn new(number: u8, account: &AccountKey, client: &str, seconds: u64) -> NewRefreshToken {
    NewRefreshToken {
        id: id(number),
        hash: hash(number),
        account: account.clone(),
        account_name: "ann".to_owned(),
        credential_version: "1".to_owned(),
        service: "registry".to_owned(),
        client: client.to_owned(),
        ceiling: None,
        expires_at: at(seconds + ABSOLUTE),
        idle_until: at(seconds + IDLE),
    }
}

pub(super) async fn touch(db: &Db, number: u8, seconds: u64) -> Touch {
    let audit = record("used", seconds);
    let idle_until = at(seconds + IDLE);
    db.touch_refresh_token(id(number), at(seconds), idle_until, &audit).await.unwrap()
}

async fn revoke(db: &Db, number: u8, why: Revocation, seconds: u64) {
    let change = db.revoke_refresh_token(id(number), why, &record("revoked", seconds)).await;
    assert_eq!(change.unwrap(), Change::Done);
}

fn ann() -> AccountKey {
    AccountKey { source: "htpasswd".to_owned(), id: "ann".to_owned() }
}

fn id(number: u8) -> RefreshId {
    RefreshId::from_random([number; 16])
}

fn hash(number: u8) -> TokenHash {
    TokenHash([number; 32])
}
