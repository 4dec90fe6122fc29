//! For the tests of this crate: certificates, and the log as lines.

use std::{
    fs,
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use rcgen::{CertificateParams, KeyPair};
use tracing::subscriber::{DefaultGuard, NoSubscriber};

use portpass_config::TlsFiles;

/// A certificate for 127.0.0.1 and its key, in files; clients trust it as its own root.
pub(crate) struct Certified {
    folder: tempfile::TempDir,
}

impl Certified {
    pub(crate) fn new() -> Self {
        let certified = Self { folder: tempfile::tempdir().unwrap() };
        certified.renew();
        certified
    }

    /// Another key and certificate; gives the certificate.
    pub(crate) fn renew(&self) -> String {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        fs::write(self.folder.path().join("server.key"), key.serialize_pem()).unwrap();
        self.write_certificate(&certificate);
        certificate
    }

    pub(crate) fn certificate(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.crt")).unwrap()
    }

    pub(crate) fn write_certificate(&self, text: &str) {
        fs::write(self.folder.path().join("server.crt"), text).unwrap();
    }

    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles::read(self.folder.path().join("server.crt"), self.folder.path().join("server.key"))
            .unwrap()
    }
}

/// Everything that is logged on this thread while it lives. A test on one thread sees all of its tasks.
pub(crate) struct CapturedLog {
    lines: Lines,
    _guard: DefaultGuard,
}

impl CapturedLog {
    pub(crate) fn start() -> Self {
        SECOND_LISTENER.get_or_init(|| tracing::Dispatch::new(NoSubscriber::new()));
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines of one target, oldest first.
    pub(crate) fn lines_of(&self, target: &str) -> Vec<serde_json::Value> {
        let written = self.lines.0.lock().unwrap().clone();
        let lines = String::from_utf8(written).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &serde_json::Value| line["target"] == target).collect()
    }
}

/// As long as tracing knows of one subscriber alone, the first thread that comes by a log line
/// decides for all threads whether anybody listens. With a second one it asks them all.
static SECOND_LISTENER: OnceLock<tracing::Dispatch> = OnceLock::new();

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
