//! A server, what is known of it, and who speaks with it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use portpass_testkit::{Disk, Portpass};

use crate::{
    PROGRAM,
    audit::{Auditor, watch_tags},
    journal::Journal,
    pusher::Pusher,
    wire::{Lost, Victim, Wire},
};

/// Registry and token service on one data directory.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) victim: Arc<Victim>,
    pub(crate) journal: Arc<Journal>,
    password: Arc<str>,
    /// The data directory, as this process sees it.
    data: PathBuf,
    /// Where that is, if it has a disk of its own; it must outlive the server.
    pub(crate) disk: Option<Disk>,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_by(|_| Vec::new())
    }

    /// A server that is started by other words; they may name its folder.
    pub(crate) fn start_by(starter: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        configure(folder.path(), &data);
        let starter = starter(folder.path());
        let server = Portpass::serve_by(&starter, Path::new(PROGRAM), SERVE, folder);
        Self::of(server, data, None)
    }

    /// A server whose data is on a disk of so many mebibytes.
    pub(crate) fn start_on_disk(mebibytes: u32) -> Self {
        let disk = Disk::of(mebibytes);
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), &disk.path().join("data"));
        let server = Portpass::serve_by(&disk.words(), Path::new(PROGRAM), SERVE, folder);
        let data = disk.from_outside().join("data");
        Self::of(server, data, Some(disk))
    }

    fn of(server: Portpass, data: PathBuf, disk: Option<Disk>) -> Self {
        let password = fs::read_to_string(data.join("admin-password")).unwrap();
        let journal = Arc::new(Journal::default());
        watch_tags(&journal);
        let victim = Arc::new(Victim::new(server));
        Self { victim, journal, password: password.trim().into(), data, disk }
    }

    pub(crate) async fn pusher(&self, name: &str) -> Pusher {
        let (wire, journal) = (Wire::to(&self.victim), self.journal.clone());
        let pusher = Pusher::start(name.to_owned(), wire, journal, self.password.clone());
        pusher.await.unwrap()
    }

    /// Whoever holds this token, looking at everything.
    pub(crate) fn auditor(&self, token: &str) -> Auditor {
        let (wire, journal) = (Wire::to(&self.victim), self.journal.clone());
        Auditor { wire, token: token.to_owned(), journal }
    }

    /// As [`World::auditor`], with a new token.
    pub(crate) async fn new_auditor(&self) -> Result<Auditor, Lost> {
        let logged_in = Wire::to(&self.victim).log_in("auditor", &self.password).await?;
        Ok(self.auditor(&logged_in.token))
    }

    /// The directory of the blobs.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.data.join("blobs")
    }
}

/// Tokens that are no good are tried often here, and nobody is to be held up for it.
fn configure(folder: &Path, data: &Path) {
    let text = format!(
        "data: {}\nregistry: {{}}\ntoken_service:\n  limits: {{ enabled: false }}\n",
        data.display()
    );
    fs::write(folder.join("portpass.yml"), text).unwrap();
}

const SERVE: &[&str] = &["--config", "{folder}/portpass.yml", "--addr", "127.0.0.1:0"];
