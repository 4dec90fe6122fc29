use super::{at, record};
use crate::{
    AccountKey, AccountNamed, Change, Db, EvictedToken, NewRefreshToken, RefreshId, RefreshState,
    RefreshToken, Revocation, StateError, TokenAddition, TokenHash, Touch, sql::sql,
};

const IDLE: u64 = 90;
const ABSOLUTE: u64 = 365;
const HOUR: u64 = 60 * 60;

pub(super) async fn a_token_is_found_by_its_hash_with_all_that_was_kept(db: Db) {
    let token = NewRefreshToken {
        ceiling: Some("repository:a/b:pull repository:c/d:".parse().unwrap()),
        ..new(1, &ann(), "docker", 7)
    };
    let kept = db.add_refresh_token(&token, at(7), &record("issued", 7)).await.unwrap();
    assert_eq!(kept, TokenAddition::Added(Vec::new()));
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
        used_at: None,
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
    assert_eq!((token.created_at, token.used_at), (at(0), Some(at(50))));
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

/// docker-py's `login()` and Ansible's `docker_login` make one each time and never use it.
pub(super) async fn a_token_in_use_outlives_logins_that_never_were_used(db: Db) {
    keep_for_ever(&db, 1, "docker", 0).await;
    assert_eq!(use_for_ever(&db, 1, 1).await, Touch::Used);
    // More than one account may have at all, and two weeks between the first and the last.
    for number in 0..400 {
        let seconds = 2 + u64::from(number) * HOUR;
        keep_for_ever(&db, 1000 + number, "docker", seconds).await;
    }
    assert!(is_live(&db, 1, 2 + 400 * HOUR).await);
    assert_eq!(live(&db, 2 + 400 * HOUR).await, Db::LIVE_REFRESH_TOKENS);
}

pub(super) async fn of_used_tokens_the_least_recently_used_one_goes(db: Db) {
    for number in 0..50 {
        keep_for_ever(&db, number, "ci", u64::from(number)).await;
        assert_eq!(use_for_ever(&db, number, 100 + u64::from(number)).await, Touch::Used);
    }
    assert_eq!(use_for_ever(&db, 0, 200).await, Touch::Used);
    let kept = try_to_keep_for_ever(&db, 50, "ci", 201).await;
    let crowded = EvictedToken { id: id(1), client: "ci".to_owned(), used_at: at(101) };
    assert_eq!(kept, TokenAddition::Added(vec![crowded]), "one that was used is named");
    let state = find(&db, 1, 202).await.state;
    assert_eq!(state, RefreshState::Revoked { at: at(201), why: Revocation::Crowded });
    assert!(is_live(&db, 0, 202).await && is_live(&db, 2, 202).await);
}

/// Many jobs log in at once, each to use it a moment later: none takes the place of another.
pub(super) async fn a_token_just_made_is_not_pushed_out_before_its_first_use(db: Db) {
    for number in 0..50 {
        keep_for_ever(&db, number, "ci", 0).await;
        assert_eq!(use_for_ever(&db, number, 1).await, Touch::Used);
    }
    for number in 100..150 {
        keep_for_ever(&db, number, "ci", 2).await;
    }
    for number in 100..150 {
        assert_eq!(use_for_ever(&db, number, 3).await, Touch::Used, "{number}");
    }
    keep_for_ever(&db, 200, "ci", 4).await;
    assert_eq!(live(&db, 5).await, Db::LIVE_REFRESH_TOKENS);
    // Who takes longer for the first use has no such right.
    keep_for_ever(&db, 201, "ci", 4 + HOUR).await;
    keep_for_ever(&db, 202, "ci", 4 + HOUR).await;
    assert!(!is_live(&db, 200, 5 + HOUR).await);
}

pub(super) async fn an_account_has_no_more_tokens_for_calling_its_clients_differently(db: Db) {
    keep_for_ever(&db, 1, "docker", 0).await;
    assert_eq!(use_for_ever(&db, 1, 1).await, Touch::Used);
    for number in 0..300 {
        keep_for_ever(&db, 1000 + number, &format!("client {number}"), 2).await;
    }
    assert_eq!(live(&db, 3).await, Db::LIVE_REFRESH_TOKENS_OF_ACCOUNT);
    assert!(is_live(&db, 1, 3).await);
}

/// `explain` says why one is dead; a robot that logs in all day must not make everybody slower for it.
pub(super) async fn of_the_dead_a_bounded_number_is_remembered_the_used_ones_first(db: Db) {
    keep_for_ever(&db, 1, "docker", 0).await;
    assert_eq!(use_for_ever(&db, 1, 1).await, Touch::Used);
    revoke(&db, 1, Revocation::LoggedOut, 2).await;
    for number in 0..400 {
        keep_for_ever(&db, 1000 + number, "docker", 3 + u64::from(number) * HOUR).await;
    }
    let all = db.refresh_tokens(Some("ann".into()), at(4)).await.unwrap();
    assert_eq!(all.len(), Db::LIVE_REFRESH_TOKENS + Db::DEAD_REFRESH_TOKENS);
    let state = find(&db, 1, 4).await.state;
    assert_eq!(state, RefreshState::Revoked { at: at(2), why: Revocation::LoggedOut });
}

/// It was not taken back for another: nobody is to be told so.
pub(super) async fn an_expired_token_that_has_to_go_stays_an_expired_one(db: Db) {
    keep(&db, 1, &ann(), "docker", 0).await;
    assert_eq!(touch(&db, 1, 1).await, Touch::Used);
    for number in 0..60 {
        let kept = try_to_keep_for_ever(&db, 1000 + number, "docker", HOUR).await;
        let newer = TokenAddition::Added(Vec::new());
        assert!(number >= 50 || kept == newer, "{kept:?}");
        assert_eq!(use_for_ever(&db, 1000 + number, HOUR).await, Touch::Used);
    }
    assert_eq!(find(&db, 1, HOUR).await.state, RefreshState::Expired { at: at(1 + IDLE) });
}

pub(super) async fn tokens_of_other_clients_and_accounts_are_not_crowded_out(db: Db) {
    let bob = AccountKey { source: "htpasswd".to_owned(), id: "bob".to_owned() };
    keep(&db, 200, &ann(), "docker", 0).await;
    keep(&db, 201, &bob, "ci", 0).await;
    for number in 0..60 {
        keep(&db, number, &ann(), "ci", 1).await;
    }
    for number in [200, 201] {
        assert!(is_live(&db, number, 2).await, "{number}");
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
    let elsewhere = AccountNamed { source: Some("local"), name: "ann" };
    let none = db.revoke_refresh_tokens(elsewhere, Revocation::SessionRevoked, &audit).await;
    assert_eq!(none.unwrap(), 0, "those of another source are others");
    assert_eq!(db.refresh_tokens(Some(elsewhere), at(3)).await.unwrap(), []);
    let all = db.revoke_refresh_tokens("ann".into(), Revocation::SessionRevoked, &audit).await;
    assert_eq!(all.unwrap(), 2, "two were left");
    let none = db.revoke_refresh_tokens("bob".into(), Revocation::SessionRevoked, &audit).await;
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
    assert_eq!(db.prune_refresh_tokens(at(60), at(IDLE)).await.unwrap(), 0);
    assert_eq!(find(&db, 1, IDLE + 9).await.state, RefreshState::Expired { at: at(IDLE) });
    assert_eq!(db.prune_refresh_tokens(at(IDLE + 1), at(IDLE + 1)).await.unwrap(), 2);
    let left = db.refresh_tokens(None, at(100)).await.unwrap();
    assert_eq!(left.iter().map(|token| token.id).collect::<Vec<_>>(), [id(2)]);
}

/// A row in an impossible state is an error. It is never read as one of the states.
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
pub(super) async fn keep(db: &Db, number: u16, account: &AccountKey, client: &str, seconds: u64) {
    let token = new(number, account, client, seconds);
    let kept = db.add_refresh_token(&token, at(seconds), &record("issued", seconds)).await;
    assert!(matches!(kept.unwrap(), TokenAddition::Added(_)), "{number}");
}

pub(super) async fn find(db: &Db, number: u16, seconds: u64) -> RefreshToken {
    db.refresh_token(&hash(number), at(seconds)).await.unwrap().unwrap()
}

/// Keeps a token of `ann` that does not expire within a test.
async fn keep_for_ever(db: &Db, number: u16, client: &str, seconds: u64) {
    let kept = try_to_keep_for_ever(db, number, client, seconds).await;
    assert!(matches!(kept, TokenAddition::Added(_)), "{number}");
}

async fn try_to_keep_for_ever(db: &Db, number: u16, client: &str, seconds: u64) -> TokenAddition {
    let ends = at(seconds + 1_000_000_000);
    let token = new(number, &ann(), client, seconds);
    let token = NewRefreshToken { expires_at: ends, idle_until: ends, ..token };
    db.add_refresh_token(&token, at(seconds), &record("issued", seconds)).await.unwrap()
}

async fn use_for_ever(db: &Db, number: u16, seconds: u64) -> Touch {
    let (audit, ends) = (record("used", seconds), at(seconds + 1_000_000_000));
    db.touch_refresh_token(id(number), at(seconds), ends, &audit).await.unwrap()
}

async fn is_live(db: &Db, number: u16, seconds: u64) -> bool {
    matches!(find(db, number, seconds).await.state, RefreshState::Valid { .. })
}

/// Live tokens of all accounts.
async fn live(db: &Db, seconds: u64) -> usize {
    let tokens = db.refresh_tokens(None, at(seconds)).await.unwrap();
    tokens.iter().filter(|token| matches!(token.state, RefreshState::Valid { .. })).count()
}

/// As [`keep`], where it may come to nothing.
pub(super) async fn try_to_keep(
    db: &Db,
    number: u16,
    account: &AccountKey,
    seconds: u64,
) -> TokenAddition {
    let token = new(number, account, "docker", seconds);
    db.add_refresh_token(&token, at(seconds), &record("issued", seconds)).await.unwrap()
}

fn new(number: u16, account: &AccountKey, client: &str, seconds: u64) -> NewRefreshToken {
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

pub(super) async fn touch(db: &Db, number: u16, seconds: u64) -> Touch {
    let audit = record("used", seconds);
    let idle_until = at(seconds + IDLE);
    db.touch_refresh_token(id(number), at(seconds), idle_until, &audit).await.unwrap()
}

async fn revoke(db: &Db, number: u16, why: Revocation, seconds: u64) {
    let change = db.revoke_refresh_token(id(number), why, &record("revoked", seconds)).await;
    assert_eq!(change.unwrap(), Change::Done);
}

fn ann() -> AccountKey {
    AccountKey { source: "htpasswd".to_owned(), id: "ann".to_owned() }
}

fn id(number: u16) -> RefreshId {
    let mut bits = [0; 16];
    bits[..2].copy_from_slice(&number.to_be_bytes());
    RefreshId::from_random(bits)
}

fn hash(number: u16) -> TokenHash {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    TokenHash(bytes)
}
