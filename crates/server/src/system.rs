//! What a server takes from the machine: time, chance, and how many cores it has.

use std::{num::NonZeroUsize, sync::Arc, thread};

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
}

impl System {
    /// This machine.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            cores: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Lets this process have as many files and connections open as the system allows, and says how many.
/// Most start with 1024, of which each connection takes one and each blob that is read another.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Without the right to, it stays as it was.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
