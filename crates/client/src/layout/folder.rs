//! A folder in the OCI image layout.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use portpass_protocol::{Digest, MediaType, manifest::Descriptor};
use serde_json::{Value, json};

use super::{
    RefName,
    blobs::{Blobs, PARTIAL, stream, write_new, write_whole},
    companions::Companions,
    extent::{Extent, blocking, open_regular},
    index::{Entry, Index},
};
use crate::transfer::{
    BlobOffer, Companion, Content, Error, LayoutError, NameChange, Presence, Source, Target,
    VerifiedManifest,
};

/// A folder in the OCI image layout, and the image in it that is meant.
///
/// Several runs may read and write it at the same time: blobs and `index.json` appear whole.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    name: Option<RefName>,
    blobs: Blobs,
    companions: Companions,
}

impl Folder {
    /// A folder that is there. Without a name, it has to hold one image alone.
    pub fn open(path: &Path, name: Option<RefName>) -> Result<Self, LayoutError> {
        check_version(path)?;
        Ok(Self::at(path, name))
    }

    /// A folder that is there, or is made. Without a name, the image is listed and has none.
    ///
    /// Several runs may do this at once, and any may be killed in the middle: the marker comes first,
    /// so that what else is there has a marker beside it, and is never put in place of another.
    pub fn create(path: &Path, name: Option<RefName>) -> Result<Self, LayoutError> {
        fs::create_dir_all(path).map_err(LayoutError::io(path))?;
        let marker = path.join(MARKER);
        if !marker.exists() {
            check_vacant(path)?;
            write_new(&marker, json!({ VERSION: "1.0.0" }).to_string().as_bytes())?;
        }
        let folder = Self::open(path, name)?;
        folder.begin()?;
        Ok(folder)
    }

    /// Makes what every layout has, where it is not there yet.
    fn begin(&self) -> Result<(), LayoutError> {
        let blobs = self.path.join("blobs");
        fs::create_dir_all(&blobs).map_err(LayoutError::io(&blobs))?;
        let index = self.path.join(INDEX);
        if index.exists() { Ok(()) } else { write_new(&index, &Index::empty().bytes()) }
    }

    fn at(path: &Path, name: Option<RefName>) -> Self {
        let companions = Companions::default();
        Self { path: path.to_owned(), name, blobs: Blobs::of(path), companions }
    }

