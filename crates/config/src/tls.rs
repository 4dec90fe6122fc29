//! `http.tls` and `token_service.tls`: certificate and key.

use std::{path::PathBuf, sync::Arc};

use portpass_jose::pem;
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located, Location, Part, files::read_limited};

/// The files of certificate and key. The server reads them again when they change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The certificate and its intermediate certificates, in PEM form.
    #[schemars(required)]
    pub certificate: Option<Located<PathBuf>>,
    /// Its private key, in PEM form.
    #[schemars(required)]
    pub key: Option<Located<PathBuf>>,
}

/// Certificate and key as they were read, and where to read them again.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
    /// What was in them.
    pub pair: Arc<CertifiedKey>,
}

impl TlsSection {
    /// As [`read`](Self::read), for a server. Only who does not serve may go without.
    pub(crate) fn build(
        self,
        key: &str,
        place: &Location,
        files: &Files,
    ) -> Result<Option<TlsFiles>, ConfigError> {
        let built = self.read(key, place, files).map(Some);
        files.usable(Part::Serving, built, || None)
    }

    /// Reads both files; they must belong together.
    pub(crate) fn read(
        self,
        key: &str,
        place: &Location,
        files: &Files,
    ) -> Result<TlsFiles, ConfigError> {
        let missing = |name: &str| files.error(place, key, format!("the key `{name}` is missing"));
        let certificate = self.certificate.ok_or_else(|| missing("certificate"))?;
        let private = self.key.ok_or_else(|| missing("key"))?;
        // Unreadable files get the error that names the line.
        files.read(&format!("{key}.certificate"), &certificate)?;
        files.read(&format!("{key}.key"), &private)?;
        let (certificate, private) = (files.resolve(&certificate), files.resolve(&private));
        TlsFiles::read(certificate, private)
            .map_err(|error| files.error(place, key, error.to_string()))
    }
}

impl TlsFiles {
    /// Reads both files.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let pair = read_pair(&certificate, &key)?;
        Ok(Self { certificate, key, pair })
    }

    /// Reads the files again.
    pub fn read_again(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        read_pair(&self.certificate, &self.key)
    }
}

fn read_pair(
    certificate: &std::path::Path,
    key: &std::path::Path,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let unreadable = |path: &std::path::Path, error: &dyn std::error::Error| TlsError::Unreadable {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let text = read_limited(certificate).map_err(|error| unreadable(certificate, &error))?;
    let chain: Vec<CertificateDer<'static>> = pem::blocks(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(certificate, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.to_path_buf() });
    }
    let text = read_limited(key).map_err(|error| unreadable(key, &error))?;
    let private = pem::blocks::<PrivateKeyDer<'static>>(&text).next().and_then(Result::ok);
    let private = private.ok_or_else(|| TlsError::NoKey { path: key.to_path_buf() })?;
    let pair = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
        .map_err(|error| TlsError::Mismatch { reason: mismatch(&error) })?;
    Ok(Arc::new(pair))
}

/// The library's own words are for those who debug it.
fn mismatch(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InconsistentKeys(_) => "the key belongs to another certificate",
        rustls::Error::InvalidCertificate(_) => "the first certificate is broken",
        _ => {
            "TLS does not support this type of key (it supports RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519)"
        }
    }
}

/// Why certificate and key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is no certificate.
    #[error("{} contains no certificate in PEM form", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key.
    #[error("{} contains no private key in PEM form (an encrypted key must be decrypted first)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key is another certificate's, or of an unknown kind.
    #[error("certificate and key cannot be used together: {reason}")]
    Mismatch {
        /// Why.
        reason: &'static str,
    },
}
