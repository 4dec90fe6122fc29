//! A folder as `skopeo copy … dir:FOLDER` writes it: one image or index, each file called by its digest.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use portpass_protocol::{
    MediaType,
    manifest::{Descriptor, MAX_LENGTH},
};
use serde_json::Value;

use super::{
    blobs::{Blobs, PARTIAL, stream, write_new, write_whole},
    extent::{Extent, blocking, open_regular},
};
use crate::transfer::{
    BlobOffer, Companion, Content, Error, LayoutError, NameChange, Presence, Source, Target,
    VerifiedManifest,
};

/// A folder of skopeo's `dir:` transport, version 1: `manifest.json`, `DIGEST.manifest.json` for each image
/// of an index, and a file for each blob. There is one image or index in it, and no name.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    blobs: Blobs,
}

impl Directory {
    /// A folder that is there.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        match read(&path.join(VERSION)) {
            Ok(version) => check_version(path, &version)?,
            // skopeo does not ask for it either.
            Err(LayoutError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self { path: path.to_owned(), blobs: Blobs::flat(path) })
    }

    /// A folder that is there, or is made. An image that is in it is replaced; its blobs stay, so that what
    /// is wanted of them need not come again.
    pub fn create(path: &Path) -> Result<Self, LayoutError> {
        fs::create_dir_all(path).map_err(LayoutError::io(path))?;
        let version = path.join(VERSION);
        if !version.exists() {
            check_vacant(path)?;
            write_new(&version, FIRST_LINE.as_bytes())?;
        }
        Self::open(path)
    }

    fn root_path(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    fn read_root(&self) -> Result<VerifiedManifest, Error> {
        let bytes = match read(&self.root_path()) {
            Err(LayoutError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                let why = format!("it has no `{MANIFEST}`");
                return Err(LayoutError::NotADirectory { path: self.path.clone(), why }.into());
            }
            read => read?,
        };
        let unreadable = |reason| LayoutError::Document {
            path: self.path.clone(),
            document: MANIFEST.to_owned(),
            reason,
        };
        let media_type = media_type(&bytes).map_err(unreadable)?;
        VerifiedManifest::read(bytes, media_type, None)
    }

    fn read_image(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let bytes = self.blobs.manifest(wanted)?;
        let media_type = MediaType::from_content_type(&wanted.media_type)
            .map_err(|error| Error::manifest(wanted, error))?;
        VerifiedManifest::read_described(bytes, media_type, wanted)
    }

    fn write_root(&self, root: &VerifiedManifest) -> Result<NameChange, LayoutError> {
        let path = self.root_path();
        self.blobs.tidy();
        if read(&path).is_ok_and(|there| there == root.bytes()) {
            return Ok(NameChange::Unchanged);
        }
        write_whole(&path, root.bytes())?;
        Ok(NameChange::Updated)
    }
}

#[async_trait]
impl Source for Directory {
    async fn root(&self) -> Result<VerifiedManifest, Error> {
        let directory = self.clone();
        blocking(move || directory.read_root()).await
    }

    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let (directory, wanted) = (self.clone(), wanted.clone());
        blocking(move || directory.read_image(&wanted)).await
    }

    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error> {
        stream(&self.blobs, wanted, from).await
    }
}

#[async_trait]
impl Target for Directory {
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        let (blobs, manifest) = (self.blobs.clone(), manifest.clone());
        let held = move || {
            if blobs.has_manifest(&manifest) { Presence::ManifestOnly } else { Presence::Absent }
        };
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
        _companion: &Companion,
        _manifest: &VerifiedManifest,
    ) -> Result<(), Error> {
        Err(LayoutError::NoCompanions { path: self.path.clone() }.into())
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        let (directory, root) = (self.clone(), root.clone());
        blocking(move || directory.write_root(&root)).await
    }

    fn max_attempts(&self) -> u32 {
        // Each goes on where the one before broke off.
        5
    }
}

