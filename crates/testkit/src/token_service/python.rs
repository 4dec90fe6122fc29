//! A token service that operators write themselves, and that works: Python, PyJWT, openssl.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    run,
    server::{address_in, stop, wait_until},
};

/// A running token service in Python whose certificate, self-signed, the openssl command line made.
#[derive(Debug)]
pub struct PythonTokenService {
    process: Child,
    folder: TempDir,
}

impl PythonTokenService {
    /// Starts it with one account, on a port that the kernel picks.
    ///
    /// # Panics
    /// If openssl or Debian's python3-jwt is missing, or it does not listen within a minute.
    pub fn start(issuer: &str, account: &str, password: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=tokens", "-keyout"]).arg(at("token.key"));
        run(openssl.arg("-out").arg(at(CERTIFICATE)), "").expect_success();
        fs::write(at("service.py"), include_str!("token_service.py")).expect("a script");
        let log = File::create(at(LOG)).expect("a log file");
        // Debian's own python has Debian's packages; another one on the path may not.
        let process = Command::new("/usr/bin/python3")
            .arg(at("service.py"))
            .arg(at(CERTIFICATE))
            .arg(at("token.key"))
            .args([issuer, account, password])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("python3 starts; `cargo xtask setup` installs it");
        let service = Self { process, folder };
        let listens = wait_until(|| service.log().contains("listens on"));
        assert!(listens, "the token service does not listen:\n{}", service.log());
        service
    }

    /// The URL of its token endpoint.
    ///
    /// # Panics
    /// Never: it has said where it listens.
    pub fn realm(&self) -> String {
        let log = self.log();
        let address = log.lines().find_map(address_in).expect("an address in the log");
        format!("http://{address}/auth")
    }

    /// The certificate that a registry has to trust.
    pub fn bundle(&self) -> PathBuf {
        self.folder.path().join(CERTIFICATE)
    }

    /// What it has said, each request too.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for PythonTokenService {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

const CERTIFICATE: &str = "token.crt";
const LOG: &str = "service.log";
