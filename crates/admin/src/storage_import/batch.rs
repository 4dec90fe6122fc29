//! Objects and rows that come in together: one sync of the disk and one transaction for many.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::SystemTime};

use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{
    AbsentChildren, Db, HeldBlob, Imported, ImportedManifest, ImportedRepository, ImportedRows,
    ImportedTag, NewManifest,
};
use portpass_storage::{AdoptError, Adopter, Adoption, Location};

use super::{ImportError, manifest::Manifest, tree::Tree};
use crate::blocking;

/// A blob that only the tree has.
#[derive(Debug, Clone)]
pub(super) struct NewBlob {
    pub(super) digest: Digest,
    pub(super) file: PathBuf,
    pub(super) length: u64,
}

/// What a repository gets in one batch.
pub(super) struct Part {
    name: RepositoryName,
    pub(super) blobs: Vec<Digest>,
    pub(super) manifests: Vec<PartManifest>,
    pub(super) tags: Vec<ImportedTag>,
}

/// A manifest that is not here yet.
pub(super) struct PartManifest {
    pub(super) digest: Digest,
    pub(super) manifest: Manifest,
    pub(super) pushed_at: SystemTime,
}

/// What waits.
pub(super) struct Batch {
    tree: Arc<Tree>,
    adopter: Arc<Adopter>,
    adoption: Adoption,
    dry_run: bool,
    blobs: Vec<NewBlob>,
    parts: Vec<Part>,
    /// Of a dry run: repositories that it has counted.
    counted: HashSet<RepositoryName>,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Flushed {
    pub(super) rows: ImportedRows,
    /// Blobs whose files changed or went meanwhile.
    pub(super) failed: Vec<(Digest, String)>,
}

impl Part {
    pub(super) fn new(name: RepositoryName) -> Self {
        Self { name, blobs: Vec::new(), manifests: Vec::new(), tags: Vec::new() }
    }

    fn weight(&self) -> usize {
        self.blobs.len() + 2 * self.manifests.len() + self.tags.len()
    }

    /// Takes out what cannot be pulled without these blobs.
    fn remove(&mut self, failed: &HashSet<Digest>) {
        self.blobs.retain(|digest| !failed.contains(digest));
        self.manifests.retain(|manifest| {
            !manifest.manifest.blobs.iter().any(|blob| failed.contains(&blob.digest))
        });
    }
}

impl Batch {
    pub(super) fn new(
        tree: Arc<Tree>,
        adopter: Arc<Adopter>,
        adoption: Adoption,
        dry_run: bool,
    ) -> Self {
        let (blobs, parts, counted) = (Vec::new(), Vec::new(), HashSet::new());
        Self { tree, adopter, adoption, dry_run, blobs, parts, counted }
    }

    pub(super) fn take(&mut self, blob: NewBlob) {
        self.blobs.push(blob);
    }

    pub(super) fn add(&mut self, part: Part) {
        if part.weight() > 0 {
            self.parts.push(part);
        }
    }

    /// Whether it is worth a sync, and no transaction should be longer: a server waits for it.
    pub(super) fn is_full(&self) -> bool {
        let rows: usize = self.parts.iter().map(Part::weight).sum();
        let bytes: u64 = match self.adoption {
            Adoption::Copy => self.blobs.iter().map(|blob| blob.length).sum(),
            Adoption::HardLink | Adoption::SymbolicLink => 0,
        };
        rows + self.blobs.len() >= ROWS || bytes >= COPIED
    }

    /// How many manifests may put their blobs into it before it is looked whether it is full.
    pub(super) fn manifests_at_once(&self) -> usize {
        match self.adoption {
            Adoption::Copy => 8,
            Adoption::HardLink | Adoption::SymbolicLink => 256,
        }
    }

    /// Brings in what waits.
    pub(super) async fn flush(&mut self, db: &Db, now: SystemTime) -> Result<Flushed, ImportError> {
        let (blobs, mut parts) = (std::mem::take(&mut self.blobs), std::mem::take(&mut self.parts));
        if blobs.is_empty() && parts.is_empty() {
            return Ok(Flushed::default());
        }
        if self.dry_run {
            return self.count(&blobs, &parts, db).await;
        }
        let (objects, failed) = self.adopt(blobs, db, now).await?;
        if !failed.is_empty() {
            let digests = failed.iter().map(|(digest, _)| *digest).collect();
            for part in &mut parts {
                part.remove(&digests);
            }
        }
        match import(&objects, &parts, db, now).await? {
            Imported::Done(rows) => Ok(Flushed { rows, failed }),
            Imported::ClearedAway => Err(ImportError::ClearedAway),
        }
    }