/// Nothing here says what a manifest is but the manifest; what has no `mediaType` is OCI's (image specification,
/// "Image Manifest": the property is optional).
fn media_type(bytes: &[u8]) -> Result<MediaType, String> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match (&document["mediaType"], &document["manifests"]) {
        (Value::String(said), _) => {
            MediaType::from_content_type(said).map_err(|error| error.to_string())
        }
        _ if document["schemaVersion"] == 1 => Err("it is of docker's schema 1".to_owned()),
        (Value::Null, Value::Array(_)) => Ok(MediaType::OciIndex),
        (Value::Null, _) if document["config"].is_object() => Ok(MediaType::OciManifest),
        _ => Err("it is neither an image nor an index".to_owned()),
    }
}

/// A small file, all of it.
fn read(path: &Path) -> Result<Bytes, LayoutError> {
    let file = open_regular(path)?;
    let length = file.metadata().map_err(LayoutError::io(path))?.len();
    let extent = Extent { file: file.into(), start: 0, length };
    let limit = u64::try_from(MAX_LENGTH).unwrap_or(u64::MAX);
    let read = extent.all(limit).map_err(LayoutError::io(path))?;
    read.ok_or_else(|| LayoutError::Document {
        path: path.parent().unwrap_or(path).to_owned(),
        document: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        reason: format!("it is longer than {MAX_LENGTH} bytes"),
    })
}

fn check_version(path: &Path, version: &[u8]) -> Result<(), LayoutError> {
    let text = String::from_utf8_lossy(version);
    match text.trim_end().strip_prefix(VERSION_WORDS) {
        Some(number) if number.starts_with("1.") => Ok(()),
        _ => Err(LayoutError::NotADirectory {
            path: path.to_owned(),
            why: format!("its `{VERSION}` is not {:?}", FIRST_LINE.trim_end()),
        }),
    }
}

/// skopeo empties such a folder; this is no reason to empty another.
fn check_vacant(path: &Path) -> Result<(), LayoutError> {
    for entry in fs::read_dir(path).map_err(LayoutError::io(path))? {
        let name = entry.map_err(LayoutError::io(path))?.file_name();
        let ours = name.to_string_lossy().starts_with(PARTIAL);
        // Another run may have made it meanwhile, and more after it.
        if !ours && !path.join(VERSION).exists() {
            let why = format!("it is not empty, but has no `{VERSION}`");
            return Err(LayoutError::NotADirectory { path: path.to_owned(), why });
        }
    }
    Ok(())
}

const MANIFEST: &str = "manifest.json";
const VERSION: &str = "version";
const VERSION_WORDS: &str = "Directory Transport Version: ";
const FIRST_LINE: &str = "Directory Transport Version: 1.1\n";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_manifest_without_a_media_type_is_known_by_its_members() {
        for (text, is) in [
            (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Some(MediaType::OciManifest)),
            (r#"{"schemaVersion":2,"manifests":[]}"#, Some(MediaType::OciIndex)),
            (
                r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#,
                Some(MediaType::DockerManifest),
            ),
            (r#"{"schemaVersion":1,"name":"app"}"#, None),
            (r#"{"mediaType":7,"config":{}}"#, None),
            ("[]", None),
        ] {
            assert_eq!(media_type(text.as_bytes()).ok(), is, "{text}");
        }
    }

    proptest! {
        /// Whatever is there: it is read or refused with a reason, and a folder of something else stays
        /// as it is.
        #[test]
        fn any_folder_is_read_or_refused(
            version in prop::option::of("(Directory Transport Version: )?(1\\.[0-9]|2\\.0|\\PC{0,5})\n?"),
            manifest in prop::option::of("\\{(\"(mediaType|config|manifests|schemaVersion)\":(1|null|\\{\\}|\\[\\]|\"x\"),?){0,2}\\}|\\PC{0,9}"),
        ) {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
            let known = version.as_deref().is_some_and(|text| text.starts_with("Directory Transport Version: 1."));
            for (name, content) in [(VERSION, &version), (MANIFEST, &manifest)] {
                if let Some(content) = content {
                    fs::write(folder.path().join(name), content).unwrap();
                }
            }
            prop_assert_eq!(Directory::create(folder.path()).is_ok(), known);
            let read = Directory::open(folder.path()).map(|directory| directory.read_root());
            prop_assert_eq!(read.is_ok(), known || version.is_none());
            let kept = fs::read_to_string(folder.path().join("thesis.tex")).unwrap();
            prop_assert_eq!(kept, "years of work");
        }
    }
}
