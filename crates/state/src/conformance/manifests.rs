use portpass_protocol::{Digest, DigestAlgorithm, Reference, Tag};
use serde_json::json;

use super::{at, commit, digest, manifest, put, repository, tag};
use crate::{
    AbsentChildren, Committed, Db, Deletion, Manifest, Missing, NewManifest, Page, PutManifest,
    Referrer,
};

const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// OC4: the very bytes, and the media type as it was pushed.
pub(super) async fn a_manifest_is_read_by_tag_and_by_digest_as_it_was_put(db: Db) {
    let bytes = "{ \"schemaVersion\" : 2 }\n";
    let of = put(&db, "a", bytes, &["latest"], 0).await;
    let name = repository("a");
    for reference in [Reference::Tag(tag("latest")), Reference::Digest(of)] {
        let expected =
            Manifest { digest: of, media_type: MEDIA_TYPE.to_owned(), bytes: bytes.into() };
        assert_eq!(db.manifest(&name, &reference).await.unwrap(), Some(expected));
        assert_eq!(db.manifest(&repository("b"), &reference).await.unwrap(), None);
    }
    for unknown in [Reference::Tag(tag("other")), Reference::Digest(digest("x"))] {
        assert_eq!(db.manifest(&name, &unknown).await.unwrap(), None);
    }
}

/// OC20: a sha512 digest is returned as given.
pub(super) async fn digests_of_both_algorithms_are_kept_as_given(db: Db) {
    let name = repository("a");
    let long = Digest::of(DigestAlgorithm::Sha512, b"{}");
    let tags = [tag("t")];
    let new = NewManifest { tags: &tags, ..manifest(&name, &long, "{}") };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    let found = db.manifest(&name, &Reference::Tag(tag("t"))).await.unwrap().unwrap();
    assert_eq!(found.digest, long);
    let short = Reference::Digest(digest("{}"));
    assert_eq!(db.manifest(&name, &short).await.unwrap(), None);
}

/// OC16: an error for each missing item.
pub(super) async fn everything_missing_is_named_once_and_nothing_is_kept(db: Db) {
    assert_eq!(commit(&db, "a", "here", "o/1", 0).await, Committed::Stored);
    let child = put(&db, "a", "{\"child\":1}", &["child"], 0).await;
    let (name, of) = (repository("a"), digest("{}"));
    let blobs = [digest("z"), digest("here"), digest("y"), digest("z")];
    let children = [digest("no child"), child];
    let tags = [tag("t"), tag("child")];
    let new = NewManifest {
        blobs: &blobs,
        children: &children,
        tags: &tags,
        ..manifest(&name, &of, "{}")
    };
    let expected =
        Missing { blobs: vec![digest("z"), digest("y")], children: vec![digest("no child")] };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), PutManifest::Missing(expected));
    assert_eq!(db.manifest(&name, &Reference::Digest(of)).await.unwrap(), None);
    assert_eq!(db.manifest(&name, &Reference::Tag(tag("t"))).await.unwrap(), None);
    let moved = db.manifest(&name, &Reference::Tag(tag("child"))).await.unwrap().unwrap();
    assert_eq!(moved.digest, child, "a tag of a refused manifest stays where it was");
}

/// CVE-2026-35172, CVE-2024-39897: another repository's content is no one's but its own.
pub(super) async fn membership_is_of_this_repository_only(db: Db) {
    assert_eq!(commit(&db, "other", "layer", "o/1", 0).await, Committed::Stored);
    let child = put(&db, "other", "{\"child\":1}", &[], 0).await;
    let (name, of) = (repository("a"), digest("{}"));
    let (blobs, children) = ([digest("layer")], [child]);
    let new = NewManifest { blobs: &blobs, children: &children, ..manifest(&name, &of, "{}") };
    let expected = Missing { blobs: blobs.to_vec(), children: children.to_vec() };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), PutManifest::Missing(expected));
    // A blob is no manifest and a manifest no blob.
    let (name, blobs) = (repository("other"), [child]);
    let new = NewManifest { blobs: &blobs, ..manifest(&name, &of, "{}") };
    let expected = Missing { blobs: blobs.to_vec(), children: vec![] };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), PutManifest::Missing(expected));
}

