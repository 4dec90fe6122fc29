//! A disk that is small enough to be filled.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// A file system in memory, of a size that was chosen. It is mounted where only the programs see it
/// that are started by [`Disk::words`], so that no rights are needed, and gone when this is dropped.
#[derive(Debug)]
pub struct Disk {
    /// Holds the mount; ends when its input does.
    holder: Child,
    place: TempDir,
}

impl Disk {
    /// A new disk of so many mebibytes.
    ///
    /// # Panics
    /// If the system lets nobody have mounts of their own.
    pub fn of(mebibytes: u32) -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", MOUNT])
            .arg(place.path())
            .arg(format!("size={mebibytes}m"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut said = String::new();
        let output = holder.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut said).expect("a line");
        assert_eq!(said.trim(), "mounted", "a disk of one's own");
        Self { holder, place }
    }

    /// Words that start a program so that it sees the disk, and become that program.
    pub fn words(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        ["nsenter", "--target", &target, "--user", "--mount", "--preserve-credentials"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Where the disk is for the programs on it.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Where it is for everybody else.
    ///
    /// # Panics
    /// Never: the path is absolute.
    pub fn from_outside(&self) -> PathBuf {
        let inside = self.path().strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Whoever waits for the word may use the disk; `cat` stays until nobody speaks to it.
const MOUNT: &str = r#"mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && exec cat"#;
