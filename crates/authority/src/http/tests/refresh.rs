//! What a refresh token opens, and what ends it.

use super::*;

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

#[tokio::test]
async fn used_or_not_a_refresh_token_ends_after_a_year() {
    const DAY: u64 = 24 * 60 * 60;
    let fixture = Fixture::new().await;
    let secret = log_in(&fixture).await;
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
