use portpass_token::KeyIdForm;
use secrecy::SecretString;

use super::*;
use crate::{
    fixture::{Fixture, NOW},
    request::{Service, TokenRequest},
    subject::{Credential, Login},
};

fn request(scope: &str, credential: Credential, wants_refresh: bool) -> TokenRequest {
    TokenRequest {
        service: Service { name: ServiceName::new("registry"), key_id: KeyIdForm::Rfc7638 },
        requested: scope.parse().unwrap(),
        unread: vec![],
        credential,
        wants_refresh,
        leg: Leg::Get,
        client: ClientInfo {
            id: Some("docker".into()),
            address: Some([192, 0, 2, 7].into()),
            request: Some("request-1".into()),
        },
    }
}

fn login(account: &str, password: &str) -> Credential {
    let password = SecretString::from(password);
    Credential::Password(Login { account: account.parse().unwrap(), password })
}

/// What the trail holds, oldest first, as text.
async fn written(db: &Db) -> String {
    let mut entries = db.latest_audit(100).await.unwrap();
    entries.reverse();
    let line = |entry: &portpass_state::AuditEntry| {
        let AuditRecord { action, actor, object, address, request, detail, .. } = &entry.record;
        let of = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        format!("{action} {} {} {} {} {detail}", of(actor), of(object), of(address), of(request))
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Harbor's GHSA-prh4-vhfh-24mj: the trail holds no secret.
#[tokio::test]
async fn every_answer_leaves_a_record_and_no_secret() {
    let Fixture { service, clock, db, writer, .. } = Fixture::new().await;
    let now = portpass_token::Clock::now(&*clock);
    let issue = async |request: &TokenRequest| service.issue(request, now).await;

    issue(&request("repository:public/a:pull,push", Credential::Anonymous, false)).await.unwrap();
    issue(&request("repository:ann/a:push", login("ann", "secret"), false)).await.unwrap();
    issue(&request("", login("ann", "wrong-horse"), false)).await.unwrap_err();
    let issued = issue(&request("", login("ann", "secret"), true)).await.unwrap();
    let secret = issued.response.refresh_token.unwrap();
    let refresh = Credential::Refresh(secret.parse().unwrap());
    issue(&request("repository:team/x:delete", refresh.clone(), false)).await.unwrap();
    service.log_out(&secret.parse().unwrap(), ClientInfo::default(), now).await.unwrap();
    issue(&request("", refresh, false)).await.unwrap_err();

    drop(service);
    writer.run().await;
    let trail = written(&db).await;
    insta::assert_snapshot!(trail);
    assert!(!trail.contains("horse") && !trail.contains("ppr_"));
}

/// What belongs to a refresh token is there when the client has its answer, writer or none.
#[tokio::test]
async fn the_record_of_a_refresh_token_commits_with_it() {
    let fixture = Fixture::new().await;
    let now = portpass_token::Clock::now(&*fixture.clock);
    let request = request("", login("ann", "secret"), true);
    let issued = fixture.service.issue(&request, now).await.unwrap();
    let trail = written(&fixture.db).await;
    assert!(trail.starts_with("refresh-token-issued ann "), "{trail}");
    let secret = issued.response.refresh_token.unwrap().parse().unwrap();
    let refresh = TokenRequest { credential: Credential::Refresh(secret), ..request };
    fixture.service.issue(&refresh, now).await.unwrap();
    let trail = written(&fixture.db).await;
    assert!(trail.contains("refresh-token-used ann "), "{trail}");
    assert_eq!(trail.lines().count(), 2);
}

fn refused(reason: &'static str) -> Event {
    Event {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        happened: Happened::Refused { reason, claimed: None },
        account: None,
        service: None,
        leg: None,
        client: ClientInfo::default(),
    }
}

#[tokio::test]
async fn equal_events_of_one_flush_are_counted_not_repeated() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = Trail::new(db.clone());
    for _ in 0..1000 {
        trail.record(refused("a"));
    }
    trail.record(refused("b"));
    drop(trail);
    writer.run().await;
    assert_eq!(
        written(&db).await,
        "token-refused - - - - {\"reason\":\"a\",\"times\":1000}\n\
         token-refused - - - - {\"reason\":\"b\"}"
    );
}

#[tokio::test]
async fn what_a_full_queue_loses_is_said_in_the_trail() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = Trail::new(db.clone());
    for _ in 0..QUEUE + 3 {
        trail.record(refused("a"));
    }
    drop(trail);
    writer.run().await;
    let text = written(&db).await;
    assert!(text.ends_with("\naudit-gap - - - - {\"lost\":3}"), "{text}");
    assert!(text.contains(&format!("\"times\":{QUEUE}")), "{text}");
}

#[tokio::test]
async fn a_database_that_stays_away_does_not_keep_the_process_from_ending() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = Trail::new(db.clone());
    trail.record(refused("a"));
    drop(trail);
    db.close().await;
    tokio::time::pause();
    writer.run().await;
}
