//! htpasswd files: read, watched, and never half believed.
//!
//! Where this differs from distribution (docs/protocol.md HT1–HT8, §15):
//!
//! - The file is read at the start, and one that cannot be used stops it. A missing one too: none is
//!   made (HT3), since a slip in a path would then make an account that may do everything.
//! - A file that breaks or vanishes while the process runs leaves the last good entries in force,
//!   and every attempt to read it that fails is logged, not only the first (HT6).
//! - A line whose name could not be an account's is skipped with a warning, the empty name too (HT4).
//! - Hashes of other forms are known by name and refused with a reason (HT5). bcrypt above cost 14 is
//!   one of them.
//! - An unknown name costs as much as the costliest entry (HT7), and a proved password is remembered
//!   for a while (HT8): see [`crate::check`].

mod parse;

use std::{
    collections::HashMap,
    fmt,
    fs::{File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use tokio::{sync::Mutex, task};

use crate::{
    format::{FormatError, Formats, PasswordHash},
    pool::SourceCosts,
};

pub use self::parse::{NameFault, Warning, WarningKind};

/// Where the file is and what it may hold.
#[derive(Debug, Clone)]
pub struct HtpasswdSettings {
    /// The file.
    pub path: PathBuf,
    /// Which hashes count.
    pub formats: Formats,
}

/// An htpasswd file whose last good content is known. A change takes effect within two seconds.
///
/// It is looked at when somebody asks, at most once a second, away from the asynchronous threads;
/// whoever asks meanwhile waits for the look that is under way.
#[derive(Debug)]
pub struct HtpasswdFile {
    settings: Arc<HtpasswdSettings>,
    state: ArcSwap<State>,
    looking: Mutex<()>,
    costs: SourceCosts,
}

/// What is known of a file at one moment.
#[derive(Debug)]
struct State {
    content: Arc<Content>,
    /// What the file looked like when `content` was read.
    seen: Option<Stamp>,
    /// Why the file cannot be read as it is now.
    fault: Option<HtpasswdError>,
    looked: SystemTime,
}

/// What a file says.
#[derive(Debug, Default)]
struct Content {
    entries: HashMap<Box<str>, Arc<Entry>>,
    warnings: Vec<Warning>,
    digest: Option<digest::Digest>,
}

impl HtpasswdFile {
    /// What is wrong with the lines of a file that can be used, and nothing is kept of it: for
    /// looking at a configuration. Blocks.
    pub fn check(settings: &HtpasswdSettings) -> Result<Vec<Warning>, HtpasswdError> {
        let (bytes, _) = read(&settings.path)?;
        Ok(Content::parse(&bytes, settings)?.warnings)
    }

    /// Reads the file, which must be there and be readable as a whole. Blocks: for the start only.
    ///
    /// Logs nothing: what is wrong with single lines is in [`Self::warnings`], and each later change
    /// of the file is logged with its own. `costs` is this file's share in what refusals cost, from
    /// [`crate::HashPool::source`].
    pub fn open(
        settings: HtpasswdSettings,
        costs: SourceCosts,
        now: SystemTime,
    ) -> Result<Self, HtpasswdError> {
        let (bytes, stamp) = read(&settings.path)?;
        let content = Content::parse(&bytes, &settings)?;
        let file = Self {
            state: ArcSwap::from_pointee(State {
                content: Arc::default(),
                seen: None,
                fault: None,
                looked: now,
            }),
            settings: Arc::new(settings),
            looking: Mutex::new(()),
            costs,
        };
        file.take(content, stamp, now);
        Ok(file)
    }

    /// The account of that name, in a file that was looked at less than a second ago.
    pub async fn find(&self, name: &str, now: SystemTime) -> Option<Arc<Entry>> {
        self.look(now).await;
        self.state.load().content.entries.get(name).cloned()
    }

    /// What was skipped or will not count, line by line, in the content that is in force.
    pub fn warnings(&self) -> Vec<Warning> {
        self.state.load().content.warnings.clone()
    }

    /// Why the file could not be read when it was last looked at; the entries in force are older.
    pub fn fault(&self) -> Option<HtpasswdError> {
        self.state.load().fault.clone()
    }

    /// The names in a file that was looked at less than a second ago, in no order.
    pub async fn names(&self, now: SystemTime) -> Vec<Box<str>> {
        self.look(now).await;
        self.state.load().content.entries.keys().cloned().collect()
    }

    /// How many accounts are in force.
    pub fn len(&self) -> usize {
        self.state.load().content.entries.len()
    }

    /// Whether nobody can log in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn look(&self, now: SystemTime) {
        if self.state.load().is_fresh(now) {
            return;
        }
        let _turn = self.looking.lock().await;
        let state = self.state.load_full();
        if state.is_fresh(now) {
            return;
        }
        let (settings, known) = (Arc::clone(&self.settings), Arc::clone(&state));
        let looked = task::spawn_blocking(move || known.look(&settings, now)).await;
        match looked.unwrap_or_else(|error| Err(self.unreadable(&io::Error::other(error)))) {
            Ok(Looked::Same(stamp)) => self.keep(&state, Ok(stamp), now),
            Ok(Looked::Changed(content, stamp)) => {
                self.tell(&content);
                self.take(content, stamp, now);
            }
            Err(error) => {
                tracing::error!(%error, "cannot use the htpasswd file as it is; its last good entries stay in use");
                self.keep(&state, Err(error), now);
            }
        }
    }

    /// Logs that there is new content, and what of it will not count.
    fn tell(&self, content: &Content) {
        let path = self.settings.path.display();
        tracing::info!(%path, accounts = content.entries.len(), "the htpasswd file has changed");
        for warning in content.warnings.iter().take(MAX_LOGGED) {
            tracing::warn!(%path, line = warning.line, "{warning}");
        }
        if let Some(more @ 1..) = content.warnings.len().checked_sub(MAX_LOGGED) {
            tracing::warn!(%path, "{more} more lines of the htpasswd file have problems");
        }
    }

    /// Puts new content in force.
    fn take(&self, content: Content, stamp: Stamp, now: SystemTime) {
        let hashes = content.entries.values().filter_map(|entry| entry.hash().ok());
        self.costs.set(hashes.map(|hash| hash.cost()));
        let (content, seen) = (Arc::new(content), Some(stamp));
        self.state.store(Arc::new(State { content, seen, fault: None, looked: now }));
    }

    /// After a fault the file is read again, however old it looks.
    fn keep(&self, state: &State, looked: Result<Stamp, HtpasswdError>, now: SystemTime) {
        let (seen, fault) = match looked {
            Ok(stamp) => (Some(stamp), None),
            Err(fault) => (None, Some(fault)),
        };
        let content = Arc::clone(&state.content);
        self.state.store(Arc::new(State { content, seen, fault, looked: now }));
    }

    fn unreadable(&self, error: &io::Error) -> HtpasswdError {
        HtpasswdError::unreadable(&self.settings.path, error)
    }
}

impl State {
    /// Requests bring their own `now`, so one may be a little earlier than the last look.
    fn is_fresh(&self, now: SystemTime) -> bool {
        match now.duration_since(self.looked) {
            Ok(age) => age < LOOK_EVERY,
            Err(earlier) => earlier.duration() < LOOK_EVERY,
        }
    }

    fn look(&self, settings: &HtpasswdSettings, now: SystemTime) -> Result<Looked, HtpasswdError> {
        let stamp = stamp(&settings.path)?;
        if self.seen == Some(stamp) && !stamp.is_younger_than(GRAIN, now) {
            return Ok(Looked::Same(stamp));
        }
        let (bytes, stamp) = read(&settings.path)?;
        if self.content.is_of(&bytes) {
            return Ok(Looked::Same(stamp));
        }
        Ok(Looked::Changed(Content::parse(&bytes, settings)?, stamp))
    }
}

/// What a look at a file found.
enum Looked {
    Same(Stamp),
    Changed(Content, Stamp),
}

impl Content {
    fn parse(bytes: &[u8], settings: &HtpasswdSettings) -> Result<Self, HtpasswdError> {
        parse::parse(bytes, settings.formats).map_err(|parse::NoEntry { line }| {
            HtpasswdError::Line { path: settings.path.clone(), line }
        })
    }

    fn is_of(&self, bytes: &[u8]) -> bool {
        self.digest.as_ref().is_some_and(|known| known.as_ref() == digest(bytes).as_ref())
    }
}

/// One account of a file.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands, counted from 1.
    line: usize,
    hash: Result<Arc<PasswordHash>, FormatError>,
    version: Box<str>,
}

