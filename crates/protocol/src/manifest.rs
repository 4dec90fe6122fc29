//! What a manifest points at. A manifest itself is bytes that are kept as they came; this reads out
//! of them what a registry and a client have to know, and refuses what two readers could take for
//! two different things (GHSA-qq97-vm5h-rrhg).

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use self::counted::{Annotations, Counted};
use crate::{digest::Digest, printable::excerpt};

mod counted;
mod keys;

#[cfg(test)]
mod tests;

/// The longest manifest that is read, in bytes (OC16; CVE-2017-11468).
pub const MAX_LENGTH: usize = 4 * 1024 * 1024;

/// So many things may a manifest point at: config, layers, manifests and subject, also where one is named twice. Images
/// have 127 layers at the most.
pub const MAX_DESCRIPTORS: usize = 4096;

/// So many annotations may a manifest itself have.
pub const MAX_ANNOTATIONS: usize = 1024;

/// So long may the annotations of a manifest itself be, names and values together: each list of referrers has them.
pub const MAX_ANNOTATIONS_LENGTH: usize = 256 * 1024;

/// The kinds of manifest there are; a `Content-Type` names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerManifestList,
    /// `application/vnd.oci.image.manifest.v1+json`
    OciManifest,
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
}

impl MediaType {
    /// Every kind, the ones of OCI first.
    pub const ALL: [Self; 4] =
        [Self::OciManifest, Self::OciIndex, Self::DockerManifest, Self::DockerManifestList];

    /// As it stands in `Content-Type`, `Accept` and `mediaType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerManifestList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        }
    }

    /// Reads a `Content-Type`; its parameters count for nothing (OC16).
    pub fn from_content_type(header: &str) -> Result<Self, ManifestError> {
        let essence = header.split(';').next().unwrap_or_default().trim();
        if let Some(kind) =
            Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(essence))
        {
            return Ok(kind);
        }
        let is_schema1 = essence.starts_with("application/vnd.docker.distribution.manifest.v1+");
        Err(if is_schema1 {
            ManifestError::Schema1
        } else {
            ManifestError::MediaType { media_type: excerpt(essence) }
        })
    }

    /// Whether it is a list of other manifests.
    pub fn is_index(self) -> bool {
        matches!(self, Self::DockerManifestList | Self::OciIndex)
    }

    fn is_oci(self) -> bool {
        matches!(self, Self::OciManifest | Self::OciIndex)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a manifest points at (image-spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// As written, whatever it is.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Its length in bytes, at most `i64::MAX`: clients keep it in a signed number.
    pub size: u64,
}

impl Descriptor {
    /// Whether it is a layer that by its type may live elsewhere and need not be here
    /// (`foreign` of docker, `nondistributable` of OCI; DX3).
    pub fn may_be_elsewhere(&self) -> bool {
        self.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
            || self.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
    }
}

/// What a manifest points at, and what a list of referrers tells about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// Which kind of manifest it is.
    pub media_type: MediaType,
    /// Of an image manifest: always there.
    pub config: Option<Descriptor>,
    /// Of an image manifest, in order.
    pub layers: Vec<Descriptor>,
    /// Of an index, in order.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about; it need not exist (OC16). Docker's kinds have none.
    pub subject: Option<Descriptor>,
    /// What it says it is; see [`Links::referrer_type`] for what a referrers list shows.
    pub artifact_type: Option<String>,
    /// The annotations of the manifest itself.
    pub annotations: BTreeMap<String, String>,
}

impl Links {
    /// Reads a manifest that came with this media type.
    ///
    /// Unknown members are nobody's business. Refused are bytes over [`MAX_LENGTH`], more than
    /// [`MAX_DESCRIPTORS`], [`MAX_ANNOTATIONS`] and [`MAX_ANNOTATIONS_LENGTH`] allow, a `mediaType`
    /// that contradicts the header, members of the other kind, members that differ from known ones
    /// only in case (Go's decoder takes them for the same), and sizes below zero (OC16, OC17).
    pub fn parse(bytes: &[u8], media_type: MediaType) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_LENGTH {
            return Err(ManifestError::TooLong { length: bytes.len() });
        }
        keys::check(bytes)?;
        let document: Document = serde_json::from_slice(bytes).map_err(ManifestError::json)?;
        document.check(media_type)?;
        document.into_links(media_type)
    }

    /// The blobs that have to be in the repository before this manifest may be: the config and the
    /// layers, without those that [may be elsewhere](Descriptor::may_be_elsewhere).
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.layers.iter().filter(|layer| !layer.may_be_elsewhere());
        self.config.iter().chain(layers)
    }

    /// The `artifactType` that a list of referrers shows: its own, else of an image manifest the
    /// config's media type (OC24).
    pub fn referrer_type(&self) -> Option<&str> {
        let config = || self.config.as_ref().map(|config| config.media_type.as_str());
        self.artifact_type.as_deref().or_else(config)
    }
}

