//! Debian's docker-registry: the CNCF distribution registry, 2.8.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::server::{stop, wait_until};

/// A running `docker-registry`, stopped when dropped.
#[derive(Debug)]
pub struct Distribution {
    process: Child,
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
        Self::start_with(&tokens.section())
    }

    /// As [`Distribution::start`], and it asks nobody who they are.
    ///
    /// # Panics
    /// As [`Distribution::start`].
    pub fn open() -> Self {
        Self::start_with("")
    }

    /// As [`Distribution::open`], with more lines in its configuration: sections, or keys below `storage` where they are
    /// indented.
    ///
    /// # Panics
    /// As [`Distribution::start`].
    pub fn open_with(lines: &str) -> Self {
        Self::start_with(lines)
    }

    fn start_with(auth: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("config.yml");
        fs::write(&file, configuration(auth, folder.path())).expect("a configuration file");
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

fn configuration(auth: &str, folder: &Path) -> String {
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
        folder.join("blobs").display(),
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
