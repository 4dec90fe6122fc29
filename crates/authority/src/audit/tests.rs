use portpass_protocol::{AccessSet, RepositoryChange};
use portpass_state::AuditEntry;
use portpass_token::{KeyIdForm, ServiceName};
use secrecy::SecretString;

use super::*;
use crate::{
    fixture::{Fixture, NOW},
    policy::Decision,
    request::{ClientInfo, Credential, Leg, RefreshIssuance, Service, TokenRequest},
    signer::Signer,
    subject::Login,
};

fn request(scope: &str, credential: Credential, wants_refresh: bool) -> TokenRequest {
    TokenRequest {
        service: Service {
            name: ServiceName::new("registry"),
            signer: Signer::default(),
            key_id: KeyIdForm::Rfc7638,
            refresh: RefreshIssuance::Given,
        },
        requested: scope.parse().unwrap(),
        unread_scopes: vec![],
        credential,
        wants_refresh,
        leg: Leg::Get,
        client: ClientInfo {
            id: Some("docker".into()),
            address: Some([192, 0, 2, 7].into()),
            request: Some("request-1".into()),
            ..ClientInfo::default()
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
    let line = |entry: &AuditEntry| {
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

fn refused(account: Option<&str>, reason: &'static str) -> Event {
    Event {
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        kind: EventKind::Refused { reason, claimed: None },
        account: account.map(str::to_owned),
        service: None,
        leg: None,
        client: ClientInfo::default(),
    }
}

#[tokio::test]
async fn equal_events_of_one_flush_are_counted_not_repeated() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = AuditTrail::new(db.clone());
    for _ in 0..1000 {
        trail.record(refused(Some("ann"), "a"));
    }
    trail.record(refused(Some("ann"), "b"));
    drop(trail);
    writer.run().await;
    assert_eq!(
        written(&db).await,
        "token-refused ann - - - {\"reason\":\"a\",\"times\":1000}\n\
         token-refused ann - - - {\"reason\":\"b\"}"
    );
}

#[tokio::test]
async fn what_a_full_queue_loses_is_said_in_the_trail() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = AuditTrail::new(db.clone());
    let event = refused(Some("ann"), "a");
    let fit = (QUEUE_BYTES / event.weight()).min(QUEUE);
    for _ in 0..fit + 3 {
        trail.record(event.clone());
    }
    drop(trail);
    writer.run().await;
    let text = written(&db).await;
    assert!(text.ends_with("\naudit-gap - - - - {\"lost\":3}"), "{text}");
    assert!(text.contains(&format!("\"times\":{fit}")), "{text}");
}

/// As many resources as a request may name, each as long as it may be.
fn longest_scope(number: usize) -> AccessSet {
    let name = |index| format!("{}-{number}-{index}", "x".repeat(230));
    let scopes: Vec<_> = (0..250).map(|n| format!("repository:{}:pull,push", name(n))).collect();
    scopes.join(" ").parse().unwrap()
}

/// A queue that counts its events alone would hold gigabytes of these.
#[tokio::test]
async fn the_queue_is_bounded_in_bytes() {
    let (trail, writer) = AuditTrail::new(Db::in_memory().await.unwrap());
    for number in 0..100 {
        trail.record(issued(Some("ann"), &longest_scope(number), "nothing"));
    }
    let shared = Arc::clone(&trail.shared);
    let held = shared.held.load(Ordering::Relaxed);
    assert!((QUEUE_BYTES / 2..=QUEUE_BYTES).contains(&held), "{held}");
    assert!(shared.lost.load(Ordering::Relaxed) > 50);
    drop(trail);
    writer.run().await;
    assert_eq!(shared.held.load(Ordering::Relaxed), 0, "what is written is held no more");
}

/// A token that gives this of what was asked for.
fn issued(account: Option<&str>, asked: &AccessSet, granted: &str) -> Event {
    let decision = |access: &portpass_protocol::Access| Decision {
        requested: access.clone(),
        granted: access
            .actions
            .iter()
            .filter(|action| action.as_str() == granted)
            .cloned()
            .collect(),
        applied_rules: vec![],
    };
    let decisions = asked.iter().map(decision).collect();
    Event { kind: EventKind::Issued { decisions, key: None }, ..refused(account, "") }
}

#[tokio::test]
async fn long_scopes_do_not_make_long_entries_and_hide_nothing_that_was_granted() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = AuditTrail::new(db.clone());
    let mut asked = longest_scope(0);
    asked.insert(
        "repository:secret/app:delete".parse::<AccessSet>().unwrap().iter().next().unwrap().clone(),
    );
    trail.record(issued(Some("ann"), &asked, "delete"));
    drop(trail);
    writer.run().await;
    let entry = db.latest_audit(1).await.unwrap().remove(0);
    let detail = entry.record.detail;
    assert!(detail.to_string().len() < 2500, "{detail}");
    assert_eq!(detail["access"][0]["resource"], "repository:secret/app");
    let kept = detail["access"].as_array().unwrap().len() as u64;
    assert_eq!(detail["access_left_out"].as_u64().unwrap() + kept, 251);
}

/// The attack that filled a disk: whoever has no account asks again and again, with another long scope each
/// time.
#[tokio::test]
async fn a_flood_of_strangers_is_counted_and_takes_no_room() {
    let Fixture { service, clock, db, writer, .. } = Fixture::new().await;
    let now = portpass_token::Clock::now(&*clock);
    let issue = async |scope: String, credential| {
        let asked = request(&scope, credential, false);
        let _ = service.issue(&asked, now).await;
    };
    for number in 0..500 {
        issue(format!("repository:none/{number}:pull"), Credential::Anonymous).await;
        issue(format!("repository:public/{number}:pull,push"), Credential::Anonymous).await;
    }
    for number in 0..20 {
        issue(String::new(), login(&format!("guessed{number}"), "wrong")).await;
        issue(format!("repository:ann/{number}:push"), login("ann", "secret")).await;
    }
    drop(service);
    writer.run().await;
    let trail = written(&db).await;
    let counted = "anonymous-counted - - - - \
        {\"requests\":{\"nothing-granted\":500,\"token-issued\":440,\"wrong-password\":20}}";
    assert!(trail.lines().any(|line| line == counted), "{trail}");
    assert!(!trail.contains("none/"), "{trail}");
    let strangers = trail.lines().filter(|line| line.starts_with("token-issued - ")).count();
    assert_eq!(strangers, usize::try_from(anonymous::KEPT).unwrap());
    let ann = trail.lines().filter(|line| line.starts_with("token-issued ann ")).count();
    assert_eq!(ann, 20, "whoever has an account is not counted among them");
}

#[tokio::test]
async fn what_was_counted_is_written_each_minute() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = AuditTrail::new(db.clone());
    let nothing = issued(None, &"repository:a/b:pull".parse().unwrap(), "nothing");
    let running = tokio::spawn(Writer { minute: Duration::from_millis(20), ..writer }.run());
    for _ in 0..3 {
        trail.record(nothing.clone());
    }
    while written(&db).await.is_empty() {}
    assert_eq!(
        written(&db).await,
        "anonymous-counted - - - - {\"requests\":{\"nothing-granted\":3}}"
    );
    // Another minute begins at zero.
    trail.record(nothing);
    drop(trail);
    running.await.unwrap();
    assert_eq!(written(&db).await.lines().count(), 2);
    assert!(written(&db).await.ends_with("{\"nothing-granted\":1}}"));
}

