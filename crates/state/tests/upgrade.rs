//! The upgrade promise: a database of any version that was ever released opens, with everything in it.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use portpass_protocol::{Digest, Reference, RepositoryName, Tag};
use portpass_state::{
    AccountStatus, Db, KeyPhase, KeyRole, Lease, RefreshState, Retention, Revocation, TokenHash,
};
use secrecy::ExposeSecret as _;
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// One for each version of the schema; a migration adds the dump of the version before it.
const VERSIONS: [&str; 1] = [include_str!("../fixtures/schema-1.sql")];

#[tokio::test]
async fn databases_of_all_versions_open_with_all_that_is_in_them() {
    for dump in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portpass.db");
        restore(dump, &path).await;
        let db = Db::open(&path).await.unwrap();
        accounts_are_there(&db).await;
        sessions_are_there(&db).await;
        keys_are_there(&db).await;
        images_are_there(&db).await;
        uploads_and_garbage_are_there(&db).await;
        robots_and_keys_are_none(&db).await;
        the_trail_goes_on(&db).await;
        db.close().await;
        // The second start has nothing to do and changes nothing.
        let db = Db::open(&path).await.unwrap();
        accounts_are_there(&db).await;
        db.close().await;
    }
}

async fn accounts_are_there(db: &Db) {
    let accounts = db.accounts().await.unwrap();
    let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    assert_eq!(names, ["admin", "ann", "bob"]);
    let [_, ann, bob] = accounts.as_slice() else { panic!("{names:?}") };
    assert_eq!(ann.groups.iter().collect::<Vec<_>>(), ["developers"]);
    assert_eq!((ann.credential_version, ann.status), (1, AccountStatus::Enabled));
    let hash = ann.password_hash.as_ref().unwrap().expose_secret();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(matches!(bob.status, AccountStatus::Disabled { .. }));
    assert_eq!(db.meta("administrator").await.unwrap().as_deref(), Some("admin"));
}

async fn robots_and_keys_are_none(db: &Db) {
    assert_eq!((db.robots().await.unwrap(), db.api_keys().await.unwrap()), (vec![], vec![]));
    assert_eq!(db.robots_version().await.unwrap(), 0);
    assert!(db.account_uses().await.unwrap().is_empty());
}

/// What is older than the chain has no hash and stays; what comes is chained behind it.
async fn the_trail_goes_on(db: &Db) {
    let trail = db.audit_after(0, 100).await.unwrap();
    assert_eq!((trail.len(), trail[0].record.action.as_str()), (12, "account-added"));
    let last = db.latest_audit(1).await.unwrap().remove(0);
    db.append_audit(&[last.record.clone(), last.record.clone()]).await.unwrap();
    let verified = db.verify_audit(None).await.unwrap();
    assert_eq!((verified.unchained, verified.chained, &*verified.faults), (12, 2, &[][..]));
    assert_eq!(verified.head.map(|head| head.sequence), Some(14));
    let room = db.audit_size().await.unwrap().bytes;
    assert!((14 * 150..14 * 1500).contains(&room), "{room}");
    let retention = Retention { since: None, max_bytes: room / 2 };
    assert!(db.prune_audit(&retention, at(), 100).await.unwrap() > 3);
    assert_eq!(db.verify_audit(None).await.unwrap().faults, []);
}

/// A secret is found by its hash alone.
async fn sessions_are_there(db: &Db) {
    let all = db.refresh_tokens(None, at()).await.unwrap();
    let states: Vec<(&str, bool)> = all
        .iter()
        .map(|token| (token.client.as_str(), matches!(token.state, RefreshState::Valid { .. })))
        .collect();
    assert!(
        states.contains(&("docker", true)) && states.contains(&("portpass", false)),
        "{states:?}"
    );
    let revoked = all.iter().find(|token| token.client == "portpass").unwrap();
    let RefreshState::Revoked { why, .. } = revoked.state else { panic!("{revoked:?}") };
    assert_eq!(why, Revocation::SessionRevoked);
    let found = db.refresh_token(&TokenHash(DOCKERS), at()).await.unwrap().unwrap();
    assert_eq!((found.account_name.as_str(), found.service.as_str()), ("ann", "registry"));
    assert_eq!(found.account.source, "local");
}

