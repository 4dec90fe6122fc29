//! What every store must do: a suite, run on each one by its own tests.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use portpass_protocol::{Digest, DigestAlgorithm, DigestAlgorithm::Sha256};

use crate::{
    gc::{Surveyed, Swept, survey, sweep},
    store::{
        BlobStore, BodyStream, CommitError, Content, End, Keys, Location, Object, StoreError,
        Upload,
    },
};

/// Makes each function of this module a test on what `$new` makes: a store, and what must outlive
/// it.
macro_rules! suite {
    ($new:path) => {
        $crate::conformance::suite!($new;
            what_was_appended_comes_back_byte_for_byte,
            any_cutting_of_a_body_gives_the_same_blob,
            an_upload_goes_on_from_its_saved_state,
            a_body_that_breaks_off_leaves_what_had_arrived,
            a_wrong_digest_leaves_the_upload_as_it_was,
            a_digest_of_another_algorithm_is_computed_at_commit,
            an_upload_may_be_hashed_with_both_algorithms,
            the_algorithm_of_the_beginning_is_hashed_along,
            nothing_becomes_the_empty_blob,
            one_segment_is_the_blob_in_place,
            many_bodies_become_one_object,
            discarding_removes_only_what_is_not_kept,
            two_bodies_for_one_upload_do_not_meet,
            a_body_that_comes_late_changes_nothing,
            ranges_are_what_they_say,
            offsets_beyond_the_end_are_refused,
            a_blob_of_another_length_is_lost,
            a_removed_blob_is_lost_and_can_be_removed_again,
            a_reader_outlives_the_blob,
            an_upload_whose_segment_is_gone_is_no_blob,
            every_object_is_listed_once,
            a_sweep_removes_what_is_old_and_unnamed,
        );
    };
    ($new:path; $($name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (store, _guard) = $new();
                $crate::conformance::$name(&store).await;
            }
        )*
    };
}
pub(crate) use suite;

pub(crate) async fn what_was_appended_comes_back_byte_for_byte(store: &dyn BlobStore) {
    for length in [1, 100, 65_535, 65_536, 262_144, 262_145, 524_288, 3_000_001] {
        let content = content(length);
        let location = blob(store, &content).await;
        let got = whole(store, &location).await.unwrap();
        assert_eq!(got.length(), length as u64);
        assert!(read(got).await == content, "{length} bytes must come back as they were");
        assert_eq!(store.lengths(vec![location]).await.unwrap(), [Some(length as u64)]);
    }
}

pub(crate) async fn any_cutting_of_a_body_gives_the_same_blob(store: &dyn BlobStore) {
    let content = content(1_300_000);
    for size in [17_000, 65_536, 524_287, 524_288, 524_289, 1_299_999] {
        let upload = begun(store).await;
        let upload = append(store, upload, pieces(&content, size)).await;
        assert_eq!(upload.length(), content.len() as u64);
        let committed = store.commit(&upload, &Digest::sha256(&content)).await.unwrap();
        let got = whole(store, &committed.location).await.unwrap();
        assert!(read(got).await == content, "cut into pieces of {size}");
    }
    let few = &content[..3000];
    let upload = append(store, begun(store).await, pieces(few, 1)).await;
    let committed = store.commit(&upload, &Digest::sha256(few)).await.unwrap();
    assert_eq!(read(whole(store, &committed.location).await.unwrap()).await, few);
}

pub(crate) async fn an_upload_goes_on_from_its_saved_state(store: &dyn BlobStore) {
    let content = content(100_000);
    let mut row = begun(store).await.to_bytes();
    for chunk in content.chunks(33_333) {
        let upload = Upload::from_bytes(&row).unwrap();
        row = append(store, upload, pieces(chunk, 10_000)).await.to_bytes();
    }
    let upload = Upload::from_bytes(&row).unwrap();
    assert_eq!(upload.length(), 100_000);
    let committed = store.commit(&upload, &Digest::sha256(&content)).await.unwrap();
    assert_eq!(read(whole(store, &committed.location).await.unwrap()).await, content);
}

