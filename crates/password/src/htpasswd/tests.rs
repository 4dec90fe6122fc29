use std::{fs, num::NonZeroUsize};

use super::*;
use crate::{
    cost::{Cost, HighestCost},
    format::Comparison,
    pool::{HashPool, PoolSettings},
};

/// bcrypt 5 of `opensesame`.
const OPENSESAME: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

struct Bench {
    folder: tempfile::TempDir,
    pool: HashPool,
}

impl Bench {
    fn new() -> Self {
        let settings = PoolSettings { threads: NonZeroUsize::MIN, queue: 1 };
        Self { folder: tempfile::tempdir().unwrap(), pool: HashPool::new(settings) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("users.htpasswd")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    /// As an editor does it: a new file in the place of the old one.
    fn replace(&self, text: &str) {
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.path()).unwrap();
    }

    fn open(&self, now: SystemTime) -> Result<HtpasswdFile, HtpasswdError> {
        let settings = HtpasswdSettings { path: self.path(), formats: Formats::Current };
        HtpasswdFile::open(settings, self.pool.source(), now)
    }
}

/// The time of the files themselves, so that they look as young as they are.
fn now(bench: &Bench) -> SystemTime {
    fs::metadata(bench.folder.path()).unwrap().modified().unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test]
async fn accounts_are_found_by_name() {
    let bench = Bench::new();
    bench.write(&format!("ann:{OPENSESAME}\nbob:plain\n"));
    let now = now(&bench);
    let file = bench.open(now).unwrap();
    let ann = file.find("ann", now).await.unwrap();
    assert_eq!(ann.hash().unwrap().verify(b"opensesame"), Comparison::Match);
    assert!(file.find("bob", now).await.unwrap().hash().is_err());
    assert!(file.find("Ann", now).await.is_none());
    assert!(file.find("", now).await.is_none());
    assert_eq!((file.len(), file.warnings().len(), file.fault()), (2, 1, None));
    let mut names = file.names(now).await;
    names.sort();
    assert_eq!(names, ["ann".into(), "bob".into()]);
}

#[test]
fn a_check_finds_what_an_opening_would() {
    let bench = Bench::new();
    let settings = HtpasswdSettings { path: bench.path(), formats: Formats::Current };
    assert!(matches!(HtpasswdFile::check(&settings), Err(HtpasswdError::Missing { .. })));
    bench.write(&format!("ann:{OPENSESAME}\nbob:plain\n"));
    let found = HtpasswdFile::check(&settings).unwrap();
    assert_eq!(found, bench.open(now(&bench)).unwrap().warnings());
    assert_eq!(found.len(), 1);
    bench.write("ann");
    assert!(matches!(HtpasswdFile::check(&settings), Err(HtpasswdError::Line { line: 1, .. })));
    assert_eq!(bench.pool.highest(), HighestCost::default());
}

/// HT3: a slip in a path must not make an account.
#[test]
fn a_file_that_is_not_there_is_not_made() {
    let bench = Bench::new();
    assert!(matches!(bench.open(now(&bench)), Err(HtpasswdError::Missing { .. })));
    assert_eq!(fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

/// HT6
#[tokio::test]
async fn a_change_counts_within_two_seconds() {
    for replace in [Bench::write, Bench::replace] {
        let bench = Bench::new();
        bench.write(&format!("ann:{OPENSESAME}"));
        let start = now(&bench);
        let file = bench.open(start).unwrap();
        let before = file.find("ann", start).await.unwrap().version().to_owned();
        replace(&bench, &format!("ann:{OPENSESAME}x\nbob:{OPENSESAME}"));
        let after = file.find("ann", start + seconds(1)).await.unwrap().version().to_owned();
        assert_ne!(before, after);
        assert!(file.find("bob", start + seconds(1)).await.is_some());
        replace(&bench, "");
        assert!(file.find("ann", start + seconds(2)).await.is_none());
        assert!(file.is_empty());
    }
}

/// Two writes within one tick of the file system's clock leave the same stamp.
#[tokio::test]
async fn a_change_that_no_stamp_shows_counts_while_the_file_is_young() {
    let bench = Bench::new();
    bench.write("ann:a");
    let start = now(&bench);
    let file = bench.open(start).unwrap();
    let before = file.find("ann", start).await.unwrap();
    bench.write("ann:b");
    let same_stamp = stamp(&bench.path()).unwrap();
    let look = async |now| {
        file.keep(&file.state.load_full(), Ok(same_stamp), start);
        file.find("ann", now).await.unwrap()
    };
    let written = same_stamp.modified;
    assert_eq!(look(written + seconds(60)).await.version(), before.version());
    assert_ne!(look(written + seconds(1)).await.version(), before.version());
    bench.write("ann:a");
    assert_eq!(look(written - seconds(60)).await.version(), before.version());
}

#[tokio::test]
async fn a_file_is_not_looked_at_more_than_once_a_second() {
    let bench = Bench::new();
    bench.write(&format!("ann:{OPENSESAME}"));
    let start = now(&bench);
    let file = bench.open(start).unwrap();
    fs::remove_file(bench.path()).unwrap();
    for now in [start, start + Duration::from_millis(999), start - Duration::from_millis(999)] {
        assert!(file.find("ann", now).await.is_some());
        assert_eq!(file.fault(), None);
    }
    for now in [start + seconds(1), start] {
        file.find("ann", now).await;
        assert!(file.fault().is_some(), "{now:?}");
    }
    bench.write("");
    assert!(file.find("ann", start + seconds(1)).await.is_none());
}

/// HT6 as we want it: the last good entries, the fault known, and every attempt told apart.
#[tokio::test]
async fn a_file_that_breaks_or_vanishes_keeps_its_last_good_entries() {
    let bench = Bench::new();
    let good = format!("ann:{OPENSESAME}");
    bench.write(&good);
    let start = now(&bench);
    let file = bench.open(start).unwrap();

    bench.write(&format!("bob:{OPENSESAME}\nhalf a li"));
    for second in 1..4 {
        assert!(file.find("ann", start + seconds(second)).await.is_some());
        assert!(file.find("bob", start + seconds(second)).await.is_none());
        assert_eq!(file.fault(), Some(HtpasswdError::Line { path: bench.path(), line: 2 }));
    }
    fs::remove_file(bench.path()).unwrap();
    assert!(file.find("ann", start + seconds(4)).await.is_some());
    assert_eq!(file.fault(), Some(HtpasswdError::Missing { path: bench.path() }));

    fs::create_dir(bench.path()).unwrap();
    assert!(file.find("ann", start + seconds(5)).await.is_some());
    assert_eq!(file.fault(), Some(HtpasswdError::NotAFile { path: bench.path() }));

    fs::remove_dir(bench.path()).unwrap();
    bench.write(&format!("bob:{OPENSESAME}"));
    assert!(file.find("ann", start + seconds(6)).await.is_none());
    assert!(file.find("bob", start + seconds(6)).await.is_some());
    assert_eq!(file.fault(), None);
}

/// What a broken file would cost does not count either.
#[tokio::test]
async fn the_costliest_entry_in_force_is_what_refusals_cost() {
    let bench = Bench::new();
    let twelve = OPENSESAME.replace("$05$", "$12$");
    bench.write(&format!("ann:{OPENSESAME}\nbob:{twelve}\ncarol:plain"));
    let start = now(&bench);
    let file = bench.open(start).unwrap();
    assert_eq!(bench.pool.highest(), Cost::Bcrypt(12).into());
    bench.write(&format!("ann:{OPENSESAME}\nbob"));
    file.find("ann", start + seconds(1)).await;
    assert_eq!(bench.pool.highest(), Cost::Bcrypt(12).into());
    bench.write(&format!("ann:{OPENSESAME}"));
    file.find("ann", start + seconds(2)).await;
    assert_eq!(bench.pool.highest(), Cost::Bcrypt(5).into());
    drop(file);
    assert_eq!(bench.pool.highest(), HighestCost::default());
}

/// HT3
#[test]
fn a_file_that_cannot_be_used_stops_the_start_and_says_what_to_do() {
    let bench = Bench::new();
    let now = now(&bench);
    let missing = bench.open(now).unwrap_err();
    assert!(missing.to_string().contains("make it with `htpasswd -Bc"), "{missing}");
    bench.write("ann:x\nhunter2");
    let broken = bench.open(now).unwrap_err();
    assert!(broken.to_string().ends_with("line 2 has no `:` between name and hash"), "{broken}");
    fs::remove_file(bench.path()).unwrap();
    fs::create_dir(bench.path()).unwrap();
    assert!(matches!(bench.open(now), Err(HtpasswdError::NotAFile { .. })));
}

#[test]
fn a_file_of_sixteen_mebibytes_is_read_and_a_larger_one_is_not() {
    let bench = Bench::new();
    let now = now(&bench);
    let limit = usize::try_from(MAX_LENGTH).unwrap();
    bench.write(&"#".repeat(limit));
    assert!(bench.open(now).unwrap().is_empty());
    bench.write(&"#".repeat(limit + 1));
    assert!(matches!(bench.open(now), Err(HtpasswdError::TooLarge { .. })));
}

/// HT3: an empty file is left as it is, and nobody can log in.
#[tokio::test]
async fn an_empty_file_knows_nobody() {
    let bench = Bench::new();
    bench.write("");
    let now = now(&bench);
    let file = bench.open(now).unwrap();
    assert!(file.find("docker", now).await.is_none());
}
