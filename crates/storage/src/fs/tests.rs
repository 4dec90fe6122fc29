use std::{
    collections::HashSet,
    fs::Permissions,
    io,
    num::NonZeroU64,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::*;
use crate::{
    conformance::{self, append, begun, blob, committed, content, keys, pieces, read, whole},
    store::{SEGMENTS, StoreError, UploadData},
};

fn store() -> (FsStore, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (FsStore::open(directory.path().join("blobs"), keys()).unwrap(), directory)
}

/// As on a file system that knows no locks.
fn without_locks() -> (FsStore, TempDir) {
    let (mut store, directory) = store();
    Arc::get_mut(&mut store.files).unwrap().resumes = false;
    (store, directory)
}

conformance::suite!(store);

fn path(directory: &TempDir, location: &Location) -> PathBuf {
    let name = location.as_str();
    directory.path().join("blobs").join(&name[..2]).join(name)
}

#[tokio::test]
async fn files_and_directories_are_for_us_alone() {
    let (store, directory) = store();
    let half = append(&store, begun(&store).await, pieces(b"one", 3)).await;
    let upload = append(&store, half.clone(), pieces(b" body", 8)).await;
    let copied = committed(&store, &half, b"one").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path(&directory, upload.locations().last().unwrap())), 0o600);
    let in_place = committed(&store, &upload, b"one body").await;
    for (location, expected) in [(&copied, 0o600), (&in_place, 0o400)] {
        let file = path(&directory, location);
        assert_eq!(mode(&file), expected);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
    assert_eq!(mode(&directory.path().join("blobs")), 0o700);
}

#[tokio::test]
async fn blobs_are_there_after_the_store_was_opened_again() {
    let (store, directory) = store();
    let location = blob(&store, b"hello").await;
    let upload = append(&store, begun(&store).await, pieces(b"half", 4)).await.to_bytes();
    drop(store);
    let again = FsStore::open(directory.path().join("blobs"), keys_from(1 << 40)).unwrap();
    assert_eq!(read(whole(&again, &location).await.unwrap()).await, b"hello");
    let upload = Upload::from_bytes(&upload).unwrap();
    let upload = append(&again, upload, pieces(b" done", 5)).await;
    again.commit(&upload, &Digest::sha256(b"half done")).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_taken_is_never_written_to() {
    let (store, directory) = store();
    let first = blob(&store, b"first").await;
    let again = FsStore::open(directory.path().join("blobs"), keys()).unwrap();
    let second = blob(&again, b"second").await;
    assert_ne!(first, second);
    assert_eq!(read(whole(&again, &first).await.unwrap()).await, b"first");

    let stuck = FsStore::open(directory.path().join("blobs"), Arc::new(|| 7)).unwrap();
    blob(&stuck, b"seven").await;
    let refused = stuck.append(begun(&stuck).await, pieces(b"eight", 5)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoFreshName));
}

#[tokio::test]
async fn bodies_in_turn_fill_one_file_which_is_the_blob() {
    let (store, directory) = store();
    let content = content(3_000_000);
    let mut upload = begun(&store).await;
    for body in content.chunks(250_001) {
        upload = append(&store, upload, pieces(body, 65_536)).await;
        assert_eq!(upload.locations().count(), 1);
    }
    let file = upload.locations().next().unwrap().clone();
    assert_eq!(committed(&store, &upload, &content).await, file);
    assert_eq!(committed(&store, &upload, &content).await, file, "and again");
    assert_eq!(fs::metadata(path(&directory, &file)).unwrap().len(), 3_000_000);
}

/// While a body is on its way, what another request makes of the same upload lies elsewhere.
#[tokio::test]
async fn nobody_writes_behind_what_another_writes_to() {
    let (store, directory) = store();
    let upload = append(&store, begun(&store).await, pieces(b"held", 4)).await;
    let file = upload.locations().next().unwrap().clone();
    let tail = store.files.resume(&upload.segments()[0]).unwrap();

    let other = append(&store, upload.clone(), pieces(b" up", 3)).await;
    assert_eq!(other.locations().count(), 2);
    let blob = committed(&store, &upload, b"held").await;
    assert_ne!(blob, file);
    assert_ne!(committed(&store, &other, b"held up").await, file);

    drop(tail);
    let next = append(&store, upload, pieces(b" back", 5)).await;
    assert_eq!(committed(&store, &next, b"held back").await, file);
    assert_eq!(fs::read(path(&directory, &blob)).unwrap(), b"held");
}

#[tokio::test]
async fn where_files_cannot_be_locked_each_body_has_its_own() {
    let (store, directory) = without_locks();
    let upload = append(&store, begun(&store).await, pieces(b"hello", 5)).await;
    let more = append(&store, upload.clone(), pieces(b" world", 6)).await;
    assert_eq!(more.locations().count(), 2);
    committed(&store, &more, b"hello world").await;
    let blob = committed(&store, &upload, b"hello").await;
    assert!(upload.locations().eq([&blob]), "in place");
    let late = append(&store, upload, pieces(b"!", 1)).await;
    assert_eq!(fs::read(path(&directory, &blob)).unwrap(), b"hello");
    committed(&store, &late, b"hello!").await;
}

