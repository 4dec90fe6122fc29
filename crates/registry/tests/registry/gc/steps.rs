//! What goes, when, and what is told of it.

use http::StatusCode;
use portpass_protocol::RepositoryChange;
use portpass_registry::gc::{
    Collected, GcSettings, UntaggedRule,
    forecast::{Doomed, DoomedKind, Why},
};

use super::{
    ALL, BLOBS, DAY, HOUR, MILLISECOND, collect, goods::Manifest, let_marks_count, let_requests_end,
};
use crate::harness::{Halted, Harness, on_both_stores};

on_both_stores![
    a_blob_that_no_repository_holds_goes_when_requests_have_ended,
    a_blob_that_no_manifest_links_to_goes_after_its_grace,
    a_deleted_manifest_takes_its_blobs_along_but_not_those_of_others,
    a_blob_that_is_pushed_again_between_the_steps_is_a_new_one,
    without_a_rule_no_manifest_goes,
    an_untagged_manifest_goes_by_rule_and_is_told_of,
    children_and_referrers_stay_as_long_as_what_they_belong_to,
    what_was_pulled_by_digest_stays_where_a_rule_says_so,
    a_forecast_says_what_goes_when_and_why,
    what_nothing_keeps_is_gone_after_its_grace_and_two_intervals,
    what_is_copied_stays_until_then,
    thousands_go_in_one_collection,
];

async fn a_blob_that_no_repository_holds_goes_when_requests_have_ended(registry: Harness) {
    let path = registry.blob("team/app", b"hello").await;
    let held = Manifest::image(&[b"held"], "", None);
    held.push(&registry, "team/app", Some("v1")).await;
    registry.delete(&path).await;
    assert_eq!(collect(&registry, BLOBS).await, Collected { retired: 1, ..Collected::default() });
    registry.clock.advance(BLOBS.hold());
    assert_eq!(collect(&registry, BLOBS).await, Collected::default());
    assert_eq!(registry.objects().await.len(), 2, "somebody may be about to open it");
    registry.clock.advance(MILLISECOND);
    let expected = Collected { objects: 1, bytes: 5, ..Collected::default() };
    assert_eq!(collect(&registry, BLOBS).await, expected);
    assert_eq!(registry.stored().await, 4);
    assert_eq!(registry.blob("team/app", b"hello").await, path);
    assert_eq!(registry.get(&path).await.body, "hello");
}

async fn a_blob_that_no_manifest_links_to_goes_after_its_grace(registry: Harness) {
    let path = registry.blob("team/app", b"hello").await;
    assert_eq!(collect(&registry, BLOBS).await, Collected { marked: 1, ..Collected::default() });
    registry.clock.advance(BLOBS.mark_age());
    assert_eq!(collect(&registry, BLOBS).await, Collected::default());
    registry.clock.advance(MILLISECOND);
    let gone = Collected { released: 1, retired: 1, ..Collected::default() };
    assert_eq!(collect(&registry, BLOBS).await, gone);
    assert_eq!(registry.get(&path).await.status, StatusCode::NOT_FOUND);
    let_requests_end(&registry);
    assert_eq!(collect(&registry, BLOBS).await.objects, 1);
    assert_eq!(registry.objects().await, []);
}

async fn a_deleted_manifest_takes_its_blobs_along_but_not_those_of_others(registry: Harness) {
    let one = Manifest::image(&[b"shared", b"alone"], "one", None);
    let other = Manifest::image(&[b"shared"], "other", None);
    one.push(&registry, "team/app", Some("one")).await;
    other.push(&registry, "team/app", Some("other")).await;
    one.push(&registry, "team/else", Some("one")).await;
    collect(&registry, BLOBS).await;
    registry.delete(&one.path("team/app")).await;
    assert_eq!(collect(&registry, BLOBS).await.marked, 1);
    let_marks_count(&registry);
    let let_go = collect(&registry, BLOBS).await;
    assert_eq!((let_go.released, let_go.retired), (1, 0), "another repository holds it");
    registry.delete(&one.path("team/else")).await;
    assert_eq!(collect(&registry, BLOBS).await.marked, 2);
    let_marks_count(&registry);
    assert_eq!(collect(&registry, BLOBS).await.retired, 1);
    let_requests_end(&registry);
    assert_eq!(collect(&registry, BLOBS).await.bytes, 5);
    assert_eq!(registry.stored().await, 6);
}

async fn a_blob_that_is_pushed_again_between_the_steps_is_a_new_one(registry: Harness) {
    let path = registry.blob("team/app", b"hello").await;
    registry.delete(&path).await;
    registry.blob("team/app", b"hello").await;
    assert_eq!(collect(&registry, BLOBS).await.retired, 0);

    registry.delete(&path).await;
    assert_eq!(collect(&registry, BLOBS).await.retired, 1);
    registry.blob("team/app", b"hello").await;
    let_requests_end(&registry);
    assert_eq!(collect(&registry, BLOBS).await.objects, 1);
    assert_eq!(registry.get(&path).await.body, "hello");
}

