//! The keys that sign tokens.

use std::{fs, path::Path, time::SystemTime};

use portpass_authority::{
    keyring::{Phase, Published, PublishedKey},
    request::Service,
    signer::Signer,
};
use portpass_config::{Part, Signing, TokenService};
use portpass_jose::{Algorithm, KeyId, KeyIdForm};
use portpass_token::ServiceName;
use serde::Serialize;

use super::{AdminError, Installation, serialize_time};
use crate::{
    blocking,
    data_directory::{FileMode, write_file},
    key_ring::schedules,
};

/// One key, as everybody may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SigningKey {
    /// Its RFC 7638 thumbprint, which distribution 3 calls it.
    pub id: String,
    /// What distribution 2 calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub libtrust_id: Option<String>,
    /// What it signs by.
    pub algorithm: String,
    /// The services that it signs for at the moment.
    pub services: Vec<String>,
    /// Where in its life it is.
    #[serde(flatten)]
    pub phase: KeyPhase,
}

/// Where in its life a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum KeyPhase {
    /// Published, not used yet.
    Announced {
        /// When it takes over.
        #[serde(serialize_with = "serialize_time")]
        signs_from: SystemTime,
    },
    /// It comes from files and has no schedule.
    FromFiles,
    /// Its last tokens are still valid.
    Retired {
        /// When it is forgotten.
        #[serde(serialize_with = "serialize_time")]
        until: SystemTime,
    },
    /// It signs.
    Signing {
        /// Since when.
        #[serde(serialize_with = "serialize_time")]
        since: SystemTime,
    },
}

/// What the public keys are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// Certificates in PEM form, for `rootcertbundle`.
    Bundle,
    /// A JWK set, for `jwks`.
    Jwks,
}

/// Public keys for a registry, and what its operator has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeyExport {
    /// The file's content.
    pub text: String,
    /// Sentences.
    pub notes: Vec<String>,
}

impl Installation {
    /// The keys, in the order they were made.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, AdminError> {
        let published = self.published().await?;
        self.described(&published)
    }

    /// Signs with another key from now on, by one algorithm or by all. A running token service takes it up within
    /// seconds.
    pub async fn rotate_signing_key(
        &self,
        only: Option<Algorithm>,
    ) -> Result<Vec<SigningKey>, AdminError> {
        let ring = self.key_ring().await?;
        ring.rotate(only, self.now()).await?;
        self.described(ring.current().published())
    }

    /// The public keys for registries elsewhere.
    pub async fn export_signing_keys(
        &self,
        format: KeyFormat,
    ) -> Result<PublicKeyExport, AdminError> {
        let published = self.published().await?;
        let text = match format {
            KeyFormat::Bundle => published.bundle(),
            KeyFormat::Jwks => String::from_utf8_lossy(published.jwks()).into_owned() + "\n",
        };
        Ok(PublicKeyExport { text, notes: self.rotation_notes(format)? })
    }

    /// Puts public keys into a file as a whole; what is no file (`/dev/stdout`, a pipe) is written to.
    pub async fn write_export(
        &self,
        export: &PublicKeyExport,
        path: &Path,
    ) -> Result<(), AdminError> {
        let (target, text) = (path.to_path_buf(), export.text.clone());
        let write = move || {
            // Through links, so that they stay what they are.
            let target = fs::canonicalize(&target).unwrap_or(target);
            if target.exists() && !target.is_file() {
                return fs::write(&target, text);
            }
            write_file(&target, text.as_bytes(), &FileMode::Public)
        };
        blocking(write)
            .await
            .map_err(|source| AdminError::WriteFile { path: path.to_path_buf(), source })
    }

    /// What a registry misses at a rotation that reads its file once, at its start: sentences.
    pub fn rotation_notes(&self, format: KeyFormat) -> Result<Vec<String>, AdminError> {
        let service = self.token_service()?;
        match (&service.signing, format) {
            (Signing::Files(_), _) => Ok(Vec::new()),
            (Signing::Ring(_), KeyFormat::Jwks) => Ok(vec![
                "a JWK set contains single keys: a registry that reads it from a file needs a new export \
                 and a restart at each rotation"
                    .to_owned(),
            ]),
            (Signing::Ring(_), KeyFormat::Bundle) => {
                let by_id =
                    service.services.iter().filter(|service| service.key_id != KeyIdForm::X5c);
                let note = |name: &ServiceName| {
                    format!(
                        "tokens for the service `{name}` name their key by its id: its registry needs \
                         a new export and a restart at each rotation"
                    )
                };
                Ok(by_id.map(|service| note(&service.name)).collect())
            }
        }
    }

    async fn published(&self) -> Result<Published, AdminError> {
        self.config.require(Part::SigningKeys)?;
        match &self.token_service()?.signing {
            Signing::Ring(_) => Published::read(&self.db).await?.ok_or(AdminError::NoKeys),
            Signing::Files(pairs) => {
                let keys = pairs.iter().map(|pair| &*pair.signing);
                Ok(Published::from_files(&self.db, keys, self.now()).await?)
            }
        }
    }

    /// With the services that each signs for.
    fn described(&self, published: &Published) -> Result<Vec<SigningKey>, AdminError> {
        let service = self.token_service()?;
        let mut keys: Vec<_> = published.keys.iter().map(SigningKey::from).collect();
        for (service, id) in signing(service, published)? {
            // One key from files may have a retired certificate too.
            let signs = |key: &&mut SigningKey| {
                key.id == id && !matches!(key.phase, KeyPhase::Retired { .. })
            };
            if let Some(key) = keys.iter_mut().find(signs) {
                key.services.push(service);
            }
        }
        Ok(keys)
    }
}

/// Each service, and the id of the key that signs for it.
fn signing(
    service: &TokenService,
    published: &Published,
) -> Result<Vec<(String, String)>, AdminError> {
    let id: Box<dyn Fn(Signer) -> Option<String>> = match &service.signing {
        Signing::Ring(algorithms) => {
            let schedules = schedules(algorithms, service.longest_lifetime())?;
            let keys: Vec<_> = published.keys.iter().filter_map(PublishedKey::scheduled).collect();
            Box::new(move |signer| Some(schedules.signing(signer, &keys)?.id.to_string()))
        }
        Signing::Files(pairs) => {
            Box::new(|signer| Some(pairs.get(signer.number())?.signing.id().to_string()))
        }
    };
    let signing = service.services.iter();
    let named = |service: &Service| Some((service.name.to_string(), id(service.signer)?));
    Ok(signing.filter_map(named).collect())
}

impl From<&PublishedKey> for SigningKey {
    fn from(key: &PublishedKey) -> Self {
        let libtrust =
            key.certificate.as_ref().map(|certificate| KeyId::libtrust(certificate.key()));
        Self {
            id: key.id.to_string(),
            libtrust_id: libtrust.map(|id| id.to_string()),
            algorithm: key.algorithm.to_string(),
            services: Vec::new(),
            phase: match key.phase {
                None => KeyPhase::FromFiles,
                Some(Phase::Announced { signs_from }) => KeyPhase::Announced { signs_from },
                Some(Phase::Signing { since }) => KeyPhase::Signing { since },
                Some(Phase::Retired { until }) => KeyPhase::Retired { until },
            },
        }
    }
}
