//! The new registry: one that lets everybody in, and its commands.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portpass_testkit::{CommandOutput, Portpass, run};
use serde_json::Value;
use tempfile::TempDir;

use crate::PROGRAM;

/// A folder with a configuration, on which nothing has been started yet.
pub(crate) struct Installation {
    folder: TempDir,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portpass.yml");
        fs::write(file, configuration(&folder.path().join("data"))).unwrap();
        Self { folder }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        command_in(self.folder.path(), arguments)
    }

    pub(crate) fn import(&self, storage: &Path, more: &[&str]) -> Value {
        let storage = storage.to_str().unwrap();
        let ran = self.run(&[&["import", "storage", storage, "--json"], more].concat());
        json(&ran)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(self.folder.path().join("portpass.yml"));
        command
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.folder.path().join("data/blobs")
    }

    /// Has a server run on it.
    pub(crate) fn serve(self) -> Portpass {
        Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], self.folder)
    }
}

pub(crate) fn configuration(data: &Path) -> String {
    format!(
        "data: {}\nhttp: {{ addr: 127.0.0.1:0 }}\nregistry:\n  auth: {{ none: {{}} }}\n  storage: {{ delete: {{ enabled: true }} }}\n",
        data.display()
    )
}

pub(crate) fn command_in(folder: &Path, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new(PROGRAM);
    run(command.args(arguments).arg("--config").arg(folder.join("portpass.yml")), "")
}

/// Imports beside a server that runs.
pub(crate) fn import_beside(server: &Portpass, storage: &Path, more: &[&str]) -> Value {
    let storage = storage.to_str().unwrap();
    let arguments = [&["import", "storage", storage, "--json"], more].concat();
    json(&command_in(server.folder(), &arguments))
}

pub(crate) fn json(ran: &CommandOutput) -> Value {
    serde_json::from_str(&ran.expect_success().stdout).unwrap()
}

pub(crate) fn place(server: &Portpass) -> String {
    server.address().to_string()
}

/// The kinds of the problems, sorted.
pub(crate) fn kinds(summary: &Value) -> Vec<&str> {
    let problems = summary["problems"].as_array().unwrap().iter();
    let mut kinds: Vec<&str> = problems.map(|problem| problem["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds
}

pub(crate) fn counts(summary: &Value) -> [u64; 4] {
    ["repositories", "tags", "manifests", "blobs"].map(|key| summary[key].as_u64().unwrap())
}
