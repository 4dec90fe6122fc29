//! What is measured.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{
    AbsentChildren, AccountKey, AuditRecord, BlobCommit, Change, Committed, Db, Deletion,
    NewManifest, NewRefreshToken, OrphanAge, PutManifest, RefreshId, TokenAddition, TokenHash,
    Touch,
};

/// One kind of work.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// What there is more or less of.
    pub(crate) beside: &'static str,
    pub(crate) run: for<'a> fn(&'a Db) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
}

pub(crate) const WORK: &[Work] = &[
    Work {
        name: "login that gives a refresh token, and its first use",
        beside: "earlier logins of the same account and client",
        run: |db| Box::pin(log_in(db)),
    },
    Work {
        name: "`session list ACCOUNT`",
        beside: "sessions of other accounts",
        run: |db| Box::pin(list_sessions(db)),
    },
    Work {
        name: "`?artifactType=` of referrers, all ten",
        beside: "referrers of other types",
        run: |db| Box::pin(list_referrers(db, Some("wanted"), 10)),
    },
    Work {
        name: "referrers, the first ten",
        beside: "referrers",
        run: |db| Box::pin(list_referrers(db, None, 10)),
    },
    Work {
        name: "catalog, a page of 100",
        beside: "repositories",
        run: |db| Box::pin(list_repositories(db)),
    },
    Work {
        name: "tags, a page of 100",
        beside: "tags of the same repository",
        run: |db| Box::pin(list_tags(db)),
    },
    Work {
        name: "push of a blob and a manifest, and their deletion",
        beside: "blobs and manifests of the same repository",
        run: |db| Box::pin(push(db)),
    },
    Work {
        name: "upkeep with nothing to do",
        beside: "repositories, blobs, uploads and sessions",
        run: |db| Box::pin(sweep(db)),
    },
    Work {
        name: "audit, one record",
        beside: "records",
        run: |db| Box::pin(async { db.append_audit(&[record()]).await.unwrap() }),
    },
    Work {
        name: "audit, the latest 100",
        beside: "records",
        run: |db| Box::pin(async { assert_eq!(db.latest_audit(100).await.unwrap().len(), 100) }),
    },
];

/// A login of an account that logs in all the time, and now and then pulls.
pub(crate) async fn log_in(db: &Db) {
    let number = next();
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let id = RefreshId::from_random(bits(number));
    let token = NewRefreshToken {
        id,
        hash: TokenHash(hash),
        account: AccountKey { source: "ldap".to_owned(), id: "robot".to_owned() },
        account_name: "robot".to_owned(),
        credential_version: "1".to_owned(),
        service: "registry".to_owned(),
        client: "docker".to_owned(),
        ceiling: None,
        expires_at: now() + 2 * DAY,
        idle_until: now() + DAY,
    };
    let kept = db.add_refresh_token(&token, now(), &record()).await.unwrap();
    assert!(matches!(kept, TokenAddition::Added(_)));
    let touched = db.touch_refresh_token(id, now(), now() + DAY, &record()).await.unwrap();
    assert_eq!(touched, Touch::Used);
}

async fn list_sessions(db: &Db) {
    assert!(db.refresh_tokens(Some("account7".into()), now()).await.unwrap().len() == 1);
}

async fn list_referrers(db: &Db, artifact_type: Option<&str>, number: usize) {
    let mut subject = *b"made0000000000000000000000000000";
    subject[31] = b'0';
    let subject = Digest::Sha256(subject);
    let page = db.referrers(&large(), &subject, artifact_type, None, number).await.unwrap();
    assert_eq!(page.items.len(), number);
}

async fn list_repositories(db: &Db) {
    assert_eq!(db.catalog(Some("r00000100"), 100).await.unwrap().items.len(), 100);
}

async fn list_tags(db: &Db) {
    let page = db.tags(&large(), Some("t00000100"), 100).await.unwrap().unwrap();
    assert_eq!(page.items.len(), 100);
}

async fn push(db: &Db) {
    let (name, number) = (large(), next());
    let bytes = format!("{{\"number\":{number}}}");
    let [blob, manifest] = [b'b', b'm'].map(|kind| {
        let mut content = number.to_be_bytes().to_vec();
        content.push(kind);
        Digest::sha256(&content)
    });
    let commit = BlobCommit {
        repository: &name,
        digest: &blob,
        location: &format!("pushed/{number}"),
        size: 1,
        media_type: "application/octet-stream",
        upload: None,
    };
    assert_eq!(db.commit_blob(&commit, now()).await.unwrap(), Committed::Stored);
    let new = NewManifest {
        repository: &name,
        digest: &manifest,
        media_type: "application/vnd.oci.image.manifest.v1+json",
        bytes: bytes.as_bytes(),
        blobs: &[blob],
        children: &[],
        absent_children: AbsentChildren::Refused,
        subject: None,
        artifact_type: None,
        annotations: None,
        tags: &["latest".parse().unwrap()],
        immutable: &[],
    };
    assert_eq!(db.put_manifest(&new, now()).await.unwrap(), PutManifest::Stored);
    let deleted = db.delete_manifest(&name, &manifest).await.unwrap();
    assert!(matches!(deleted, Deletion::Deleted { .. }));
    assert_eq!(db.delete_blob(&name, &blob, now()).await.unwrap(), Change::Done);
}

/// What the server does each hour, and a garbage collection would.
pub(crate) async fn sweep(db: &Db) {
    let before = now() - DAY;
    db.remove_empty_repositories(before).await.unwrap();
    let age = OrphanAge { orphaned_before: before, not_pulled_since: Some(before) };
    assert_eq!(db.find_orphans(before, 100).await.unwrap().unkept, 0);
    assert_eq!(db.condemn_orphans(age, now(), 100).await.unwrap().seen, 0);
    assert_eq!(db.remove_condemned(before, 100).await.unwrap().0.seen, 0);
    assert_eq!(db.mark_unlinked_blobs(before, 100).await.unwrap().unkept, 0);
    assert_eq!(db.remove_unlinked_blobs(before, now(), 100).await.unwrap().seen, 0);
    assert_eq!(db.retire_blobs(before, 100).await.unwrap().unkept, 0);
    assert!(db.take_abandoned_uploads(before, now(), 100).await.unwrap().is_empty());
    assert!(db.garbage(before, 100).await.unwrap().is_empty());
    db.prune_refresh_tokens(before - 30 * DAY, now()).await.unwrap();
}

fn record() -> AuditRecord {
    AuditRecord {
        at: now(),
        action: "measured".to_owned(),
        actor: Some("robot".to_owned()),
        object: None,
        address: None,
        request: None,
        detail: serde_json::json!({}),
    }
}

fn large() -> RepositoryName {
    "large".parse().unwrap()
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_800 * DAY
}

fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn bits(number: u64) -> [u8; 16] {
    let mut bits = [0xa5; 16];
    bits[..8].copy_from_slice(&number.to_be_bytes());
    bits
}

const DAY: Duration = Duration::from_hours(24);
