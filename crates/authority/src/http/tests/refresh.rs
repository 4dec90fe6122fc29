//! What a refresh token opens, and what ends it.

use std::time::UNIX_EPOCH;

use portpass_state::{
    AccountId, AccountStatus, Addition, Change, Db, NewAccount, RefreshState, RefreshToken,
};

use super::*;
use crate::fixture::record;

/// T9, TG7, TP4: docker stores one refresh token and uses it for ever.
/// TG7; zot's CVE-2025-23208: who has left a group has lost its rights at the next use.
#[tokio::test]
async fn a_refresh_token_is_used_again_and_again_and_stays_the_same() {
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
    for _ in 0..3 {
        let docker = "client_id=docker&service=registry&scope=repository:ann/dk:push,pull";
        let answer = post_refresh(&fixture, &secret, docker).await;
        assert_eq!(granted(&fixture, &answer), "repository:ann/dk:push,pull");
        assert_eq!(fixture.verify(&answer.token(), "registry").subject, "ann");
        assert_eq!(answer.refresh_token(), None); // only if asked for (TP2)
        let offline = post_refresh(&fixture, &secret, "access_type=offline").await;
        assert_eq!(offline.refresh_token().as_deref(), Some(&*secret));
        fixture.clock.advance(24 * 60 * 60);
    }
    // Scopes are decided anew: the refresh token is bound to none (TG7).
    let answer = post_refresh(&fixture, &secret, "scope=repository:team/x:delete").await;
    assert_eq!(granted(&fixture, &answer), "repository:team/x:delete");
    fixture.accounts.change("ann", |ann| ann.groups.clear());
    let answer = post_refresh(&fixture, &secret, "scope=repository:team/x:delete").await;
    assert_eq!(granted(&fixture, &answer), "repository:team/x:");
}

/// TG7, TP4
#[tokio::test]
async fn a_refresh_token_dies_with_what_it_is_bound_to() {
    const DAY: u64 = 24 * 60 * 60;
    type Blow = fn(&Fixture);
    let blows: [(&str, Blow); 4] = [
        ("refresh-token-password-changed", |f| f.accounts.change("ann", |ann| ann.version += 1)),
        ("refresh-token-account-gone", |f| f.accounts.change("ann", |ann| ann.enabled = false)),
        ("refresh-token-expired", |f| f.clock.advance(90 * DAY + 1)),
        ("refresh-token-other-service", |_| {}),
    ];
    for (reason, blow) in blows {
        let fixture = Fixture::new().await;
        let secret = log_in(&fixture).await;
        assert_eq!(post_refresh(&fixture, &secret, "").await.status, 200);
        blow(&fixture);
        let service = if reason == "refresh-token-other-service" { "service=other" } else { "" };
        let answer = post_refresh(&fixture, &secret, service).await;
        assert_eq!(answer.status, 401, "{reason}");
        assert_eq!(answer.json()["error"], "invalid_grant", "{reason}");
        assert_eq!(answer.handled.unwrap().refusal.unwrap().id, reason);
    }
}

/// docker-py's `login()` makes one each time, and never uses it.
#[tokio::test]
async fn a_refresh_token_that_is_not_used_within_a_week_ends() {
    const DAY: u64 = 24 * 60 * 60;
    let fixture = Fixture::new().await;
    let (used, unused) = (log_in(&fixture).await, log_in(&fixture).await);
    fixture.clock.advance(7 * DAY - 1);
    assert_eq!(post_refresh(&fixture, &used, "").await.status, 200);
    fixture.clock.advance(1);
    let answer = post_refresh(&fixture, &unused, "").await;
    assert_eq!(answer.handled.unwrap().refusal.unwrap().id, "refresh-token-expired");
    fixture.clock.advance(80 * DAY);
    assert_eq!(post_refresh(&fixture, &used, "").await.status, 200);
}

#[tokio::test]
async fn used_or_not_a_refresh_token_ends_after_a_year() {
    const DAY: u64 = 24 * 60 * 60;
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
    assert_eq!(post_refresh(&fixture, &secret, "").await.status, 200);
    for _ in 0..7 {
        fixture.clock.advance(52 * DAY);
        assert_eq!(post_refresh(&fixture, &secret, "").await.status, 200);
    }
    fixture.clock.advance(2 * DAY);
    assert_eq!(post_refresh(&fixture, &secret, "").await.status, 401);
}

#[tokio::test]
async fn an_old_password_that_comes_back_revives_no_refresh_token() {
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
    fixture.accounts.change("ann", |ann| ann.version = 2);
    assert_eq!(post_refresh(&fixture, &secret, "").await.status, 401);
    fixture.accounts.change("ann", |ann| ann.version = 1);
    let answer = post_refresh(&fixture, &secret, "").await;
    assert_eq!(answer.handled.unwrap().refusal.unwrap().id, "refresh-token-revoked");
}