    /// Keeps every other run that asks for the same out, until this is dropped; `None` if one is in.
    #[cfg(feature = "archive")]
    pub(super) fn lock_exclusive(&self) -> Result<Option<File>, LayoutError> {
        let marker = self.path.join(MARKER);
        let lock = File::open(&marker).map_err(LayoutError::io(&marker))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(LayoutError::io(&marker)(error)),
        }
    }

    /// The same folder, and another image in it.
    #[must_use]
    pub fn named(self, name: Option<RefName>) -> Self {
        Self { name, ..self }
    }

    /// The same folder with the name that a companion has there: none, or its tag.
    pub(super) fn for_companion(self, companion: &Companion) -> (Self, Descriptor) {
        let name = match companion {
            Companion::Referrer(_) => None,
            Companion::Tagged(tag, _) => tag.to_string().parse().ok(),
        };
        (self.named(name), companion.descriptor().clone())
    }

    /// The blob as it lies there.
    #[cfg(feature = "archive")]
    pub(super) fn extent(&self, blob: &Descriptor) -> Result<Extent, Error> {
        self.blobs.open(blob)
    }

    /// The names of its images, each once, as they are listed.
    pub fn names(&self) -> Result<Vec<RefName>, LayoutError> {
        let mut names: Vec<RefName> = Vec::new();
        for entry in self.index()?.entries(&self.path)? {
            // What no name can be nobody can ask for.
            if let Some(name) = entry.name.and_then(|name| name.parse().ok())
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Forgets all names; the blobs stay.
    #[cfg(feature = "archive")]
    pub(super) fn forget_names(&self) -> Result<(), LayoutError> {
        write_whole(&self.path.join(INDEX), &Index::empty().bytes())
    }

    /// Its `index.json`, and whatever is there of what that leads to, each once: first a manifest, then what it
    /// points at.
    #[cfg(feature = "archive")]
    pub(super) fn reachable(&self) -> Result<(Vec<u8>, Vec<Descriptor>), Error> {
        let index = self.index()?;
        let entries = index.entries(&self.path)?;
        let mut waiting: Vec<Descriptor> =
            entries.into_iter().rev().map(|entry| entry.manifest).collect();
        let (mut seen, mut found) = (HashSet::new(), Vec::new());
        while let Some(descriptor) = waiting.pop() {
            // An index may be here without some of its images.
            if !self.blobs.has(&descriptor) || !seen.insert(descriptor.digest) {
                continue;
            }
            if MediaType::from_content_type(&descriptor.media_type).is_ok() {
                let manifest = self.read(&descriptor)?;
                let links = manifest.links();
                let below = links.config.iter().chain(&links.layers).chain(&links.manifests);
                waiting.extend(below.rev().cloned());
            }
            found.push(descriptor);
        }
        Ok((index.bytes(), found))
    }

    fn index(&self) -> Result<Index, LayoutError> {
        let path = self.path.join(INDEX);
        match document(&path) {
            Ok(bytes) => Index::read(&bytes, &self.path),
            // Nothing has a name yet.
            Err(LayoutError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Index::empty())
            }
            Err(error) => Err(error),
        }
    }

    /// What the name stands for.
    pub(super) fn named_manifest(&self) -> Result<Descriptor, LayoutError> {
        let entries = self.index()?.entries(&self.path)?;
        let wanted = self.name.as_ref().map(RefName::as_str);
        only(&entries, wanted, &self.path, |entry, name| entry.name.as_deref() == Some(name))
    }

    fn read(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let bytes = self.blobs.manifest(wanted)?;
        let media_type = MediaType::from_content_type(&wanted.media_type)
            .map_err(|error| Error::manifest(wanted, error))?;
        VerifiedManifest::read_described(bytes, media_type, wanted)
    }

    /// Changes `index.json` with nobody else at it.
    fn set(&self, manifest: &Descriptor) -> Result<NameChange, LayoutError> {
        let marker = self.path.join(MARKER);
        let lock = File::open(&marker).map_err(LayoutError::io(&marker))?;
        lock.lock().map_err(LayoutError::io(&marker))?;
        self.list(manifest)
    }

    /// The same by who keeps others out already.
    pub(super) fn list(&self, manifest: &Descriptor) -> Result<NameChange, LayoutError> {
        let mut index = self.index()?;
        if index.has(self.name.as_ref(), manifest) {
            return Ok(NameChange::Unchanged);
        }
        index.set(self.name.as_ref(), manifest);
        write_whole(&self.path.join(INDEX), &index.bytes())?;
        Ok(NameChange::Updated)
    }
}

#[async_trait]
impl Source for Folder {
    async fn root(&self) -> Result<VerifiedManifest, Error> {
        let folder = self.clone();
        blocking(move || folder.read(&folder.named_manifest()?)).await
    }

    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let (folder, wanted) = (self.clone(), wanted.clone());
        blocking(move || folder.read(&wanted)).await
    }

    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error> {
        stream(&self.blobs, wanted, from).await
    }

    async fn companions(&self, subject: &Digest) -> Result<Vec<Companion>, Error> {
        let (folder, subject) = (self.clone(), *subject);
        blocking(move || {
            let entries = folder.index()?.entries(&folder.path)?;
            let read = |manifest: &Descriptor| folder.read(manifest);
            Ok::<_, Error>(folder.companions.of(&subject, &entries, read))
        })
        .await
    }
}

