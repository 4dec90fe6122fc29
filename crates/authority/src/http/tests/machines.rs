//! Secrets of robots and API keys: what they open, what ends them, and what is said of one that is no good.

use std::time::SystemTime;

use portpass_state::{
    AccountKey, AccountStatus, Addition, Change, KeyId, NewApiKey, NewRobot, NewSecret, Permission,
    RobotId, Rotation, SecretId,
};
use portpass_token::{Clock as _, Random as _};

use super::*;
use crate::{
    fixture::{Counter, record},
    groups::{Groups, Membership},
    secret::MachineSecret,
};

/// A robot `ci` that may pull and push `team/app-*`, until the day after tomorrow.
pub(super) async fn robot(fixture: &Fixture) -> String {
    let secret = MachineSecret::of_robot(&Counter::default());
    let robot = NewRobot {
        id: RobotId::from_random([1; 16]),
        name: "ci".to_owned(),
        description: String::new(),
        permission: permission(&["pull", "push"], "team/app-*"),
        expires_at: Some(after(fixture, 2 * DAY)),
        secret: NewSecret { id: SecretId::from_random([1; 16]), hash: secret.hash() },
    };
    let added = fixture.db.add_robot(&robot, &record(fixture.clock.now())).await.unwrap();
    assert_eq!(added, Addition::Added);
    secret.expose().to_owned()
}

/// A key of `ann` that may pull below `team/`, until the day after tomorrow.
pub(super) async fn key(fixture: &Fixture) -> String {
    key_of(fixture, "ann").await
}

async fn key_of(fixture: &Fixture, name: &str) -> String {
    let account = fixture.account(name).await;
    let (source, id) = (account.source.to_string(), account.id.as_str().to_owned());
    key_for(fixture, name, AccountKey { source, id }).await
}

/// The same of an account of any source.
pub(super) async fn key_for(fixture: &Fixture, name: &str, account: AccountKey) -> String {
    let secret = MachineSecret::api_key(&Counter::default());
    let key = NewApiKey {
        id: KeyId::from_random([2; 16]),
        hash: secret.hash(),
        account,
        account_name: name.to_owned(),
        description: String::new(),
        permission: permission(&["pull"], "team/**"),
        expires_at: Some(after(fixture, 2 * DAY)),
    };
    fixture.db.add_api_key(&key, &record(fixture.clock.now())).await.unwrap();
    secret.expose().to_owned()
}

fn permission(actions: &[&str], repository: &str) -> Permission {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Permission { actions, repositories: vec![repository.to_owned()] }
}

fn after(fixture: &Fixture, seconds: u64) -> SystemTime {
    fixture.clock.now() + Duration::from_secs(seconds)
}

pub(super) fn refusal(answer: &Answer) -> &'static str {
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(answer.body.contains("wrong user name or password"), "{}", answer.body);
    answer.handled.as_ref().unwrap().refusal.as_ref().unwrap().id
}

const SCOPES: &str = "service=registry&scope=repository:team/app-1:pull,push,delete\
    &scope=repository:team/other:pull&scope=repository:public/x:pull";

/// No rule names it, and one gives everybody `public/**`: it gets its own, and nothing else. T9: docker keeps name and
/// secret.
#[tokio::test]
async fn a_robot_reaches_its_own_and_gets_no_refresh_token() {
    let fixture = Fixture::new().await;
    let secret = robot(&fixture).await;
    let answer = get_as(&fixture, &format!("robot-ci:{secret}"), SCOPES).await;
    let reaches = "repository:team/app-1:pull,push repository:team/other: repository:public/x:";
    assert_eq!(granted(&fixture, &answer), reaches);
    assert_eq!(fixture.verify(&answer.token(), "registry").subject, "robot-ci");

    let login = "account=robot-ci&client_id=docker&offline_token=true&service=registry";
    let answer = get_as(&fixture, &format!("robot-ci:{secret}"), login).await;
    assert_eq!((answer.status, answer.refresh_token()), (200, None));
    let form = format!("grant_type=password&username=robot-ci&password={secret}");
    let answer = post(&fixture, &format!("{form}&access_type=offline&{SCOPES}")).await;
    assert_eq!(granted(&fixture, &answer), reaches);
    assert_eq!(answer.refresh_token(), None);
}