pub(crate) async fn a_body_that_breaks_off_leaves_what_had_arrived(store: &dyn BlobStore) {
    let content = content(1_200_000);
    for arrived in [0, 5, 524_288, 700_000] {
        let broken = stream::iter([Err("connection reset".into())]);
        let body = Box::pin(pieces(&content[..arrived], 100_000).chain(broken));
        let appended = store.append(begun(store).await, body).await.unwrap();
        assert!(matches!(appended.end, End::Broken(why) if why.to_string() == "connection reset"));
        assert_eq!(appended.upload.length(), arrived as u64);

        let upload = append(store, appended.upload, pieces(&content[arrived..], 100_000)).await;
        store.commit(&upload, &Digest::sha256(&content)).await.unwrap();
    }
}

pub(crate) async fn a_wrong_digest_leaves_the_upload_as_it_was(store: &dyn BlobStore) {
    let upload = append(store, begun(store).await, pieces(b"hello", 5)).await;
    for (expected, computed) in
        [(Digest::sha256(b"other"), Digest::sha256(b"hello")), (sha512(b"other"), sha512(b"hello"))]
    {
        let refused = store.commit(&upload, &expected).await.unwrap_err();
        assert!(matches!(refused, CommitError::Mismatch { computed: c } if c == computed));
    }
    let upload = append(store, upload, pieces(b" world", 6)).await;
    store.commit(&upload, &Digest::sha256(b"hello world")).await.unwrap();
}

pub(crate) async fn a_digest_of_another_algorithm_is_computed_at_commit(store: &dyn BlobStore) {
    let content = content(1_500_000);
    let (first, second) = content.split_at(600_000);
    let upload = append(store, begun(store).await, pieces(first, 100_000)).await;
    let upload = append(store, upload, pieces(second, 100_000)).await;
    let committed = store.commit(&upload, &sha512(&content)).await.unwrap();
    assert!(read(whole(store, &committed.location).await.unwrap()).await == content);
}

pub(crate) async fn an_upload_may_be_hashed_with_both_algorithms(store: &dyn BlobStore) {
    let content = content(1_500_000);
    let (first, second) = content.split_at(600_000);
    let upload = append(store, begun(store).await, pieces(first, 100_000)).await;
    assert!(!upload.is_hashed_with(DigestAlgorithm::Sha512));
    let upload = store.hashed_with(upload, DigestAlgorithm::Sha512).await.unwrap();
    let again = store.hashed_with(upload.clone(), DigestAlgorithm::Sha512).await.unwrap();
    assert_eq!(again, upload);
    let upload = Upload::from_bytes(&upload.to_bytes()).unwrap();
    let upload = append(store, upload, pieces(second, 100_000)).await;
    for digest in [Digest::sha256(&content), sha512(&content)] {
        assert_eq!(upload.digest(digest.algorithm()).unwrap(), Some(digest));
    }
    let committed = store.commit(&upload, &sha512(&content)).await.unwrap();
    assert!(read(whole(store, &committed.location).await.unwrap()).await == content);
}

pub(crate) async fn the_algorithm_of_the_beginning_is_hashed_along(store: &dyn BlobStore) {
    let upload = store.begin(DigestAlgorithm::Sha512).await.unwrap();
    assert_eq!(upload.algorithm(), DigestAlgorithm::Sha512);
    let upload = append(store, upload, pieces(b"hello", 2)).await;
    assert_eq!(upload.digest(DigestAlgorithm::Sha512).unwrap(), Some(sha512(b"hello")));
    store.commit(&upload, &sha512(b"hello")).await.unwrap();
}

pub(crate) async fn nothing_becomes_the_empty_blob(store: &dyn BlobStore) {
    let upload = append(store, begun(store).await, pieces(b"", 1)).await;
    assert_eq!(upload, begun(store).await, "an empty body leaves nothing behind");
    let committed = store.commit(&upload, &Digest::sha256(b"")).await.unwrap();
    assert_eq!(whole(store, &committed.location).await.unwrap().length(), 0);
}

