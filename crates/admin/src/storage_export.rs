//! All images of this installation, or some, as files that others read: an OCI layout, or the tree of a distribution
//! registry. Every blob is hashed as it is copied. What is there already is not copied again, so that an export can be
//! broken off and repeated.

mod distribution;
mod files;
mod oci;

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use portpass_authority::policy::{FixedPatternError, PathPattern};
use portpass_protocol::{Digest, Reference, RepositoryName, Tag};
use portpass_state::{HeldBlob, Manifest, StateError};
use portpass_storage::{Location, object_path};
use serde::Serialize;

use self::{distribution::DistributionTree, oci::OciLayout};
use super::{Installation, Problem};
use crate::blocking;

/// What is to be exported, and how.
#[derive(Debug, Clone)]
pub struct StorageExport {
    /// The folder to write.
    pub path: PathBuf,
    /// In which form.
    pub format: ExportFormat,
    /// Only repositories that this means.
    pub repository: Option<String>,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// One layout of the OCI for all: each tag is an entry that is called `REPOSITORY:TAG`.
    Oci,
    /// The `rootdirectory` of a distribution registry.
    Distribution,
}

/// What lies there now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportSummary {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Those of them that name images of docker's own kind. Readers of layouts may not find them by name.
    pub docker_tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Blobs, each once.
    pub blobs: u64,
    /// What of this installation could not be exported.
    pub problems: Vec<Problem>,
}

