//! Each operation on a database as a first start leaves it, and the audit record it leaves.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_authority::keyring::{KeyRing, KeyRingParts, Schedules, SealKey};
use portpass_jose::Algorithm;
use portpass_password::{Formats, PasswordHash, format::Comparison};
use portpass_state::{AccountKey, NewRefreshToken, RefreshId, TokenAddition, TokenHash};
use portpass_token::Clock;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::*;
use crate::seal_key::seal_key;

mod passwords;
mod robots;

#[tokio::test]
async fn without_a_database_nothing_is_made() {
    let fixture = Fixture::new("");
    fs::remove_file(fixture.database()).unwrap_or_default();
    let error = fixture.try_open().await.unwrap_err();
    assert!(matches!(error, AdminError::NotInstalled { .. }), "{error}");
    assert!(!fixture.database().exists());
}

#[tokio::test]
async fn an_account_lives_from_add_to_remove() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &["developers", "release"])).await.unwrap();
    installation.add_user(user("bob", &[])).await.unwrap();

    let ann = json!({
        "name": "ann", "source": "local", "groups": ["developers", "release"], "status": "enabled",
        "created_at": "2027-01-15T08:00:00Z", "used_at": null,
    });
    assert_eq!(users(&installation).await[0], ann);
    assert!(verifies(&installation, "ann", "ann's password").await);

    installation.set_password("ann", SecretString::from("another password")).await.unwrap();
    assert!(verifies(&installation, "ann", "another password").await);
    assert!(!verifies(&installation, "ann", "ann's password").await);

    installation.disable_user("ann").await.unwrap();
    let disabled = users(&installation).await[0].clone();
    assert_eq!(disabled["status"], "disabled");
    assert_eq!(disabled["disabled_at"], "2027-01-15T08:00:00Z");
    installation.enable_user("ann").await.unwrap();
    assert_eq!(users(&installation).await[0], ann);
    installation.remove_user("ann").await.unwrap();
    assert_eq!(users(&installation).await.len(), 1);

    let trail = installation.db.audit_after(0, 100).await.unwrap();
    let trail: Vec<(&str, Option<&str>)> = trail
        .iter()
        .map(|entry| (entry.record.action.as_str(), entry.record.object.as_deref()))
        .collect();
    let expected = [
        ("account-added", Some("ann")),
        ("account-added", Some("bob")),
        ("password-changed", Some("ann")),
        ("account-disabled", Some("ann")),
        ("account-enabled", Some("ann")),
        ("account-removed", Some("ann")),
    ];
    assert_eq!(trail, expected);
}

/// The rule `${account}/**` would give an account named like a literal first segment that namespace.
#[tokio::test]
async fn names_that_rules_speak_of_and_names_that_are_none_are_refused() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    let error = installation.add_user(user("public", &[])).await.unwrap_err();
    assert!(matches!(error, AdminError::Reserved { .. }), "{error}");
    assert!(error.to_string().contains("rule 3"), "{error}");
    for name in ["", "a/b", "*", "-x", "a b", "\u{7}"] {
        let error = installation.add_user(user(name, &[])).await.unwrap_err();
        assert!(error.is_usage(), "{name:?}: {error}");
    }
    let error = installation.add_user(user("ann", &["good", " bad"])).await.unwrap_err();
    assert!(matches!(&error, AdminError::InvalidGroup { text, .. } if text == " bad"), "{error}");
    assert!(users(&installation).await.is_empty());
}

/// Repositories are lower case: `${account}/**` gives `Ann` nothing.
#[tokio::test]
async fn an_account_whose_name_no_repository_can_have_is_told_of() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    assert_eq!(installation.add_user(user("ann", &[])).await.unwrap(), []);
    for name in ["Ann", "ann@example.com", "анна"] {
        let doubts = installation.add_user(user(name, &[])).await.unwrap();
        let [unusable_namespace] = &*doubts else { panic!("{doubts:?}") };
        let unusable_namespace = unusable_namespace.to_string();
        assert!(unusable_namespace.contains(&format!("`{name}/`")), "{unusable_namespace}");
    }
    let fixture = Fixture::new(
        "token_service:\n  policy:\n    - { allow: [pull], repository: 'a/**', to: signed-in }\n",
    );
    assert_eq!(fixture.open().await.add_user(user("Ann", &[])).await.unwrap(), []);
}

#[tokio::test]
async fn a_taken_name_and_an_unknown_one_are_named() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    let error = installation.add_user(user("ann", &[])).await.unwrap_err();
    assert!(matches!(&error, AdminError::AccountExists { name } if name == "ann"), "{error}");
    let outcomes = [
        installation.set_password("bob", SecretString::from("x")).await.map(drop),
        installation.disable_user("bob").await,
        installation.enable_user("bob").await,
        installation.remove_user("bob").await,
        installation.check_user_exists("bob").await,
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), "there is no account named `bob` in local");
    }
}

