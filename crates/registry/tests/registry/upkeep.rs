//! What a registry clears away by itself, and what it leaves alone.

use std::time::Duration;

use http::{Method, StatusCode};
use portpass_protocol::Digest;
use portpass_registry::{
    gc::GcSettings,
    upkeep::{StoreComparison, Sweep, Upkeep},
};
use portpass_storage::{BodyStream, Swept};

use crate::harness::{Halted, Harness, Wire, on_both_stores, request};

on_both_stores![
    a_session_that_nobody_went_on_with_for_a_day_is_purged,
    a_session_that_is_written_to_is_not_abandoned,
    a_repository_that_holds_nothing_leaves_the_catalog,
    what_rows_name_survives_a_sweep,
    what_no_row_names_does_not,
    a_store_of_somebody_else_is_left_alone,
    a_small_store_of_somebody_else_is_left_alone_too,
    a_store_belongs_to_the_rows_that_name_its_objects,
    many_abandoned_sessions_are_purged_in_one_round,
];

const HOUR: Duration = Duration::from_hours(1);
const NOTHING: Upkeep = Upkeep { purged_uploads: 0, removed_repositories: 0 };

async fn upkeep(registry: &Harness) -> Upkeep {
    registry.registry.upkeep(registry.now()).await.unwrap()
}

async fn sweep(registry: &Harness) -> Swept {
    match registry.registry.sweep(registry.now()).await.unwrap() {
        Sweep::Done(swept) => swept,
        other => panic!("{other:?}"),
    }
}

/// DX7
async fn a_session_that_nobody_went_on_with_for_a_day_is_purged(registry: Harness) {
    let abandoned = registry.session("team/app").await;
    registry.patch(&abandoned, "hello").await;
    registry.patch(&abandoned, "hello").await;
    registry.clock.advance(HOUR);
    let going_on = registry.session("team/app").await;
    registry.clock.advance(23 * HOUR);
    assert_eq!(upkeep(&registry).await, NOTHING);
    registry.patch(&going_on, "hello").await;
    registry.clock.advance(HOUR);
    assert_eq!(upkeep(&registry).await, Upkeep { purged_uploads: 1, ..NOTHING });
    assert_eq!(registry.get(&abandoned).await.status, StatusCode::NOT_FOUND);
    assert_eq!(registry.objects().await.len(), 1);
    let created = registry.put(&going_on, &Digest::sha256(b"hello"), "").await;
    assert_eq!(created.status, StatusCode::CREATED);
}

async fn a_session_that_is_written_to_is_not_abandoned(registry: Harness) {
    let session = registry.session("team/app").await;
    let (wire, body) = Wire::new();
    registry.clock.advance(25 * HOUR);
    let writer = tokio::spawn(registry.answer(request(Method::PATCH, &session, [], body)));
    wire.send("hello").await;
    wire.taken().await;
    assert_eq!(upkeep(&registry).await, NOTHING);
    drop(wire);
    assert_eq!(writer.await.unwrap().status(), StatusCode::ACCEPTED);
}

async fn a_repository_that_holds_nothing_leaves_the_catalog(registry: Harness) {
    let path = registry.blob("team/gone", b"hello").await;
    registry.blob("team/held", b"hello").await;
    registry.delete(&path).await;
    registry.clock.advance(HOUR);
    assert_eq!(upkeep(&registry).await, NOTHING);
    registry.clock.advance(Duration::from_secs(1));
    assert_eq!(upkeep(&registry).await, Upkeep { removed_repositories: 1, ..NOTHING });
    let catalog = registry.get("/v2/_catalog").await;
    assert_eq!(catalog.body, "{\"repositories\":[\"team/held\"]}\n");
    assert_eq!(registry.get("/v2/team/gone/tags/list").await.status, StatusCode::NOT_FOUND);
    registry.blob("team/gone", b"hello").await;
    assert_eq!(registry.get(&path).await.body, "hello");
}

async fn what_rows_name_survives_a_sweep(registry: Harness) {
    let blob = registry.blob("team/app", b"blob").await;
    let retired = registry.blob("team/app", b"retired").await;
    registry.delete(&retired).await;
    let session = registry.session("team/app").await;
    registry.patch(&session, "ses").await;
    registry.patch(&session, "sion").await;
    registry.clock.advance(2 * HOUR);
    let objects = registry.objects().await.len() as u64;
    let settings = GcSettings { grace: HOUR, untagged: None };
    let collected = registry.collector(settings).collect(registry.now()).await.unwrap();
    assert_eq!(collected.retired, 1);
    registry.clock.advance(23 * HOUR);
    assert_eq!(sweep(&registry).await, Swept { live: objects, ..Swept::default() });
    assert_eq!(registry.get(&blob).await.body, "blob");
    let created = registry.put(&session, &Digest::sha256(b"session"), "").await;
    assert_eq!(created.status, StatusCode::CREATED);
}