pub(crate) async fn one_segment_is_the_blob_in_place(store: &dyn BlobStore) {
    let upload = append(store, begun(store).await, pieces(b"hello", 5)).await;
    let committed = store.commit(&upload, &Digest::sha256(b"hello")).await.unwrap();
    assert_eq!(upload.locations().collect::<Vec<_>>(), [&committed.location]);
    store.discard(committed.rest, None).await.unwrap();
    assert_eq!(read(whole(store, &committed.location).await.unwrap()).await, b"hello");
    assert_eq!(objects(store).await.len(), 1);
}

pub(crate) async fn many_bodies_become_one_object(store: &dyn BlobStore) {
    let upload = append(store, begun(store).await, pieces(b"hello", 5)).await;
    let upload = append(store, upload, pieces(b" world", 6)).await;
    let digest = Digest::sha256(b"hello world");
    let committed = store.commit(&upload, &digest).await.unwrap();
    let again = store.commit(&upload, &digest).await.expect("it is whole until it is let go of");
    store.discard(committed.rest, None).await.unwrap();
    for location in [&committed.location, &again.location] {
        assert_eq!(read(whole(store, location).await.unwrap()).await, b"hello world");
    }
    let made = HashSet::from([committed.location, again.location]);
    assert_eq!(names(&objects(store).await), made);
}

pub(crate) async fn discarding_removes_only_what_is_not_kept(store: &dyn BlobStore) {
    let before = append(store, begun(store).await, pieces(b"kept", 4)).await;
    let after = append(store, before.clone(), pieces(b"dropped", 7)).await;
    store.discard(after, Some(&before)).await.unwrap();
    let left = objects(store).await;
    assert_eq!(names(&left), before.locations().cloned().collect());
    assert_eq!(left.iter().map(|object| object.length).sum::<u64>(), before.length());
    let committed = store.commit(&before, &Digest::sha256(b"kept")).await.unwrap();
    assert_eq!(read(whole(store, &committed.location).await.unwrap()).await, b"kept");
    store.discard(before.clone(), None).await.unwrap();
    store.discard(before, None).await.unwrap();
    store.delete(&committed.location).await.unwrap();
    assert_eq!(objects(store).await, []);
}

pub(crate) async fn two_bodies_for_one_upload_do_not_meet(store: &dyn BlobStore) {
    for in_turn in [false, true] {
        let upload = append(store, begun(store).await, pieces(b"a", 1)).await;
        let first = append(store, upload.clone(), pieces(b"b", 1));
        let second = append(store, upload, pieces(b"c", 1));
        let (first, second) =
            if in_turn { (first.await, second.await) } else { tokio::join!(first, second) };
        // The one that came first is dropped, or whichever.
        let (kept, content, dropped, lost) =
            if in_turn { (second, b"ac", first, b"ab") } else { (first, b"ab", second, b"ac") };
        store.discard(dropped.clone(), Some(&kept)).await.unwrap();
        committed(store, &kept, content).await;
        let lost = store.commit(&dropped, &Digest::sha256(lost)).await.unwrap_err();
        assert!(matches!(lost, CommitError::Store(StoreError::Lost { .. })));
    }
}

pub(crate) async fn a_body_that_comes_late_changes_nothing(store: &dyn BlobStore) {
    let old = append(store, begun(store).await, pieces(b"a", 1)).await;
    let new = append(store, old.clone(), pieces(b"b", 1)).await;
    let late = append(store, old.clone(), pieces(b"c", 1)).await;
    let blob = committed(store, &new, b"ab").await;
    let too_late = append(store, new, pieces(b"d", 1)).await;
    for (upload, content) in [(&late, &b"ac"[..]), (&too_late, b"abd"), (&old, b"a")] {
        committed(store, upload, content).await;
    }
    assert_eq!(read(whole(store, &blob).await.unwrap()).await, b"ab");
}

pub(crate) async fn ranges_are_what_they_say(store: &dyn BlobStore) {
    let content = content(1_000_000);
    let location = blob(store, &content).await;
    for range in [0..1, 0..0, 999_999..1_000_000, 5..70_000, 1..999_999, 300_000..900_001] {
        let got = store.open(&location, 1_000_000, range.clone()).await.unwrap();
        assert_eq!(got.length(), range.end - range.start);
        let wanted = &content[usize::try_from(range.start).unwrap()..][..];
        let length = usize::try_from(range.end - range.start).unwrap();
        assert!(read(got).await == wanted[..length], "{range:?}");
    }
}

