//! A private authority and a server's certificate below it, in files as programs want them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate for 127.0.0.1, and the authority that clients have to be told of.
///
/// ```text
/// folder()  ca.crt                 what a client's --cert-dir reads: everything called *.crt there
///           server/server.crt      out of its sight
///           server/server.key
///           client/client.crt      for who has to show one
///           client/client.key
/// ```
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes an authority that nobody else trusts, and one certificate.
    ///
    /// # Panics
    /// If the files cannot be written.
    pub fn new() -> Self {
        let certificates = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let (authority, issuer) = authority();
        let (certificate, key) = below(&issuer, ExtendedKeyUsagePurpose::ServerAuth);
        let (client_certificate, client_key) = below(&issuer, ExtendedKeyUsagePurpose::ClientAuth);
        for folder in ["server", "client"] {
            fs::create_dir(certificates.folder().join(folder)).expect("a folder");
        }
        for (file, content) in [
            (certificates.ca(), authority),
            (certificates.certificate(), certificate),
            (certificates.key(), key),
            (certificates.client_certificate(), client_certificate),
            (certificates.client_key(), client_key),
        ] {
            fs::write(file, content).expect("a file in a folder of our own");
        }
        certificates
    }

    /// The folder for skopeo's `--src-cert-dir` and the like.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority's certificate, PEM.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The server's certificate, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server/server.crt")
    }

    /// The server's private key, PEM.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("server/server.key")
    }

    /// A client's certificate, PEM.
    pub fn client_certificate(&self) -> PathBuf {
        self.folder.path().join("client/client.crt")
    }

    /// The client's private key, PEM.
    pub fn client_key(&self) -> PathBuf {
        self.folder.path().join("client/client.key")
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

/// The authority's certificate, and what signs in its name.
fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().expect("a key");
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, "portpass test authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = parameters.self_signed(&key).expect("a certificate").pem();
    (certificate, Issuer::new(parameters, key))
}

/// A certificate and its key. Clients that are written in Go look at the names alone, so the address
/// has to be one (RFC 5280, section 4.2.1.6).
fn below(issuer: &Issuer<'_, KeyPair>, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut parameters =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address as a name");
    parameters.distinguished_name.push(DnType::CommonName, "portpass test");
    parameters.extended_key_usages = vec![purpose];
    parameters.use_authority_key_identifier_extension = true;
    let certificate = parameters.signed_by(&key, issuer).expect("a certificate").pem();
    (certificate, key.serialize_pem())
}
