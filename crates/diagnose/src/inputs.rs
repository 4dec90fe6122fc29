//! The target of a diagnosis, and what is known of it.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use portpass_protocol::{Reference, RepositoryName};
use portpass_token::Clock;
use rustls::pki_types::CertificateDer;
use secrecy::SecretString;

use portpass_client::{
    credentials::CredentialPaths,
    host::Host,
    transport::{TransportError, danger::Verification},
    trust::{Bundle, read_limited},
};

/// A registry, and perhaps a repository and a tag or digest in it: `HOST[:PORT][/REPOSITORY[:TAG]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The registry.
    pub host: Host,
    /// The repository to pull from or push to.
    pub repository: Option<RepositoryName>,
    /// Which of its images.
    pub reference: Option<Reference>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, bare) = ["https://", "http://"]
            .into_iter()
            .find_map(|scheme| Some((scheme, text.strip_prefix(scheme)?)))
            .unwrap_or(("", text));
        let (host, rest) = bare.split_once('/').unwrap_or((bare, ""));
        let host = format!("{scheme}{host}").parse::<Host>().map_err(|error| error.to_string())?;
        let rest = rest.trim_end_matches('/');
        if rest.is_empty() || rest == "v2" {
            return Ok(Self { host, repository: None, reference: None });
        }
        let (name, reference) = match (rest.split_once('@'), rest.rsplit_once(':')) {
            (Some((name, digest)), _) => (name, Some(digest)),
            (None, Some((name, tag))) => (name, Some(tag)),
            (None, None) => (rest, None),
        };
        // A tag beside a digest says nothing that the digest does not.
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let reference = reference.map(str::parse).transpose();
        // As docker has it.
        let short = host.is_docker_hub() && !name.contains('/');
        let name = if short { format!("library/{name}") } else { name.to_owned() };
        Ok(Self {
            host,
            repository: Some(name.parse().map_err(|error| format!("{name:?}: {error}"))?),
            reference: reference.map_err(|error| format!("{rest:?}: {error}"))?,
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.host)?;
        if let Some(repository) = &self.repository {
            write!(f, "/{repository}")?;
        }
        match &self.reference {
            None => Ok(()),
            Some(reference @ Reference::Digest(_)) => write!(f, "@{reference}"),
            Some(reference) => write!(f, ":{reference}"),
        }
    }
}

/// What a user can give; all of it is optional.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of the command")]
pub struct Inputs {
    /// A name and a password that were typed.
    pub password: Option<(String, SecretString)>,
    /// Where credentials lie otherwise, and the folders of certificates.
    pub local: LocalInputs,
    /// A token that a client got, to be looked at in place of a new one.
    pub token: Option<SecretString>,
    /// The registry's configuration file.
    pub registry_config: Option<InputFile>,
    /// What the registry has as `issuer`.
    pub issuer: Option<String>,
    /// What the registry has as `service`.
    pub service: Option<String>,
    /// The registry's `rootcertbundle`.
    pub bundle: Option<InputFile>,
    /// The registry's `jwks`.
    pub jwks: Option<InputFile>,
    /// The token service's private key.
    pub token_key: Option<InputFile>,
    /// Whether blobs may be pushed, and deleted again.
    pub write: bool,
    /// Whether one wrong password may be sent.
    pub wrong_password: bool,
    /// Whether to wait until a token has expired.
    pub wait_expiry: bool,
    /// Whether to speak plain HTTP with what is not on loopback.
    pub plain_http: bool,
    /// Certificates that are trusted beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What is in their files and cannot be used, as sentences.
    pub passed_over: Vec<String>,
    /// Whether a certificate that is not trusted ends the run.
    pub verification: Verification,
    /// The command as it was typed, for the readers of the report.
    pub command: Vec<String>,
}

/// A file that was given, read or not.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Its path.
    pub path: PathBuf,
    /// Its bytes, or why it cannot be read.
    pub content: Result<Arc<[u8]>, String>,
}

impl InputFile {
    /// Reads it.
    pub fn read(path: PathBuf) -> Self {
        let content = read_limited(&path).map(Arc::from).map_err(|error| error.to_string());
        Self { path, content }
    }
}