pub(crate) async fn offsets_beyond_the_end_are_refused(store: &dyn BlobStore) {
    let location = blob(store, b"hello").await;
    let backwards = std::ops::Range { start: 3, end: 2 };
    for range in [0..6, 6..6, 5..6, 0..u64::MAX, backwards] {
        let refused = store.open(&location, 5, range.clone()).await.unwrap_err();
        assert!(matches!(refused, StoreError::OutOfRange { length: 5, .. }), "{range:?}");
    }
    assert_eq!(store.open(&location, 5, 5..5).await.unwrap().length(), 0);
}

/// Whoever counts on so many bytes is given none of others.
pub(crate) async fn a_blob_of_another_length_is_lost(store: &dyn BlobStore) {
    let content = content(300_000);
    let location = blob(store, &content).await;
    for (length, range) in [(299_999, 0..299_999), (300_001, 0..300_001), (5, 0..1)] {
        let lost = store.open(&location, length, range).await.unwrap_err();
        assert!(matches!(lost, StoreError::Lost { location: l } if l == location), "{length}");
    }
}

pub(crate) async fn a_removed_blob_is_lost_and_can_be_removed_again(store: &dyn BlobStore) {
    let location = blob(store, b"hello").await;
    store.delete(&location).await.unwrap();
    store.delete(&location).await.unwrap();
    let lost = whole(store, &location).await.unwrap_err();
    assert!(matches!(lost, StoreError::Lost { location: l } if l == location));
    assert_eq!(store.lengths(vec![location]).await.unwrap(), [None]);
}

pub(crate) async fn a_reader_outlives_the_blob(store: &dyn BlobStore) {
    let content = content(2_000_000);
    let location = blob(store, &content).await;
    let reading = whole(store, &location).await.unwrap();
    store.delete(&location).await.unwrap();
    assert!(read(reading).await == content);
}

pub(crate) async fn an_upload_whose_segment_is_gone_is_no_blob(store: &dyn BlobStore) {
    let upload = append(store, begun(store).await, pieces(b"hello", 5)).await;
    let segment = upload.locations().next().unwrap().clone();
    store.delete(&segment).await.unwrap();
    for digest in [Digest::sha256(b"hello"), sha512(b"hello")] {
        let lost = store.commit(&upload, &digest).await.unwrap_err();
        assert!(
            matches!(lost, CommitError::Store(StoreError::Lost { location }) if location == segment)
        );
    }
}

pub(crate) async fn every_object_is_listed_once(store: &dyn BlobStore) {
    assert_eq!(objects(store).await, []);
    let mut made = HashSet::new();
    for number in 0..40_u64 {
        made.insert(blob(store, &number.to_be_bytes()).await);
    }
    let listed = objects(store).await;
    assert_eq!(listed.len(), 40);
    assert_eq!(names(&listed), made);
    assert!(listed.iter().all(|object| object.length == 8));
}

pub(crate) async fn a_sweep_removes_what_is_old_and_unnamed(store: &dyn BlobStore) {
    let kept = blob(store, b"kept").await;
    let session = append(store, begun(store).await, pieces(b"session", 7)).await;
    let unnamed = blob(store, b"unnamed").await;
    let written = objects(store).await.iter().map(|object| object.written).max().unwrap();
    let live: HashSet<Location> = session.locations().chain([&kept]).cloned().collect();

    let early = written - Duration::from_hours(2);
    for now in [written, written + GRACE - Duration::from_secs(1), early] {
        let swept = sweep_but(store, &live, now).await;
        assert_eq!(swept, Swept { young: 3, ..Swept::default() });
    }
    let among = async |names: Vec<Location>| {
        Ok::<_, StoreError>(names.into_iter().filter(|name| live.contains(name)).collect())
    };
    for (since, earlier) in [(SystemTime::UNIX_EPOCH, 0), (written + GRACE, 1)] {
        let surveyed = survey(store, among, GRACE, since, written + GRACE).await.unwrap();
        assert_eq!(surveyed, Surveyed { unknown: 1, earlier, live: 2, ..Surveyed::default() });
    }
    assert_eq!(objects(store).await.len(), 3, "looking changes nothing");
    let swept = sweep_but(store, &live, written + GRACE).await;
    assert_eq!(swept, Swept { removed: 1, bytes: 7, live: 2, ..Swept::default() });
    let days = |days: u64| written + GRACE + Duration::from_hours(24 * days);
    assert_eq!(store.empty_trash(written + GRACE).await.unwrap(), 0);
    assert_eq!(store.empty_trash(days(2)).await.unwrap(), 1);
    assert_eq!(store.empty_trash(days(2)).await.unwrap(), 0);
    assert!(matches!(whole(store, &unnamed).await, Err(StoreError::Lost { .. })));
    assert_eq!(names(&objects(store).await), live);
}

