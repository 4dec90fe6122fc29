//! Being told to stop.

use std::io;

use tokio::sync::watch;

/// Tells a server to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<Stage>);

/// What a server watches.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Stage>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Run,
    Drain,
    Now,
}

impl Shutdown {
    /// A shutdown, and the one who says when.
    pub fn new() -> (Stop, Self) {
        let (sender, receiver) = watch::channel(Stage::Run);
        (Stop(sender), Self(receiver))
    }

    /// SIGINT or SIGTERM begins the drain; a second one ends it.
    ///
    /// # Errors
    /// The signals cannot be had.
    pub fn on_signals() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (stop, shutdown) = Self::new();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::spawn(async move {
            for stage in [Stage::Drain, Stage::Now] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                stop.0.send_replace(stage);
            }
        });
        Ok(shutdown)
    }

    /// Resolves when no new requests are to be taken.
    pub async fn drain(&self) {
        self.reach(Stage::Drain).await;
    }

    /// Resolves when nothing is to be waited for any more.
    pub async fn now(&self) {
        self.reach(Stage::Now).await;
    }

    async fn reach(&self, stage: Stage) {
        // Nobody left who could say so: run on.
        if self.0.clone().wait_for(|reached| *reached >= stage).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stop {
    /// Requests under way end, new ones are not taken.
    pub fn drain(&self) {
        self.0.send_if_modified(|stage| {
            std::mem::replace(stage, (*stage).max(Stage::Drain)) < Stage::Drain
        });
    }

    /// What is not done by now is cut off.
    pub fn now(&self) {
        self.0.send_replace(Stage::Now);
    }
}