/// What ends all that was issued for an account of our own.
#[derive(Debug, Clone, Copy)]
enum End {
    Disabled,
    Removed,
    OtherPassword,
}

/// Who looks at an account does so once a second, so a login may be let in that was void a moment before; it
/// leaves nothing that lives on when the account is enabled again.
#[tokio::test]
async fn a_login_beside_the_end_of_its_account_leaves_no_refresh_token() {
    for end in [End::Disabled, End::Removed, End::OtherPassword] {
        let fixture = Fixture::new().await;
        add_eve(&fixture.db).await;
        let log_in = async || {
            get_as(&fixture, "eve:opensesame", "client_id=docker&offline_token=true").await
        };
        assert!(log_in().await.refresh_token().is_some());
        end.of_eve(&fixture.db).await;
        let answer = log_in().await;
        assert_eq!((answer.status, answer.refresh_token()), (401, None), "{end:?}");
        assert!(answer.body.contains("wrong user name or password"), "{}", answer.body);
        assert_eq!(answer.handled.unwrap().refusal.unwrap().id, "account-changed");
        let tokens = fixture.db.refresh_tokens(None, fixture.service.now()).await.unwrap();
        assert!(matches!(tokens[..], [RefreshToken { state: RefreshState::Revoked { .. }, .. }]));
    }
}

/// A source with no rows of ours is asked again when the password has been hashed, which takes time.
#[tokio::test]
async fn a_login_that_waited_while_its_account_ended_leaves_no_refresh_token() {
    let fixture = Fixture::new().await;
    fixture.accounts.after_next_login("ann", |ann| ann.enabled = false);
    let answer = get_as(&fixture, "ann:secret", "offline_token=true").await;
    assert_eq!(answer.status, 401);
    assert!(fixture.db.refresh_tokens(None, fixture.service.now()).await.unwrap().is_empty());
}

pub(super) async fn add_eve(db: &Db) {
    let eve = NewAccount {
        id: AccountId::from_random([7; 16]),
        name: "eve".to_owned(),
        password_hash: Some(OPENSESAME.into()),
        groups: [].into(),
    };
    assert_eq!(db.add_account(&eve, &record(UNIX_EPOCH)).await.unwrap(), Addition::Added);
}

impl End {
    async fn of_eve(self, db: &Db) {
        let audit = record(UNIX_EPOCH);
        let disabled = AccountStatus::Disabled { since: UNIX_EPOCH };
        let change = match self {
            Self::Disabled => db.set_account_status("eve", disabled, &audit).await,
            Self::Removed => db.remove_account("eve", &audit).await,
            Self::OtherPassword => db.set_password("eve", &"$2y$05$".into(), &audit).await,
        };
        assert_eq!(change.unwrap(), Change::Done);
    }
}

/// bcrypt at its cheapest, of `opensesame`.
const OPENSESAME: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

/// TG7, TP5
#[tokio::test]
async fn only_who_logs_in_with_a_password_and_asks_gets_a_refresh_token() {
    let fixture = Fixture::new().await;
    assert_eq!(get(&fixture, "offline_token=true").await.refresh_token(), None);
    assert_eq!(get_as(&fixture, "ann:secret", "").await.refresh_token(), None);
    let form = "grant_type=password&username=ann&password=secret";
    assert_eq!(post(&fixture, form).await.refresh_token(), None);
    assert!(post(&fixture, &format!("{form}&access_type=offline")).await.refresh_token().is_some());
}

/// Gitea's CVE-2026-28699: a token as a password must not widen rights; here it opens nothing.
#[tokio::test]
async fn no_token_of_ours_is_taken_for_a_password() {
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
    let token = get_as(&fixture, "ann:secret", "").await.token();
    for password in [secret, token] {
        assert_eq!(get_as(&fixture, &format!("ann:{password}"), "").await.status, 401);
    }
}