async fn what_no_row_names_does_not(registry: Harness) {
    let blob = registry.blob("team/app", b"blob").await;
    orphan(&registry, "orphan").await;
    registry.clock.advance(23 * HOUR);
    assert_eq!(registry.registry.sweep(registry.now()).await.unwrap(), Sweep::TooEarly);
    registry.clock.advance(2 * HOUR);
    let swept = sweep(&registry).await;
    assert_eq!(swept, Swept { removed: 1, bytes: 6, live: 1, ..Swept::default() });
    assert_eq!(registry.get(&blob).await.body, "blob");
}

/// A database that names none of the objects has no business with them.
async fn a_store_of_somebody_else_is_left_alone(registry: Harness) {
    registry.registry.sweep(registry.now()).await.unwrap();
    registry.blob("team/app", b"ours").await;
    for number in 0..120 {
        orphan(&registry, &format!("theirs {number}")).await;
    }
    registry.clock.advance(25 * HOUR);
    let swept = registry.registry.sweep(registry.now()).await.unwrap();
    let Sweep::TooManyUnknown(seen) = swept else { panic!("{swept:?}") };
    assert_eq!((seen.unknown, seen.objects()), (120, 121));
    assert_eq!(registry.objects().await.len(), 121, "all of them stay");
}

/// What was there before the database took the store is not what its server left.
async fn a_small_store_of_somebody_else_is_left_alone_too(registry: Harness) {
    registry.blob("team/app", b"ours").await;
    orphan(&registry, "theirs").await;
    registry.clock.advance(HOUR);
    registry.db.serving_anew(registry.now()).await.unwrap();
    registry.clock.advance(23 * HOUR);
    assert_eq!(registry.registry.sweep(registry.now()).await.unwrap(), Sweep::TooEarly);
    registry.clock.advance(2 * HOUR);
    let swept = registry.registry.sweep(registry.now()).await.unwrap();
    let Sweep::TooManyUnknown(seen) = swept else { panic!("{swept:?}") };
    assert_eq!((seen.unknown, seen.earlier, seen.objects()), (1, 1, 2));
    for number in 0..10 {
        registry.blob("team/app", format!("ours {number}").as_bytes()).await;
    }
    registry.clock.advance(25 * HOUR);
    assert_eq!(sweep(&registry).await.removed, 1, "less than a tenth");
}

async fn a_store_belongs_to_the_rows_that_name_its_objects(registry: Harness) {
    let fit = async || StoreComparison::of(&registry.db, &*registry.store).await.unwrap();
    assert!(fit().await.is_match(), "nothing and nothing");
    orphan(&registry, "theirs").await;
    assert!(!fit().await.is_match(), "objects and no rows");
    registry.blob("team/app", b"ours").await;
    let session = registry.session("team/app").await;
    registry.patch(&session, "session").await;
    let fits = fit().await;
    assert_eq!(fits, StoreComparison { blobs: 1, missing: 0, objects: 3, unknown: 1 });
    assert!(fits.is_match(), "rows of a backup know less than the store has");
    for object in registry.objects().await {
        registry.store.delete(&object.location).await.unwrap();
    }
    let lost = fit().await;
    assert_eq!(lost, StoreComparison { blobs: 1, missing: 1, ..StoreComparison::default() });
    assert!(!lost.is_match(), "a volume that is not mounted");
}

/// What a process leaves that died between writing an object and writing its row.
async fn orphan(registry: &Harness, bytes: &str) {
    let upload = registry.store.begin(Digest::sha256(b"").algorithm()).await.unwrap();
    let body: BodyStream = Box::pin(futures_util::stream::iter([Ok(bytes.to_owned().into())]));
    registry.store.append(upload, body).await.unwrap();
}

async fn many_abandoned_sessions_are_purged_in_one_round(registry: Harness) {
    for _ in 0..205 {
        registry.session("team/app").await;
    }
    registry.clock.advance(25 * HOUR);
    assert_eq!(upkeep(&registry).await, Upkeep { purged_uploads: 205, ..NOTHING });
    assert_eq!(upkeep(&registry).await, NOTHING);
}

/// At start, and on a timer.
#[tokio::test]
async fn upkeep_runs_at_once_and_again_every_hour() {
    let registry = Harness::in_memory().await;
    let _halted = Halted::time();
    let first = registry.session("team/app").await;
    registry.clock.advance(25 * HOUR);
    let running = tokio::spawn(registry.registry.clone().run_upkeep());
    let gone = async |session: &str| {
        // A timer that is due now fires with the next millisecond.
        tokio::time::advance(Duration::from_millis(1)).await;
        registry.get(session).await.status == StatusCode::NOT_FOUND
    };
    registry.until(async || gone(&first).await).await;

    let second = registry.session("team/app").await;
    registry.clock.advance(25 * HOUR);
    tokio::time::advance(HOUR).await;
    registry.until(async || gone(&second).await).await;
    running.abort();
}
