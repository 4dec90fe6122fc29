//! The tree that a distribution registry serves from; what is in it already stays.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use portpass_protocol::{Digest, DigestAlgorithm, RepositoryName, Tag};
use portpass_state::{HeldBlob, Manifest};
use portpass_storage::sync_file_system;

use super::{Copied, ExportError, Target, files};

/// The tree.
pub(super) struct DistributionTree {
    v2: PathBuf,
    /// Under which SHA-256 digest the blobs of other digests lie.
    names: HashMap<Digest, Digest>,
}

impl DistributionTree {
    /// In an empty folder, or one that has such a tree.
    pub(super) fn open(path: &Path) -> Result<Self, ExportError> {
        let v2 = path.join("docker/registry/v2");
        if !v2.is_dir() {
            super::require_empty(path)?;
        }
        files::make_directory(&v2.join("repositories"))?;
        files::make_directory(&v2.join("blobs"))?;
        Ok(Self { v2, names: HashMap::new() })
    }

    fn data(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.v2.join("blobs/sha256").join(&hex[..2]).join(&hex).join("data")
    }

    /// distribution keeps everything under its SHA-256 digest. `None` where the file is not what it should be.
    fn name(
        &mut self,
        digest: &Digest,
        file: &Path,
    ) -> Result<Result<Digest, Copied>, ExportError> {
        if digest.algorithm() == DigestAlgorithm::Sha256 {
            return Ok(Ok(*digest));
        }
        if let Some(name) = self.names.get(digest) {
            return Ok(Ok(*name));
        }
        let both = [digest.algorithm(), DigestAlgorithm::Sha256];
        let Some(found) = files::digests(file, &both)? else { return Ok(Err(Copied::Gone)) };
        match found[..] {
            [own, name] if own == *digest => {
                self.names.insert(*digest, name);
                Ok(Ok(name))
            }
            _ => Ok(Err(Copied::Damaged)),
        }
    }

    fn repository(&self, name: &RepositoryName) -> PathBuf {
        self.v2.join("repositories").join(name.as_str())
    }
}

impl Target for DistributionTree {
    fn blob(
        &mut self,
        name: &RepositoryName,
        blob: &HeldBlob,
        file: &Path,
    ) -> Result<Copied, ExportError> {
        let target = match self.name(&blob.digest, file)? {
            Ok(target) => target,
            Err(fault) => return Ok(fault),
        };
        let copied = files::copy(file, &self.data(&target), &target, blob.size)?;
        if copied == Copied::Done {
            let link = self.repository(name).join("_layers").join(place(&blob.digest)).join("link");
            files::write(&link, target.to_string().as_bytes())?;
        }
        Ok(copied)
    }

    fn manifest(
        &mut self,
        name: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ExportError> {
        let target = Digest::sha256(&manifest.bytes);
        files::write(&self.data(&target), &manifest.bytes)?;
        let folder = self.repository(name).join("_manifests");
        let text = target.to_string();
        let own = place(&manifest.digest);
        files::write(&folder.join("revisions").join(&own).join("link"), text.as_bytes())?;
        for tag in tags {
            let folder = folder.join("tags").join(tag.as_str());
            let named = manifest.digest.to_string();
            files::write(&folder.join("index").join(&own).join("link"), text.as_bytes())?;
            files::write(&folder.join("current/link"), named.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        sync_file_system(&self.v2).map_err(files::failed("sync", &self.v2))
    }
}

/// `sha256/HEX`
fn place(digest: &Digest) -> PathBuf {
    Path::new(digest.algorithm().as_str()).join(digest.hex())
}