pub(super) async fn hundreds_of_layers_are_checked_and_linked(db: Db) {
    const LAYERS: usize = 100;
    for number in 0..LAYERS {
        let (content, location) = (format!("layer {number}"), format!("o/{number}"));
        assert_eq!(commit(&db, "a", &content, &location, 0).await, Committed::Stored);
    }
    let (name, of) = (repository("a"), digest("{}"));
    let mut blobs: Vec<Digest> = (0..LAYERS).map(|n| digest(&format!("layer {n}"))).collect();
    blobs.insert(70, digest("absent"));
    let new = NewManifest { blobs: &blobs, ..manifest(&name, &of, "{}") };
    let expected = Missing { blobs: vec![digest("absent")], children: vec![] };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), PutManifest::Missing(expected));
    blobs.remove(70);
    let new = NewManifest { blobs: &blobs, ..manifest(&name, &of, "{}") };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), PutManifest::Stored);
    // Every one is linked: none is marked.
    assert_eq!(db.mark_unlinked_blobs(at(100), 1000).await.unwrap().unkept, 0);
}

/// OC16, OC18: the subject need not exist, then or later.
pub(super) async fn a_missing_subject_is_no_obstacle(db: Db) {
    let (name, of, subject) = (repository("a"), digest("{}"), digest("not there"));
    let new = NewManifest { subject: Some(&subject), ..manifest(&name, &of, "{}") };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    let listed = referrers(&db, &subject, None, None, 10).await;
    assert_eq!(listed.items.iter().map(|r| r.digest).collect::<Vec<_>>(), [of]);
}

pub(super) async fn a_tag_moves_to_the_manifest_put_last(db: Db) {
    let old = put(&db, "a", "{\"v\":1}", &["latest"], 0).await;
    let new = put(&db, "a", "{\"v\":2}", &["latest"], 1).await;
    let latest = Reference::Tag(tag("latest"));
    let head = db.manifest(&repository("a"), &latest).await.unwrap().unwrap();
    assert_eq!(head.digest, new);
    let by_digest = db.manifest(&repository("a"), &Reference::Digest(old)).await.unwrap();
    assert!(by_digest.is_some(), "the old manifest stays");
}

/// OC19
pub(super) async fn several_tags_are_set_at_once(db: Db) {
    let names: Vec<String> = (0..20).map(|number| format!("t{number:02}")).collect();
    let tags: Vec<&str> = names.iter().map(String::as_str).collect();
    put(&db, "a", "{}", &tags, 0).await;
    let page = db.tags(&repository("a"), None, 100).await.unwrap().unwrap();
    assert_eq!(page.items.iter().map(Tag::as_str).collect::<Vec<_>>(), tags);
}

pub(super) async fn the_same_manifest_may_be_put_again(db: Db) {
    let of = put(&db, "a", "{}", &["one"], 0).await;
    let (name, tags) = (repository("a"), [tag("two")]);
    let new = NewManifest { media_type: "x/y", tags: &tags, ..manifest(&name, &of, "{}") };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), PutManifest::Stored);
    for name in ["one", "two"] {
        let found = db.manifest(&repository("a"), &Reference::Tag(tag(name))).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.digest, found.media_type.as_str()), (of, "x/y"));
    }
}

/// OC22
pub(super) async fn deleting_by_digest_takes_its_tags_and_no_others(db: Db) {
    let of = put(&db, "a", "{}", &["b", "a"], 0).await;
    let other = put(&db, "a", "{ }", &["c"], 0).await;
    put(&db, "b", "{}", &["a"], 0).await;
    let deletion = db.delete_manifest(&repository("a"), &of).await.unwrap();
    assert_eq!(deletion, Deletion::Deleted { tags: vec![tag("a"), tag("b")] });
    assert_eq!(db.delete_manifest(&repository("a"), &of).await.unwrap(), Deletion::Unknown);
    assert_eq!(db.delete_manifest(&repository("none"), &of).await.unwrap(), Deletion::Unknown);
    for gone in [Reference::Tag(tag("a")), Reference::Tag(tag("b")), Reference::Digest(of)] {
        assert_eq!(db.manifest(&repository("a"), &gone).await.unwrap(), None);
    }
    let left = db.manifest(&repository("a"), &Reference::Tag(tag("c"))).await.unwrap();
    assert_eq!(left.unwrap().digest, other);
    let elsewhere = db.manifest(&repository("b"), &Reference::Tag(tag("a"))).await.unwrap();
    assert_eq!(elsewhere.unwrap().digest, of);
}

