//! The tree of a distribution registry as content of this installation. The tree is only read.
//!
//! ```text
//! repository by repository:
//!   links ─> manifests read, hashed and understood ─> their blobs looked for, by length ─> a batch
//! batch by batch:
//!   names reserved ─> objects linked, copied or pointed to ─> one sync ─> one transaction
//! ```
//! An import can be broken off anywhere and run again: what is here is not brought in twice, and what was begun is
//! garbage that the server removes. It can run while the old registry does, and once more when that has stopped. A
//! manifest comes in with the time of its push there, and a tag with the time that it was set: so a tag that was pushed
//! here since is newer, and stays.

mod batch;
mod blobs;
mod manifest;
mod problem;
mod store;
mod tree;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use portpass_authority::policy::{FixedPatternError, PathPattern};
use portpass_protocol::{Digest, RepositoryName, Tag};
use portpass_state::{ImportedTag, StateError};
use portpass_storage::{AdoptError, Adoption, StoreError};
use serde::Serialize;

pub use self::problem::Problem;
use self::{
    batch::{Batch, Part, PartManifest},
    blobs::Blobs,
    manifest::Manifest,
    problem::BlobFault,
    tree::{Link, Links, Tree, TreeRepository},
};
use super::{BlobDirectoryError, Installation};
use crate::blocking;

/// What is to be imported, and how.
#[derive(Debug, Clone)]
pub struct StorageImport {
    /// distribution's `rootdirectory`.
    pub path: PathBuf,
    /// How its files become ours.
    pub adoption: Adoption,
    /// Only repositories that this means.
    pub repository: Option<String>,
    /// Read and hash every blob that comes in.
    pub verify: bool,
    /// Look, and change nothing.
    pub dry_run: bool,
}

/// What an import brought in: what was here before is counted apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    /// What was not here before; in a dry run what would come in.
    #[serde(flatten)]
    pub new: ImportCounts,
    /// What the tree has and was here.
    pub already: ImportCounts,
    /// What is broken in the tree.
    pub problems: Vec<Problem>,
}

/// How much of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImportCounts {
    /// Repositories.
    pub repositories: u64,
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Configurations and layers, each once, however many repositories have it.
    pub blobs: u64,
}

/// Why an import stopped. What it had done by then is done, and the next one goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// What should be a pattern of repositories is none.
    #[error("{text:?} is no pattern of repositories: {why}")]
    Pattern {
        /// What was given.
        text: String,
        /// Why not.
        why: FixedPatternError,
    },
    /// There is no such tree.
    #[error(
        "{} is no storage of a distribution registry: there is no docker/registry/v2/repositories in it",
        path.display()
    )]
    NoTree {
        /// What was named.
        path: PathBuf,
    },
    /// The tree cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Tree {
        /// What of it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The blobs of this installation cannot be used.
    #[error(transparent)]
    BlobDirectory(#[from] BlobDirectoryError),
    /// A file cannot become ours.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// Something that the import needs was cleared away by the server.
    #[error(
        "the server cleared away what this import needs before it was done with it: run it again"
    )]
    ClearedAway,
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// The blobs.
    #[error(transparent)]
    Blobs(#[from] StoreError),
}

impl ImportError {
    /// What may help.
    pub(super) fn hints(&self) -> Vec<String> {
        let again = "what was imported is here; run the same command again to go on".to_owned();
        match self {
            Self::Adopt(AdoptError::OtherFileSystem { .. }) => vec![
                "`--copy` copies the blobs; `--in-place` lets them lie where they are, as long as the old tree stays".to_owned(),
                "or put `registry.storage.filesystem.rootdirectory` on the file system of the tree".to_owned(),
            ],
            Self::Adopt(AdoptError::Denied { .. }) => vec![
                "run this as a user who may read the tree and write to the blobs; the kernel lets only root and a file's owner link it (fs.protected_hardlinks)".to_owned(),
            ],
            Self::Adopt(AdoptError::Store(StoreError::Full { .. })) | Self::Blobs(StoreError::Full { .. }) => {
                vec![again]
            }
            Self::State(_) | Self::Blobs(_) | Self::Tree { .. } => vec![again],
            _ => Vec::new(),
        }
    }
}