#[test]
fn whether_files_can_be_locked_is_tried_and_nothing_is_left() {
    let directory = tempfile::tempdir().unwrap();
    assert!(tail::resumes(directory.path(), "probe"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(tail::resumes(&directory.path().join("missing"), "probe"), "nothing says otherwise");
}

#[tokio::test]
async fn an_upload_has_as_many_files_as_its_row_can_name() {
    let (store, _directory) = without_locks();
    let mut upload = append(&store, begun(&store).await, pieces(b"a", 1)).await;
    let UploadData::Segments(segments) = &mut upload.place;
    *segments = vec![segments[0].clone(); SEGMENTS - 1];
    let full = append(&store, upload, pieces(b"a", 1)).await;
    let refused = store.append(full, pieces(b"a", 1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooManySegments { limit: SEGMENTS }));
}

#[tokio::test]
async fn nobody_writes_to_a_blob() {
    let (store, directory) = store();
    let upload = append(&store, begun(&store).await, pieces(b"blob", 4)).await;
    let file = committed(&store, &upload, b"blob").await;
    assert!(upload.locations().eq([&file]), "in place");
    let late = append(&store, upload, pieces(b"s", 1)).await;
    assert_eq!(fs::read(path(&directory, &file)).unwrap(), b"blob");
    committed(&store, &late, b"blobs").await;
}

/// As a crash leaves it between a body and its row.
#[tokio::test]
async fn what_stands_behind_a_segment_is_not_read() {
    use std::io::Write as _;

    let (store, directory) = store();
    let upload = append(&store, begun(&store).await, pieces(b"hello", 5)).await;
    let file = path(&directory, upload.locations().next().unwrap());
    let mut unnamed = fs::File::options().append(true).open(&file).unwrap();
    unnamed.write_all(b", nobody").unwrap();
    for (algorithm, content) in
        [(DigestAlgorithm::Sha256, &b"hello"[..]), (DigestAlgorithm::Sha512, b"hello")]
    {
        let blob = store.commit(&upload, &Digest::of(algorithm, content)).await.unwrap().location;
        assert_eq!(read(whole(&store, &blob).await.unwrap()).await, content);
    }
    let upload = append(&store, upload, pieces(b" world", 6)).await;
    committed(&store, &upload, b"hello world").await;
}

#[tokio::test]
async fn a_body_that_cannot_be_written_leaves_the_file_as_it_was() {
    use std::io::Write as _;

    let (store, directory) = store();
    let upload = append(&store, begun(&store).await, pieces(b"hello", 5)).await;
    let file = path(&directory, upload.locations().next().unwrap());
    let tail = store.files.resume(&upload.segments()[0]).unwrap();
    (&*tail.file).write_all(b" wor").unwrap();
    store.files.abandon(&tail);
    drop(tail);
    assert_eq!(fs::read(&file).unwrap(), b"hello");
    let upload = append(&store, upload, pieces(b" world", 6)).await;
    assert_eq!(upload.locations().count(), 1);
}

#[tokio::test]
async fn a_segment_that_a_crash_cut_short_is_no_part_of_a_blob() {
    let (store, directory) = store();
    let upload = append(&store, begun(&store).await, pieces(b"hello", 5)).await;
    let upload = append(&store, upload, pieces(b" world", 6)).await;
    let segment = upload.locations().last().unwrap();
    fs::write(path(&directory, segment), " wo").unwrap();
    let lost = store.commit(&upload, &Digest::sha256(b"hello world")).await.unwrap_err();
    assert!(
        matches!(lost, CommitError::Store(StoreError::Lost { location }) if location == *segment)
    );
}

#[tokio::test]
async fn names_that_no_store_gave_lead_nowhere() {
    let (store, directory) = store();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    for name in [
        "../secret",
        "",
        "/etc/passwd",
        "ab",
        "../../../../../../../../../../etc",
        "AB3F00000000000000000000000000AB",
        "ab/3f000000000000000000000000000a",
        "ab3f00000000000000000000000000abc",
        "é3f0000000000000000000000000000ab",
    ] {
        let location = Location::from(name.to_owned());
        let opened = whole(&store, &location).await;
        assert!(matches!(opened, Err(StoreError::ForeignLocation { .. })), "{name:?}");
        let deleted = store.delete(&location).await;
        assert!(matches!(deleted, Err(StoreError::ForeignLocation { .. })), "{name:?}");
    }
    assert!(directory.path().join("secret").exists());
}

#[tokio::test]
async fn what_is_not_ours_is_neither_listed_nor_swept() {
    let (store, directory) = store();
    let root = directory.path().join("blobs");
    blob(&store, b"ours").await;
    fs::create_dir_all(root.join("ab/ab000000000000000000000000000000")).unwrap();
    fs::create_dir_all(root.join("lost+found")).unwrap();
    fs::write(root.join("ab/README"), "").unwrap();
    fs::write(root.join("README"), "").unwrap();
    let none_live = async |_| Ok::<_, StoreError>(HashSet::new());
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into());
    let swept = crate::sweep(&store, none_live, Duration::ZERO, later).await.unwrap();
    assert_eq!(swept.removed, 1);
    assert!(root.join("ab/README").exists() && root.join("README").exists());
}

#[tokio::test]
async fn failures_name_no_path() {
    let (store, directory) = store();
    let location = blob(&store, b"hello").await;
    let file = path(&directory, &location);
    fs::remove_file(&file).unwrap();
    fs::remove_dir(file.parent().unwrap()).unwrap();
    fs::write(file.parent().unwrap(), "in the way").unwrap();
    let failed = whole(&store, &location).await.unwrap_err();
    assert!(
        matches!(&failed, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotADirectory)
    );
    for text in [failed.to_string(), std::error::Error::source(&failed).unwrap().to_string()] {
        assert!(!text.contains('/'), "{text:?}");
    }

    let taken = directory.path().join("taken");
    fs::write(&taken, "").unwrap();
    let failed = FsStore::open(taken, keys()).unwrap_err();
    assert_eq!(failed.to_string(), "blob storage failed to make its directory");
}

#[tokio::test]
async fn small_blobs_come_at_once_and_large_ones_in_pieces() {
    let (store, _directory) = store();
    let small = blob(&store, &content(131_072)).await;
    assert!(matches!(whole(&store, &small).await.unwrap(), Content::Whole(_)));
    let large = blob(&store, &content(131_073)).await;
    assert!(matches!(whole(&store, &large).await.unwrap(), Content::Stream { .. }));
    let part = store.open(&large, 131_073, 100..200).await.unwrap();
    assert!(matches!(part, Content::Whole(_)));
}

/// What the system has in memory is read at once, the rest by threads; here they change within a file.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_blob_comes_whole_whatever_of_it_is_in_memory() {
    use rustix::fs::{Advice, fadvise};

    let (store, directory) = store();
    let content = content(1_000_000);
    let large = blob(&store, &content).await;
    let file = fs::File::open(path(&directory, &large)).unwrap();
    file.sync_all().unwrap();
    for (from, length) in [(0, None), (0, NonZeroU64::new(300_000)), (300_000, None)] {
        fadvise(&file, from, length, Advice::DontNeed).unwrap();
        assert_eq!(read(whole(&store, &large).await.unwrap()).await, content);
        fadvise(&file, from, length, Advice::DontNeed).unwrap();
        let part = store.open(&large, 1_000_000, 250_001..999_999).await.unwrap();
        assert_eq!(read(part).await, content[250_001..999_999]);
    }
}

