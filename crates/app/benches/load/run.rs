//! One run: a server, everybody who asks it, and what came of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use portpass_testkit::{Portpass, Process};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    callers::{self, Guesses},
    memory::{Samples, sample},
    traffic,
};

/// Which blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    Small,
    Large,
    All,
}

impl Mix {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "1 to 16 KiB",
            Self::Large => "200 MB",
            Self::All => "1 KiB to 200 MB",
        }
    }

    /// Sizes, and how often each comes.
    pub(crate) fn sizes(self) -> &'static [(usize, usize)] {
        match self {
            Self::Small => &[(1 << 10, 1), (16 << 10, 1)],
            Self::Large => &[(200_000_000, 1)],
            Self::All => &[
                (1 << 10, 30),
                (16 << 10, 25),
                (256 << 10, 20),
                (2 << 20, 15),
                (16 << 20, 8),
                (200_000_000, 2),
            ],
        }
    }

    /// What may be written at once, so that all pushers are at it, and then each second: disks end.
    fn budget(self) -> (u64, u64) {
        match self {
            Self::Small => (u64::MAX / 2, 0),
            Self::Large => (traffic::PUSHERS * 200_000_000, 20 << 20),
            Self::All => (1 << 30, 20 << 20),
        }
    }
}

/// What is to be done.
pub(crate) struct Run {
    pub(crate) mix: Mix,
    pub(crate) seconds: u64,
    pub(crate) program: PathBuf,
}

/// What all callers of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) mix: Mix,
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) administrator: String,
    began: Instant,
    over: AtomicBool,
    written: AtomicU64,
    pub(crate) images: Mutex<Vec<String>>,
    pub(crate) counts: Counts,
    pub(crate) errors: Mutex<Vec<String>>,
    pub(crate) cached: Mutex<Vec<Duration>>,
    pub(crate) refreshed: Mutex<Vec<Duration>>,
    pub(crate) guesses: Guesses,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pushes: AtomicU64,
    pub(crate) pushed_bytes: AtomicU64,
    pub(crate) pulls: AtomicU64,
    pub(crate) pulled_bytes: AtomicU64,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) mix: Mix,
    pub(crate) seconds: u64,
    pub(crate) memory: Samples,
    pub(crate) world: Arc<World>,
    pub(crate) errors: Vec<String>,
}

impl Run {
    pub(crate) async fn go(self) -> Outcome {
        let portpass = serve(&self.program);
        let world = Arc::new(World::new(self.mix, &portpass));
        traffic::first_images(&world).await;
        let accounts = callers::accounts(&world, &portpass).await;
        let mut tasks = JoinSet::new();
        traffic::start(&world, &mut tasks);
        let threads = callers::start(&world, accounts);
        let mut memory = Samples::default();
        let length = Duration::from_secs(self.seconds);
        let _ = timeout(length, sample(Process(portpass.process_id()), &mut memory)).await;
        world.over.store(true, Ordering::Relaxed);
        // Who is in the middle of something comes to its end.
        if timeout(PATIENCE, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            world.failed("some requests had not ended a minute after the run".to_owned());
        }
        for thread in threads {
            thread.join().unwrap();
        }
        let errors = world.errors.lock().unwrap().clone();
        for error in errors.iter().take(5) {
            println!("error: {error}");
        }
        Outcome { mix: self.mix, seconds: self.seconds, memory, world, errors }
    }
}

impl World {
    fn new(mix: Mix, portpass: &Portpass) -> Self {
        let password = fs::read_to_string(portpass.folder().join("data/admin-password")).unwrap();
        Self {
            mix,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: portpass.url(),
            administrator: password.trim().to_owned(),
            began: Instant::now(),
            over: AtomicBool::new(false),
            written: AtomicU64::new(0),
            images: Mutex::default(),
            counts: Counts::default(),
            errors: Mutex::default(),
            cached: Mutex::default(),
            refreshed: Mutex::default(),
            guesses: Guesses::default(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self, error: String) {
        self.errors.lock().unwrap().push(error);
    }

    /// Whether so much may be written now.
    pub(crate) fn may_write(&self, size: usize) -> bool {
        let (at_once, each_second) = self.mix.budget();
        let allowed = at_once + each_second * self.began.elapsed().as_secs();
        let size = size as u64;
        let before = self.written.fetch_add(size, Ordering::Relaxed);
        if before + size <= allowed {
            return true;
        }
        self.written.fetch_sub(size, Ordering::Relaxed);
        false
    }
}

/// As in production, and with a proxy in front whose word on addresses counts.
fn serve(program: &Path) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let text = "data: data\nhttp: { addr: \"127.0.0.1:0\", trusted_proxies: [127.0.0.0/8] }\nregistry: {}\ntoken_service: {}\n";
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    Portpass::serve_in(program, &["--config", "{folder}/portpass.yml"], folder)
}

const PATIENCE: Duration = Duration::from_mins(1);
