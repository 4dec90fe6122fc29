//! One layout for all repositories (image specification, "Image Layout").

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use portpass_protocol::{Digest, RepositoryName, Tag};
use portpass_state::{HeldBlob, Manifest};
use portpass_storage::sync_file_system;
use serde_json::{Value, json};

use super::{Copied, ExportError, Target, files};

/// The layout.
pub(super) struct OciLayout {
    folder: PathBuf,
    /// The entries of an earlier export, and this one's.
    entries: Vec<Value>,
    exported: HashSet<RepositoryName>,
    /// Manifests without a tag, until it is known whether an index has them.
    untagged: HashMap<(RepositoryName, Digest), Value>,
    children: HashSet<(RepositoryName, Digest)>,
}

impl OciLayout {
    /// In an empty folder, or one that an export made.
    pub(super) fn open(path: &Path) -> Result<Self, ExportError> {
        let index = fs::read(path.join(INDEX)).ok();
        let index = index.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        let ours = index.filter(|index| index["annotations"].get(MARK).is_some());
        if ours.is_none() && !path.join(BEGUN).exists() {
            super::require_empty(path)?;
        }
        let entries = ours.and_then(|index| index["manifests"].as_array().cloned());
        // Whoever is killed before the index is written knows the folder again.
        files::write(&path.join(BEGUN), b"")?;
        files::write(&path.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self {
            folder: path.to_owned(),
            entries: entries.unwrap_or_default(),
            exported: HashSet::new(),
            untagged: HashMap::new(),
            children: HashSet::new(),
        })
    }

    fn place(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// What an earlier export said of a repository is said anew.
    fn begin(&mut self, name: &RepositoryName) {
        if self.exported.insert(name.clone()) {
            self.entries.retain(|entry| {
                let called = entry["annotations"][NAME].as_str().unwrap_or_default();
                let rest = called.strip_prefix(name.as_str());
                !rest.is_some_and(|rest| rest.starts_with([':', '@']))
            });
        }
    }
}

impl Target for OciLayout {
    fn blob(
        &mut self,
        name: &RepositoryName,
        blob: &HeldBlob,
        file: &Path,
    ) -> Result<Copied, ExportError> {
        self.begin(name);
        files::copy(file, &self.place(&blob.digest), &blob.digest, blob.size)
    }

    fn manifest(
        &mut self,
        name: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ExportError> {
        self.begin(name);
        files::write(&self.place(&manifest.digest), &manifest.bytes)?;
        let entry = |called: String| {
            json!({
                "mediaType": manifest.media_type,
                "digest": manifest.digest.to_string(),
                "size": manifest.bytes.len(),
                "annotations": { NAME: called },
            })
        };
        for child in children(&manifest.bytes) {
            self.children.insert((name.clone(), child));
        }
        if tags.is_empty() {
            let called = format!("{name}@{}", manifest.digest);
            self.untagged.insert((name.clone(), manifest.digest), entry(called));
        }
        self.entries.extend(tags.iter().map(|tag| entry(format!("{name}:{tag}"))));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        let untagged = std::mem::take(&mut self.untagged).into_iter();
        let alone = untagged.filter(|(key, _)| !self.children.contains(key));
        self.entries.extend(alone.map(|(_, entry)| entry));
        self.entries.sort_by_cached_key(|entry| entry["annotations"][NAME].to_string());
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": self.entries,
            "annotations": { MARK: "1" },
        });
        sync_file_system(&self.folder).map_err(files::failed("sync", &self.folder))?;
        files::write(&self.folder.join(INDEX), index.to_string().as_bytes())?;
        let begun = self.folder.join(BEGUN);
        fs::remove_file(&begun).map_err(files::failed("remove", &begun))?;
        sync_file_system(&self.folder).map_err(files::failed("sync", &self.folder))
    }
}

/// The manifests that an index names.
fn children(manifest: &[u8]) -> Vec<Digest> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let entries = manifest["manifests"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["digest"].as_str()?.parse().ok()).collect()
}

const INDEX: &str = "index.json";
const BEGUN: &str = ".portpass-export";
/// By which an export knows an earlier one.
const MARK: &str = "portpass.export";
const NAME: &str = "org.opencontainers.image.ref.name";
