//! The keys that sign tokens: made, announced, used, retired and forgotten on a schedule.
//!
//! ```text
//! root certificate, ten years            what registries trust (`rootcertbundle`), once and for all
//!   └─ leaf per signing key              what a token carries (`x5c`)
//!
//! Announced ── signs_from ──► Signing ── a successor signs ──► Retired ── until ──► gone
//! ```
//!
//! The keys are rows of the database under one version; whoever changes them names the version that
//! the change was computed from, so several processes may do so at once and the losers read again.
//! Private keys are sealed with a key that is not in the database. A key and certificate from files
//! are the second source: somebody else changes them.

mod files;
mod issue;
mod ring;
mod schedule;
mod schedules;
mod seal;
mod stored;

use std::{
    sync::{Arc, Mutex as Lock, PoisonError},
    time::SystemTime,
};

use portpass_jose::{Algorithm, KeyError, KeyIdForm, OutOfDate, SigningKey};
use portpass_state::{Db, StateError};
use portpass_token::{Random, Verifier};
use tokio::sync::{Mutex, watch};

use self::{files::FileRing, issue::IssueError, stored::Stored};
pub use self::{
    files::{FileRingParts, KeyFileError, KeyFiles, KeyPair},
    ring::{Published, PublishedKey, Ring},
    schedule::{Key, Phase, RotationStep, Schedule},
    schedules::Schedules,
    seal::{SealError, SealKey},
};
use crate::signer::Signer;

/// What a ring in the database is made of.
#[derive(Debug)]
pub struct KeyRingParts {
    /// Where the keys are kept.
    pub db: Db,
    /// What private keys are sealed with.
    pub seal: SealKey,
    /// When what is due.
    pub schedules: Schedules,
    /// For sealing.
    pub random: Arc<dyn Random>,
}

/// The keys of a token service, at every moment.
#[derive(Debug)]
pub struct KeyRing {
    published: watch::Sender<Arc<Ring>>,
    source: Source,
    /// What registries in this process check tokens with.
    registries: Lock<Vec<Arc<Verifier>>>,
}

/// Where the keys come from.
#[derive(Debug)]
enum Source {
    /// One key for ever.
    Fixed,
    /// The database.
    Stored(Box<Mutex<Stored>>),
    /// Files.
    Files(Mutex<FileRing>),
}

impl KeyRing {
    /// Reads the ring of a database, makes it if there is none, and carries out what became due
    /// since somebody last looked.
    pub async fn open(parts: KeyRingParts, now: SystemTime) -> Result<Self, KeyRingError> {
        let mut stored = Stored::read(parts).await?;
        let ring = stored.carry_out(now, Ask::Schedule).await?;
        Ok(Self::new(ring, Source::Stored(Box::new(Mutex::new(stored)))))
    }

    /// A ring of one key that never changes.
    pub fn fixed(signing: SigningKey) -> Self {
        Self::new(Arc::new(Ring::fixed(Arc::new(signing))), Source::Fixed)
    }

    /// The ring of keys from files, which follows what they hold.
    pub async fn from_files(parts: FileRingParts, now: SystemTime) -> Result<Self, KeyRingError> {
        let files = FileRing::open(parts, now).await?;
        Ok(Self::new(files.ring(), Source::Files(Mutex::new(files))))
    }

    fn new(ring: Arc<Ring>, source: Source) -> Self {
        Self { published: watch::Sender::new(ring), source, registries: Lock::default() }
    }

    /// Has a registry in this process trust the keys, these and all later ones, each before a token
    /// is signed with it.
    pub fn trusted_by(&self, registry: Arc<Verifier>) {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registry.replace_trust(self.current().trust());
        registries.push(registry);
    }

    /// The keys at this moment.
    pub fn current(&self) -> Arc<Ring> {
        self.published.borrow().clone()
    }