/// Why an export stopped. What was written by then stays, and the next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// What should be a pattern of repositories is none.
    #[error("{text:?} is no pattern of repositories: {why}")]
    Pattern {
        /// What was given.
        text: String,
        /// Why not.
        why: FixedPatternError,
    },
    /// Something else lies there.
    #[error(
        "{} contains `{found}` and is no earlier export: name an empty folder or a new one",
        path.display()
    )]
    NotEmpty {
        /// Where the export should be.
        path: PathBuf,
        /// What lies there.
        found: String,
    },
    /// The blobs of this installation lie there.
    #[error("{} is within the data of this installation: name another folder", path.display())]
    Within {
        /// Where the export should be.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What an export writes into. Everything in it waits for the disk.
trait Target: Send {
    /// Copies a blob unless it is there.
    fn blob(
        &mut self,
        name: &RepositoryName,
        blob: &HeldBlob,
        file: &Path,
    ) -> Result<Copied, ExportError>;

    /// Writes a manifest, with the tags that name it.
    fn manifest(
        &mut self,
        name: &RepositoryName,
        manifest: &Manifest,
        tags: &[Tag],
    ) -> Result<(), ExportError>;

    /// Writes what says that all of it is there.
    fn finish(&mut self) -> Result<(), ExportError>;
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copied {
    Done,
    Gone,
    Damaged,
}

impl Installation {
    /// Exports what repositories hold. A server may run meanwhile; what is pushed then may be in it or not.
    ///
    /// # Errors
    /// When the folder cannot be written. What of this installation is broken is a [`Problem`].
    pub async fn export_storage(
        &self,
        export: StorageExport,
    ) -> Result<ExportSummary, ExportError> {
        let StorageExport { path, format, repository } = export;
        let pattern = repository.as_deref().map(|text| {
            let refused = |why| ExportError::Pattern { text: text.to_owned(), why };
            PathPattern::parse_fixed(text).map_err(refused)
        });
        let pattern = pattern.transpose()?;
        let root = self.blobs_folder();
        let (own, data) = (root.clone(), self.config.data.clone());
        let target = blocking(move || open(&path, format, &[own, data])).await?;
        let target = Arc::new(Mutex::new(target));
        let (seen, summary) = (HashSet::new(), ExportSummary::default());
        let mut run = Run { installation: self, root, target, seen, summary };
        let mut last: Option<RepositoryName> = None;
        loop {
            let page = self.db.catalog(last.as_ref().map(RepositoryName::as_str), PAGE).await?;
            for name in &page.items {
                if pattern.as_ref().is_none_or(|pattern| pattern.means(name.as_str())) {
                    run.repository(name).await?;
                }
            }
            last = page.items.last().cloned();
            if !page.more || last.is_none() {
                break;
            }
        }
        run.write(|target| target.finish()).await?;
        Ok(run.summary)
    }

    fn blobs_folder(&self) -> PathBuf {
        match &self.config.registry {
            Some(registry) => registry.blobs.clone(),
            None => self.config.data.join("blobs"),
        }
    }
}

/// The folder, made or checked.
fn open(
    path: &Path,
    format: ExportFormat,
    own: &[PathBuf],
) -> Result<Box<dyn Target>, ExportError> {
    let resolve = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    files::make_directory(path)?;
    let there = resolve(path);
    if own.iter().any(|own| there.starts_with(resolve(own))) {
        return Err(ExportError::Within { path: path.to_owned() });
    }
    Ok(match format {
        ExportFormat::Oci => Box::new(OciLayout::open(path)?),
        ExportFormat::Distribution => Box::new(DistributionTree::open(path)?),
    })
}

fn require_empty(path: &Path) -> Result<(), ExportError> {
    let mut entries = fs::read_dir(path).map_err(files::failed("list", path))?;
    let Some(entry) = entries.next() else { return Ok(()) };
    let found = entry.map_err(files::failed("list", path))?.file_name();
    Err(ExportError::NotEmpty {
        path: path.to_owned(),
        found: found.to_string_lossy().into_owned(),
    })
}

/// An export under way.
struct Run<'a> {
    installation: &'a Installation,
    root: PathBuf,
    target: Arc<Mutex<Box<dyn Target>>>,
    seen: HashSet<Digest>,
    summary: ExportSummary,
}

impl Run<'_> {
    async fn repository(&mut self, name: &RepositoryName) -> Result<(), ExportError> {
        self.summary.repositories += 1;
        // Tags before manifests: what is tagged meanwhile is there then, with its blobs.
        let tags = self.tags(name).await?;
        self.blobs(name).await?;
        let mut last = None;
        loop {
            let db = &self.installation.db;
            let page = db.manifest_digests(name, last.as_ref(), PAGE).await?;
            for digest in &page.items {
                let Some(manifest) = db.manifest(name, &Reference::Digest(*digest)).await? else {
                    continue; // deleted meanwhile
                };
                let of = tags.get(digest).cloned().unwrap_or_default();
                self.summary.manifests += 1;
                let is_docker = manifest.media_type.starts_with("application/vnd.docker.");
                self.summary.tags += of.len() as u64;
                self.summary.docker_tags += if is_docker { of.len() as u64 } else { 0 };
                let name = name.clone();
                self.write(move |target| target.manifest(&name, &manifest, &of)).await?;
            }
            last = page.items.last().copied();
            if !page.more || last.is_none() {
                return Ok(());
            }
        }
    }

    async fn tags(&self, name: &RepositoryName) -> Result<HashMap<Digest, Vec<Tag>>, ExportError> {
        let mut tags: HashMap<Digest, Vec<Tag>> = HashMap::new();
        let mut last: Option<Tag> = None;
        loop {
            let after = last.as_ref().map(Tag::as_str);
            let page = self.installation.db.tagged(name, after, PAGE).await?;
            last = page.items.last().map(|(tag, _)| tag.clone());
            for (tag, digest) in page.items {
                tags.entry(digest).or_default().push(tag);
            }
            if !page.more || last.is_none() {
                return Ok(tags);
            }
        }
    }

    async fn blobs(&mut self, name: &RepositoryName) -> Result<(), ExportError> {
        let mut last = None;
        loop {
            let page = self.installation.db.blobs_of(name, last.as_ref(), PAGE).await?;
            last = page.items.last().map(|blob| blob.digest);
            for blob in page.items {
                let location = Location::from(blob.location.clone());
                let file = object_path(&self.root, &location);
                let digest = blob.digest;
                let copied = match file {
                    Some(file) => {
                        let name = name.clone();
                        self.write(move |target| target.blob(&name, &blob, &file)).await?
                    }
                    None => Copied::Gone,
                };
                match copied {
                    Copied::Done => self.summary.blobs += u64::from(self.seen.insert(digest)),
                    Copied::Gone | Copied::Damaged => {
                        self.summary.problems.push(Problem::own_blob(
                            name,
                            &digest,
                            copied == Copied::Damaged,
                        ));
                    }
                }
            }
            if !page.more || last.is_none() {
                return Ok(());
            }
        }
    }

    /// Has a thread that may wait write.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Target) -> Result<T, ExportError> + Send + 'static,
    ) -> Result<T, ExportError> {
        let target = Arc::clone(&self.target);
        blocking(move || {
            let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut **target)
        })
        .await
    }
}

/// Names that are asked for at once.
const PAGE: usize = 500;