/// Why bytes are not a manifest that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A member that clients read differently.
    #[error("manifest member {found:?} must be spelt {known:?}")]
    Case {
        /// As it stands there.
        found: String,
        /// As it has to be.
        known: &'static str,
    },
    /// A member that is there twice.
    #[error("manifest has the member {key:?} twice")]
    Duplicate {
        /// Its name.
        key: String,
    },
    /// Members of the other kind of manifest.
    #[error("{media_type} must not have the member {member:?}")]
    Confused {
        /// What it came as.
        media_type: MediaType,
        /// What only the other kind has.
        member: &'static str,
    },
    /// Not JSON, or not of the shape of a manifest.
    #[error("manifest is not readable: {reason}")]
    Json {
        /// What the JSON reader says.
        reason: String,
    },
    /// A media type that is no manifest's.
    #[error(
        "media type {media_type:?} is not that of a manifest or index of OCI or docker (schema 2)"
    )]
    MediaType {
        /// As it came, shortened.
        media_type: String,
    },
    /// Header and body disagree.
    #[error("manifest says it is {found:?}, but came as {expected}")]
    Mismatch {
        /// `mediaType`; empty where docker's kinds lack it.
        found: String,
        /// From `Content-Type`.
        expected: MediaType,
    },
    /// A member that has to be there is not.
    #[error("{media_type} must have the member {member:?}")]
    Missing {
        /// What it came as.
        media_type: MediaType,
        /// What is missing.
        member: &'static str,
    },
    /// Docker's first schema, which nobody should make any more.
    #[error(
        "docker manifests of schema 1 are not supported; push the image again as schema 2 or OCI"
    )]
    Schema1,
    /// A schema version that is neither 1 nor 2.
    #[error("manifest schema version must be 2")]
    SchemaVersion,
    /// A size that clients cannot hold.
    #[error("size of {digest} must be at least 0 and at most {}", i64::MAX)]
    Size {
        /// Of which thing.
        digest: Digest,
    },
    /// More of something than is kept.
    #[error("manifest has {found} {what}, and may have {most} at the most")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// More than [`MAX_LENGTH`] bytes.
    #[error("manifest of {length} bytes is longer than {MAX_LENGTH}")]
    TooLong {
        /// In bytes.
        length: usize,
    },
}

impl ManifestError {
    #[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
    fn json(error: serde_json::Error) -> Self {
        Self::Json { reason: error.to_string() }
    }
}

/// The members we read. serde refuses any of them twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<i64>,
    media_type: Option<String>,
    config: Option<Pointer>,
    layers: Option<Counted<Pointer>>,
    manifests: Option<Counted<Pointer>>,
    subject: Option<Pointer>,
    artifact_type: Option<String>,
    annotations: Option<Annotations>,
}

/// A descriptor as written: its size may be anything that fits a JSON integer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pointer {
    media_type: String,
    digest: Digest,
    size: serde_json::Number,
}

impl Document {
    fn check(&self, expected: MediaType) -> Result<(), ManifestError> {
        match self.schema_version {
            Some(2) => {}
            Some(1) => return Err(ManifestError::Schema1),
            _ => return Err(ManifestError::SchemaVersion),
        }
        let found = self.media_type.as_deref().unwrap_or_default();
        // OCI's member is optional; docker's is not (OC17).
        if found != expected.as_str() && !(found.is_empty() && expected.is_oci()) {
            return Err(ManifestError::Mismatch { found: excerpt(found), expected });
        }
        let others: &[(&'static str, bool)] = if expected.is_index() {
            &[("config", self.config.is_some()), ("layers", self.layers.is_some())]
        } else {
            &[("manifests", self.manifests.is_some())]
        };
        match others.iter().find(|(_, there)| *there) {
            Some((member, _)) => Err(ManifestError::Confused { media_type: expected, member }),
            None => self.check_numbers(),
        }
    }

    fn check_numbers(&self) -> Result<(), ManifestError> {
        let lists = [&self.layers, &self.manifests].into_iter().flatten();
        let single = [&self.config, &self.subject].into_iter().flatten();
        let descriptors = lists.map(|list| list.found).sum::<usize>() + single.count();
        let annotations = self.annotations.as_ref();
        for (what, found, most) in [
            ("descriptors", descriptors, MAX_DESCRIPTORS),
            ("annotations", annotations.map_or(0, |all| all.found), MAX_ANNOTATIONS),
            (
                "bytes of annotations",
                annotations.map_or(0, |all| all.length),
                MAX_ANNOTATIONS_LENGTH,
            ),
        ] {
            if found > most {
                return Err(ManifestError::TooMany { what, found, most });
            }
        }
        Ok(())
    }

    fn into_links(self, media_type: MediaType) -> Result<Links, ManifestError> {
        if !media_type.is_index() && self.config.is_none() {
            return Err(ManifestError::Missing { media_type, member: "config" });
        }
        let subject = if media_type.is_oci() { self.subject } else { None };
        Ok(Links {
            media_type,
            config: self.config.map(Pointer::into_descriptor).transpose()?,
            layers: descriptors(self.layers)?,
            manifests: descriptors(self.manifests)?,
            subject: subject.map(Pointer::into_descriptor).transpose()?,
            artifact_type: self.artifact_type.filter(|kind| !kind.is_empty()),
            annotations: self.annotations.unwrap_or_default().kept,
        })
    }
}

impl Pointer {
    fn into_descriptor(self) -> Result<Descriptor, ManifestError> {
        match self.size.as_u64().filter(|size| i64::try_from(*size).is_ok()) {
            Some(size) => Ok(Descriptor { media_type: self.media_type, digest: self.digest, size }),
            None => Err(ManifestError::Size { digest: self.digest }),
        }
    }
}

/// Go writes an empty list as `null`, so none at all is an empty one.
fn descriptors(pointers: Option<Counted<Pointer>>) -> Result<Vec<Descriptor>, ManifestError> {
    pointers
        .map(|list| list.kept)
        .unwrap_or_default()
        .into_iter()
        .map(Pointer::into_descriptor)
        .collect()
}