/// OC22
pub(super) async fn deleting_a_tag_leaves_the_manifest(db: Db) {
    let of = put(&db, "a", "{}", &["one", "two"], 0).await;
    put(&db, "b", "{}", &["one"], 0).await;
    let deletion = db.delete_tag(&repository("a"), &tag("one")).await.unwrap();
    assert_eq!(deletion, Deletion::Deleted { tags: vec![tag("one")] });
    let again = db.delete_tag(&repository("a"), &tag("one")).await.unwrap();
    assert_eq!(again, Deletion::Unknown);
    for left in [Reference::Tag(tag("two")), Reference::Digest(of)] {
        assert!(db.manifest(&repository("a"), &left).await.unwrap().is_some());
    }
    let elsewhere = db.manifest(&repository("b"), &Reference::Tag(tag("one"))).await.unwrap();
    assert!(elsewhere.is_some());
}

/// OC24
pub(super) async fn referrers_are_filtered_and_paged(db: Db) {
    let subject = put(&db, "a", "{}", &[], 0).await;
    let annotations = json!({"org.example": "1"});
    let mut expected = Vec::new();
    for number in 0..6 {
        let bytes = format!("{{\"n\":{number}}}");
        let artifact_type = (number > 0).then(|| format!("type/{}", number % 2));
        let annotations = (number == 3).then(|| annotations.as_object().unwrap());
        let of = digest(&bytes);
        let name = repository("a");
        let new = NewManifest {
            subject: Some(&subject),
            artifact_type: artifact_type.as_deref(),
            annotations,
            ..manifest(&name, &of, &bytes)
        };
        assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
        expected.push(Referrer {
            digest: of,
            media_type: MEDIA_TYPE.to_owned(),
            size: bytes.len() as u64,
            artifact_type,
            annotations: annotations.cloned(),
        });
    }
    expected.sort_by_key(|referrer| referrer.digest.to_string());

    assert_eq!(referrers(&db, &subject, None, None, 10).await, whole(&expected));
    let first = referrers(&db, &subject, None, None, 4).await;
    assert_eq!(first, Page { items: expected[..4].to_vec(), more: true });
    let last = Some(&expected[3].digest);
    assert_eq!(referrers(&db, &subject, None, last, 4).await, whole(&expected[4..]));

    let of_type = |wanted: &str| {
        expected.iter().filter(|r| r.artifact_type.as_deref() == Some(wanted)).cloned().collect()
    };
    let ones: Vec<Referrer> = of_type("type/1");
    assert_eq!(ones.len(), 3);
    assert_eq!(referrers(&db, &subject, Some("type/1"), None, 10).await, whole(&ones));
    assert_eq!(referrers(&db, &subject, Some("type"), None, 10).await, whole(&[]));
    assert_eq!(referrers(&db, &digest("unknown"), None, None, 10).await, whole(&[]));
    let elsewhere = db.referrers(&repository("b"), &subject, None, None, 10).await.unwrap();
    assert_eq!(elsewhere, whole(&[]));
}

