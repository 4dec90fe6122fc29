//! A home of a client's own: nothing of the machine's configuration reaches it, nothing stays behind.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::root::Root;

/// The folder where one client finds its configuration and keeps its credentials.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    /// Where its programs are, if not on this machine's path.
    root: Option<Root>,
}

/// An empty one.
impl Default for Home {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), root: None }
    }
}

impl Home {
    /// An empty one, of a client from Debian 13.
    ///
    /// # Panics
    /// If there is no such Debian; `cargo xtask interop` makes it.
    pub fn in_debian13() -> Self {
        let home = Self::default();
        Self { root: Some(Root::for_home(home.path())), ..home }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where containers' tools keep credentials.
    pub fn auth_file(&self) -> PathBuf {
        self.path().join("auth.json")
    }

    /// Docker's folder; `config.json` is in it after a login.
    pub fn docker_folder(&self) -> PathBuf {
        self.path().join("docker")
    }

    /// A program that lives here.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match &self.root {
            None => Command::new(program.as_ref()),
            Some(root) => root.command(program.as_ref()),
        };
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_RUNTIME_DIR", self.path())
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("REGISTRY_AUTH_FILE", self.auth_file())
            .env("DOCKER_CONFIG", self.docker_folder());
        command
    }
}
