//! Samba as a domain controller of Active Directory: its own folder, on loopback alone.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    Certificates,
    program::run,
    server::{stop, wait_until},
};

/// A running domain controller of `EXAMPLE.TEST`, stopped when dropped. Needs root.
///
/// It listens on the ports 389 and 636, which cannot be chosen: there is one at a time on a machine, and
/// others wait for it.
#[derive(Debug)]
pub struct Samba {
    process: Child,
    folder: TempDir,
    certificates: Certificates,
    /// Holds the ports.
    _turn: File,
}

impl Samba {
    /// Makes a domain and starts its controller: half a minute.
    ///
    /// # Panics
    /// If it does not answer within a minute; the panic has its log.
    pub fn start() -> Self {
        let turn = File::create(std::env::temp_dir().join("portpass-test-samba.lock"));
        let turn = turn.expect("a lock file");
        turn.lock().expect("a lock");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = Certificates::new();
        provision(&folder);
        configure(&folder, &certificates);
        let log = File::create(folder.path().join(LOG)).expect("a log file");
        let process = Command::new("samba")
            .args(["--foreground", "--no-process-group", "--model=single", "--debug-stdout"])
            .arg(format!("--configfile={}", folder.path().join(CONFIGURATION).display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("samba starts; `cargo xtask setup` installs it");
        let mut samba = Self { process, folder, certificates, _turn: turn };
        let answers =
            wait_until(|| answers_questions() || matches!(samba.process.try_wait(), Ok(Some(_))));
        assert!(answers && answers_questions(), "samba does not answer:\n{}", samba.log());
        samba
    }

    /// `ldaps://127.0.0.1`.
    pub fn url(&self) -> &'static str {
        "ldaps://127.0.0.1"
    }

    /// The authority that signed its certificate, PEM.
    pub fn ca(&self) -> PathBuf {
        self.certificates.ca()
    }

    /// Runs `samba-tool`.
    ///
    /// # Panics
    /// If it fails.
    pub fn tool(&self, words: &[&str]) {
        let database = self.folder.path().join("private/sam.ldb");
        let mut command = Command::new("samba-tool");
        command.args(words).arg("-s").arg(self.folder.path().join(CONFIGURATION));
        if !matches!(words, ["domain", ..]) {
            command.arg("-H").arg(database);
        }
        run(&mut command, "").expect_success();
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for Samba {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
    fn drop(&mut self) {
        stop(&mut self.process);
        if std::thread::panicking() {
            eprintln!("=== log of samba\n{}", self.log());
        }
    }
}

fn answers_questions() -> bool {
    let arguments = ["-x", "-LLL", "-H", "ldap://127.0.0.1", "-s", "base", "-b", ""];
    run(Command::new("ldapsearch").args(arguments), "").success
}

/// `Administrator` has the password [`ADMINISTRATOR`].
fn provision(folder: &TempDir) {
    let mut command = Command::new("samba-tool");
    command
        .args(["domain", "provision", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE"])
        .args(["--server-role=dc", "--dns-backend=NONE", "--use-rfc2307", "--host-name=dc1"])
        .args([
            "--host-ip=127.0.0.1",
            "--option=interfaces=lo",
            "--option=bind interfaces only=yes",
        ])
        .arg(format!("--adminpass={ADMINISTRATOR}"))
        .arg(format!("--targetdir={}", folder.path().display()));
    run(&mut command, "").expect_success();
}

/// Only LDAP, with a certificate that names the address: what samba makes itself has no subjectAltName.
fn configure(folder: &TempDir, certificates: &Certificates) {
    let file = folder.path().join(CONFIGURATION);
    let text = fs::read_to_string(&file).expect("a configuration was made");
    let key = folder.path().join("private/portpass.key");
    fs::copy(certificates.key(), &key).expect("a key");
    // samba takes no key that others may read.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a key of our own");
    let tls = format!(
        "[global]\n\ttls keyfile = {}\n\ttls certfile = {}\n\ttls cafile = {}\n\tserver services = ldap\n",
        key.display(),
        certificates.certificate().display(),
        certificates.ca().display(),
    );
    let kept = text.lines().filter(|line| !line.contains("server services"));
    let text = kept.collect::<Vec<_>>().join("\n").replacen("[global]\n", &tls, 1);
    fs::write(file, text).expect("a configuration");
}

/// The password of `Administrator`.
pub const ADMINISTRATOR: &str = "Passw0rd!x";
const CONFIGURATION: &str = "etc/smb.conf";
const LOG: &str = "samba.log";
