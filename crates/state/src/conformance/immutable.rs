use portpass_protocol::{Digest, Reference};

use super::{at, digest, manifest, put, repository, tag};
use crate::{Db, Deletion, NewManifest, PutManifest};

pub(super) async fn a_tag_that_must_not_move_names_what_it_named(db: Db) {
    let first = put(&db, "a", "{}", &["v1", "latest"], 0).await;
    let (name, other) = (repository("a"), digest("{ }"));
    let tags = [tag("latest"), tag("v1"), tag("v2")];
    let immutable = [tag("v1"), tag("v2")];
    let new = NewManifest { tags: &tags, immutable: &immutable, ..manifest(&name, &other, "{ }") };
    let refused = PutManifest::Immutable { tag: tag("v1"), digest: first };
    assert_eq!(db.put_manifest(&new, at(1)).await.unwrap(), refused);
    for (reference, there) in [("latest", Some(first)), ("v1", Some(first)), ("v2", None)] {
        assert_eq!(named(&db, reference).await, there, "{reference}");
    }
    assert!(db.manifest(&name, &Reference::Digest(other)).await.unwrap().is_none());

    // The same again, and a tag that is new, are no move.
    let again = NewManifest { tags: &tags, immutable: &immutable, ..manifest(&name, &first, "{}") };
    assert_eq!(db.put_manifest(&again, at(2)).await.unwrap(), PutManifest::Stored);
    assert_eq!(named(&db, "v2").await, Some(first));
}

pub(super) async fn a_manifest_stays_with_a_tag_that_must_stay(db: Db) {
    let of = put(&db, "a", "{}", &["latest", "v1"], 0).await;
    let name = repository("a");
    let kept = db.delete_manifest_unless(&name, &of, |tag| tag.as_str() == "v1").await.unwrap();
    assert_eq!(kept, Deletion::Kept { tag: tag("v1") });
    assert_eq!(named(&db, "latest").await, Some(of));
    let gone = db.delete_manifest_unless(&name, &of, |tag| tag.as_str() == "v2").await.unwrap();
    assert_eq!(gone, Deletion::Deleted { tags: vec![tag("latest"), tag("v1")] });
}

async fn named(db: &Db, reference: &str) -> Option<Digest> {
    let found = db.manifest(&repository("a"), &Reference::Tag(tag(reference))).await.unwrap();
    found.map(|manifest| manifest.digest)
}