    /// Makes the objects. A link has the time of what it leads to, which a sweep would take for long forgotten, so its
    /// name is reserved before. A copy is young, and may take longer than what is reserved is kept.
    async fn adopt(
        &self,
        blobs: Vec<NewBlob>,
        db: &Db,
        now: SystemTime,
    ) -> Result<(Vec<HeldBlob>, Vec<(Digest, String)>), ImportError> {
        if blobs.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let names: Vec<Location> = blobs.iter().map(|_| self.adopter.draw_name()).collect();
        let texts: Vec<&str> = names.iter().map(Location::as_str).collect();
        if self.adoption != Adoption::Copy {
            db.reserve_locations(&texts, now).await?;
        }
        let (adopter, adoption) = (Arc::clone(&self.adopter), self.adoption);
        let (tree, locations) = (Arc::clone(&self.tree), names.clone());
        let objects = blocking(move || {
            let (mut made, mut failed) = (Vec::new(), Vec::new());
            for (blob, name) in blobs.into_iter().zip(&locations) {
                match adopter.adopt(&blob.file, blob.length, name, adoption) {
                    Ok(()) => made.push(HeldBlob {
                        digest: blob.digest,
                        location: name.to_string(),
                        size: blob.length,
                    }),
                    Err(AdoptError::Gone { file } | AdoptError::Changed { file, .. }) => {
                        failed.push((blob.digest, file.display().to_string()));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            adopter.settle(tree.root())?;
            Ok::<_, ImportError>((made, failed))
        });
        let objects = objects.await?;
        if self.adoption == Adoption::Copy {
            db.reserve_locations(&texts, now).await?;
        }
        Ok(objects)
    }

    /// What would come in.
    async fn count(
        &mut self,
        blobs: &[NewBlob],
        parts: &[Part],
        db: &Db,
    ) -> Result<Flushed, ImportError> {
        let mut rows = ImportedRows { blobs: blobs.len() as u64, ..ImportedRows::default() };
        for part in parts {
            rows.manifests += part.manifests.len() as u64;
            rows.tags += part.tags.len() as u64;
            if self.counted.insert(part.name.clone()) && !db.repository_exists(&part.name).await? {
                rows.repositories += 1;
            }
        }
        Ok(Flushed { rows, failed: Vec::new() })
    }
}

async fn import(
    objects: &[HeldBlob],
    parts: &[Part],
    db: &Db,
    now: SystemTime,
) -> Result<Imported, ImportError> {
    let digests: Vec<Vec<Vec<Digest>>> = parts.iter().map(blobs_of).collect();
    let manifests: Vec<Vec<ImportedManifest<'_>>> = parts
        .iter()
        .zip(&digests)
        .map(|(part, digests)| {
            let pairs = part.manifests.iter().zip(digests);
            pairs.map(|(manifest, blobs)| imported(part, manifest, blobs)).collect()
        })
        .collect();
    let repositories: Vec<ImportedRepository<'_>> = parts
        .iter()
        .zip(&manifests)
        .map(|(part, manifests)| ImportedRepository {
            name: &part.name,
            blobs: &part.blobs,
            manifests,
            tags: &part.tags,
        })
        .collect();
    Ok(db.import(objects, &repositories, now).await?)
}

/// Of each manifest of a part.
fn blobs_of(part: &Part) -> Vec<Vec<Digest>> {
    let of = |manifest: &PartManifest| {
        let mut seen = HashSet::new();
        let blobs = manifest.manifest.blobs.iter().map(|blob| blob.digest);
        blobs.filter(|digest| seen.insert(*digest)).collect()
    };
    part.manifests.iter().map(of).collect()
}

fn imported<'a>(
    part: &'a Part,
    new: &'a PartManifest,
    blobs: &'a [Digest],
) -> ImportedManifest<'a> {
    let PartManifest { digest, manifest, pushed_at } = new;
    let links = &manifest.links;
    ImportedManifest {
        manifest: NewManifest {
            repository: &part.name,
            digest,
            media_type: links.media_type.as_str(),
            bytes: &manifest.bytes,
            blobs,
            children: &manifest.children,
            absent_children: AbsentChildren::Refused,
            subject: links.subject.as_ref().map(|subject| &subject.digest),
            artifact_type: links.referrer_type(),
            annotations: manifest.annotations.as_ref(),
            tags: &[],
            immutable: &[],
        },
        pushed_at: *pushed_at,
    }
}

/// Rows of one transaction, which takes some tens of milliseconds.
const ROWS: usize = 4000;

/// Bytes that are copied before their rows are written: what is lost when an import is broken off.
const COPIED: u64 = 1024 * 1024 * 1024;