    /// The keys, when a token that names its key in this form can be signed by that signer now. Where the
    /// clock was set since somebody last looked, what became due is carried out first.
    pub async fn ready(
        &self,
        signer: Signer,
        form: KeyIdForm,
        now: SystemTime,
    ) -> Result<Arc<Ring>, KeyRingError> {
        let ring = self.current();
        if ring.signs_at(signer, form, now).is_ok() {
            return Ok(ring);
        }
        Box::pin(self.tick(now)).await?;
        let ring = self.current();
        ring.signs_at(signer, form, now)?;
        Ok(ring)
    }

    /// The keys at this moment, and a wake-up at every change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Ring>> {
        self.published.subscribe()
    }

    /// Reads the ring again if another process changed it, or the files, and carries out what is due. Cheap
    /// if nothing is: to be called every few seconds.
    pub async fn tick(&self, now: SystemTime) -> Result<(), KeyRingError> {
        self.carry_out(now, Ask::Schedule).await
    }

    /// Replaces the signing key of one algorithm, or of each, at once. Registries that trust the root follow at once; those that
    /// read a JWK set or a bundle of leaves refuse the new tokens until they read it again.
    ///
    /// # Errors
    /// [`KeyRingError::Fixed`] for a key from files; [`KeyRingError::Unused`] if no service signs by that.
    pub async fn rotate(
        &self,
        only: Option<Algorithm>,
        now: SystemTime,
    ) -> Result<(), KeyRingError> {
        match &self.source {
            Source::Fixed | Source::Files(_) => Err(KeyRingError::Fixed),
            Source::Stored(stored) => {
                if let Some(algorithm) = only {
                    stored.lock().await.uses(algorithm)?;
                }
                self.carry_out(now, Ask::Rotation(only)).await
            }
        }
    }

    async fn carry_out(&self, now: SystemTime, ask: Ask) -> Result<(), KeyRingError> {
        // Each is held until the ring is published, so that no older one comes after it.
        match &self.source {
            Source::Fixed => {}
            Source::Stored(stored) => {
                let mut stored = stored.lock().await;
                self.publish(stored.carry_out(now, ask).await?);
            }
            Source::Files(files) => {
                let mut files = files.lock().await;
                self.publish(files.look(now).await?);
            }
        }
        Ok(())
    }

    fn publish(&self, ring: Arc<Ring>) {
        let registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        self.published.send_if_modified(|published| {
            if Arc::ptr_eq(published, &ring) {
                return false;
            }
            for registry in registries.iter() {
                registry.replace_trust(ring.trust());
            }
            *published = ring;
            true
        });
    }
}

/// Who wants the ring changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Nobody: what is due is done.
    Schedule,
    /// Somebody who wants another key now, of one algorithm or of each.
    Rotation(Option<Algorithm>),
}

/// Why there is no key to sign with, or no next one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// Other processes change the ring all the time.
    #[error("other processes keep changing the key ring; it was not changed by this one")]
    Contended,
    /// The key comes from files.
    #[error("the signing key comes from files: replace them, and a running server follows")]
    Fixed,
    /// A certificate cannot be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A key cannot be used.
    #[error("the key {id:?} of the ring cannot be used: {why}")]
    Key {
        /// Which one.
        id: String,
        /// Why.
        why: KeyError,
    },
    /// There are keys, but none that signs.
    #[error("the key ring has {missing}; restore the database from a backup")]
    Incomplete {
        /// What is not there.
        missing: &'static str,
    },
    /// The certificate does not hold, and no other can be made.
    #[error(
        "the token service signs nothing with a certificate that is not valid: {0}; replace it, or set the clock"
    )]
    OutOfDate(#[from] OutOfDate),
    /// A private key cannot be sealed or unsealed.
    #[error("the key {id:?} of the ring: {why}")]
    Seal {
        /// Which one.
        id: String,
        /// Why.
        why: SealError,
    },
    /// No key of that kind signs.
    #[error("no service signs by {algorithm}; in use: {used}")]
    Unused {
        /// Which one.
        algorithm: Algorithm,
        /// Those that do.
        used: String,
    },
    /// The rows cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

#[cfg(test)]
mod tests;
