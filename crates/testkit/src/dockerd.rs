//! A docker daemon of the test's own: its data, its socket, its client's configuration.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    program::{Ran, run},
    served::{stop, wait_until},
};

/// A running `dockerd`, stopped when dropped. Needs root, as dockerd does.
#[derive(Debug)]
pub struct Dockerd {
    daemon: Child,
    folder: TempDir,
}

impl Dockerd {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Panics
    /// If it cannot be started or does not answer within a minute; the panic has its log.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let log = File::create(at("log")).expect("a log file");
        std::fs::write(at("daemon.json"), "{}").expect("a configuration file");
        let daemon = Command::new(daemon_program())
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--storage-driver=vfs", "--data-root"])
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(socket(folder.path()))
            // Not /etc/docker/daemon.json, whatever it says.
            .arg("--config-file")
            .arg(at("daemon.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .spawn()
            .expect("dockerd starts; `cargo xtask setup` installs it");
        let docker = Self { daemon, folder };
        let answers = wait_until(|| docker.run(&["version"]).success);
        assert!(answers, "dockerd does not answer:\n{}", docker.log());
        docker
    }

    /// Runs `docker` against this daemon.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "")
    }

    /// `docker login` with the password on standard input.
    pub fn login(&self, registry: &str, account: &str, password: &str) -> Ran {
        let arguments = ["login", "--username", account, "--password-stdin", registry];
        self.run_with_input(&arguments, password)
    }

    /// The client's `config.json`, empty if there is none.
    pub fn client_configuration(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("client/config.json")).unwrap_or_default()
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = Command::new("docker");
        command
            .arg("--host")
            .arg(socket(self.folder.path()))
            .args(arguments)
            .env("DOCKER_CONFIG", self.folder.path().join("client"))
            .env("HOME", self.folder.path());
        run(&mut command, input)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        stop(&mut self.daemon);
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}

/// Daemons live in sbin, which is not on everybody's path.
fn daemon_program() -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin/dockerd");
    if sbin.exists() { sbin } else { "dockerd".into() }
}
