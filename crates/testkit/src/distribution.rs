//! Debian's docker-registry: the CNCF distribution registry, 2.8.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    program::{CommandOutput, run},
    server::{stop, wait_until},
};

/// A running `docker-registry`, stopped when dropped.
#[derive(Debug)]
pub struct Distribution {
    process: Child,
    /// Its configuration and its log.
    folder: TempDir,
    address: SocketAddr,
}

/// Its `auth: token:` block.
#[derive(Debug, Clone, Copy)]
pub struct TrustedTokens<'a> {
    /// Where clients get tokens.
    pub realm: &'a str,
    /// What it calls itself: `aud`.
    pub service: &'a str,
    /// Whose tokens it takes: `iss`.
    pub issuer: &'a str,
    /// The certificates that it trusts. They are read once, at the start.
    pub bundle: &'a Path,
}

impl Distribution {
    /// Starts it on a port that the kernel picks, with deletes enabled.
    ///
    /// # Panics
    /// If it does not listen within a minute; the panic has its log.
    pub fn start(tokens: &TrustedTokens<'_>) -> Self {
        Self::start_with(&tokens.section(), None)
    }

    /// As [`Distribution::start`], and it asks nobody who they are.
    ///
    /// # Panics
    /// As [`Distribution::start`].
    pub fn open() -> Self {
        Self::start_with("", None)
    }

    /// As [`Distribution::open`], with more lines in its configuration: sections, or keys below `storage` where they are
    /// indented.
    ///
    /// # Panics
    /// As [`Distribution::start`].
    pub fn open_with(lines: &str) -> Self {
        Self::start_with(lines, None)
    }

    /// As [`Distribution::open`], on a storage that outlives it.
    ///
    /// # Panics
    /// As [`Distribution::start`].
    pub fn open_on(storage: &Path) -> Self {
        Self::start_with("", Some(storage))
    }

    /// Runs its `garbage-collect` on a storage that nobody uses; with `untagged` it removes the manifests without tags
    /// too.
    ///
    /// # Panics
    /// If it fails.
    pub fn collect_garbage(storage: &Path, untagged: bool) -> CommandOutput {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config.yml");
        fs::write(&file, configuration("", storage)).expect("a configuration file");
        let mut command = Command::new("docker-registry");
        command.arg("garbage-collect").args(untagged.then_some("--delete-untagged")).arg(&file);
        let ran = run(&mut command, "");
        ran.expect_success();
        ran
    }

    fn start_with(auth: &str, storage: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config.yml");
        let own = folder.path().join("blobs");
        let text = configuration(auth, storage.unwrap_or(&own));
        fs::write(&file, text).expect("a configuration file");
        let log = File::create(folder.path().join(LOG)).expect("a log file");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("docker-registry starts; `cargo xtask setup` installs it");
        let mut address = None;
        wait_until(|| {
            address = log_of(folder.path()).lines().find_map(address_in);
            address.is_some() || matches!(process.try_wait(), Ok(Some(_)))
        });
        let Some(address) = address else {
            stop(&mut process);
            panic!("docker-registry does not listen:\n{}", log_of(folder.path()));
        };
        Self { process, folder, address }
    }

    /// Of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of this server's own; `blobs` in it is its storage.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged, requests too.
    pub fn log(&self) -> String {
        log_of(self.folder.path())
    }
}

impl Drop for Distribution {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
    fn drop(&mut self) {
        stop(&mut self.process);
        if std::thread::panicking() {
            eprintln!("=== log of docker-registry\n{}", self.log());
        }
    }
}

impl TrustedTokens<'_> {
    fn section(&self) -> String {
        let Self { realm, service, issuer, bundle } = self;
        format!(
            "\
auth:
  token:
    realm: {realm}
    service: {service}
    issuer: {issuer}
    rootcertbundle: {}
",
            bundle.display(),
        )
    }
}

fn configuration(auth: &str, storage: &Path) -> String {
    format!(
        "\
version: 0.1
log: {{ level: info }}
storage:
  filesystem: {{ rootdirectory: {} }}
  delete: {{ enabled: true }}
{auth}
http: {{ addr: 127.0.0.1:0 }}
",
        storage.display(),
    )
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join(LOG)).unwrap_or_default()
}

/// `… msg="listening on 127.0.0.1:34567" …`
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split("listening on ").nth(1)?.split('"').next()?.parse().ok()
}

const LOG: &str = "registry.log";