impl Installation {
    /// Imports a tree. Servers may run on it and on this installation meanwhile.
    ///
    /// # Errors
    /// When the tree cannot be read, or the installation cannot be written. What is broken in the tree is no error.
    pub async fn import_storage(
        &self,
        import: StorageImport,
    ) -> Result<ImportSummary, ImportError> {
        let pattern = import.repository.as_deref().map(pattern).transpose()?;
        let path = import.path.clone();
        let tree = Arc::new(blocking(move || Tree::open(&path)).await?);
        let adopter = Arc::new(self.adopter(tree.root()).await?);
        let mut summary = ImportSummary::default();
        let (reader, mut problems) = (Arc::clone(&tree), Vec::new());
        let found = blocking(move || {
            let repositories = reader.repositories(&mut problems)?;
            Ok::<_, ImportError>((repositories, problems))
        });
        let (mut repositories, problems) = found.await?;
        summary.problems = problems;
        if let Some(pattern) = pattern {
            repositories.retain(|repository| pattern.means(repository.name.as_str()));
        }
        let mut run = Run {
            installation: self,
            blobs: Blobs::new(Arc::clone(&tree), import.verify),
            batch: Batch::new(Arc::clone(&tree), adopter, import.adoption, import.dry_run),
            tree,
            summary,
        };
        for repository in repositories {
            run.repository(repository).await?;
        }
        run.flush().await?;
        run.summary.already.blobs = run.blobs.known();
        Ok(run.summary)
    }
}

fn pattern(text: &str) -> Result<PathPattern, ImportError> {
    let refused = |why| ImportError::Pattern { text: text.to_owned(), why };
    PathPattern::parse_fixed(text).map_err(refused)
}

/// An import under way.
struct Run<'a> {
    installation: &'a Installation,
    tree: Arc<Tree>,
    blobs: Blobs,
    batch: Batch,
    summary: ImportSummary,
}

/// A repository that is being imported.
struct Current {
    name: RepositoryName,
    layers: HashMap<Digest, Digest>,
    tags: HashMap<Digest, Vec<Tag>>,
    /// The manifests that its links claim.
    claimed: HashSet<Digest>,
    /// Those that are here, or will be with the batch.
    present: HashSet<Digest>,
    /// Blobs that a problem was said of.
    told: HashSet<Digest>,
    /// Blobs that it will hold.
    held: HashSet<Digest>,
}