/// What of this machine clients look at.
#[derive(Debug, Clone, Default)]
pub struct LocalInputs {
    /// Files and helpers of credentials.
    pub places: CredentialPaths,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` and `ALL_PROXY`, in either case, as they are set.
    pub proxies: Vec<(String, String)>,
    /// Folders like `/etc/docker/certs.d`.
    pub certificate_folders: Vec<PathBuf>,
}

impl LocalInputs {
    /// What clients on this machine look at. `get` reads an environment variable.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Self {
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];
        let names = names.iter().flat_map(|name| [(*name).to_owned(), name.to_lowercase()]);
        let proxies = names.filter_map(|name| get(&name).map(|value| (name, value))).collect();
        let home = get("HOME").map(PathBuf::from);
        let below_home = home.into_iter().map(|home| home.join(".config/containers/certs.d"));
        let system = CERTIFICATES.iter().map(PathBuf::from);
        Self {
            places: CredentialPaths::from_environment(get),
            proxies,
            certificate_folders: system.chain(below_home).collect(),
        }
    }
}

/// Where docker, podman and containerd look for what to trust.
const CERTIFICATES: &[&str] =
    &["/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d"];

/// What time it is, and how to wait.
pub trait Timer: Clock {
    /// Resolves when so much time has passed.
    fn wait(&self, time: std::time::Duration) -> futures_util::future::BoxFuture<'static, ()>;
}

impl Timer for portpass_token::SystemClock {
    fn wait(&self, time: std::time::Duration) -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

impl Inputs {
    /// Nothing is known.
    pub fn none(local: LocalInputs) -> Self {
        Self {
            password: None,
            local,
            token: None,
            registry_config: None,
            issuer: None,
            service: None,
            bundle: None,
            jwks: None,
            token_key: None,
            write: false,
            wrong_password: false,
            wait_expiry: false,
            plain_http: false,
            authorities: Vec::new(),
            passed_over: Vec::new(),
            verification: Verification::Full,
            command: Vec::new(),
        }
    }

    /// Adds the certificates of a PEM file.
    pub fn trust_file(&mut self, path: &Path) -> Result<(), TransportError> {
        let unusable = |reason: String| TransportError::Authority { path: path.to_owned(), reason };
        let bytes = read_limited(path).map_err(|error| unusable(error.to_string()))?;
        let bundle = Bundle::read(&bytes);
        if bundle.certificates.is_empty() {
            return Err(unusable(bundle.faults.join("; ")));
        }
        self.passed_over.extend(bundle.faults_of(path));
        self.authorities.extend(bundle.certificates);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use portpass_client::trust::MAX_FILE;

    use super::*;

    #[test]
    fn what_never_ends_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        fs::File::create(&large).unwrap().set_len(MAX_FILE + 1).unwrap();
        for path in [large.as_path(), Path::new("/dev/zero")] {
            let refused = InputFile::read(path.to_owned()).content.unwrap_err();
            assert!(refused.contains("16 MB"), "{refused}");
        }
        fs::File::options().write(true).open(&large).unwrap().set_len(MAX_FILE).unwrap();
        assert!(InputFile::read(large).content.is_ok());
    }

    #[test]
    fn targets_are_registries_and_what_is_in_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (typed, shown) in [
            ("registry.example.com:5000", "registry.example.com:5000".to_owned()),
            ("https://registry.example.com/v2/", "registry.example.com".to_owned()),
            ("127.0.0.1:5000/team/app", "127.0.0.1:5000/team/app".to_owned()),
            ("127.0.0.1:5000/team/app:v1", "127.0.0.1:5000/team/app:v1".to_owned()),
            (&format!("host/app:v1@{digest}"), format!("host/app@{digest}")),
            ("docker.io/alpine:3.20", "docker.io/library/alpine:3.20".to_owned()),
            ("index.docker.io/team/app", "index.docker.io/team/app".to_owned()),
        ] {
            assert_eq!(typed.parse::<Target>().unwrap().to_string(), shown);
        }
        assert!("https://localhost:5000/app".parse::<Target>().unwrap().host.demands_tls());
        for refused in ["", "https://", "host/UPPER", "host/app:", "a b/app"] {
            refused.parse::<Target>().unwrap_err();
        }
    }
}
