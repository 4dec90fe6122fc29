//! The keys at one moment: what everybody may see, and those that sign.

use std::{sync::Arc, time::SystemTime};

use base64::prelude::*;
use bytes::Bytes;
use portpass_jose::{
    Algorithm, Certificate, CertificateChain, KeyError, KeyId, KeyIdForm, KeySet, SignError,
    SigningKey, TrustRoots,
};
use portpass_state::{Db, KeyFileRow, KeyRole};
use portpass_token::{Claims, MintError, Minter, Trust};
use sha2::{Digest, Sha256};

use super::{Key, KeyRingError, Phase};
use crate::signer::Signer;

/// The keys at one moment.
#[derive(Debug)]
pub struct Ring {
    published: Published,
    /// By the numbers of their signers; at least one.
    signing: Vec<Arc<SigningKey>>,
}

/// What of a ring everybody may see.
#[derive(Debug, Clone)]
pub struct Published {
    /// The ring's version in the database; zero for a key from files.
    pub version: u64,
    /// What registries trust; `None` for a key from files.
    pub root: Option<Certificate>,
    /// Every key that signs, will sign, or did so lately, in the order they were made.
    pub keys: Vec<PublishedKey>,
    jwks: Bytes,
    jwks_tag: String,
}

/// One key, as everybody may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedKey {
    /// Its RFC 7638 thumbprint.
    pub id: KeyId,
    /// What it signs by.
    pub algorithm: Algorithm,
    /// Where in its life it is; `None` for a key from files, which has no schedule.
    pub phase: Option<Phase>,
    /// What vouches for it; `None` only for a key from files without certificate.
    pub certificate: Option<Certificate>,
    key: portpass_jose::VerifyingKey,
}

impl Ring {
    /// What everybody may see.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// The key that signs for a service, with its certificate.
    pub fn signing(&self, signer: Signer) -> Result<&SigningKey, KeyRingError> {
        self.signing.get(signer.number()).map(|key| &**key).ok_or(NO_KEY)
    }

    /// The keys that sign, the default first.
    pub fn all_signing(&self) -> impl Iterator<Item = &SigningKey> {
        self.signing.iter().map(|key| &**key)
    }

    /// Whether a token that is signed at `now`, and names its key in this form, is one that registries
    /// take: a certificate that has not begun or has ended vouches for nothing. A key from files may be
    /// named by its id all the same, since nobody looks at its certificate then.
    pub(super) fn signs_at(
        &self,
        signer: Signer,
        form: KeyIdForm,
        now: SystemTime,
    ) -> Result<(), KeyRingError> {
        let key = self.signing(signer)?;
        if form != KeyIdForm::X5c && self.published.root.is_none() {
            return Ok(());
        }
        let chain = key.chain().map_or(&[][..], CertificateChain::certificates);
        let mut vouching = chain.iter().chain(&self.published.root);
        Ok(vouching.try_for_each(|certificate| certificate.validity(now))?)
    }

    /// Signs claims.
    ///
    /// # Errors
    /// [`SignError`](portpass_jose::SignError) if the key does not sign, or there is no such signer.
    pub fn mint(
        &self,
        signer: Signer,
        form: KeyIdForm,
        claims: &Claims,
    ) -> Result<String, MintError> {
        let key = self.signing.get(signer.number()).ok_or(SignError::Failed)?;
        Minter::mint(key, form, claims)
    }

    /// The public keys as a JWK set (RFC 7517 §5).
    pub fn jwks(&self) -> Bytes {
        self.published.jwks.clone()
    }

    /// Changes with the JWK set: a quoted entity tag (RFC 9110 §8.8.3).
    pub fn jwks_tag(&self) -> &str {
        &self.published.jwks_tag
    }

    /// See [`Published::bundle`].
    pub fn bundle(&self) -> String {
        self.published.bundle()
    }

    /// What a registry in the same process trusts.
    pub fn trust(&self) -> Trust {
        self.published.trust()
    }

    /// For another ring of the same keys.
    pub(super) fn shared_signing(&self) -> Vec<Arc<SigningKey>> {
        self.signing.clone()
    }

    pub(super) fn new(
        published: Published,
        signing: Vec<Arc<SigningKey>>,
    ) -> Result<Self, KeyRingError> {
        if signing.is_empty() { Err(NO_KEY) } else { Ok(Self { published, signing }) }
    }

    pub(super) fn fixed(signing: Arc<SigningKey>) -> Self {
        Self { published: Published::fixed([&*signing]), signing: vec![signing] }
    }
}

impl Published {
    /// The ring of a database, read without its seal key; `None` before the first start.
    pub async fn read(db: &Db) -> Result<Option<Self>, KeyRingError> {
        let ring = db.key_ring().await?;
        if ring.keys.is_empty() { Ok(None) } else { Self::of(&ring).map(Some) }
    }

