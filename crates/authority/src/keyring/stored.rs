//! The ring in the database: rows, and changes to them by compare-and-swap.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_jose::{
    Algorithm, Certificate, CertificateChain, KeyError, KeyId, OutOfDate, SigningKey,
};
use portpass_state::{AuditRecord, Db, KeyRing as Rows, KeyRole, KeyRow, Swap};
use portpass_token::Random;
use serde_json::json;
use tokio::task;

use crate::{audit::Action, signer::Signer};

use super::{
    Ask, Key, KeyRingError, KeyRingParts, Phase, Published, PublishedKey, Ring, RotationStep,
    Schedules, SealKey, issue,
};

/// The rows as this process last saw them, and the ring that they make.
#[derive(Debug)]
pub(super) struct Stored {
    db: Db,
    seal: SealKey,
    schedules: Schedules,
    random: Arc<dyn Random>,
    rows: Rows,
    published: Published,
    ring: Option<Arc<Ring>>,
}

impl Stored {
    pub(super) async fn read(parts: KeyRingParts) -> Result<Self, KeyRingError> {
        let rows = parts.db.key_ring().await?;
        Ok(Self {
            db: parts.db,
            seal: parts.seal,
            schedules: parts.schedules,
            random: parts.random,
            published: Published::of(&rows)?,
            rows,
            ring: None,
        })
    }

    /// Does what is due, and says what the ring is then. Whoever loses a race reads what the winner
    /// wrote, and looks again whether anything is left to do.
    pub(super) async fn carry_out(
        &mut self,
        now: SystemTime,
        mut ask: Ask,
    ) -> Result<Arc<Ring>, KeyRingError> {
        for _ in 0..ATTEMPTS {
            if self.db.key_ring_version().await? != self.rows.version {
                let rows = self.db.key_ring().await?;
                self.see(rows)?;
            }
            let Some(change) = self.next_change(now, ask).await? else { return self.ring() };
            let swap =
                self.db.replace_key_ring(self.rows.version, &change.rows, &change.audit).await?;
            if let Swap::Done { version } = swap {
                self.see(Rows { version, keys: change.rows })?;
                ask = Ask::Schedule;
            }
        }
        Err(KeyRingError::Contended)
    }

    /// Whether a service signs by it.
    pub(super) fn uses(&self, algorithm: Algorithm) -> Result<(), KeyRingError> {
        if self.schedules.uses(algorithm) {
            return Ok(());
        }
        let used: Vec<_> = self.schedules.algorithms().map(|used| used.to_string()).collect();
        Err(KeyRingError::Unused { algorithm, used: used.join(", ") })
    }

    async fn next_change(&self, now: SystemTime, ask: Ask) -> Result<Option<Change>, KeyRingError> {
        let keys = self.keys();
        let due = match ask {
            Ask::Schedule => self.schedules.due(&keys, now),
            Ask::Rotation(only) => self.schedules.replacement(only, &keys, now),
        };
        let mut change = Change { rows: self.rows.keys.clone(), audit: Vec::new() };
        self.renew_root(&mut change, now)?;
        if due.is_empty() && change.audit.is_empty() {
            return Ok(None);
        }
        for due in due {
            self.apply(&mut change, due, now).await?;
        }
        Ok(Some(change))
    }

