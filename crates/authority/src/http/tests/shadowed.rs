//! Whatever proves an account ends when a source that is asked first gets the name.

use portpass_state::{AccountId, AccountKey};

use super::{
    introspection::is_active,
    machines::{key_for, refusal, robot},
    refresh::add_eve,
    *,
};

/// `eve` is a local account, and `staff` is asked first.
#[tokio::test]
async fn keys_and_sessions_of_a_name_that_another_source_has_open_nothing() {
    let fixture = Fixture::new().await;
    add_eve(&fixture.db).await;
    let id = AccountId::from_random([7; 16]).to_string();
    let local = AccountKey { source: "local".to_owned(), id };
    let key = format!("eve:{}", key_for(&fixture, "eve", local).await);
    let session = get_as(&fixture, "eve:opensesame", "offline_token=true").await.refresh_token();
    let session = session.unwrap();
    let by_key = async || get_as(&fixture, &key, "scope=repository:eve/x:pull").await;
    let by_session = async || post_refresh(&fixture, &session, "scope=repository:eve/x:push").await;
    assert_eq!((by_key().await.status, by_session().await.status), (200, 200));
    assert!(is_active(&fixture, &session).await);

    fixture.accounts.add("eve");
    assert_eq!(refusal(&by_key().await), "account-shadowed");
    let refused = by_session().await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (401, Some("invalid_grant")));
    let logged = refused.handled.unwrap().refusal.unwrap();
    assert_eq!(logged.id, "account-shadowed");
    let said = "`eve` of `local` is shadowed: `staff` is asked first, and the name is its";
    assert!(logged.text.contains(said), "{}", logged.text);
    assert!(!refused.body.contains("staff"), "{}", refused.body);
    assert!(!is_active(&fixture, &session).await);
    // Disabled or not, the name is the other source's.
    fixture.accounts.change("eve", |eve| eve.enabled = false);
    assert_eq!(refusal(&by_key().await), "account-shadowed");

    fixture.accounts.remove("eve");
    assert_eq!((by_key().await.status, by_session().await.status), (200, 200));
    // As with her password.
    fixture.accounts.break_down("away");
    assert_eq!(get_as(&fixture, "eve:opensesame", "").await.status, 503);
    assert_eq!((by_key().await.status, by_session().await.status), (503, 503));
}

/// A dead credential is no guess: docker goes on to send it.
#[tokio::test]
async fn who_is_called_like_a_robot_that_there_is_does_not_get_in() {
    let fixture = Fixture::new().await;
    fixture.accounts.add("robot-ci");
    assert_eq!(get_as(&fixture, "robot-ci:secret", "").await.status, 200);
    let secret = robot(&fixture).await;
    fixture.clock.advance(2);
    assert_eq!(refusal(&get_as(&fixture, "robot-ci:secret", "").await), "account-shadowed");
    assert_eq!(get_as(&fixture, &format!("robot-ci:{secret}"), "").await.status, 200);
}
