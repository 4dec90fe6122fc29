//! What was pulled.

use portpass_protocol::Digest;

use super::{at, digest, put, repository, tag};
use crate::{Db, ManifestPulls, Pull, PullCount, Pulled, TagPulls};

fn of_tag(name: &str) -> Pulled {
    Pulled::Tag(repository("team/app"), tag(name))
}

fn of_digest(content: &str) -> Pulled {
    Pulled::Digest(repository("team/app"), digest(content))
}

fn pull(of: Pulled, count: u64, seconds: u64) -> Pull {
    Pull { of, count, last: at(seconds) }
}

pub(super) async fn pulls_add_up_and_no_time_moves_back(db: Db) {
    put(&db, "team/app", "one", &["v1", "v2"], 0).await;
    assert_eq!(db.last_pulled(&of_tag("v1")).await.unwrap(), None);
    let noted = [pull(of_tag("v1"), 2, 10), pull(of_digest("one"), 3, 11)];
    db.note_pulls(&noted).await.unwrap();
    db.note_pulls(&[pull(of_tag("v1"), 1, 5), pull(of_digest("one"), 1, 20)]).await.unwrap();
    let counted = |pulls, seconds| Some(PullCount { pulls, last: at(seconds) });
    assert_eq!(db.last_pulled(&of_tag("v1")).await.unwrap(), counted(3, 10));
    assert_eq!(db.last_pulled(&of_digest("one")).await.unwrap(), counted(4, 20));
    assert_eq!(db.last_pulled(&of_tag("v2")).await.unwrap(), None);
    let other = Pulled::Tag(repository("team/other"), tag("v1"));
    assert_eq!(db.last_pulled(&other).await.unwrap(), None);
}

pub(super) async fn pulls_of_what_is_gone_are_forgotten(db: Db) {
    put(&db, "team/app", "one", &["v1"], 0).await;
    let gone = [pull(of_tag("v9"), 1, 1), pull(of_digest("nine"), 1, 1)];
    db.note_pulls(&gone).await.unwrap();
    let noted = [pull(of_tag("v1"), 1, 1), pull(of_digest("one"), 1, 1)];
    db.note_pulls(&noted).await.unwrap();
    let _ = db.delete_tag(&repository("team/app"), &tag("v1")).await.unwrap();
    put(&db, "team/app", "one", &["v1"], 2).await;
    assert_eq!(db.last_pulled(&of_tag("v1")).await.unwrap(), None, "it is another tag");
    assert!(db.last_pulled(&of_digest("one")).await.unwrap().is_some());
    let _ = db.delete_manifest(&repository("team/app"), &digest("one")).await.unwrap();
    assert_eq!(db.last_pulled(&of_digest("one")).await.unwrap(), None);
}

/// Where a tag is moved, its name is pulled on.
pub(super) async fn a_tag_that_moves_keeps_its_pulls(db: Db) {
    put(&db, "team/app", "one", &["v1"], 0).await;
    db.note_pulls(&[pull(of_tag("v1"), 7, 1)]).await.unwrap();
    put(&db, "team/app", "two", &["v1"], 2).await;
    let pulls = db.last_pulled(&of_tag("v1")).await.unwrap();
    assert_eq!(pulls, Some(PullCount { pulls: 7, last: at(1) }));
    put(&db, "team/app", "two", &["v1"], 3).await;
    assert_eq!(db.last_pulled(&of_tag("v1")).await.unwrap(), pulls);
}

pub(super) async fn pulls_are_listed_page_by_page_with_what_never_was(db: Db) {
    let name = repository("team/app");
    put(&db, "team/app", "one", &["a", "b"], 0).await;
    put(&db, "team/app", "two", &["c"], 0).await;
    let many: Vec<_> = (0..150).map(|second| pull(of_tag("b"), 1, second)).collect();
    db.note_pulls(&many).await.unwrap();
    let page = db.tag_pulls(&name, None, 2).await.unwrap();
    let counted = Some(PullCount { pulls: 150, last: at(149) });
    let of =
        |name: &str, content, pulls| TagPulls { tag: tag(name), digest: digest(content), pulls };
    assert_eq!(page.items, [of("a", "one", None), of("b", "one", counted)]);
    assert!(page.more);
    let rest = db.tag_pulls(&name, Some("b"), 2).await.unwrap();
    assert_eq!((rest.items, rest.more), (vec![of("c", "two", None)], false));

    db.note_pulls(&[pull(of_digest("two"), 2, 3)]).await.unwrap();
    let mut digests = [digest("one"), digest("two")];
    digests.sort();
    let first = db.manifest_pulls(&name, None, 1).await.unwrap();
    let second = db.manifest_pulls(&name, Some(&digests[0]), 1).await.unwrap();
    assert_eq!((first.more, second.more), (true, false));
    let pulls = |content: &Digest| {
        (*content == digest("two")).then_some(PullCount { pulls: 2, last: at(3) })
    };
    let both: Vec<_> = first.items.into_iter().chain(second.items).collect();
    let expected = digests.map(|digest| ManifestPulls { digest, pulls: pulls(&digest) });
    assert_eq!(both, expected);
    assert!(db.tag_pulls(&repository("team/other"), None, 9).await.unwrap().items.is_empty());
}