    async fn apply(
        &self,
        change: &mut Change,
        due: RotationStep,
        now: SystemTime,
    ) -> Result<(), KeyRingError> {
        match due {
            RotationStep::Announce { algorithm, signs_from } => {
                let (root, root_key) = self.root(change, now)?;
                let key = generate(algorithm).await.map_err(issue::IssueError::Key)?;
                let until = self.schedules.certify_until(signs_from);
                let certificate = issue::leaf(&key, &root, &root_key, now, until)?;
                let phase = Phase::Announced { signs_from };
                change.rows.push(self.row(&key, &certificate, KeyRole::Leaf(phase), now)?);
                change.note(Action::SigningKeyAnnounced, key.id().as_str(), now);
            }
            RotationStep::Promote { id } => {
                self.promote(change, &id, now);
                change.note(Action::SigningKeyPromoted, id.as_str(), now);
            }
            RotationStep::Forget { id } => {
                change.rows.retain(|row| row.id != id.as_str());
                change.note(Action::SigningKeyForgotten, id.as_str(), now);
            }
            RotationStep::Retire { id } => {
                self.retire(change, |key| key.id == id, now);
                change.note(Action::SigningKeyRetired, id.as_str(), now);
            }
            RotationStep::Shorten { id } => {
                self.retire(change, |key| key.id == id, now);
                change.note(Action::SigningKeyRetirementShortened, id.as_str(), now);
            }
        }
        Ok(())
    }

    fn promote(&self, change: &mut Change, id: &KeyId, now: SystemTime) {
        let keys = self.keys();
        let Some(new) = keys.iter().find(|key| key.id == *id) else { return };
        let gives_way =
            |key: &Key| key.signs() && self.schedules.replaces(key.algorithm, new.algorithm);
        self.retire(change, gives_way, now);
        let promoted = change.rows.iter_mut().filter(|row| row.id == id.as_str());
        promoted.for_each(|row| row.role = KeyRole::Leaf(Phase::Signing { since: now }));
    }

    fn retire(&self, change: &mut Change, which: impl Fn(&Key) -> bool, now: SystemTime) {
        let until = self.schedules.needed_until(now);
        for key in self.keys().into_iter().filter(which) {
            let retired = change.rows.iter_mut().filter(|row| row.id == key.id.as_str());
            retired.for_each(|row| row.role = KeyRole::Leaf(Phase::Retired { until }));
        }
    }

    /// The root and its key; made now if the ring is empty.
    fn root(
        &self,
        change: &mut Change,
        now: SystemTime,
    ) -> Result<(Certificate, SigningKey), KeyRingError> {
        if let Some(row) = change.rows.iter().find(|row| row.role == KeyRole::Root) {
            let broken = |why| KeyRingError::Key { id: row.id.clone(), why };
            let certificate = Certificate::from_der(&row.certificate).map_err(broken)?;
            return Ok((certificate, self.private_key(row)?));
        }
        if !change.rows.is_empty() {
            return Err(KeyRingError::Incomplete { missing: "signing keys, but no root" });
        }
        let (key, certificate) = issue::root(now)?;
        change.rows.push(self.row(&key, &certificate, KeyRole::Root, now)?);
        change.note(Action::RootKeyMade, key.id().as_str(), now);
        Ok((certificate, key))
    }

    /// Certifies the root's key for another ten years, a year before they are over, or where they have
    /// not begun, since the clock was ahead when it was made. Registries that hold the old certificate
    /// have that year to take the new bundle: both are of one key and name, and the new one begins when
    /// the old one did, so that a clock which was ahead takes it from nobody.
    fn renew_root(&self, change: &mut Change, now: SystemTime) -> Result<(), KeyRingError> {
        let Some(old) = &self.published.root else { return Ok(()) };
        let held = old.validity(now).and_then(|()| old.validity(now + RENEW_BEFORE));
        let Err(why) = held else { return Ok(()) };
        let Some(row) = change.rows.iter_mut().find(|row| row.role == KeyRole::Root) else {
            return Ok(());
        };
        let renewed = issue::root_certificate(&self.private_key(row)?, old.not_before(), now)?;
        let why = match why {
            OutOfDate::Expired { .. } => "it ends within a year",
            OutOfDate::NotYetValid { .. } => "it was made while the clock was ahead",
        };
        tracing::warn!(
            subject = old.subject(),
            why,
            "the root certificate was renewed; registries need the new bundle before the old one ends"
        );
        row.certificate = renewed.der().to_vec();
        let id = row.id.clone();
        change.note(Action::RootCertificateRenewed, &id, now);
        Ok(())
    }