#[tokio::test]
async fn accounts_that_nobody_asks_are_not_managed() {
    let fixture = Fixture::new("registry: { auth: { none: {} } }\n");
    let registry = fixture.open().await;
    let error = registry.add_user(user("ann", &[])).await.unwrap_err();
    assert!(matches!(error, AdminError::NoTokenService), "{error}");
    assert!(matches!(registry.signing_keys().await, Err(AdminError::NoTokenService)));
    assert!(matches!(registry.sessions(None).await, Err(AdminError::NoTokenService)));

    let htpasswd = Fixture::new("token_service: { accounts: [ htpasswd: { path: users } ] }\n");
    let error = htpasswd.open().await.add_user(user("ann", &[])).await.unwrap_err();
    assert!(matches!(error, AdminError::NoLocalAccounts), "{error}");
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_one_by_one_and_by_account() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    for (number, account) in [(1, "ann"), (2, "ann"), (3, "bob")] {
        keep(&installation, number, account).await;
    }
    let sessions = installation.sessions(Some("bob")).await.unwrap();
    let expected = json!([{
        "id": RefreshId::from_random([3; 16]).to_string(), "account": "bob", "source": "htpasswd",
        "service": "registry", "client": "docker", "ceiling": "repository:a/b:pull",
        "created_at": "2027-01-15T08:00:00Z", "used_at": null,
        "state": "valid", "until": "2027-01-15T09:00:00Z",
    }]);
    assert_eq!(serde_json::to_value(&sessions).unwrap(), expected);

    installation.revoke_session(&sessions[0].id).await.unwrap();
    let sessions = installation.sessions(Some("bob")).await.unwrap();
    let session = serde_json::to_value(&sessions[0]).unwrap();
    assert_eq!(
        (&session["state"], &session["why"]),
        (&json!("revoked"), &json!("session-revoked"))
    );
    for id in [sessions[0].id.as_str(), "not an id", "00000000-0000-4000-8000-000000000000"] {
        let error = installation.revoke_session(id).await.unwrap_err();
        assert!(matches!(error, AdminError::UnknownSession { .. }), "{id}: {error}");
    }
    assert_eq!(installation.revoke_sessions_of("ann").await.unwrap(), 2);
    assert_eq!(installation.revoke_sessions_of("ann").await.unwrap(), 0);
    assert_eq!(
        installation.sessions(None).await.unwrap().len(),
        3,
        "dead ones are kept for a while"
    );
}

#[tokio::test]
async fn keys_are_listed_and_rotated() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    assert!(matches!(installation.signing_keys().await, Err(AdminError::NoKeys)));
    assert!(matches!(installation.rotate_signing_key(None).await, Err(AdminError::NoKeys)));
    fixture.first_start(&installation).await;

    let before = installation.signing_keys().await.unwrap();
    let [first] = before.as_slice() else { panic!("{before:?}") };
    assert_eq!(first.algorithm, "ES256");
    assert!(matches!(first.phase, KeyPhase::Signing { .. }));
    assert!(first.libtrust_id.as_ref().is_some_and(|id| id.matches(':').count() == 11));

    let after = installation.rotate_signing_key(None).await.unwrap();
    assert_eq!(after, installation.signing_keys().await.unwrap());
    let phase = |id: &str| after.iter().find(|key| key.id == id).map(|key| key.phase);
    assert!(matches!(phase(&first.id), Some(KeyPhase::Retired { .. })), "{after:?}");
    let signing = after.iter().filter(|key| matches!(key.phase, KeyPhase::Signing { .. }));
    assert_eq!(signing.count(), 1);
}

#[tokio::test]
async fn a_rotation_needs_the_seal_key() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    fixture.first_start(&installation).await;
    fs::remove_file(fixture.data().join("seal.key")).unwrap();
    let error = installation.rotate_signing_key(None).await.unwrap_err();
    assert!(matches!(error, AdminError::OpenKeyRing(OpenKeyRingError::SealKeyFile(_))), "{error}");
    assert!(!fixture.data().join("seal.key").exists(), "no other key is made in its place");
    assert_eq!(installation.signing_keys().await.unwrap().len(), 1, "to list needs none");
}