async fn keys_are_there(db: &Db) {
    let ring = db.key_ring().await.unwrap();
    assert_eq!(ring.version, 4);
    let roles: Vec<KeyRole> = ring.keys.iter().map(|key| key.role).collect();
    let [KeyRole::Root, KeyRole::Leaf(retired), KeyRole::Leaf(signing)] = roles.as_slice() else {
        panic!("{roles:?}")
    };
    assert!(matches!(retired, KeyPhase::Retired { .. }), "{retired:?}");
    assert!(matches!(signing, KeyPhase::Signing { .. }), "{signing:?}");
    assert!(ring.keys.iter().all(|key| key.algorithm == "ES256" && !key.sealed.is_empty()));
}

async fn images_are_there(db: &Db) {
    let (app, other) = (name("ann/app"), name("ann/other"));
    assert_eq!(db.catalog(None, 10).await.unwrap().items, [app.clone(), other.clone()]);
    let tags = db.tags(&app, None, 10).await.unwrap().unwrap();
    let tags = &tags.items;
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["all", "v1", "v2"]);
    for tag in tags {
        let manifest = db.manifest(&app, &Reference::Tag(tag.clone())).await.unwrap().unwrap();
        assert_eq!(Digest::sha256(&manifest.bytes), manifest.digest);
    }
    let v1: Digest = V1.parse().unwrap();
    let signatures = db.referrers(&app, &v1, None, None, 10).await.unwrap().items;
    let [signature] = signatures.as_slice() else { panic!("{signatures:?}") };
    assert_eq!(signature.artifact_type.as_deref(), Some("application/vnd.example.signature"));
    assert_eq!(signature.annotations.as_ref().unwrap()["by"], "ann");
    let layer = Digest::sha256(b"first layer");
    let [here, mounted] = [&app, &other].map(|repository| db.blob(repository, &layer));
    let (here, mounted) = (here.await.unwrap().unwrap(), mounted.await.unwrap().unwrap());
    assert_eq!((here.size, &here.location), (11, &mounted.location));
    let tall: Digest = SHA512.parse().unwrap();
    assert_eq!(db.blob(&other, &tall).await.unwrap().unwrap().size, 6);
}

async fn uploads_and_garbage_are_there(db: &Db) {
    let uploads = db.uploads(None, 10).await.unwrap();
    let [upload] = uploads.as_slice() else { panic!("{uploads:?}") };
    assert_eq!((&upload.repository, upload.lease), (&name("ann/other"), Lease::Free));
    assert!(upload.progress.starts_with(br#"{"length":10,"#));
    assert_eq!(db.garbage(at(), 10).await.unwrap().len(), 1);
    assert_eq!(db.retire_blobs(at(), 10).await.unwrap().unkept, 1);
    let retired = db.garbage(at() + Duration::from_secs(1), 10).await.unwrap();
    assert_eq!(
        retired.iter().filter_map(|object| object.digest).collect::<Vec<_>>(),
        [Digest::sha256(b"let go of")]
    );
}

/// Builds the file that a dump is of.
async fn restore(dump: &'static str, path: &Path) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    // A dump has its tables in the order of their names.
    let mut connection = options.foreign_keys(false).connect().await.unwrap();
    sqlx::raw_sql(dump).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// Two days after the dump.
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(498_802 + 48)
}

const V1: &str = "sha256:facbc36eb004dc813a5136a4a36048eee07e18fea1e0a41a95f9ee0588a24d3a";
const SHA512: &str = "sha512:55e49423ebcf416e83dd4617cedb86fdae17b1d71229dfeb4198f27d49b1d8d75f615f34a351f15d5ed218b917fc14343316ad740f13767d2ca08a8d2b42529e";
const DOCKERS: [u8; 32] = [
    0x60, 0xcd, 0xdf, 0x9c, 0x60, 0x79, 0xe4, 0x49, 0xfe, 0x7b, 0xc9, 0x48, 0x2a, 0x9e, 0x2e, 0x2b,
    0x73, 0x48, 0x46, 0xfe, 0xfc, 0xe5, 0xca, 0x0e, 0xfe, 0x51, 0x46, 0x68, 0xe5, 0x13, 0xbb, 0x8b,
];