async fn without_a_rule_no_manifest_goes(registry: Harness) {
    let image = Manifest::image(&[b"layer"], "", None);
    image.push(&registry, "team/app", None).await;
    for _ in 0..5 {
        registry.clock.advance(100 * DAY);
        assert_eq!(collect(&registry, BLOBS).await, Collected::default());
    }
    assert_eq!(registry.get(&image.path("team/app")).await.status, StatusCode::OK);
}

async fn an_untagged_manifest_goes_by_rule_and_is_told_of(registry: Harness) {
    let image = Manifest::image(&[b"layer"], "", None);
    image.push(&registry, "team/app", Some("v1")).await;
    collect(&registry, ALL).await;
    registry.clock.advance(100 * DAY);
    registry.delete("/v2/team/app/manifests/v1").await;
    assert_eq!(collect(&registry, ALL).await, Collected::default(), "its day begins now");
    registry.clock.advance(DAY + MILLISECOND);
    assert_eq!(collect(&registry, ALL).await.marked, 1);
    let_marks_count(&registry);
    registry.seen.take();
    let gone = collect(&registry, ALL).await;
    assert_eq!((gone.manifests, gone.marked), (1, 1), "its blob is marked");
    let [event] = &registry.seen.take()[..] else { panic!("one") };
    let change = RepositoryChange::ManifestDeleted { digest: image.digest, tags: Vec::new() };
    assert_eq!((event.subject.as_str(), &event.change), ("gc", &change));
    assert_eq!((event.repository.as_str(), event.at), ("team/app", registry.now()));
    let_marks_count(&registry);
    assert_eq!(collect(&registry, ALL).await.retired, 1);
    let_requests_end(&registry);
    collect(&registry, ALL).await;
    assert_eq!(registry.objects().await, []);
}

async fn children_and_referrers_stay_as_long_as_what_they_belong_to(registry: Harness) {
    let child = Manifest::image(&[b"layer"], "child", None);
    child.push(&registry, "team/app", None).await;
    let index = Manifest::index(&[child.digest], "");
    index.push(&registry, "team/app", Some("v1")).await;
    let signature = Manifest::image(&[b"signature"], "", Some(index.digest));
    signature.push(&registry, "team/app", None).await;
    let all = [&child, &index, &signature];
    let there = async |manifest: &Manifest| {
        registry.get(&manifest.path("team/app")).await.status == StatusCode::OK
    };
    for _ in 0..4 {
        registry.clock.advance(10 * DAY);
        assert_eq!(collect(&registry, ALL).await.manifests, 0);
    }
    for manifest in all {
        assert!(there(manifest).await);
    }
    registry.delete("/v2/team/app/manifests/v1").await;
    let mut gone = Vec::new();
    for _ in 0..6 {
        registry.clock.advance(2 * DAY);
        gone.push(collect(&registry, ALL).await.manifests);
    }
    // Found, condemned, gone; then what belonged to it the same way.
    assert_eq!(gone, [0, 0, 1, 0, 0, 2]);
}

async fn what_was_pulled_by_digest_stays_where_a_rule_says_so(registry: Harness) {
    let image = Manifest::image(&[b"layer"], "", None);
    image.push(&registry, "team/app", None).await;
    let rule = UntaggedRule { older_than: DAY, unless_pulled_within: Some(30 * DAY) };
    let settings = GcSettings { untagged: Some(rule), ..BLOBS };
    registry.get(&image.path("team/app")).await;
    registry.pulls.clone().flush(registry.db.clone()).await.unwrap();
    collect(&registry, settings).await;
    registry.clock.advance(30 * DAY);
    assert_eq!(collect(&registry, settings).await.marked, 0);
    registry.clock.advance(2 * MILLISECOND);
    assert_eq!(collect(&registry, settings).await.marked, 1);
    let_marks_count(&registry);
    assert_eq!(collect(&registry, settings).await.manifests, 1);
}