/// What programs send that read docker's file and know no identity tokens. Ten of them would have locked the
/// account, were they guesses.
#[tokio::test]
async fn an_identity_token_as_a_password_is_called_so_and_is_no_strike() {
    let fixture = with_limits().await;
    let secret = log_in(&fixture).await;
    let damaged = &secret[..secret.len() - 1];
    let cases = [
        (format!("ann:{secret}"), Some("ann"), "identity-token-as-password"),
        (format!("ann:{damaged}"), Some("ann"), "identity-token-as-password"),
        (format!("<token>:{secret}"), None, "identity-token-as-password"),
        ("<token>:of-another-server".to_owned(), None, "identity-token-as-password"),
        ("<token>:".to_owned(), None, "identity-token-as-password"),
        ("ann:".to_owned(), Some("ann"), "password-empty"),
        ("nobody:".to_owned(), Some("nobody"), "password-empty"),
    ];
    // Whoever was asked would say that nobody can say.
    fixture.accounts.break_down("nobody is to be asked");
    for _ in 0..20 {
        for (pair, account, id) in &cases {
            let mut request = with_basic(request("GET", ""), pair);
            request.extensions_mut().insert(ClientAddress([192, 0, 2, 1].into()));
            let answer = send(&fixture, request).await;
            let handled = answer.handled.clone().unwrap();
            let refusal = handled.refusal.unwrap();
            assert_eq!((answer.status, refusal.id), (401, *id), "{pair}");
            assert_eq!(handled.subject.as_deref(), *account, "{pair}");
            assert!(refusal.text.contains("docker's identity token"), "{}", refusal.text);
            let said = answer.json()["error_description"].as_str().unwrap().to_owned();
            assert!(said.contains("docker's identity token"), "{said}");
            for text in [&refusal.text, &said] {
                assert!(!text.contains(damaged) && !text.contains("of-another-server"), "{text}");
            }
        }
    }
    let form =
        format!("grant_type=password&service=registry&client_id=x&username=ann&password={secret}");
    assert_eq!(post(&fixture, &form).await.status, 401);
    fixture.accounts.mend();
    assert_eq!(attempt(&fixture, "secret").await.status, 200);
}

/// As GitHub's tokens are sent: `TOKEN:` and `TOKEN:x-oauth-basic`. A name is shown to everybody who reads a log.
#[tokio::test]
async fn an_identity_token_in_place_of_the_name_is_repeated_nowhere() {
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
    let (begins, damaged) = (&secret[..12], &secret[..secret.len() - 1]);
    let mut answers = Vec::new();
    for name in [&*secret, damaged, &secret.to_uppercase().replace("PPR", "ppr")] {
        for password in ["", "x-oauth-basic", name, "secret"] {
            answers.push(get_as(&fixture, &format!("{name}:{password}"), "").await);
            let query = format!("account={name}&service=registry");
            answers.push(get_as(&fixture, &format!("{name}:{password}"), &query).await);
            let form = format!("grant_type=password&username={name}&password={password}");
            answers.push(post(&fixture, &form).await);
        }
        answers.push(get_as(&fixture, "ann:secret", &format!("account={name}")).await);
    }
    for answer in &answers {
        let handled = answer.handled.as_ref().unwrap();
        assert_eq!(handled.subject.as_deref().unwrap_or_default().replace("ann", ""), "");
        let shown = format!("{handled:?}{}", answer.picture()).to_lowercase();
        assert!(!shown.contains(begins), "{shown}");
        let id = handled.refusal.as_ref().unwrap().id;
        match answer.status {
            401 => assert_eq!(id, "identity-token-as-password"),
            status => assert_eq!((status, id), (400, "account-mismatch")),
        }
    }
    let Fixture { service, db, writer, .. } = fixture;
    drop(service);
    writer.run().await;
    let trail = db.latest_audit(1000).await.unwrap();
    assert!(!trail.is_empty());
    assert!(!format!("{trail:?}").to_lowercase().contains(begins), "{trail:?}");
}

/// TG7
#[tokio::test]
async fn a_service_that_withholds_refresh_tokens_gives_tokens_without() {
    let fixture = Fixture::new().await;
    let asked = |service: &str| format!("service={service}&offline_token=true");
    let given = get_as(&fixture, "ann:secret", &asked("other")).await;
    assert!(given.json()["refresh_token"].is_string());
    let withheld = get_as(&fixture, "ann:secret", &asked("password-only")).await;
    assert_eq!(withheld.status, 200);
    assert!(withheld.json()["refresh_token"].is_null(), "{}", withheld.body);
    let form = "grant_type=password&service=password-only&client_id=x&access_type=offline&username=ann&password=secret";
    let withheld = post(&fixture, form).await;
    assert_eq!(withheld.status, 200);
    assert!(withheld.json()["refresh_token"].is_null(), "{}", withheld.body);
}

/// RFC 7009, for `portpass logout`; docker's own logout tells nobody.
#[tokio::test]
async fn who_holds_a_refresh_token_can_end_it() {
    let fixture = Fixture::new().await;
    let (secret, other) = (log_in(&fixture).await, log_in(&fixture).await);
    assert_ne!(secret, other);
    let revoke = |form: String| {
        let mut request = with_form(request("POST", ""), &form);
        *request.uri_mut() = REVOKE_PATH.parse().unwrap();
        send(&fixture, request)
    };
    for _ in 0..2 {
        let answer = revoke(format!("token={secret}&token_type_hint=refresh_token")).await;
        assert_eq!((answer.status, &*answer.body), (200, ""));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(revoke("token=nonsense".into()).await.status, 200);
    assert_eq!(revoke("nothing=here".into()).await.status, 400);
    assert_eq!(post_refresh(&fixture, &secret, "").await.status, 401);
    assert_eq!(post_refresh(&fixture, &other, "").await.status, 200);
}