    fn row(
        &self,
        key: &SigningKey,
        certificate: &Certificate,
        role: KeyRole,
        now: SystemTime,
    ) -> Result<KeyRow, KeyRingError> {
        let id = key.id().to_string();
        let failed = |why| KeyRingError::Key { id: id.clone(), why };
        let secret = key.to_pkcs8().map_err(failed)?;
        let sealed = self.seal.seal(&id, &secret, &*self.random);
        Ok(KeyRow {
            role,
            algorithm: key.algorithm().to_string(),
            certificate: certificate.der().to_vec(),
            sealed: sealed.map_err(|why| KeyRingError::Seal { id: id.clone(), why })?,
            created_at: now,
            id,
        })
    }

    fn private_key(&self, row: &KeyRow) -> Result<SigningKey, KeyRingError> {
        let id = || row.id.clone();
        let opened = self.seal.open(&row.id, &row.sealed);
        let secret = opened.map_err(|why| KeyRingError::Seal { id: id(), why })?;
        let broken = |why| KeyRingError::Key { id: id(), why };
        let algorithm = row.algorithm.parse();
        let algorithm = algorithm.map_err(|why| broken(KeyError::Unsupported(format!("{why}"))))?;
        SigningKey::from_der(&secret, Some(algorithm)).map_err(broken)
    }

    fn see(&mut self, rows: Rows) -> Result<(), KeyRingError> {
        self.published = Published::of(&rows)?;
        self.rows = rows;
        self.ring = None;
        Ok(())
    }

    /// The keys as the schedules see them.
    fn keys(&self) -> Vec<Key> {
        self.published.keys.iter().filter_map(PublishedKey::scheduled).collect()
    }

    /// The ring that the rows make; the same one as long as they are the same.
    fn ring(&mut self) -> Result<Arc<Ring>, KeyRingError> {
        if let Some(ring) = &self.ring {
            return Ok(Arc::clone(ring));
        }
        let keys = self.keys();
        let signers = 0..self.schedules.algorithms().count();
        let signing = signers.map(|number| {
            let key = self.schedules.signing(Signer::numbered(number), &keys);
            self.signing_key(key.ok_or(NO_KEY)?)
        });
        let signing = signing.collect::<Result<Vec<_>, _>>()?;
        let ring = Arc::new(Ring::new(self.published.clone(), signing)?);
        self.ring = Some(Arc::clone(&ring));
        Ok(ring)
    }

    /// With its certificate.
    fn signing_key(&self, key: &Key) -> Result<Arc<SigningKey>, KeyRingError> {
        let row = self.rows.keys.iter().find(|row| row.id == key.id.as_str()).ok_or(NO_KEY)?;
        let broken = |why| KeyRingError::Key { id: row.id.clone(), why };
        let leaf = Certificate::from_der(&row.certificate).map_err(broken)?;
        let chain = CertificateChain::new(vec![leaf]).map_err(broken)?;
        Ok(Arc::new(self.private_key(row)?.with_chain(chain).map_err(broken)?))
    }
}

/// An RSA key takes a second.
async fn generate(algorithm: Algorithm) -> Result<SigningKey, KeyError> {
    let generated = task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    generated.unwrap_or(Err(KeyError::PrivateKey))
}

/// A ring that is to be.
#[derive(Debug)]
struct Change {
    rows: Vec<KeyRow>,
    audit: Vec<AuditRecord>,
}

impl Change {
    fn note(&mut self, action: Action, id: &str, now: SystemTime) {
        self.audit.push(AuditRecord {
            at: now,
            action: action.as_str().to_owned(),
            actor: None,
            object: Some(id.to_owned()),
            address: None,
            request: None,
            detail: json!({}),
        });
    }
}

const NO_KEY: KeyRingError = KeyRingError::Incomplete { missing: "no key that signs" };
const RENEW_BEFORE: Duration = Duration::from_hours(24 * 365);
/// How often a race may be lost, and how many changes may follow from one another.
const ATTEMPTS: usize = 16;
