//! Keys and their certificates in files that somebody else writes, and replaces while we run.
//!
//! Two files cannot change at once: a pair that cannot be used, or does not fit, leaves the last good one in
//! force, and is read again at every look. What was signed before counts until it ends, also after a restart:
//! the certificates of replaced keys are rows of the database.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_jose::{Algorithm, CertificateChain, KeyError, SigningKey};
use portpass_state::{AuditRecord, Db, KeyFileRow};
use serde_json::json;
use tokio::task;
use zeroize::Zeroizing;

use super::{KeyRingError, Published, Ring, Schedule};
use crate::{audit::Action, signer::Signer};

/// Where a key and its certificate lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The certificate and those between it and its root, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// What it signs by, where the key leaves that open.
    pub algorithm: Option<Algorithm>,
}

/// A key and its certificate as they were read, and where to read them again.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// Where they are.
    pub files: KeyFiles,
    /// What was in them.
    pub signing: Arc<SigningKey>,
}

/// What a ring of files is made of.
#[derive(Debug)]
pub struct FileRingParts {
    /// By the numbers of their signers; at least one.
    pub pairs: Vec<KeyPair>,
    /// Where the certificates of replaced keys are kept.
    pub db: Db,
    /// How long tokens live.
    pub token_lifetime: Duration,
}

impl KeyFiles {
    /// Reads both; they must belong together. Blocks.
    pub fn read(&self) -> Result<SigningKey, KeyFileError> {
        let failed = |path: &Path, why: Fault| KeyFileError { path: path.to_owned(), why };
        let pem = Zeroizing::new(read(&self.key).map_err(|why| failed(&self.key, why.into()))?);
        let key = SigningKey::from_pem(&*pem, self.algorithm);
        let key = key.map_err(|why| failed(&self.key, why.into()))?;
        let of_certificate = |why| failed(&self.certificate, why);
        let pem = read(&self.certificate).map_err(|why| of_certificate(why.into()))?;
        let chain = CertificateChain::from_pem(&pem).map_err(|why| of_certificate(why.into()))?;
        key.with_chain(chain).map_err(|why| of_certificate(why.into()))
    }

    /// What tells one content from the next without reading it. Kubernetes replaces a link, so the time alone
    /// is not enough.
    fn stamp(&self) -> Stamp {
        Stamp([&self.certificate, &self.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        }))
    }
}

/// Why a key from files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct KeyFileError {
    path: PathBuf,
    why: Fault,
}

impl KeyFileError {
    /// The file that it is about.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Debug, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

/// What is known of all files.
#[derive(Debug)]
pub(super) struct FileRing {
    pairs: Vec<WatchedPair>,
    db: Db,
    token_lifetime: Duration,
    ring: Arc<Ring>,
}

/// What is known of one pair.
#[derive(Debug)]
struct WatchedPair {
    files: KeyFiles,
    /// What signs: of the last content that could be used.
    signing: Arc<SigningKey>,
    /// Of that content; absent after a fault.
    seen: Option<Stamp>,
    /// The last one, so that it is told once.
    fault: Option<String>,
}

impl FileRing {
    /// Takes up what was read at the start. Other keys may have signed before it.
    pub(super) async fn open(parts: FileRingParts, now: SystemTime) -> Result<Self, KeyRingError> {
        let FileRingParts { pairs, db, token_lifetime } = parts;
        let signing = pairs.iter().map(|pair| Arc::clone(&pair.signing)).collect();
        let published = Published::fixed(pairs.iter().map(|pair| &*pair.signing));
        let ring = Arc::new(Ring::new(published, signing)?);
        // Read again soon: the files may have changed since.
        let watched =
            |KeyPair { files, signing }| WatchedPair { files, signing, seen: None, fault: None };
        let pairs = pairs.into_iter().map(watched).collect();
        let mut this = Self { pairs, db, token_lifetime, ring };
        this.take(now).await?;
        Ok(this)
    }