#[tokio::test]
async fn what_became_of_a_repository_is_told_by_its_name() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = AuditTrail::new(db.clone());
    let digest = portpass_protocol::Digest::sha256(b"manifest");
    let tags = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let many: Vec<String> = (0..500).map(|number| format!("v{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for change in [
        RepositoryChange::ManifestPushed { digest, tags: tags(&["v1", "latest"]), subject: None },
        RepositoryChange::ManifestPushed { digest, tags: vec![], subject: Some(digest) },
        RepositoryChange::BlobMounted { digest, from: "team/base".parse().unwrap() },
        RepositoryChange::TagDeleted { tag: "v1".parse().unwrap() },
        RepositoryChange::BlobDeleted { digest },
    ] {
        let kind = EventKind::Changed { repository: "team/app".parse().unwrap(), change };
        trail.record(Event { kind, ..refused(Some("ann"), "") });
    }
    let change = RepositoryChange::ManifestDeleted { digest, tags: tags(&many) };
    let kind = EventKind::Changed { repository: "team/app".parse().unwrap(), change };
    trail.record(Event { kind, ..refused(None, "") });
    drop(trail);
    writer.run().await;
    let text = written(&db).await;
    let (last, others) = text.rsplit_once('\n').map(|(others, last)| (last, others)).unwrap();
    let digest = digest.to_string();
    assert_eq!(
        others.replace(&digest, "D"),
        "manifest-pushed ann team/app - - {\"digest\":\"D\",\"tags\":[\"v1\",\"latest\"]}\n\
         manifest-pushed ann team/app - - {\"digest\":\"D\",\"subject\":\"D\",\"tags\":[]}\n\
         blob-mounted ann team/app - - {\"digest\":\"D\",\"from\":\"team/base\"}\n\
         tag-deleted ann team/app - - {\"tags\":[\"v1\"]}\n\
         blob-deleted ann team/app - - {\"digest\":\"D\"}"
    );
    assert!(
        last.starts_with("manifest-deleted - team/app ") && last.contains("\"tags_left_out\":"),
        "{last}"
    );
}

#[tokio::test]
async fn a_database_that_stays_away_does_not_keep_the_process_from_ending() {
    let db = Db::in_memory().await.unwrap();
    let (trail, writer) = AuditTrail::new(db.clone());
    trail.record(refused(None, "a"));
    trail.record(issued(None, &"repository:a/b:pull".parse().unwrap(), "nothing"));
    drop(trail);
    db.close().await;
    tokio::time::pause();
    writer.run().await;
}
