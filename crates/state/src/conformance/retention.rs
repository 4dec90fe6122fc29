use portpass_protocol::{Digest, Reference};

use super::{at, digest, manifest, put, repository, tag};
use crate::{
    Child, Db, ManifestFacts, NewManifest, Pull, Pulled, PutManifest, Removal, Removed, RetiredTag,
    TagFacts,
};

pub(super) async fn what_rules_look_at_comes_in_pages(db: Db) {
    let name = repository("a");
    let child = put(&db, "a", "{\"child\":1}", &["b"], 1).await;
    let (other, absent) = (put(&db, "a", "{\"other\":1}", &[], 2).await, digest("absent"));
    let (index, children, tags) = (digest("{\"index\":1}"), [child, other], [tag("a"), tag("c")]);
    let new = NewManifest {
        children: &children,
        tags: &tags,
        subject: Some(&absent),
        ..manifest(&name, &index, "{\"index\":1}")
    };
    assert_eq!(db.put_manifest(&new, at(3)).await.unwrap(), PutManifest::Stored);
    put(&db, "b", "{\"elsewhere\":1}", &["a"], 0).await;
    let pull = |of, seconds| Pull { of, count: 1, last: at(seconds) };
    let pulls = [
        pull(Pulled::Tag(name.clone(), tag("b")), 7),
        pull(Pulled::Digest(name.clone(), index), 8),
    ];
    db.note_pulls(&pulls).await.unwrap();

    let tag = |text: &str, manifest, tagged, pulled: Option<u64>| TagFacts {
        name: tag(text),
        manifest,
        tagged_at: at(tagged),
        pulled_at: pulled.map(at),
    };
    let tags = [tag("a", index, 3, None), tag("b", child, 1, Some(7)), tag("c", index, 3, None)];
    assert_eq!(db.tag_facts(&name, None, 2).await.unwrap(), tags[..2]);
    assert_eq!(db.tag_facts(&name, Some(&tags[1].name), 2).await.unwrap(), tags[2..]);

    let facts = |digest, pushed, pulled: Option<u64>, subject, bytes: &str| ManifestFacts {
        digest,
        pushed_at: at(pushed),
        pulled_at: pulled.map(at),
        subject,
        size: bytes.len() as u64,
    };
    let mut all = [
        facts(child, 1, None, None, "{\"child\":1}"),
        facts(other, 2, None, None, "{\"other\":1}"),
        facts(index, 3, Some(8), Some(absent), "{\"index\":1}"),
    ];
    all.sort_by_key(|facts| facts.digest.to_string());
    assert_eq!(db.manifest_facts(&name, None, 2).await.unwrap(), all[..2]);
    assert_eq!(db.manifest_facts(&name, Some(&all[1].digest), 2).await.unwrap(), all[2..]);

    let mut held = children.map(|digest| Child { of: index, digest });
    held.sort_by_key(|child| child.digest.to_string());
    assert_eq!(db.children(&name, None, 1).await.unwrap(), held[..1]);
    assert_eq!(db.children(&name, Some(&held[0]), 9).await.unwrap(), held[1..]);
    assert!(db.children(&repository("b"), None, 9).await.unwrap().is_empty());
}

/// Pushes go on between what was read and what is removed.
pub(super) async fn what_was_pushed_again_meanwhile_stays(db: Db) {
    let name = repository("a");
    let (gone, moved) = (put(&db, "a", "{}", &["gone", "moved", "again"], 1).await, digest("{ }"));
    let fresh = put(&db, "a", "{  }", &[], 1).await;
    let removal = Removal {
        tags: ["gone", "moved", "again"].map(|text| retired(text, gone, 1, None)).to_vec(),
        manifests: vec![(gone, at(1)), (fresh, at(1)), (moved, at(1))],
    };
    assert_eq!(put(&db, "a", "{ }", &["moved"], 2).await, moved);
    put(&db, "a", "{}", &["again"], 2).await;
    put(&db, "a", "{  }", &[], 2).await;
    let removed = db.remove_retired(&name, &removal).await.unwrap();
    assert_eq!(removed, Removed { tags: vec![tag("gone")], manifests: Vec::new() });
    assert!(is_there(&db, &fresh).await && is_there(&db, &gone).await);

    let now = Removal {
        tags: vec![retired("again", gone, 2, None)],
        manifests: vec![(gone, at(2)), (fresh, at(2))],
    };
    let removed = db.remove_retired(&name, &now).await.unwrap();
    assert_eq!(removed, Removed { tags: vec![tag("again")], manifests: vec![gone, fresh] });
    assert!(!is_there(&db, &gone).await && is_there(&db, &moved).await);
    let nowhere = db.remove_retired(&repository("b"), &now).await.unwrap();
    assert_eq!(nowhere, Removed::default());
}

/// A signature under a tag of its own goes with what it signs, and stays with it.
pub(super) async fn a_tag_that_follows_a_subject_goes_behind_it(db: Db) {
    let name = repository("a");
    let (image, signature) = (digest("{}"), digest("{ }"));
    let removal = Removal {
        tags: vec![retired("old", image, 1, None), retired("sig", signature, 1, Some(image))],
        manifests: vec![(image, at(1)), (signature, at(1))],
    };
    put(&db, "a", "{}", &["old"], 1).await;
    put(&db, "a", "{ }", &["sig"], 1).await;
    let named = retired("new", image, 2, None);
    put(&db, "a", "{}", &["new"], 2).await;
    let removed = db.remove_retired(&name, &removal).await.unwrap();
    assert_eq!(removed, Removed { tags: vec![tag("old")], manifests: Vec::new() });
    assert!(is_there(&db, &signature).await);

    let manifests = vec![(image, at(2)), (signature, at(1))];
    let tags = vec![retired("sig", signature, 1, Some(image)), named];
    let removed = db.remove_retired(&name, &Removal { tags, manifests }).await.unwrap();
    let tags = vec![tag("new"), tag("sig")];
    assert_eq!(removed, Removed { tags, manifests: vec![image, signature] });

    // The manifest of the tag stays for another's sake; the tag goes all the same.
    put(&db, "a", "{}", &[], 3).await;
    put(&db, "a", "{ }", &["sig", "kept"], 3).await;
    let tags = vec![retired("sig", signature, 3, Some(image))];
    let removal = Removal { tags, manifests: vec![(image, at(3))] };
    let removed = db.remove_retired(&name, &removal).await.unwrap();
    assert_eq!(removed, Removed { tags: vec![tag("sig")], manifests: vec![image] });
    assert!(is_there(&db, &signature).await);
}

fn retired(name: &str, manifest: Digest, seconds: u64, subject: Option<Digest>) -> RetiredTag {
    RetiredTag { name: tag(name), manifest, tagged_at: at(seconds), subject }
}

async fn is_there(db: &Db, digest: &Digest) -> bool {
    db.manifest(&repository("a"), &Reference::Digest(*digest)).await.unwrap().is_some()
}
