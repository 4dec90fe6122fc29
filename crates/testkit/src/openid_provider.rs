//! npm's oidc-provider: a certified OpenID provider that is not ours.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::server::{address_in, stop, wait_until};

/// A running provider with one client, stopped when dropped.
#[derive(Debug)]
pub struct OpenIdProvider {
    process: Child,
    folder: TempDir,
}

impl OpenIdProvider {
    /// Starts it on a port that the kernel picks; its tokens are for this audience.
    ///
    /// # Panics
    /// If node or the package is missing, or it does not listen within a minute.
    pub fn start(audience: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // node looks for packages beside the script.
        let script = folder.path().join("provider.mjs");
        fs::write(&script, include_str!("openid_provider/provider.mjs")).expect("a script");
        let packages = packages();
        assert!(packages.exists(), "{}: run `cargo xtask setup`", packages.display());
        std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).expect("a link");
        let log = File::create(folder.path().join(LOG)).expect("a log file");
        let process = Command::new("node")
            .args(["--preserve-symlinks", "--preserve-symlinks-main"])
            .arg(&script)
            .arg(audience)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("node starts; `cargo xtask setup` says what is missing");
        let provider = Self { process, folder };
        let listens = wait_until(|| provider.log().contains("listens on"));
        assert!(listens, "the provider does not listen:\n{}", provider.log());
        provider
    }

    /// Its URL, as in `iss`.
    ///
    /// # Panics
    /// Never: it has said where it listens.
    pub fn url(&self) -> String {
        let log = self.log();
        format!("http://{}", log.lines().find_map(address_in).expect("an address in the log"))
    }

    /// Where its client [`OpenIdProvider::CLIENT`] gets tokens, with `grant_type=client_credentials`.
    pub fn token_url(&self) -> String {
        format!("{}/token", self.url())
    }

    /// Name and secret of its client.
    pub const CLIENT: (&str, &str) = ("ci", "secret");

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/openid-provider/node_modules")
}

const LOG: &str = "log";