/// `ann` may push below `team/` and below her own name; her key only pulls, and only below `team/`.
#[tokio::test]
async fn a_key_reaches_what_its_person_may_below_its_limit() {
    let fixture = Fixture::new().await;
    let secret = key(&fixture).await;
    let scopes = "scope=repository:team/x:pull,push&scope=repository:ann/x:pull&offline_token=true";
    let answer = get_as(&fixture, &format!("ann:{secret}"), scopes).await;
    assert_eq!(granted(&fixture, &answer), "repository:team/x:pull repository:ann/x:");
    assert_eq!(fixture.verify(&answer.token(), "registry").subject, "ann");
    assert_eq!(answer.refresh_token(), None);

    // What the person loses, the key has lost.
    fixture.accounts.change("ann", |ann| ann.groups.clear());
    let answer = get_as(&fixture, &format!("ann:{secret}"), scopes).await;
    assert_eq!(granted(&fixture, &answer), "repository:team/x: repository:ann/x:");
}

/// `developers` may push below `team/`: a member by name, one by the group of a source, and what both have made keys of.
#[tokio::test]
async fn members_of_a_configured_group_reach_what_it_may_also_by_a_key_or_as_a_robot() {
    let member = |group: &str, member: &str| Membership {
        group: group.parse().unwrap(),
        member: member.parse().unwrap(),
    };
    let groups: Groups =
        [member("developers", "staff/bob"), member("developers", "robot:ci")].into_iter().collect();
    let fixture = Fixture::with(Settings { groups, ..Settings::default() }).await;
    fixture.accounts.change("ann", |ann| ann.groups.clear());
    let scope = "service=registry&scope=repository:team/app-1:pull,push";
    let (bob, key, robot) =
        (fixture.account("bob").await, key_of(&fixture, "bob").await, robot(&fixture).await);
    assert!(bob.groups.is_empty());
    for (pair, expected) in [
        ("ann:secret".to_owned(), ""),
        ("bob:secret".to_owned(), "pull,push"),
        (format!("bob:{key}"), "pull"),
        (format!("robot-ci:{robot}"), "pull,push"),
    ] {
        let answer = get_as(&fixture, &pair, scope).await;
        assert_eq!(granted(&fixture, &answer), format!("repository:team/app-1:{expected}"));
    }
    let login = "grant_type=password&username=bob&password=secret&access_type=offline";
    let answer = post(&fixture, &format!("{login}&{scope}")).await;
    let refresh = answer.refresh_token().unwrap();
    let answer =
        post(&fixture, &format!("grant_type=refresh_token&refresh_token={refresh}&{scope}")).await;
    assert_eq!(granted(&fixture, &answer), "repository:team/app-1:pull,push");
}

#[tokio::test]
async fn a_secret_that_is_no_good_is_refused_with_its_reason_in_the_log_alone() {
    let fixture = Fixture::new().await;
    let (robot, key) = (robot(&fixture).await, key(&fixture).await);
    let unknown = MachineSecret::of_robot(&{
        let random = Counter::default();
        random.fill(&mut [0]);
        random
    });
    for (pair, reason) in [
        (format!("robot-ci:{}", unknown.expose()), "secret-unknown"),
        (format!("nobody:{}", unknown.expose()), "secret-unknown"),
        (format!("ann:{robot}"), "secret-other-name"),
        (format!("bob:{key}"), "secret-other-name"),
        ("robot-ci:secret".to_owned(), "wrong-password"),
    ] {
        let answer = get_as(&fixture, &pair, SCOPES).await;
        assert_eq!(refusal(&answer), reason, "{pair}");
        assert!(!format!("{:?}", answer.handled).contains(&robot[..20]), "{:?}", answer.handled);
    }
    for (pair, reason, said) in [
        (format!("robot-ci:{}", &robot[..50]), "secret-damaged", "is damaged"),
        (format!("{robot}:x"), "credentials-unusable", "in place of the user name"),
        (format!("{key}:"), "credentials-unusable", "the API key stands in place"),
    ] {
        let answer = get_as(&fixture, &pair, SCOPES).await;
        assert_eq!(answer.status, 401);
        let handled = format!("{:?}", answer.handled);
        assert!(handled.contains(reason) && handled.contains(said), "{handled}");
        assert!(!handled.contains(&robot[..20]) && !handled.contains(&key[..20]), "{handled}");
    }
}