    /// The ring of keys from files.
    pub fn fixed<'a>(signing: impl IntoIterator<Item = &'a SigningKey>) -> Self {
        let mut keys: Vec<PublishedKey> = Vec::new();
        for key in signing.into_iter().map(PublishedKey::fixed) {
            // Two services may name the same pair.
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Self::new(0, None, keys)
    }

    /// The ring of keys from files, and of those that they replaced, as long as tokens of theirs may live.
    pub async fn from_files<'a>(
        db: &Db,
        signing: impl IntoIterator<Item = &'a SigningKey>,
        now: SystemTime,
    ) -> Result<Self, KeyRingError> {
        let Self { keys: current, .. } = Self::fixed(signing);
        let held = |row: &KeyFileRow| {
            let is_current = current.iter().any(|key| key.has_certificate(&row.certificate));
            !is_current && row.until.is_none_or(|until| until >= now)
        };
        let rows = db.key_files().await?;
        let replaced = rows.iter().filter(|row| held(row)).map(PublishedKey::of_file);
        let mut keys = replaced.collect::<Result<Vec<_>, _>>()?;
        keys.extend(current);
        Ok(Self::new(0, None, keys))
    }

    /// Whether a key is here whose last token has ended.
    pub(super) fn has_ended(&self, now: SystemTime) -> bool {
        let ended =
            |key: &PublishedKey| matches!(key.phase, Some(Phase::Retired { until }) if until < now);
        self.keys.iter().any(ended)
    }

    /// The public keys as a JWK set.
    pub fn jwks(&self) -> &[u8] {
        &self.jwks
    }

    /// Certificates for a registry's `rootcertbundle`, in PEM form: the root, then those of the keys
    /// that sign or will. A registry follows every rotation by the root alone; the others are for
    /// tokens that name their key by id.
    ///
    /// Only certificates that every registry reads, unless there is nothing else: keys from files.
    /// Distribution 2.8 crashes at start on some others. Those of keys that files held before are there too: no
    /// root stands for them.
    pub fn bundle(&self) -> String {
        let is_wanted = |key: &&PublishedKey| {
            let retired = matches!(key.phase, Some(Phase::Retired { .. }));
            self.root.is_none() || (!retired && key.algorithm != Algorithm::EdDsa)
        };
        let leaves = self.keys.iter().filter(is_wanted).filter_map(|key| key.certificate.as_ref());
        self.root.iter().chain(leaves).map(Certificate::to_pem).collect()
    }

    /// What a registry in the same process trusts: the root, or the certificates from files pinned;
    /// and every key by its id.
    pub fn trust(&self) -> Trust {
        let mut keys = KeySet::new();
        for key in &self.keys {
            keys.insert(key.key.clone());
        }
        let pinned = self.keys.iter().filter(|_| self.root.is_none());
        let pinned = pinned.filter_map(|key| key.certificate.as_ref());
        Trust::new(TrustRoots::new(self.root.iter().chain(pinned).cloned().collect()), keys)
    }

    pub(super) fn of(ring: &portpass_state::KeyRing) -> Result<Self, KeyRingError> {
        let mut root = None;
        let mut keys = Vec::new();
        for row in &ring.keys {
            let broken = |why| KeyRingError::Key { id: row.id.clone(), why };
            let certificate = Certificate::from_der(&row.certificate).map_err(broken)?;
            match row.role {
                KeyRole::Root => root = Some(certificate),
                KeyRole::Leaf(phase) => {
                    let algorithm = row
                        .algorithm
                        .parse()
                        .map_err(|why| broken(KeyError::Unsupported(format!("{why}"))))?;
                    keys.push(PublishedKey {
                        id: row.id.as_str().into(),
                        algorithm,
                        phase: Some(phase),
                        key: certificate.key().clone().only(algorithm).map_err(broken)?,
                        certificate: Some(certificate),
                    });
                }
            }
        }
        Ok(Self::new(ring.version, root, keys))
    }

    fn new(version: u64, root: Option<Certificate>, keys: Vec<PublishedKey>) -> Self {
        let mut set = KeySet::new();
        for key in &keys {
            set.insert(key.key.clone());
        }
        let jwks = set.to_jwks();
        let hash = Sha256::digest(jwks.as_bytes());
        let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..16]));
        Self { version, root, keys, jwks: jwks.into(), jwks_tag: tag }
    }
}

impl PublishedKey {
    /// As schedules see it; `None` for a key from files.
    pub fn scheduled(&self) -> Option<Key> {
        let certificate = self.certificate.as_ref()?;
        let (certified_from, certified_until) = (certificate.not_before(), certificate.not_after());
        let (id, algorithm, phase) = (self.id.clone(), self.algorithm, self.phase?);
        Some(Key { id, algorithm, phase, certified_from, certified_until })
    }

    fn fixed(signing: &SigningKey) -> Self {
        Self {
            id: signing.id().clone(),
            algorithm: signing.algorithm(),
            phase: None,
            certificate: signing.chain().map(|chain| chain.leaf().clone()),
            key: signing.public().clone(),
        }
    }

    fn of_file(row: &KeyFileRow) -> Result<Self, KeyRingError> {
        let broken = |why| KeyRingError::Key { id: row.id.clone(), why };
        let certificate = Certificate::from_der(&row.certificate).map_err(broken)?;
        let algorithm = row.algorithm.parse();
        let algorithm = algorithm.map_err(|why| broken(KeyError::Unsupported(format!("{why}"))))?;
        Ok(Self {
            id: row.id.as_str().into(),
            algorithm,
            phase: row.until.map(|until| Phase::Retired { until }),
            key: certificate.key().clone().only(algorithm).map_err(broken)?,
            certificate: Some(certificate),
        })
    }

    fn has_certificate(&self, der: &[u8]) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.der() == der)
    }
}

const NO_KEY: KeyRingError = KeyRingError::Incomplete { missing: "no key that signs" };