/// Sweeps what is not `live`.
async fn sweep_but(store: &dyn BlobStore, live: &HashSet<Location>, now: SystemTime) -> Swept {
    let among = async |names: Vec<Location>| {
        Ok::<_, StoreError>(names.into_iter().filter(|name| live.contains(name)).collect())
    };
    sweep(store, among, GRACE, now).await.unwrap()
}

/// Names that count up from `first`, spread so that neighbours do not share a directory.
pub(crate) fn keys() -> Keys {
    let next = AtomicU64::new(1);
    Arc::new(move || {
        let number = u128::from(next.fetch_add(1, Ordering::Relaxed));
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    })
}

/// A time that stands still.
pub(crate) fn clock() -> Arc<dyn Fn() -> SystemTime + Send + Sync> {
    Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365))
}

/// Bytes in which a shift or a swap shows.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_be_bytes()[7]).collect()
}

pub(crate) fn pieces(content: &[u8], size: usize) -> BodyStream {
    let pieces: Vec<_> =
        content.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

pub(crate) async fn begun(store: &dyn BlobStore) -> Upload {
    store.begin(Sha256).await.unwrap()
}

pub(crate) async fn append(store: &dyn BlobStore, upload: Upload, body: BodyStream) -> Upload {
    let appended = store.append(upload, body).await.unwrap();
    assert!(matches!(appended.end, End::Complete));
    appended.upload
}

pub(crate) async fn blob(store: &dyn BlobStore, content: &[u8]) -> Location {
    let upload = append(store, begun(store).await, pieces(content, 65_536)).await;
    committed(store, &upload, content).await
}

/// Where the blob of an upload lies, which has this content.
pub(crate) async fn committed(store: &dyn BlobStore, upload: &Upload, content: &[u8]) -> Location {
    let location = store.commit(upload, &Digest::sha256(content)).await.unwrap().location;
    assert!(read(whole(store, &location).await.unwrap()).await == content);
    location
}

/// A blob from its first byte to its last.
pub(crate) async fn whole(store: &dyn BlobStore, blob: &Location) -> Result<Content, StoreError> {
    let lengths = store.lengths(vec![blob.clone()]).await?;
    let length = lengths[0].unwrap_or_default();
    store.open(blob, length, 0..length).await
}

pub(crate) async fn read(content: Content) -> Vec<u8> {
    match content {
        Content::Whole(bytes) => bytes.to_vec(),
        Content::Stream { mut stream, .. } => {
            let mut read = Vec::new();
            while let Some(piece) = stream.next().await {
                read.extend_from_slice(&piece.unwrap());
            }
            read
        }
    }
}

async fn objects(store: &dyn BlobStore) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut cursor = None;
    loop {
        let listing = store.list(cursor).await.unwrap();
        objects.extend(listing.objects);
        cursor = listing.next;
        if cursor.is_none() {
            return objects;
        }
    }
}

fn names(objects: &[Object]) -> HashSet<Location> {
    objects.iter().map(|object| object.location.clone()).collect()
}

fn sha512(content: &[u8]) -> Digest {
    Digest::of(DigestAlgorithm::Sha512, content)
}

const GRACE: Duration = Duration::from_hours(1);