/// Disabled and enabled within two seconds; a clock stands in for the seconds.
#[tokio::test]
async fn a_robot_ends_when_it_is_disabled_expired_or_removed() {
    let fixture = Fixture::new().await;
    let secret = robot(&fixture).await;
    let pair = format!("robot-ci:{secret}");
    let ask = async || get_as(&fixture, &pair, SCOPES).await;
    let audit = || record(fixture.clock.now());
    assert_eq!(ask().await.status, 200);

    let disabled = AccountStatus::Disabled { since: fixture.clock.now() };
    let change = fixture.db.set_robot_status("ci", disabled, &audit()).await.unwrap();
    assert_eq!(change, Change::Done);
    fixture.clock.advance(1);
    assert_eq!(refusal(&ask().await), "robot-disabled");
    let enabled = AccountStatus::Enabled;
    let change = fixture.db.set_robot_status("ci", enabled, &audit()).await.unwrap();
    assert_eq!(change, Change::Done);
    assert_eq!(ask().await.status, 200, "what was set right works at once");

    fixture.clock.advance(2 * DAY);
    assert_eq!(refusal(&ask().await), "robot-expired");
    assert_eq!(fixture.db.remove_robot("ci", &audit()).await.unwrap(), Change::Done);
    assert_eq!(refusal(&ask().await), "robot-removed");
}

#[tokio::test]
async fn two_secrets_overlap_when_a_robot_is_rotated() {
    let fixture = Fixture::new().await;
    let old = robot(&fixture).await;
    let random = Counter::default();
    random.fill(&mut [0]);
    let new = MachineSecret::of_robot(&random);
    let ask = async |secret: &str| get_as(&fixture, &format!("robot-ci:{secret}"), SCOPES).await;
    assert_eq!(ask(&old).await.status, 200);

    let secret = NewSecret { id: SecretId::from_random([9; 16]), hash: new.hash() };
    let rotation = Rotation { old_until: after(&fixture, 60), expires_at: None };
    let audit = record(fixture.clock.now());
    let change = fixture.db.rotate_robot("ci", &secret, rotation, &audit).await.unwrap();
    assert_eq!(change, Change::Done);
    assert_eq!((ask(&old).await.status, ask(new.expose()).await.status), (200, 200));
    fixture.clock.advance(60);
    assert_eq!(ask(new.expose()).await.status, 200);
    assert_eq!(refusal(&ask(&old).await), "robot-secret-replaced");
}

#[tokio::test]
async fn a_key_ends_with_its_time_its_person_or_its_row() {
    let fixture = Fixture::new().await;
    let secret = key(&fixture).await;
    let ask = async || get_as(&fixture, &format!("ann:{secret}"), SCOPES).await;
    assert_eq!(ask().await.status, 200);
    fixture.accounts.change("ann", |ann| ann.enabled = false);
    assert_eq!(refusal(&ask().await), "api-key-account-gone");
    fixture.accounts.change("ann", |ann| ann.enabled = true);
    fixture.accounts.break_down("away");
    assert_eq!(ask().await.status, 503, "nobody can say who it is");
    fixture.accounts.mend();
    assert_eq!(ask().await.status, 200);

    fixture.clock.advance(2 * DAY);
    assert_eq!(refusal(&ask().await), "api-key-expired");
    let audit = record(fixture.clock.now());
    let revoked = fixture.db.revoke_api_key(KeyId::from_random([2; 16]), &audit).await.unwrap();
    assert_eq!(revoked, Change::Done);
    assert_eq!(refusal(&ask().await), "api-key-revoked");
}

