//! What a server takes from the machine: time, chance, and how many cores it has.

use std::{num::NonZeroUsize, sync::Arc, thread};

use portpass_storage::OpenFiles;
use portpass_token::{Clock, Random, SystemClock, SystemRandom};

/// The machine, as the parts see it. Tests give another clock.
#[derive(Clone, Debug)]
pub struct System {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where secrets come from.
    pub random: Arc<dyn Random>,
    /// How many passwords are hashed at once.
    pub cores: NonZeroUsize,
    /// How its open files are shared out.
    pub files: FileBudget,
}

impl System {
    /// This machine.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            cores: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            files: FileBudget::of(open_files()),
        }
    }
}

/// What of the files that this process may have open is for whom. The rest is for what must always work: the database,
/// the addresses that are listened on, health and metrics, and whoever connects until it is known who that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileBudget {
    /// Connections of clients.
    pub connections: usize,
    /// Blobs that come or go as fast as their clients like.
    pub blobs: usize,
    /// How often at a time a blob may be looked at, named or removed.
    pub brief: usize,
}

impl FileBudget {
    /// A blob is held over a connection, and many connections hold none: of a few files three quarters are for
    /// connections. Of many there is one of each for each.
    pub fn of(limit: usize) -> Self {
        let brief = (limit / 64).clamp(1, MOST_BRIEF);
        let kept_back = RESERVED_FILES + brief * OpenFiles::PER_BRIEF;
        // Too few to run well, but enough to start and to say so.
        let shared = limit.saturating_sub(kept_back).max(limit / 4);
        let connections = (shared - shared / 4).clamp(1, MOST_CONNECTIONS);
        let blobs = shared.saturating_sub(connections).clamp(FEWEST_BLOBS, MOST_CONNECTIONS);
        Self { connections, blobs, brief }
    }
}

/// Lets this process have as many files and connections open as the system allows. Most start with 1024.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Without the right to, it stays as it was.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// How many files this process may have open.
fn open_files() -> usize {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// Database, sockets that listen, log, locks, files that are read again, 64 connections to health and metrics, and 32
/// that wait for a place.
const RESERVED_FILES: usize = 160;

/// Connections of clients, however many files there are.
pub(crate) const MOST_CONNECTIONS: usize = 10_000;

/// An upload takes two.
const FEWEST_BLOBS: usize = 2;

const MOST_BRIEF: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_shared_out_and_never_twice() {
        for (limit, connections, blobs) in [
            (1024, 612, 204),
            (4096, 2808, 936),
            (20_000, 10_000, 9456),
            (65_536, 10_000, 10_000),
            (usize::MAX, 10_000, 10_000),
        ] {
            let shares = FileBudget::of(limit);
            assert_eq!((shares.connections, shares.blobs), (connections, blobs), "{limit}");
            let all = shares.connections + shares.blobs + shares.brief * OpenFiles::PER_BRIEF;
            assert!(all + RESERVED_FILES <= limit, "{limit}: {shares:?}");
        }
        let few = FileBudget::of(64);
        assert!(few.connections > 0 && few.connections + few.blobs <= 64, "{few:?}");
    }
}