impl Run<'_> {
    async fn repository(&mut self, repository: TreeRepository) -> Result<(), ImportError> {
        let name = repository.name.clone();
        let read = blocking(move || {
            let mut problems = Vec::new();
            let links = repository.links(&mut problems)?;
            Ok::<_, ImportError>((links, problems))
        });
        let (Links { revisions, layers, tags }, problems) = read.await?;
        self.summary.problems.extend(problems);
        if revisions.is_empty() && layers.is_empty() && tags.is_empty() {
            return Ok(());
        }
        let is_here = self.installation.db.repository_exists(&name).await?;
        self.summary.already.repositories += u64::from(is_here);
        let mut current = Current::new(name, layers, &revisions, &tags);
        // In the order of their names: an index may come before its children.
        for revisions in revisions.chunks(self.batch.manifests_at_once()) {
            self.manifests(&mut current, revisions).await?;
        }
        self.layer_links(&mut current).await?;
        self.tags(&current, tags).await
    }

    /// Reads some manifests, and puts into the batch what of them can be pulled and is not here.
    async fn manifests(
        &mut self,
        current: &mut Current,
        revisions: &[Link],
    ) -> Result<(), ImportError> {
        let digests: Vec<Digest> = revisions.iter().map(|link| link.name).collect();
        let known = self.installation.db.manifests_among(&current.name, &digests).await?;
        let (tree, links) = (Arc::clone(&self.tree), revisions.to_vec());
        let read = blocking(move || {
            let read = links.into_iter().map(|link| Ok((link, tree.manifest(&link.target)?)));
            read.collect::<Result<Vec<_>, ImportError>>()
        });
        let mut manifests = Vec::new();
        for (link, bytes) in read.await? {
            match current.examine(&link, bytes) {
                Ok(manifest) => manifests.push((link, manifest)),
                Err(problem) => self.summary.problems.push(problem),
            }
        }
        let wanted = manifests.iter().flat_map(|(_, manifest)| &manifest.blobs);
        let wanted: Vec<Digest> = wanted.map(|blob| blob.digest).collect();
        self.blobs.find(&wanted, &current.layers, &self.installation.db, &mut self.batch).await?;
        let held = self.installation.db.held_among(&current.name, &wanted).await?;
        let held: HashSet<Digest> = held.into_iter().map(|(digest, _)| digest).collect();
        let mut part = Part::new(current.name.clone());
        for (link, manifest) in manifests {
            let is_known = known.contains(&link.name);
            self.children(current, &link, &manifest);
            if let Some(problem) = self.faulty(current, &link, &manifest) {
                self.summary.problems.push(problem);
                continue;
            }
            current.present.insert(link.name);
            for blob in &manifest.blobs {
                let fresh = current.held.insert(blob.digest);
                if fresh && !(is_known && held.contains(&blob.digest)) {
                    part.blobs.push(blob.digest);
                }
            }
            if is_known {
                self.summary.already.manifests += 1;
            } else {
                part.manifests.push(PartManifest {
                    digest: link.name,
                    manifest,
                    pushed_at: link.written,
                });
            }
        }
        self.add(part).await
    }

    /// Says of the children of an index those that the repository does not claim.
    fn children(&mut self, current: &Current, link: &Link, manifest: &Manifest) {
        let missing = manifest.children.iter().filter(|child| !current.claimed.contains(child));
        let place = current.place(&link.name);
        let problems = missing.map(|child| Problem::child_missing(place.clone(), child));
        self.summary.problems.extend(problems);
    }

    /// What keeps a manifest from being pulled whole.
    fn faulty(&self, current: &mut Current, link: &Link, manifest: &Manifest) -> Option<Problem> {
        for blob in &manifest.blobs {
            let fault = match self.blobs.length(&blob.digest) {
                Ok(found) if found == blob.size => continue,
                Ok(found) => BlobFault::Length { found, said: blob.size },
                Err(fault) => fault,
            };
            current.told.insert(blob.digest);
            return Some(Problem::blob(current.place(&link.name), &blob.digest, fault));
        }
        None
    }

    /// Blobs that no manifest names come too: a client may be about to.
    async fn layer_links(&mut self, current: &mut Current) -> Result<(), ImportError> {
        let mut rest: Vec<Digest> = current.layers.keys().copied().collect();
        rest.retain(|digest| !current.held.contains(digest) && !current.told.contains(digest));
        rest.sort();
        for digests in rest.chunks(AT_ONCE) {
            let db = &self.installation.db;
            self.blobs.find(digests, &current.layers, db, &mut self.batch).await?;
            let held = db.held_among(&current.name, digests).await?;
            let held: HashSet<Digest> = held.into_iter().map(|(digest, _)| digest).collect();
            let mut part = Part::new(current.name.clone());
            for digest in digests {
                match self.blobs.length(digest) {
                    Ok(_) if held.contains(digest) => {}
                    Ok(_) => part.blobs.push(*digest),
                    Err(fault) => {
                        let problem = Problem::layer_link(&current.name, digest, fault);
                        self.summary.problems.push(problem);
                    }
                }
            }
            self.add(part).await?;
        }
        Ok(())
    }

    async fn tags(&mut self, current: &Current, tags: Vec<(Tag, Link)>) -> Result<(), ImportError> {
        for tags in tags.chunks(AT_ONCE) {
            let names: Vec<Tag> = tags.iter().map(|(tag, _)| tag.clone()).collect();
            let here = self.installation.db.tags_among(&current.name, &names).await?;
            let mut part = Part::new(current.name.clone());
            for (tag, Link { target, written, .. }) in tags {
                if !current.claimed.contains(target) {
                    let problem = Problem::tag_without_manifest(&current.name, tag, target);
                    self.summary.problems.push(problem);
                    continue;
                }
                match here.get(tag) {
                    Some((digest, _)) if digest == target => self.summary.already.tags += 1,
                    Some((_, since)) if since > &to_the_millisecond(*written) => {
                        self.summary.problems.push(Problem::tag_newer_here(&current.name, tag));
                    }
                    _ if current.present.contains(target) => part.tags.push(ImportedTag {
                        tag: tag.clone(),
                        digest: *target,
                        tagged_at: *written,
                    }),
                    // Why its manifest is not here was said.
                    _ => {}
                }
            }
            self.add(part).await?;
        }
        Ok(())
    }

    async fn add(&mut self, part: Part) -> Result<(), ImportError> {
        self.batch.add(part);
        if self.batch.is_full() { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), ImportError> {
        let flushed = self.batch.flush(&self.installation.db, self.installation.now()).await?;
        self.summary.new.add(flushed.rows);
        for (digest, file) in flushed.failed {
            self.blobs.forget(&digest);
            self.summary.problems.push(Problem::changed(&file));
        }
        Ok(())
    }
}