    pub(super) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring)
    }

    /// Looks whether there are other pairs, and forgets keys whose last token has ended.
    pub(super) async fn look(&mut self, now: SystemTime) -> Result<Arc<Ring>, KeyRingError> {
        for pair in &mut self.pairs {
            pair.look(now).await;
        }
        let signing = self.pairs.iter().zip(self.ring.shared_signing());
        let changed = signing.filter(|(pair, key)| !Arc::ptr_eq(&pair.signing, key));
        let changed: Vec<_> = changed
            .map(|(pair, _)| (pair.signing.id().clone(), pair.files.certificate.clone()))
            .collect();
        if !changed.is_empty() || self.ring.published().has_ended(now) {
            self.take(now).await?;
        }
        for (key, certificate) in changed {
            let certificate = certificate.display();
            tracing::info!(%key, "tokens are signed with the changed {certificate}");
        }
        Ok(self.ring())
    }

    /// Written down before it signs: a restart may follow at once.
    async fn take(&mut self, now: SystemTime) -> Result<(), KeyRingError> {
        let signing: Vec<_> = self.pairs.iter().map(|pair| Arc::clone(&pair.signing)).collect();
        let rows: Vec<_> = signing.iter().filter_map(|key| row(key)).collect();
        let known = self.db.key_files().await?;
        let signs = |row: &KeyFileRow| {
            known.iter().any(|known| known.until.is_none() && known.certificate == row.certificate)
        };
        let is_over = |known: &KeyFileRow| match known.until {
            Some(until) => until < now,
            None => !rows.iter().any(|row| row.certificate == known.certificate),
        };
        if !rows.iter().all(signs) || known.iter().any(is_over) {
            let new = rows.iter().filter(|row| !signs(row));
            let audit: Vec<_> = new.map(|row| promoted(&row.id, now)).collect();
            // The algorithm does not matter to how long a token lives.
            let algorithm = self.ring.signing(Signer::default())?.algorithm();
            let schedule = Schedule::new(algorithm, self.token_lifetime);
            let until = schedule.needed_until(now);
            self.db.replace_key_files(&rows, until, now, &audit).await?;
        }
        let keys = signing.iter().map(|key| &**key);
        let published = Published::from_files(&self.db, keys, now).await?;
        self.ring = Arc::new(Ring::new(published, signing)?);
        Ok(())
    }
}

impl WatchedPair {
    /// Reads the pair again if it has changed, or could not be used.
    async fn look(&mut self, now: SystemTime) {
        let files = self.files.clone();
        let stamp = task::spawn_blocking(move || files.stamp()).await.ok();
        if stamp.is_some() && stamp == self.seen {
            return;
        }
        let files = self.files.clone();
        let read = task::spawn_blocking(move || files.read()).await;
        let read = read.map_err(|error| error.to_string());
        let read = read.and_then(|read| read.map_err(|error| error.to_string()));
        match read.and_then(|signing| self.usable(signing, now)) {
            Ok(signing) => {
                (self.seen, self.fault) = (stamp, None);
                if !same_pair(&signing, &self.signing) {
                    self.signing = Arc::new(signing);
                }
            }
            Err(fault) => self.keep(fault),
        }
    }

    /// A certificate that has not begun, or has ended, replaces none that holds.
    fn usable(&self, signing: SigningKey, now: SystemTime) -> Result<SigningKey, String> {
        let Some(chain) = signing.chain() else { return Ok(signing) };
        let held = self.signing.chain();
        let held = held.is_some_and(|held| held.leaf().validity(now).is_ok());
        match chain.leaf().validity(now) {
            Err(why) if held => Err(format!("{}: {why}", self.files.certificate.display())),
            Err(_) | Ok(()) => Ok(signing),
        }
    }

    fn keep(&mut self, fault: String) {
        self.seen = None;
        if self.fault.as_ref() != Some(&fault) {
            tracing::error!(
                "the changed key is not used, tokens are signed with the old one: {fault}"
            );
            self.fault = Some(fault);
        }
    }
}

fn row(signing: &SigningKey) -> Option<KeyFileRow> {
    Some(KeyFileRow {
        certificate: signing.chain()?.leaf().der().to_vec(),
        id: signing.id().to_string(),
        algorithm: signing.algorithm().to_string(),
        until: None,
    })
}

fn promoted(id: &str, now: SystemTime) -> AuditRecord {
    AuditRecord {
        at: now,
        action: Action::SigningKeyPromoted.as_str().to_owned(),
        actor: None,
        object: Some(id.to_owned()),
        address: None,
        request: None,
        detail: json!({ "from": "files" }),
    }
}

/// Whether a token by the one is a token by the other.
fn same_pair(one: &SigningKey, other: &SigningKey) -> bool {
    let chain = |key: &SigningKey| {
        let chain = key.chain().map_or(&[][..], CertificateChain::certificates);
        chain.iter().map(|certificate| certificate.der().to_vec()).collect::<Vec<_>>()
    };
    one.id() == other.id() && one.algorithm() == other.algorithm() && chain(one) == chain(other)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it has more than {LONGEST} bytes")));
    }
    Ok(content)
}

/// Of a chain and of a key: far more than either has.
const LONGEST: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
