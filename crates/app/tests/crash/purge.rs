//! Time passes: what the crash left in the directory of the blobs goes, and nothing else.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use portpass_protocol::Digest;
use portpass_testkit::{Portpass, wait_until};

/// How many files there were, and how many are left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purged {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

/// Starts the server a day later, and again and again: uploads are abandoned, blobs that no manifest links to are marked,
/// let go of, retired and removed. Then there is one file for each live blob.
pub(crate) fn purge(server: &mut Portpass, blobs: &Path, live: &BTreeSet<Digest>) -> Purged {
    let before = files(blobs).len();
    // Each is more than a grace period later, and one more than the steps of a collection, which begins beside the sweep.
    for offset in ["+26h", "+29h", "+32h", "+35h", "+38h"] {
        server.kill();
        let last = plant(blobs);
        server.start_again(offset);
        assert!(wait_until(|| !last.exists()), "no sweep in a minute");
    }
    wait_until(|| files(blobs).len() <= live.len());
    let files = files(blobs);
    let digests: BTreeSet<Digest> =
        files.iter().map(|file| Digest::sha256(&fs::read(file).unwrap())).collect();
    let orphans: Vec<&Digest> = digests.difference(live).collect();
    let missing: Vec<&Digest> = live.difference(&digests).collect();
    assert!(orphans.is_empty() && missing.is_empty(), "{orphans:?} stay, {missing:?} are gone");
    assert_eq!(files.len(), live.len(), "some blob has two files");
    Purged { before, after: files.len() }
}

/// An object that no row names, where a sweep comes last: when it is gone, the sweep is over, and the
/// upkeep before it too.
fn plant(blobs: &Path) -> PathBuf {
    let folder = blobs.join("ff");
    fs::create_dir_all(&folder).unwrap();
    let last = folder.join("f".repeat(32));
    fs::write(&last, "of nobody").unwrap();
    last
}

/// The objects; what was swept lies in the trash, and some files are the store's own.
fn files(blobs: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(blobs).unwrap().map(|folder| folder.unwrap().path());
    let folders = folders.filter(|folder| folder.file_name().is_some_and(|name| name.len() == 2));
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}
