use std::sync::Arc;

use super::{at, commit, digest, manifest, put, repository};
use crate::{
    Begun, Committed, Db, Deletion, LeaseOwner, MAX_PAGE, Mounted, NewManifest, NewUpload, Page,
    PutManifest, UploadId,
};

pub(super) async fn an_upload_session_makes_no_repository(db: Db) {
    let name = repository("a/b");
    let id = UploadId::from_random([1; 16]);
    let upload = NewUpload { id, repository: &name, account: "", progress: b"" };
    assert_eq!(db.begin_upload(&upload, at(0)).await.unwrap(), Begun::Begun);
    let owner = LeaseOwner::from_random([2; 16]);
    let leased = db.lease_upload(&name, id, owner, at(9), at(1)).await.unwrap();
    assert!(matches!(leased, crate::Leased::Taken { .. }));
    assert!(!db.repository_exists(&name).await.unwrap());
    assert_eq!(db.tags(&name, None, 10).await.unwrap(), None);
    assert_eq!(db.catalog(None, 10).await.unwrap(), page(&[], false));
}

pub(super) async fn a_first_blob_mount_or_manifest_makes_a_repository(db: Db) {
    assert_eq!(commit(&db, "by/blob", "x", "o/1", 0).await, Committed::Stored);
    let mounted =
        db.mount_blob(&repository("by/blob"), &repository("by/mount"), &digest("x"), at(0)).await;
    assert!(matches!(mounted.unwrap(), Mounted::Mounted(_)));
    put(&db, "by/manifest", "{}", &[], 0).await;

    // What fails makes none.
    let name = repository("by/failure");
    let mounted = db.mount_blob(&repository("by/none"), &name, &digest("x"), at(0)).await;
    assert_eq!(mounted.unwrap(), Mounted::NotAMember);
    let (of, blobs) = (digest("{ }"), [digest("y")]);
    let refused = NewManifest { blobs: &blobs, ..manifest(&name, &of, "{ }") };
    let put = db.put_manifest(&refused, at(0)).await.unwrap();
    assert!(matches!(put, PutManifest::Missing(_)));

    let expected = page(&["by/blob", "by/manifest", "by/mount"], false);
    assert_eq!(db.catalog(None, 10).await.unwrap(), expected);
}

/// DX1
pub(super) async fn the_catalog_is_in_ascii_order_page_by_page(db: Db) {
    for name in ["b", "a/b", "a-b", "a", "a0", "a_b"] {
        put(&db, name, "{}", &[], 0).await;
    }
    // '-' < '/' < '0' < '_' in ASCII, whatever a language would say.
    let expected = page(&["a", "a-b", "a/b", "a0", "a_b", "b"], false);
    assert_eq!(db.catalog(None, 6).await.unwrap(), expected);
    assert_eq!(db.catalog(None, 2).await.unwrap(), page(&["a", "a-b"], true));
    assert_eq!(db.catalog(Some("a-b"), 2).await.unwrap(), page(&["a/b", "a0"], true));
    assert_eq!(db.catalog(Some("a/zzz"), 10).await.unwrap(), page(&["a0", "a_b", "b"], false));
    assert_eq!(db.catalog(Some("b"), 10).await.unwrap(), page(&[], false));
    assert_eq!(db.catalog(None, 0).await.unwrap(), page(&[], false));
}

/// OC21: `last` is exclusive and need not exist.
pub(super) async fn tags_are_in_ascii_order_page_by_page(db: Db) {
    put(&db, "a", "{}", &["latest", "1.0", "1.10", "V1", "_x", "1.2"], 0).await;
    put(&db, "b", "{}", &["other"], 0).await;
    let tags = async |last, limit| {
        db.tags(&repository("a"), last, limit).await.unwrap().map(Arc::unwrap_or_clone)
    };
    let all = ["1.0", "1.10", "1.2", "V1", "_x", "latest"];
    assert_eq!(tags(None, 100).await, Some(page(&all, false)));
    assert_eq!(tags(None, 6).await, Some(page(&all, false)), "a full page with nothing after it");
    assert_eq!(tags(None, 4).await, Some(page(&all[..4], true)));
    assert_eq!(tags(Some("V1"), 4).await, Some(page(&all[4..], false)));
    assert_eq!(tags(Some("1.1"), 1).await, Some(page(&["1.10"], true)));
    assert_eq!(tags(Some("zzz"), 4).await, Some(page(&[], false)));
    assert_eq!(tags(None, 0).await, Some(page(&[], false)));
}

