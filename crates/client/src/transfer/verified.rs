//! Manifests with a verified digest and an unambiguous media type.

use bytes::Bytes;
use portpass_protocol::{
    Digest, Links, MediaType,
    manifest::{Descriptor, MAX_LENGTH, ManifestError},
};

use super::Error;
use crate::Manifest;

/// A manifest whose bytes have the digest they were asked for by, and which no two readers can take
/// for two different things (GHSA-qq97-vm5h-rrhg). Only [`VerifiedManifest::read`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedManifest {
    digest: Digest,
    bytes: Bytes,
    links: Links,
}

impl VerifiedManifest {
    /// How many bytes a manifest may have.
    pub const MAX_LENGTH: u64 = MAX_LENGTH as u64;

    /// Reads a manifest that came with this media type. `expected` is what it was asked for by;
    /// without it (a tag was asked for), its digest is SHA-256.
    pub fn read(
        bytes: Bytes,
        media_type: MediaType,
        expected: Option<&Digest>,
    ) -> Result<Self, Error> {
        let refused = |digest, error| Error::Manifest { digest, error: Box::new(error) };
        if bytes.len() > MAX_LENGTH {
            let digest = expected.copied().unwrap_or_else(|| Digest::sha256(&bytes));
            return Err(refused(digest, ManifestError::TooLong { length: bytes.len() }));
        }
        let algorithm = expected.map(Digest::algorithm).unwrap_or_default();
        let digest = Digest::of(algorithm, &bytes);
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(Error::DigestMismatch { expected: *expected, found: digest.to_string() });
        }
        let links = Links::parse(&bytes, media_type).map_err(|error| refused(digest, error))?;
        Ok(Self { digest, bytes, links })
    }

    /// Reads a manifest that a descriptor points at. What it came as has to be what the descriptor
    /// says it is, and as long (image specification, "Properties" of descriptors).
    pub fn read_described(
        bytes: Bytes,
        media_type: MediaType,
        expected: &Descriptor,
    ) -> Result<Self, Error> {
        if !media_type.as_str().eq_ignore_ascii_case(&expected.media_type) {
            return Err(Error::MediaTypeMismatch {
                digest: expected.digest,
                said: expected.media_type.clone(),
                came_as: media_type,
            });
        }
        let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if found != expected.size {
            let Descriptor { digest, size, .. } = *expected;
            return Err(Error::Length { digest, expected: size, found });
        }
        Self::read(bytes, media_type, Some(&expected.digest))
    }

    /// Of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// As they came; they are passed on unchanged.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it points at.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Its kind.
    pub fn media_type(&self) -> MediaType {
        self.links.media_type
    }

    /// What points at it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type().to_string(),
            digest: self.digest,
            size: u64::try_from(self.bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

impl From<&VerifiedManifest> for Manifest {
    fn from(verified: &VerifiedManifest) -> Self {
        Self {
            media_type: verified.media_type().to_string(),
            digest: verified.digest,
            bytes: verified.bytes.clone(),
        }
    }
}
