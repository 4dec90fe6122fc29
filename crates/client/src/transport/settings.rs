//! Settings of a transport, and the certificates that it trusts.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::Deserialize;

use super::TransportError;
use crate::{
    host::Host,
    trust::{Bundle, Fallback, Identity, ServerVerification, read_limited, system_roots},
};

/// How long nothing may move, where nobody says otherwise.
const IDLE: Duration = Duration::from_mins(1);

/// Settings of a [`Transport`](super::Transport).
#[derive(Debug)]
pub struct Settings {
    /// Speak plain HTTP with registries and token services that are not on loopback.
    pub plain_http: bool,
    /// Certificates to trust besides the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Warnings about unusable parts of certificate files, as sentences. Clients ignore those parts.
    pub passed_over: Vec<String>,
    /// A client certificate with its key, for registries that ask for one.
    pub identity: Option<Identity>,
    /// Whether certificates of servers are checked.
    pub verification: danger::Verification,
    /// How long a transfer may stall: no bytes sent, or fewer than 16 KiB received. One minute by
    /// default.
    pub idle_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            plain_http: false,
            authorities: Vec::new(),
            passed_over: Vec::new(),
            identity: None,
            verification: danger::Verification::Full,
            idle_timeout: IDLE,
        }
    }
}

/// Settings that disable the protection of TLS.
pub mod danger {
    /// Whether the certificates of servers are checked.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub enum Verification {
        /// They are checked.
        #[default]
        Full,
        /// They are not checked. An attacker on the network can read passwords and tokens and
        /// replace images.
        None,
    }
}

impl Settings {
    /// Adds the certificates of a PEM file. What else it holds is passed over, as every client does; without any
    /// certificate it is of no use.
    pub fn trust_file(&mut self, path: &Path) -> Result<(), TransportError> {
        let bundle = Self::read(path)?;
        if bundle.certificates.is_empty() {
            return Err(unusable(path, bundle.faults.join("; ")));
        }
        self.add(path, bundle);
        Ok(())
    }

    /// The same of a file that somebody's folder holds: docker and podman say nothing where it is of no use, and go
    /// on without it.
    fn trust_found(&mut self, path: &Path) -> Result<(), TransportError> {
        let bundle = Self::read(path)?;
        self.add(path, bundle);
        Ok(())
    }

    fn read(path: &Path) -> Result<Bundle, TransportError> {
        let bytes = read_limited(path).map_err(|error| unusable(path, error.to_string()))?;
        Ok(Bundle::read(&bytes))
    }

    fn add(&mut self, path: &Path, bundle: Bundle) {
        self.passed_over.extend(bundle.faults_of(path));
        self.authorities.extend(bundle.certificates);
    }

    /// Adds the certificates that docker, podman and containerd are configured to trust for this
    /// registry (`certs.d`).
    ///
    /// Docker's folder holds `*.crt` to trust, and pairs of `*.cert` and `*.key` to show, of which the
    /// first counts. Of containerd's `hosts.toml` it is `ca`, for the registry itself: mirrors and
    /// `skip_verify` count for nothing here.
    pub fn trust_certs_d(
        &mut self,
        host: &Host,
        paths: &CertificatePaths,
    ) -> Result<(), TransportError> {
        for folder in &paths.docker {
            self.add_folder(&folder.join(host.to_string()))?;
        }
        for folder in &paths.containerd {
            let folder = folder.join(host.to_string());
            for file in hosts_file(&folder, host)? {
                self.trust_file(&folder.join(file))?;
            }
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), TransportError> {
        let mut files = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>(),
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(unusable(folder, error.to_string())),
        };
        files.sort();
        for file in &files {
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.trust_found(file)?,
                Some("cert") if self.identity.is_none() => self.identity = Some(identity(file)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// How servers are verified; without TLS, the system's authorities need not be read.
    pub(super) fn server_verification(&self, with_system: bool) -> ServerVerification {
        if self.verification == danger::Verification::None {
            return ServerVerification::Disabled;
        }
        let system = if with_system { system_roots() } else { Vec::new() };
        ServerVerification::Authorities {
            system,
            named: self.authorities.clone(),
            fallback: Fallback::Named,
        }
    }
}

/// The `certs.d` folders. Each has one folder per registry, named `HOST:PORT`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificatePaths {
    /// In docker's form; podman has the same.
    pub docker: Vec<PathBuf>,
    /// In containerd's form, with a `hosts.toml`.
    pub containerd: Vec<PathBuf>,
}

impl CertificatePaths {
    /// The system's, and those in the home of the user.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config =
            get("XDG_CONFIG_HOME").or_else(|| get("HOME").map(|home| home.join(".config")));
        let own = config.into_iter().flat_map(|folder| {
            ["docker/certs.d", "containers/certs.d"].map(|place| folder.join(place))
        });
        let system = ["/etc/docker/certs.d", "/etc/containers/certs.d"].map(PathBuf::from);
        Self {
            docker: own.chain(system).collect(),
            containerd: vec![PathBuf::from("/etc/containerd/certs.d")],
        }
    }
}

/// A certificate and the key beside it.
fn identity(certificate: &Path) -> Result<Identity, TransportError> {
    let bundle = Bundle::read(&read(certificate)?);
    if bundle.certificates.is_empty() {
        return Err(unusable(certificate, bundle.faults.join("; ")));
    }
    let file = certificate.with_extension("key");
    let key = PrivateKeyDer::from_pem_slice(&read(&file)?)
        .map_err(|_| unusable(&file, "it has no private key in PEM"))?;
    Ok(Identity { chain: bundle.certificates, key })
}

/// The part of containerd's `hosts.toml` that says whom to trust.
#[derive(Debug, Deserialize)]
struct Hosts {
    ca: Option<OneOrMore>,
    #[serde(default)]
    host: std::collections::BTreeMap<String, HostTable>,
}

#[derive(Debug, Deserialize)]
struct HostTable {
    ca: Option<OneOrMore>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`ca` must be a file name or a list of file names")]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

/// The files that a `hosts.toml` says to trust for this registry.
fn hosts_file(folder: &Path, host: &Host) -> Result<Vec<PathBuf>, TransportError> {
    let path = folder.join("hosts.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unusable(&path, error.to_string())),
    };
    let hosts: Hosts = toml::from_str(&text)
        .map_err(|error| unusable(&path, error.message().replace('\n', " ")))?;
    let own = hosts
        .host
        .into_iter()
        .filter(|(name, _)| name.parse::<Host>().is_ok_and(|named| named.api() == host.api()));
    let files = hosts.ca.into_iter().chain(own.filter_map(|(_, table)| table.ca));
    let files = files.flat_map(|files| match files {
        OneOrMore::One(file) => vec![file],
        OneOrMore::More(files) => files,
    });
    Ok(files.collect())
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    read_limited(path).map_err(|error| unusable(path, error.to_string()))
}

/// Not there, or below something that is no folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unusable(path: &Path, reason: impl Into<String>) -> TransportError {
    TransportError::Authority { path: path.to_owned(), reason: reason.into() }
}