/// OC21: an unknown repository is `NAME_UNKNOWN`, even for a page of none.
pub(super) async fn a_repository_without_tags_is_not_an_unknown_one(db: Db) {
    put(&db, "untagged", "{}", &[], 0).await;
    assert_eq!(commit(&db, "blobs", "x", "o/1", 0).await, Committed::Stored);
    put(&db, "deleted", "{}", &["t"], 0).await;
    let deletion = db.delete_manifest(&repository("deleted"), &digest("{}")).await.unwrap();
    assert!(matches!(deletion, Deletion::Deleted { .. }));
    for name in ["untagged", "blobs", "deleted"] {
        let tags = db.tags(&repository(name), None, 10).await.unwrap();
        assert_eq!(tags, Some(page(&[], false).into()), "{name}");
    }
    for limit in [0, 10] {
        assert_eq!(db.tags(&repository("none"), None, limit).await.unwrap(), None);
    }
}

/// `OC27b`: distribution answers 500 for `last=%00` and for one of 5 000 characters.
pub(super) async fn a_strange_last_is_only_a_place_in_the_order(db: Db) {
    put(&db, "m", "{}", &["m"], 0).await;
    let long = "n".repeat(5_000);
    for (last, follows) in [
        ("", true),
        ("\0", true),
        ("m\0", false),
        ("l\0z", true),
        ("' OR 1=1 --", true),
        ("é", false),
        ("\u{10ffff}", false),
        ("%", true),
        (long.as_str(), false),
    ] {
        let expected = if follows { page(&["m"], false) } else { page(&[], false) };
        let names = db.catalog(Some(last), 10).await.unwrap();
        assert_eq!(names, expected, "{last:?}");
        let tags = db.tags(&repository("m"), Some(last), 10).await.unwrap().unwrap();
        assert_eq!(tags.items.len(), usize::from(follows), "{last:?}");
    }
}

/// CVE-2023-2253
pub(super) async fn a_huge_page_is_cut(db: Db) {
    put(&db, "a", "{}", &["t"], 0).await;
    let names = db.catalog(None, usize::MAX).await.unwrap();
    assert_eq!(names, page(&["a"], false));
    assert!(names.items.capacity() <= MAX_PAGE);
    let tags = db.tags(&repository("a"), None, usize::MAX).await.unwrap();
    assert_eq!(tags, Some(page(&["t"], false).into()));
    let referrers = db.referrers(&repository("a"), &digest("x"), None, None, usize::MAX).await;
    assert!(referrers.unwrap().items.is_empty());
}

pub(super) async fn a_repository_goes_when_nothing_is_left_in_it(db: Db) {
    put(&db, "manifest", "{}", &["t"], 0).await;
    assert_eq!(commit(&db, "blob", "x", "o/1", 0).await, Committed::Stored);
    put(&db, "empty", "{}", &["t"], 0).await;
    put(&db, "young", "{}", &["t"], 50).await;
    for name in ["empty", "young"] {
        let deletion = db.delete_manifest(&repository(name), &digest("{}")).await.unwrap();
        assert!(matches!(deletion, Deletion::Deleted { .. }));
    }
    assert_eq!(db.remove_empty_repositories(at(50)).await.unwrap(), 1);
    let left = db.catalog(None, 10).await.unwrap();
    assert_eq!(left, page(&["blob", "manifest", "young"], false));
    assert_eq!(db.tags(&repository("empty"), None, 10).await.unwrap(), None);
}

fn page<T: std::str::FromStr<Err: std::fmt::Debug>>(items: &[&str], more: bool) -> Page<T> {
    Page { items: items.iter().map(|item| item.parse().unwrap()).collect(), more }
}