impl Current {
    fn new(
        name: RepositoryName,
        layers: HashMap<Digest, Digest>,
        revisions: &[Link],
        tags: &[(Tag, Link)],
    ) -> Self {
        let mut of_digest: HashMap<Digest, Vec<Tag>> = HashMap::new();
        for (tag, link) in tags {
            of_digest.entry(link.target).or_default().push(tag.clone());
        }
        Self {
            name,
            layers,
            tags: of_digest,
            claimed: revisions.iter().map(|link| link.name).collect(),
            present: HashSet::new(),
            told: HashSet::new(),
            held: HashSet::new(),
        }
    }

    fn examine(&self, link: &Link, bytes: Option<Vec<u8>>) -> Result<Manifest, Problem> {
        let place = || self.place(&link.name);
        let bytes = bytes.ok_or_else(|| Problem::manifest_gone(place()))?;
        // Its length first: no more than that was read.
        let is_whole = bytes.len() > portpass_protocol::manifest::MAX_LENGTH
            || Digest::of(link.name.algorithm(), &bytes) == link.name;
        if !is_whole {
            return Err(Problem::manifest_digest(place()));
        }
        Manifest::read(bytes).map_err(|error| Problem::manifest_refused(place(), &error))
    }

    /// What people know a manifest by.
    fn place(&self, digest: &Digest) -> String {
        let name = &self.name;
        match self.tags.get(digest).map(Vec::as_slice) {
            Some([tag]) => format!("{name}:{tag}"),
            Some([tag, more @ ..]) => format!("{name}:{tag} and {} more tags", more.len()),
            _ => format!("{name}@{digest}"),
        }
    }
}

impl ImportCounts {
    fn add(&mut self, rows: portpass_state::ImportedRows) {
        self.repositories += rows.repositories;
        self.tags += rows.tags;
        self.manifests += rows.manifests;
        self.blobs += rows.blobs;
    }
}

/// As the database keeps times.
fn to_the_millisecond(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let whole = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(whole)
}

/// Links of one repository that are looked at together.
const AT_ONCE: usize = 256;