async fn a_forecast_says_what_goes_when_and_why(registry: Harness) {
    let image = Manifest::image(&[b"layer", b"shared"], "", None);
    image.push(&registry, "team/app", None).await;
    Manifest::image(&[b"shared"], "", None).push(&registry, "team/else", Some("v1")).await;
    registry.blob("team/app", b"unlinked").await;
    let gone = registry.blob("team/app", b"let go").await;
    registry.delete(&gone).await;
    let now = registry.now();
    let forecast = Doomed::all(&registry.db, ALL, now).await.unwrap();
    let seen: Vec<_> = forecast
        .iter()
        .map(|it| (it.kind, it.why, it.bytes, it.goes_at.duration_since(now).unwrap()))
        .collect();
    let mark = ALL.mark_age();
    let length = image.text.len() as u64;
    assert_eq!(
        seen[..3],
        [
            (DoomedKind::Blob, Why::Released, 6, std::time::Duration::ZERO),
            (DoomedKind::Blob, Why::Unlinked, 8, mark),
            (DoomedKind::Manifest, Why::Untagged, length, DAY + mark),
        ]
    );
    let mut rest = seen[3..].to_vec();
    rest.sort_by_key(|(_, _, bytes, _)| *bytes);
    let last = DAY + 2 * mark;
    assert_eq!(
        rest,
        [
            (DoomedKind::Blob, Why::ManifestsGo, 0, last),
            (DoomedKind::Blob, Why::ManifestsGo, 5, last)
        ]
    );
    let holders: Vec<_> = forecast.iter().map(|it| it.repository.as_deref()).collect();
    assert_eq!(holders, [Some("team/app"); 5]);
    // Nothing was changed; and what was foretold comes true.
    assert_eq!(Doomed::all(&registry.db, ALL, now).await.unwrap(), forecast);
    let mut bytes = 0;
    for _ in 0..8 {
        let collected = collect(&registry, ALL).await;
        bytes += collected.bytes;
        registry.clock.advance(DAY + HOUR);
    }
    assert_eq!(bytes, 6 + 8 + 5);
    assert_eq!(Doomed::all(&registry.db, ALL, registry.now()).await.unwrap(), []);
}

/// At whatever moment between two collections it comes.
async fn what_nothing_keeps_is_gone_after_its_grace_and_two_intervals(registry: Harness) {
    let minute = HOUR / 60;
    for interval in [minute, 7 * minute, HOUR, 5 * HOUR] {
        for part in [1, 3, 7] {
            collect(&registry, BLOBS).await;
            registry.clock.advance(interval * part / 8);
            registry.blob("team/app", b"hello").await;
            let pushed = registry.now();
            registry.clock.advance(interval * (8 - part) / 8);
            // As the server does it.
            while !registry.objects().await.is_empty() {
                let begun = registry.now();
                if collect(&registry, BLOBS).await.retired > 0 {
                    let_requests_end(&registry);
                    registry.collector(BLOBS).remove_garbage(registry.now()).await.unwrap();
                }
                if !registry.objects().await.is_empty() {
                    let rested = registry.now().duration_since(begun).unwrap();
                    registry.clock.advance(interval.checked_sub(rested).unwrap());
                }
            }
            let took = registry.now().duration_since(pushed).unwrap();
            assert!(
                took > BLOBS.grace && took <= BLOBS.grace + 2 * interval,
                "{interval:?} {took:?}"
            );
        }
    }
}

/// A backup copies what a snapshot of the database names.
async fn what_is_copied_stays_until_then(registry: Harness) {
    let path = registry.blob("team/app", b"hello").await;
    let until = registry.now() + HOUR;
    registry.db.keep_objects_until(until).await.unwrap();
    registry.delete(&path).await;
    assert_eq!(collect(&registry, BLOBS).await.retired, 1);
    registry.clock.advance(HOUR.checked_sub(MILLISECOND).unwrap());
    assert_eq!(collect(&registry, BLOBS).await.objects, 0);
    registry.clock.advance(MILLISECOND);
    assert_eq!(collect(&registry, BLOBS).await.objects, 1);
}

async fn thousands_go_in_one_collection(registry: Harness) {
    for number in 0..1201 {
        registry.blob("team/app", format!("blob {number:4}").as_bytes()).await;
    }
    registry.clock.advance(MILLISECOND);
    assert_eq!(collect(&registry, BLOBS).await.marked, 1201);
    let_marks_count(&registry);
    let collected = collect(&registry, BLOBS).await;
    assert_eq!((collected.released, collected.retired), (1201, 1201));
    let_requests_end(&registry);
    let collected = collect(&registry, BLOBS).await;
    assert_eq!((collected.objects, collected.bytes), (1201, 1201 * 9));
    assert_eq!(registry.objects().await, []);
}

/// At start, at each interval, and when requests have ended that might read an object.
#[tokio::test]
async fn collections_run_at_once_and_again_at_each_interval() {
    let registry = Harness::in_memory().await;
    let _halted = Halted::time();
    registry.blob("team/app", b"hello").await;
    let running = tokio::spawn(registry.registry.clone().run_gc(BLOBS, HOUR));
    // A collection rests between its steps, for others have written.
    let soon = async || tokio::time::advance(MILLISECOND).await;
    let listed = async || {
        soon().await;
        registry.db.unlinked_blobs().await.unwrap()
    };
    let marked = async || listed().await.iter().all(|blob| blob.marked_at.is_some());
    registry.until(marked).await;
    let_marks_count(&registry);
    tokio::time::advance(HOUR).await;
    registry.until(async || listed().await.is_empty()).await;
    let waits = async || {
        soon().await;
        !registry.db.all_garbage().await.unwrap().is_empty()
    };
    registry.until(waits).await;
    let_requests_end(&registry);
    let gone = async || {
        tokio::time::advance(BLOBS.hold() / 8).await;
        registry.objects().await.is_empty()
    };
    registry.until(gone).await;
    running.abort();
}
