//! TLS from files that are read again when they change, HTTP/2 by ALPN.

use std::{
    fmt, fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

use portpass_config::{TlsError, TlsFiles};

/// One listener's TLS: the handshake, and the files behind it.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: TlsFiles,
    read: Mutex<Stamp>,
}

/// What [`Tls::reload_if_changed`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CertificateReload {
    /// The files are as they were.
    Unchanged,
    /// The next handshakes use what they hold now.
    Replaced,
    /// They cannot be used; the last good pair stays.
    Rejected(TlsError),
}

impl Tls {
    /// Serves the pair that was read when the configuration was.
    ///
    /// # Errors
    /// The crypto provider lacks a protocol version: never with the one that is compiled in.
    pub(crate) fn new(files: TlsFiles) -> Result<Self, rustls::Error> {
        let current = Arc::new(Current(ArcSwap::new(files.pair.clone())));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        let read = Mutex::new(Stamp::of(&files));
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current, files, read })
    }

    /// The handshake.
    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Looks whether the files are others than those that are served. Blocks.
    ///
    /// Two files cannot change at once: a pair that does not fit is tried again when either changes.
    pub(crate) fn reload_if_changed(&self) -> CertificateReload {
        let stamp = Stamp::of(&self.files);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read == stamp {
            return CertificateReload::Unchanged;
        }
        *read = stamp;
        match self.files.read_again() {
            Ok(pair) => {
                self.current.0.store(pair);
                CertificateReload::Replaced
            }
            Err(error) => CertificateReload::Rejected(error),
        }
    }

    /// The chain's file, for the log.
    pub(crate) fn certificate(&self) -> &Path {
        &self.files.certificate
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.files.certificate).finish_non_exhaustive()
    }
}

/// The pair that new handshakes get.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// What tells one content of the files from the next without reading them. Kubernetes replaces a link, so
/// the time alone is not enough.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        Self([&files.certificate, &files.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        }))
    }
}

/// What ALPN calls HTTP/2 (RFC 9113 §3.1).
pub(crate) const HTTP_2: &[u8] = b"h2";
