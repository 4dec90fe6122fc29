//! A Debian 13 in a folder: clients that are newer than those of this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root file system that `cargo xtask interop` makes. Its programs need root, and see this
/// machine's network and temporary folders, at the same paths.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    folder: PathBuf,
    /// The script that enters it.
    enter: PathBuf,
}

impl Root {
    /// Finds it, for a client whose home is `home`.
    ///
    /// # Panics
    /// If it has not been made.
    pub(crate) fn for_home(home: &Path) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/trixie");
        let folder = folder.canonicalize().expect("a Debian 13; `cargo xtask interop` makes it");
        let enter = home.join("enter.sh");
        fs::write(&enter, ENTER).expect("a script");
        Self { folder, enter }
    }

    /// A program of this root.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh"])
            .arg(&self.enter)
            .arg(&self.folder)
            .arg(std::env::temp_dir())
            .arg(program)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}

const ENTER: &str = include_str!("root/enter.sh");
