//! One run: a server, everybody who asks it, and what came of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portpass_testkit::{Portpass, Process};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    callers,
    memory::{Samples, sample},
    traffic,
    world::{Mix, World},
};

/// What is to be done.
pub(crate) struct Run {
    pub(crate) mix: Mix,
    pub(crate) seconds: u64,
    pub(crate) program: PathBuf,
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
        world.end();
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

/// As in production, and with a proxy in front whose word on addresses counts.
fn serve(program: &Path) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let text = "data: data\nhttp: { addr: \"127.0.0.1:0\", trusted_proxies: [127.0.0.0/8] }\nregistry: {}\ntoken_service: {}\n";
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    Portpass::serve_in(program, &["--config", "{folder}/portpass.yml"], folder)
}

const PATIENCE: Duration = Duration::from_mins(1);