/// Whoever was promised so many bytes must not take fewer for the whole.
#[tokio::test]
async fn a_file_that_shrinks_under_its_reader_breaks_the_stream() {
    let (store, directory) = store();
    let large = blob(&store, &content(1_000_000)).await;
    let Content::Stream { stream, .. } = whole(&store, &large).await.unwrap() else {
        panic!("in one piece")
    };
    let file = path(&directory, &large);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    fs::File::options().write(true).open(file).unwrap().set_len(300_000).unwrap();
    let pieces: Vec<_> = stream.collect().await;
    assert!(pieces.last().unwrap().is_err());
    assert!(pieces.iter().flatten().map(Bytes::len).sum::<usize>() <= 300_000);
}

fn keys_from(first: u64) -> Keys {
    let next = AtomicU64::new(first);
    Arc::new(move || u128::from(next.fetch_add(1, Ordering::Relaxed)))
}

/// Descriptors are the whole process's: bodies that stand still hold no more of them than they may, and every one comes
/// back.
#[tokio::test]
async fn bodies_under_way_hold_no_more_files_than_they_may() {
    const FILES: usize = 3;
    let (store, _directory) = store();
    let store = store.with_open_files(OpenFiles::new(FILES, 1));
    let large = vec![7; Buffers::LENGTH + 1];
    let (large, small) = (blob(&store, &large).await, blob(&store, b"config").await);
    let length = Buffers::LENGTH as u64 + 1;
    let pull = || store.open(&large, length, 0..length);

    let mut pulls = Vec::new();
    for _ in 0..FILES {
        pulls.push(pull().await.unwrap());
    }
    assert!(matches!(pull().await, Err(StoreError::Busy { limit: FILES })));
    let body = pieces(b"more", 1);
    let refused = store.append(begun(&store).await, body).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "an upload holds files too");
    assert!(store.append(begun(&store).await, pieces(b"", 1)).await.is_ok(), "it opens nothing");
    let whole = store.open(&small, 6, 0..6).await.unwrap();
    assert!(matches!(whole, Content::Whole(_)), "what is read at once is read");

    pulls.truncate(1);
    let upload = append(&store, begun(&store).await, pieces(b"more", 1)).await;
    committed(&store, &upload, b"more").await;
    drop(pulls);
    assert_eq!(store.open_files.held(), 0);
}