impl Entry {
    /// What a password is compared with, or why none ever matches.
    pub fn hash(&self) -> Result<&Arc<PasswordHash>, &FormatError> {
        self.hash.as_ref()
    }

    /// SHA-256 of the line in hex: changes with the password and tells nothing of it.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Why a file cannot be used. Says nothing of what stands in it: that may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HtpasswdError {
    /// A directory, a pipe, a device.
    #[error("htpasswd file {path} is not a file", path = .path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// Something that is no entry (HT4). It may be half a file, so none of it counts.
    #[error("htpasswd file {path}: line {line} has no `:` between name and hash", path = .path.display())]
    Line {
        /// Where.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// There is none.
    #[error("htpasswd file {path} does not exist; make it with `htpasswd -Bc {path} NAME`", path = .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It changed while it was read, twice.
    #[error("htpasswd file {path} changes while it is read", path = .path.display())]
    ChangedWhileRead {
        /// Where.
        path: PathBuf,
    },
    /// Too large to be one.
    #[error("htpasswd file {path} is larger than {} MiB", MAX_LENGTH >> 20, path = .path.display())]
    TooLarge {
        /// Where.
        path: PathBuf,
    },
    /// The system says no.
    #[error("htpasswd file {path} cannot be read: {reason}", path = .path.display())]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl HtpasswdError {
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Unreadable { path, reason: error.to_string() },
        }
    }
}