/// A cluster goes on to pull with a secret that has expired: that must not stop the other robots behind its address.
#[tokio::test]
async fn dead_secrets_stop_nobody_and_unknown_ones_are_counted() {
    let settings = LimitSettings::default();
    let limits = Limits::new(settings, [3; 32]);
    let fixture = Fixture::with(Settings { limits, ..Settings::default() }).await;
    let (secret, key) = (robot(&fixture).await, key(&fixture).await);
    let from = |pair: &str| {
        let mut request = with_basic(request("GET", SCOPES), pair);
        request.extensions_mut().insert(ClientAddress([192, 0, 2, 1].into()));
        request
    };
    fixture.clock.advance(2 * DAY);
    for _ in 0..2 * settings.address.burst {
        let answer = send(&fixture, from(&format!("robot-ci:{secret}"))).await;
        assert_eq!(refusal(&answer), "robot-expired");
    }
    let random = Counter::default();
    random.fill(&mut [0]);
    let mut statuses = Vec::new();
    for _ in 0..=settings.address.burst {
        let guess = MachineSecret::of_robot(&random);
        let answer = send(&fixture, from(&format!("robot-ci:{}", guess.expose()))).await;
        statuses.push(answer.status);
    }
    assert_eq!((statuses[0], statuses.last()), (401, Some(&429)), "{statuses:?}");
    // Whoever guesses secrets keeps nobody from logging in with a password.
    assert_eq!(send(&fixture, from("bob:secret")).await.status, 200);
    drop(key);
}

/// The trail says what came by a permission of its own, and by which key.
#[tokio::test]
async fn the_trail_names_the_key_and_what_no_rule_gave() {
    let fixture = Fixture::new().await;
    let (secret, key) = (robot(&fixture).await, key(&fixture).await);
    let writing = tokio::spawn(fixture.writer.run());
    let router = router(Arc::clone(&fixture.service), &TokenPath::default(), None);
    for pair in [format!("robot-ci:{secret}"), format!("ann:{key}")] {
        let asked = with_basic(request("GET", "scope=repository:team/app-1:pull"), &pair);
        assert_eq!(answer(router.clone(), asked).await.status, 200);
    }
    drop((router, fixture.service));
    writing.await.unwrap();
    let trail = fixture.db.latest_audit(2).await.unwrap();
    let records: Vec<_> = trail.into_iter().map(|entry| entry.record).collect();
    let [by_key, by_robot] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(by_robot.actor.as_deref(), Some("robot-ci"));
    assert_eq!(by_robot.detail["access"][0]["own"], json!(["pull"]));
    assert_eq!(by_key.actor.as_deref(), Some("ann"));
    assert_eq!(by_key.detail["key"], KeyId::from_random([2; 16]).to_string());
    assert_eq!(by_key.detail["access"][0].get("own"), None);
}

#[tokio::test]
async fn uses_are_noted_for_the_account_and_the_secret() {
    let fixture = Fixture::new().await;
    let (secret, key) = (robot(&fixture).await, key(&fixture).await);
    for pair in [format!("robot-ci:{secret}"), format!("ann:{key}"), "bob:wrong".to_owned()] {
        get_as(&fixture, &pair, SCOPES).await;
    }
    assert!(fixture.db.account_uses().await.unwrap().is_empty(), "no token costs a write");
    fixture.uses.flush().await.unwrap();
    let now = Some(fixture.clock.now());
    assert_eq!(fixture.db.robots().await.unwrap()[0].secrets[0].used_at, now);
    assert_eq!(fixture.db.api_keys().await.unwrap()[0].used_at, now);
    let uses = fixture.db.account_uses().await.unwrap();
    let mut sources: Vec<&str> = uses.keys().map(|account| account.source.as_str()).collect();
    sources.sort_unstable();
    assert_eq!(sources, ["robot", "staff"]);
}

const DAY: u64 = 24 * 60 * 60;