#[tokio::test]
async fn exports_are_what_registries_read_and_say_who_must_read_them_again() {
    let services =
        "token_service:\n  services:\n    - { name: new }\n    - { name: old, key_id: libtrust }\n";
    let fixture = Fixture::new(services);
    let installation = fixture.open().await;
    fixture.first_start(&installation).await;

    let bundle = installation.export_signing_keys(KeyFormat::Bundle).await.unwrap();
    assert_eq!(bundle.text.matches("-----BEGIN CERTIFICATE-----").count(), 2, "root and leaf");
    assert!(!bundle.text.contains("PRIVATE"));
    assert_eq!(bundle.notes.len(), 1, "{:?}", bundle.notes);
    assert!(bundle.notes[0].contains("`old`") && bundle.notes[0].contains("restart"));

    let jwks = installation.export_signing_keys(KeyFormat::Jwks).await.unwrap();
    let set: Value = serde_json::from_str(&jwks.text).unwrap();
    assert_eq!(set["keys"][0]["kid"], installation.signing_keys().await.unwrap()[0].id.as_str());
    assert_eq!(set["keys"][0].get("d"), None, "no private half");
    assert_eq!(jwks.notes.len(), 1, "a JWK set has no root to follow");

    let file = fixture.data().join("bundle.pem");
    installation.write_export(&bundle, &file).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), bundle.text);
    let error =
        installation.write_export(&bundle, &fixture.data().join("absent/b")).await.unwrap_err();
    assert!(matches!(error, AdminError::WriteFile { .. }), "{error}");
}

/// `--output /dev/stdout` must not put a file in the place of the device.
#[tokio::test]
async fn an_export_replaces_files_and_nothing_else() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    let export = PublicKeyExport { text: "keys\n".to_owned(), notes: vec![] };
    let (file, link) = (fixture.data().join("file"), fixture.data().join("link"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    installation.write_export(&export, &link).await.unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "keys\n");

    let socket = fixture.data().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = installation.write_export(&export, &socket).await.unwrap_err();
    assert!(matches!(error, AdminError::WriteFile { .. }), "{error}");
    assert!(!socket.is_file(), "a socket is no place for a file, and stays a socket");
}

/// As in a token request, and said.
#[tokio::test]
async fn an_explanation_says_what_is_left_out() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    let scopes = ["repository:ann/app:pull,Push", "repository:ann/App:pull nonsense"];
    let explained = explain(&installation, "ann", None, &scopes).await.unwrap();
    let [only] = &explained.explanations[..] else { panic!("{explained:?}") };
    assert_eq!(
        (only.resource.as_str(), &only.granted[..]),
        ("repository:ann/app", &["pull".to_owned()][..])
    );
    assert_eq!(explained.ignored_scopes.len(), 3, "{:?}", explained.ignored_scopes);
    let nothing = explain(&installation, "ann", None, &scopes[1..]).await;
    assert!(matches!(nothing, Err(AdminError::InvalidScope(_))), "{nothing:?}");
}

#[tokio::test]
async fn an_explanation_names_the_rules() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    let scopes =
        ["repository:ann/app:pull,push repository:bob/app:pull", "repository:ann/app:delete"];
    let explained = explain(&installation, "ann", None, &scopes).await.unwrap();
    let texts: Vec<String> = explained.explanations.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "one entry for each resource: {texts:#?}");
    assert!(texts[0].contains("is granted pull, push, delete"), "{}", texts[0]);
    assert!(texts[0].contains("rule 4 allows"), "{}", texts[0]);
    assert!(texts[1].contains("is granted nothing"), "{}", texts[1]);
    assert_eq!(explained.obstacle, None);

    let scopes = ["repository:public/a:pull".to_owned()];
    let anonymous =
        installation.explain(&Caller::Anonymous, &Circumstances::default(), &scopes).await.unwrap();
    assert_eq!(anonymous.explanations[0].granted, ["pull"]);
    assert_eq!(anonymous.explanations[0].account, None);
}

#[tokio::test]
async fn a_disabled_account_is_explained_and_said_to_get_nothing() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    installation.disable_user("ann").await.unwrap();
    let explained = explain(&installation, "ann", None, &["repository:ann/a:pull"]).await.unwrap();
    assert_eq!(explained.explanations[0].granted, ["pull"]);
    assert!(explained.obstacle.unwrap().contains("disabled"));

    let fixture = Fixture::new("token_service: { anonymous: false }\n");
    let closed = fixture.open().await;
    let explained = closed
        .explain(&Caller::Anonymous, &Circumstances::default(), &["repository:a/b:pull".into()])
        .await;
    assert!(explained.unwrap().obstacle.unwrap().contains("anonymous"));
}