/// By what a changed file is known without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    /// Of the inode: which it is, and when it last changed in any way.
    inode: (u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        #[cfg(not(unix))]
        let inode = (0, 0, 0);
        Ok(Self { modified: metadata.modified()?, length: metadata.len(), inode })
    }

    /// Two writes within one tick of the file system's clock look the same, so a young stamp proves
    /// nothing; nor does one from the future, of a file system with another clock.
    fn is_younger_than(&self, age: Duration, now: SystemTime) -> bool {
        now.duration_since(self.modified).map_or(true, |elapsed| elapsed < age)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp").field("length", &self.length).finish_non_exhaustive()
    }
}

/// A file that somebody is just writing in place is read twice at most.
fn read(path: &Path) -> Result<(Vec<u8>, Stamp), HtpasswdError> {
    let unreadable = |error| HtpasswdError::unreadable(path, &error);
    for _ in 0..2 {
        let before = stamp(path)?;
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_LENGTH + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_LENGTH {
            return Err(HtpasswdError::TooLarge { path: path.to_owned() });
        }
        if stamp(path)? == before {
            return Ok((bytes, before));
        }
    }
    Err(HtpasswdError::ChangedWhileRead { path: path.to_owned() })
}

fn digest(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

/// Looks without opening: opening a pipe would wait for a writer.
fn stamp(path: &Path) -> Result<Stamp, HtpasswdError> {
    let unreadable = |error| HtpasswdError::unreadable(path, &error);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(HtpasswdError::NotAFile { path: path.to_owned() });
    }
    Stamp::of(&metadata).map_err(unreadable)
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
const GRAIN: Duration = Duration::from_secs(2);
const MAX_LENGTH: u64 = 16 << 20;
const MAX_LOGGED: usize = 20;

#[cfg(test)]
mod tests;