/// However much its manifests say about themselves, a page is no burden to anybody.
pub(super) async fn a_page_of_referrers_is_bounded_in_bytes(db: Db) {
    let (name, subject) = (repository("a"), digest("subject"));
    let large = json!({"a": "x".repeat(1_500_000)});
    let kind = "t".repeat(1_500_000);
    let vast = json!({"a": "x".repeat(5_000_000)});
    let mut all = Vec::new();
    for number in 0..7 {
        let bytes = format!("{{\"n\":{number}}}");
        let of = digest(&bytes);
        let (artifact_type, annotations) = match number {
            0 => (None, &vast),
            1..=3 => (Some(&*kind), &json!({})),
            _ => (None, &large),
        };
        let new = NewManifest {
            subject: Some(&subject),
            artifact_type,
            annotations: annotations.as_object(),
            ..manifest(&name, &of, &bytes)
        };
        assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
        all.push(of);
    }
    all.sort_by_key(Digest::to_string);

    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page = referrers(&db, &subject, None, last.as_ref(), 10).await;
        let bytes = |referrer: &Referrer| serde_json::json!(referrer.annotations).to_string().len();
        let kinds = |referrer: &Referrer| referrer.artifact_type.as_deref().unwrap_or("").len();
        let total: usize =
            page.items.iter().map(|referrer| bytes(referrer) + kinds(referrer)).sum();
        assert!(total <= 4 * 1024 * 1024 || page.items.len() == 1, "{total} bytes");
        seen.extend(page.items.iter().map(|referrer| referrer.digest));
        last = seen.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, all);
    assert!(referrers(&db, &subject, None, None, 0).await.items.is_empty());
}

pub(super) async fn a_deleted_referrer_is_listed_no_more(db: Db) {
    let subject = put(&db, "a", "{}", &[], 0).await;
    let (name, of) = (repository("a"), digest("{ }"));
    let new = NewManifest { subject: Some(&subject), ..manifest(&name, &of, "{ }") };
    assert_eq!(db.put_manifest(&new, at(0)).await.unwrap(), PutManifest::Stored);
    let deletion = db.delete_manifest(&name, &subject).await.unwrap();
    assert!(matches!(deletion, Deletion::Deleted { .. }));
    assert_eq!(
        referrers(&db, &subject, None, None, 10).await.items.len(),
        1,
        "it outlives its subject"
    );
    let deletion = db.delete_manifest(&name, &of).await.unwrap();
    assert!(matches!(deletion, Deletion::Deleted { .. }));
    assert_eq!(referrers(&db, &subject, None, None, 10).await, whole(&[]));
}

async fn referrers(
    db: &Db,
    subject: &Digest,
    artifact_type: Option<&str>,
    last: Option<&Digest>,
    limit: usize,
) -> Page<Referrer> {
    db.referrers(&repository("a"), subject, artifact_type, last, limit).await.unwrap()
}

fn whole(items: &[Referrer]) -> Page<Referrer> {
    Page { items: items.to_vec(), more: false }
}

/// Nobody waits for what cannot be kept, and it waits for nobody.
#[tokio::test]
async fn a_long_list_that_is_not_there_is_refused_without_a_turn() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(&directory.path().join("state.db")).await.unwrap();
    let turn = db.write().await.unwrap();
    let (name, of) = (repository("a"), digest("{}"));
    let missing: Vec<Digest> = (0..100).map(|number| digest(&number.to_string())).collect();
    let (blobs, children) = (&missing[..50], &missing[50..]);
    let new = NewManifest { blobs, children, ..manifest(&name, &of, "{}") };
    let refused = db.put_manifest(&new, at(0)).await.unwrap();
    let expected = Missing { blobs: blobs.to_vec(), children: children.to_vec() };
    assert_eq!(refused, PutManifest::Missing(expected));
    turn.commit().await.unwrap();
}

pub(super) async fn an_index_may_come_before_what_it_names_where_that_is_allowed(db: Db) {
    let (name, of, child) = (repository("team/app"), digest("{}"), [digest("later")]);
    let missing = [digest("no blob")];
    let index = NewManifest {
        children: &child,
        absent_children: AbsentChildren::Allowed,
        ..manifest(&name, &of, "{}")
    };
    let put = db.put_manifest(&NewManifest { blobs: &missing, ..index }, at(0)).await.unwrap();
    let expected = Missing { blobs: missing.to_vec(), children: vec![] };
    assert_eq!(put, PutManifest::Missing(expected));
    assert_eq!(db.put_manifest(&index, at(0)).await.unwrap(), PutManifest::Stored);
    let refused = NewManifest { absent_children: AbsentChildren::Refused, ..index };
    let expected = Missing { blobs: vec![], children: child.to_vec() };
    assert_eq!(db.put_manifest(&refused, at(0)).await.unwrap(), PutManifest::Missing(expected));
}