#[async_trait]
impl Target for Folder {
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        let (blobs, manifest) = (self.blobs.clone(), manifest.clone());
        // Another program may have left it without its blobs.
        let held =
            move || if blobs.has(&manifest) { Presence::ManifestOnly } else { Presence::Absent };
        blocking(move || Ok::<_, Error>(held())).await
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        self.blobs.offer(blob).await
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        let (blobs, manifest) = (self.blobs.clone(), manifest.clone());
        blocking(move || blobs.write(manifest.digest(), manifest.bytes())).await
    }

    async fn attach(
        &self,
        companion: &Companion,
        _manifest: &VerifiedManifest,
    ) -> Result<(), Error> {
        let (folder, manifest) = self.clone().for_companion(companion);
        blocking(move || folder.set(&manifest).map(drop)).await
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        let (folder, root) = (self.clone(), root.clone());
        blocking(move || {
            if !folder.blobs.has(&root.descriptor()) {
                folder.blobs.write(root.digest(), root.bytes())?;
            }
            let named = folder.set(&root.descriptor())?;
            folder.blobs.tidy();
            Ok::<_, LayoutError>(named)
        })
        .await
    }

    fn max_attempts(&self) -> u32 {
        // Each goes on where the one before broke off.
        5
    }
}

/// The one entry that is meant: of that name, or the only one there is.
pub(super) fn only(
    entries: &[Entry],
    name: Option<&str>,
    path: &Path,
    is_called: impl Fn(&Entry, &str) -> bool,
) -> Result<Descriptor, LayoutError> {
    let there = || {
        let names = entries.iter().map(|entry| {
            let name = entry.image.clone().or_else(|| entry.name.clone());
            name.unwrap_or_else(|| entry.manifest.digest.to_string())
        });
        names.collect::<Vec<_>>()
    };
    let fitting = entries.iter().filter(|entry| name.is_none_or(|name| is_called(entry, name)));
    let mut digests: Vec<&Descriptor> = Vec::new();
    for entry in fitting {
        if !digests.contains(&&entry.manifest) {
            digests.push(&entry.manifest);
        }
    }
    match (digests.as_slice(), name) {
        ([one], _) => Ok((*one).clone()),
        ([], Some(name)) => Err(LayoutError::NoImage {
            path: path.to_owned(),
            name: name.to_owned(),
            there: there(),
        }),
        ([], None) => {
            Err(LayoutError::Missing { path: path.to_owned(), wanted: "image".to_owned() })
        }
        _ => Err(LayoutError::WhichImage { path: path.to_owned(), there: there() }),
    }
}

/// A document that people and programs write: never longer than a manifest may be.
fn document(path: &Path) -> Result<bytes::Bytes, LayoutError> {
    let file = open_regular(path)?;
    let length = file.metadata().map_err(LayoutError::io(path))?.len();
    let extent = Extent { file: file.into(), start: 0, length };
    extent.all(MAX_DOCUMENT).map_err(LayoutError::io(path))?.ok_or_else(|| LayoutError::Document {
        path: path.parent().unwrap_or(path).to_owned(),
        document: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        reason: format!("it is longer than {MAX_DOCUMENT} bytes"),
    })
}

/// Whether nothing is there but what a run leaves that was killed while it made the marker.
fn check_vacant(path: &Path) -> Result<(), LayoutError> {
    for entry in fs::read_dir(path).map_err(LayoutError::io(path))? {
        let name = entry.map_err(LayoutError::io(path))?.file_name();
        let ours = name.to_string_lossy().starts_with(PARTIAL);
        // Another run may have made the marker meanwhile, and more after it.
        if !ours && !path.join(MARKER).exists() {
            let why = format!("it is not empty, but has no `{MARKER}`");
            return Err(LayoutError::NotALayout { path: path.to_owned(), why });
        }
    }
    Ok(())
}

fn check_version(path: &Path) -> Result<(), LayoutError> {
    let not = |why: String| LayoutError::NotALayout { path: path.to_owned(), why };
    let marker = match document(&path.join(MARKER)) {
        Ok(marker) => marker,
        Err(LayoutError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not(format!("it has no `{MARKER}`")));
        }
        Err(error) => return Err(error),
    };
    let read: Option<Value> = serde_json::from_slice(&marker).ok();
    let version = read.as_ref().and_then(|marker| marker[VERSION].as_str());
    match version {
        Some(version) if version.starts_with("1.") => Ok(()),
        Some(version) => Err(not(format!("its version {version:?} is not 1.0.0"))),
        None => Err(not(format!("`{MARKER}` names no version"))),
    }
}

/// The longest document that is read, in bytes.
pub(super) const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;
const INDEX: &str = "index.json";
const MARKER: &str = "oci-layout";
const VERSION: &str = "imageLayoutVersion";
