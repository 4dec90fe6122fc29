//! The queue of what others are told.

use portpass_protocol::RepositoryName;

use super::{at, digest, put, repository, tag};
use crate::{
    Announced, Announcer, BlobCommit, Change, Committed, Db, EventEndpoint, EventId, Mounted,
    NewEvent, QueuedEvent, Removal, RetiredTag,
};

/// Every event is told in a few words.
fn announcer() -> Announcer {
    Announcer::new(|repository: &RepositoryName, what: Announced<'_>| {
        let told = match what {
            Announced::ManifestPut { tags, .. } => format!("put {tags:?}"),
            Announced::ManifestDeleted { tags, .. } => format!("deleted {tags:?}"),
            Announced::TagDeleted(tag) => format!("deleted {tag}"),
            Announced::BlobCommitted { size, .. } => format!("committed {size}"),
            Announced::BlobMounted { from, size, .. } => format!("mounted {size} of {from}"),
            Announced::BlobDeleted(_) => "deleted a blob".to_owned(),
        };
        vec![event(repository.as_str(), &told)]
    })
}

fn event(name: &str, told: &str) -> NewEvent {
    NewEvent {
        id: EventId::from_random([7; 16]),
        at: at(1),
        action: "push",
        repository: repository(name),
        media_type: "text/plain".to_owned(),
        document: told.to_owned(),
    }
}

async fn documents(db: &Db, after: i64) -> Vec<String> {
    let events = db.events_after(after, 99).await.unwrap();
    events.into_iter().map(|event| event.document).collect()
}

pub(super) async fn what_is_done_is_told_and_what_is_not_done_is_not(db: Db) {
    let quiet = db.clone();
    let db = db.announcing(announcer());
    let (app, other, blob) = (repository("team/app"), repository("team/other"), digest("blob"));
    let commit = BlobCommit {
        repository: &app,
        digest: &blob,
        location: "a",
        size: 4,
        media_type: "text/plain",
        upload: None,
    };
    assert_eq!(db.commit_blob(&commit, at(1)).await.unwrap(), Committed::Stored);
    assert!(matches!(
        db.mount_blob(&app, &other, &blob, at(1)).await.unwrap(),
        Mounted::Mounted(_)
    ));
    let nothing = db.mount_blob(&app, &other, &digest("none"), at(1)).await.unwrap();
    assert_eq!(nothing, Mounted::NotAMember);
    put(&db, "team/app", "one", &["v1", "v2"], 1).await;
    put(&quiet, "team/app", "two", &["v3"], 1).await;
    let _ = db.delete_tag(&app, &tag("v1")).await.unwrap();
    let _ = db.delete_tag(&app, &tag("v1")).await.unwrap();
    let _ = db.delete_manifest(&app, &digest("one")).await.unwrap();
    let _ = db.delete_manifest(&app, &digest("one")).await.unwrap();
    assert_eq!(db.delete_blob(&other, &blob, at(2)).await.unwrap(), Change::Done);
    assert_eq!(db.delete_blob(&other, &blob, at(2)).await.unwrap(), Change::Unknown);
    let old = put(&quiet, "team/app", "three", &["v4"], 3).await;
    let (name, tagged_at) = (tag("v4"), at(3));
    let tags = vec![RetiredTag { name, manifest: old, tagged_at, subject: None }];
    let removal = Removal { tags, manifests: vec![(old, at(3))] };
    for _ in 0..2 {
        let _ = db.remove_retired(&app, &removal).await.unwrap();
    }
    let told = documents(&db, 0).await;
    let expected = [
        "committed 4",
        "mounted 4 of team/app",
        "put [Tag(v1), Tag(v2)]",
        "deleted v1",
        "deleted [Tag(v2)]",
        "deleted a blob",
        "deleted v4",
        "deleted []",
    ];
    assert_eq!(told, expected);
}

pub(super) async fn an_endpoint_goes_on_from_where_it_is(db: Db) {
    db.append_events(&[]).await.unwrap();
    db.append_events(&[event("a/b", "before")]).await.unwrap();
    let new = db.event_endpoint("here").await.unwrap();
    let expected = EventEndpoint {
        name: "here".to_owned(),
        delivered: 1,
        lost: 0,
        failures: 0,
        failure: None,
    };
    assert_eq!(new, expected);
    db.append_events(&[event("a/b", "one"), event("a/b", "two")]).await.unwrap();
    assert_eq!(documents(&db, new.delivered).await, ["one", "two"]);
    let page = db.events_after(0, 2).await.unwrap();
    assert_eq!(page.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);

    let failing = EventEndpoint {
        delivered: 2,
        lost: 3,
        failures: 4,
        failure: Some("it said 500".to_owned()),
        ..new
    };
    db.save_event_endpoint(&failing).await.unwrap();
    assert_eq!(db.event_endpoint("here").await.unwrap(), failing);
    db.event_endpoint("also").await.unwrap();
    let all = db.event_endpoints().await.unwrap();
    assert_eq!(all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["also", "here"]);
    db.remove_event_endpoint("here").await.unwrap();
    assert_eq!(db.event_endpoint("here").await.unwrap().delivered, 3, "from now on");
}

pub(super) async fn an_event_is_told_once_more_where_it_is_still_there(db: Db) {
    db.event_endpoint("here").await.unwrap();
    db.append_events(&[event("a/b", "one"), event("a/b", "two")]).await.unwrap();
    assert_eq!(db.redeliver("nowhere", 1).await.unwrap(), Change::Unknown);
    assert_eq!(db.redeliver("here", 9).await.unwrap(), Change::Unknown);
    for sequence in [2, 1, 2] {
        assert_eq!(db.redeliver("here", sequence).await.unwrap(), Change::Done);
    }
    assert_eq!(db.redeliveries("here", 9).await.unwrap(), [1, 2]);
    db.redelivered("here", 1).await.unwrap();
    assert_eq!(db.redeliveries("here", 9).await.unwrap(), [2]);
    let QueuedEvent { sequence, document, .. } = db.event(2).await.unwrap().unwrap();
    assert_eq!((sequence, document.as_str()), (2, "two"));
    db.remove_event_endpoint("here").await.unwrap();
    assert!(db.redeliveries("here", 9).await.unwrap().is_empty());
}

pub(super) async fn the_oldest_events_go_and_places_are_not_given_again(db: Db) {
    assert_eq!(db.event_bounds().await.unwrap(), (1, 0));
    db.append_events(&[event("a/b", "one"), event("a/b", "two")]).await.unwrap();
    assert_eq!(db.event_bounds().await.unwrap(), (1, 2));
    assert_eq!(db.remove_events(1).await.unwrap(), 1);
    assert_eq!(db.event_bounds().await.unwrap(), (2, 2));
    assert_eq!(db.remove_events(2).await.unwrap(), 1);
    assert_eq!(db.event_bounds().await.unwrap(), (3, 2));
    assert_eq!(db.event(2).await.unwrap(), None);
    db.append_events(&[event("a/b", "three")]).await.unwrap();
    assert_eq!(db.event_bounds().await.unwrap(), (3, 3));
}
