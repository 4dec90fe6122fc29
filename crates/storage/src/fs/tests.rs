use std::{
    collections::HashSet,
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
    conformance::{self, append, begun, blob, content, keys, pieces, read},
    store::StoreError,
};

fn store() -> (FsStore, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (FsStore::open(directory.path().join("blobs"), keys()).unwrap(), directory)
}

conformance::suite!(store);

fn path(directory: &TempDir, location: &Location) -> PathBuf {
    let name = location.as_str();
    directory.path().join("blobs").join(&name[..2]).join(name)
}

#[tokio::test]
async fn files_and_directories_are_for_us_alone() {
    let (store, directory) = store();
    let one = blob(&store, b"one segment").await;
    let upload = append(&store, begun(&store).await, pieces(b"two ", 4)).await;
    let upload = append(&store, upload, pieces(b"segments", 8)).await;
    let two = store.commit(&upload, &Digest::sha256(b"two segments")).await.unwrap().location;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for location in [&one, &two] {
        let file = path(&directory, location);
        assert_eq!(mode(&file), 0o600);
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
    assert_eq!(read(again.open(&location, None).await.unwrap()).await, b"hello");
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
    assert_eq!(read(again.open(&first, None).await.unwrap()).await, b"first");

    let stuck = FsStore::open(directory.path().join("blobs"), Arc::new(|| 7)).unwrap();
    blob(&stuck, b"seven").await;
    let refused = stuck.append(begun(&stuck).await, pieces(b"eight", 5)).await.unwrap_err();
    assert!(matches!(refused, StoreError::NoFreshName));
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
        let opened = store.open(&location, None).await;
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
    let failed = store.open(&location, None).await.unwrap_err();
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
    assert!(matches!(store.open(&small, None).await.unwrap(), Content::Whole(_)));
    let large = blob(&store, &content(131_073)).await;
    assert!(matches!(store.open(&large, None).await.unwrap(), Content::Stream { .. }));
    let part = store.open(&large, Some(100..200)).await.unwrap();
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
        assert_eq!(read(store.open(&large, None).await.unwrap()).await, content);
        fadvise(&file, from, length, Advice::DontNeed).unwrap();
        let part = store.open(&large, Some(250_001..999_999)).await.unwrap();
        assert_eq!(read(part).await, content[250_001..999_999]);
    }
}

/// Whoever was promised so many bytes must not take fewer for the whole.
#[tokio::test]
async fn a_file_that_shrinks_under_its_reader_breaks_the_stream() {
    let (store, directory) = store();
    let large = blob(&store, &content(1_000_000)).await;
    let Content::Stream { stream, .. } = store.open(&large, None).await.unwrap() else {
        panic!("in one piece")
    };
    let file = fs::File::options().write(true).open(path(&directory, &large)).unwrap();
    file.set_len(300_000).unwrap();
    let pieces: Vec<_> = stream.collect().await;
    assert!(pieces.last().unwrap().is_err());
    assert!(pieces.iter().flatten().map(Bytes::len).sum::<usize>() <= 300_000);
}

fn keys_from(first: u64) -> Keys {
    let next = AtomicU64::new(first);
    Arc::new(move || u128::from(next.fetch_add(1, Ordering::Relaxed)))
}