#[tokio::test]
async fn every_source_of_accounts_is_asked() {
    let accounts =
        "token_service:\n  accounts:\n    - local: {}\n    - htpasswd: { path: users }\n";
    let fixture = Fixture::new(accounts);
    let installation = fixture.open().await;
    let explained = explain(&installation, "htuser", None, &["repository:htuser/a:push"]).await;
    assert_eq!(explained.unwrap().explanations[0].granted, ["push"]);
    for name in ["nobody", "a/b", ""] {
        let error = explain(&installation, name, None, &["repository:a/b:pull"]).await.unwrap_err();
        assert!(error.to_string().ends_with("in local, htpasswd"), "{error}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_wrong_usage() {
    let fixture = Fixture::new("");
    let installation = fixture.open().await;
    installation.add_user(user("ann", &[])).await.unwrap();
    let asked = [(None, "repository"), (Some("other"), "repository:a/b:pull")];
    for (service, scope) in asked {
        let error = explain(&installation, "ann", service, &[scope]).await.unwrap_err();
        assert!(error.is_usage(), "{error}");
    }
    let known = explain(&installation, "ann", Some("registry"), &["repository:a/b:pull"]).await;
    known.unwrap();
}

#[test]
fn times_are_written_in_utc_to_the_second() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_999);
    assert_eq!(rfc3339(time), "2027-01-15T08:00:00Z");
    assert_eq!(rfc3339(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
}

/// A data directory with an empty database, and a configuration file beside it.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("config.yaml"), configuration).unwrap();
        fs::write(folder.path().join("users"), format!("htuser:{BCRYPT}\n")).unwrap();
        Self { folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn database(&self) -> PathBuf {
        self.data().join("portpass.db")
    }

    async fn open(&self) -> Installation {
        Db::open(&self.database()).await.unwrap().close().await;
        let mut installation = self.try_open().await.unwrap();
        installation.clock = Arc::new(FixedClock);
        installation
    }

    async fn try_open(&self) -> Result<Installation, AdminError> {
        let config = self.folder.path().join("config.yaml");
        let typed = fs::read_to_string(&config).unwrap();
        let sources = Sources {
            // An empty file names no service; without a file there is the embedded default.
            config: (!typed.is_empty()).then_some(config),
            data: Some(self.data()),
            ..Sources::default()
        };
        open(&sources, &Environment::default()).await
    }

    /// Makes the key ring, as the first start of the token service does.
    async fn first_start(&self, installation: &Installation) {
        let random = installation.random.clone();
        let seal = seal_key(&self.data(), false, &*random).unwrap();
        let parts = KeyRingParts {
            db: installation.db.clone(),
            seal: SealKey::new(&seal).unwrap(),
            schedules: Schedules::new(Algorithm::Es256, [], Duration::from_mins(5)),
            random,
        };
        KeyRing::open(parts, installation.now()).await.unwrap();
    }
}

/// Always the same moment.
#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }
}

fn user(name: &str, groups: &[&str]) -> NewUser {
    NewUser {
        name: name.to_owned(),
        password: format!("{name}'s password").into(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    }
}

/// As `user list --json` prints them.
async fn users(installation: &Installation) -> Vec<Value> {
    let users = installation.users().await.unwrap();
    users.iter().map(|user| serde_json::to_value(user).unwrap()).collect()
}

async fn verifies(installation: &Installation, name: &str, password: &str) -> bool {
    let account = installation.db.account(name).await.unwrap().unwrap();
    let hash = account.password_hash.unwrap();
    let hash = PasswordHash::parse(hash.expose_secret(), Formats::Current).unwrap();
    hash.verify(password.as_bytes()) == Comparison::Match
}

async fn keep(installation: &Installation, number: u8, account: &str) {
    let token = NewRefreshToken {
        id: RefreshId::from_random([number; 16]),
        hash: TokenHash([number; 32]),
        account: AccountKey { source: "htpasswd".to_owned(), id: account.to_owned() },
        account_name: account.to_owned(),
        credential_version: "1".to_owned(),
        service: "registry".to_owned(),
        client: "docker".to_owned(),
        ceiling: Some("repository:a/b:pull".parse().unwrap()),
        expires_at: installation.now() + Duration::from_hours(2),
        idle_until: installation.now() + Duration::from_hours(1),
    };
    let record = installation.record(Action::RefreshTokenIssued, account);
    let kept =
        installation.db.add_refresh_token(&token, installation.now(), &record).await.unwrap();
    assert_eq!(kept, TokenAddition::Added(Vec::new()));
}

async fn explain(
    installation: &Installation,
    account: &str,
    service: Option<&str>,
    scopes: &[&str],
) -> Result<PolicyExplanation, AdminError> {
    let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
    let service = service.map(str::to_owned);
    let circumstances = Circumstances { service, ..Circumstances::default() };
    installation.explain(&Caller::Account(account.to_owned()), &circumstances, &scopes).await
}

/// Of no password that is written here.
const BCRYPT: &str = "$2y$05$926C3y10Quzn/LnqQH86VOEVh/18T6RnLaS.khre96jLNL/7e.K5W";
