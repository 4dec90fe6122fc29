//! Which blobs are here, and which the tree has.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use portpass_protocol::{Digest, Hasher};
use portpass_state::Db;

use super::{
    ImportError,
    batch::{Batch, NewBlob},
    problem::BlobFault,
    tree::Tree,
};
use crate::blocking;

/// What is known by now, each blob looked for once.
pub(super) struct Blobs {
    tree: Arc<Tree>,
    verify: bool,
    /// Lengths of those that are here, or will be with the batch.
    lengths: HashMap<Digest, u64>,
    known: u64,
    faults: HashMap<Digest, BlobFault>,
}

impl Blobs {
    pub(super) fn new(tree: Arc<Tree>, verify: bool) -> Self {
        Self { tree, verify, lengths: HashMap::new(), known: 0, faults: HashMap::new() }
    }

    /// How many were here before.
    pub(super) fn known(&self) -> u64 {
        self.known
    }

    /// How long a blob is that was looked for.
    pub(super) fn length(&self, digest: &Digest) -> Result<u64, BlobFault> {
        match self.lengths.get(digest) {
            Some(length) => Ok(*length),
            None => Err(self.faults.get(digest).copied().unwrap_or(BlobFault::Missing)),
        }
    }

    /// One that the tree had, and has no longer.
    pub(super) fn forget(&mut self, digest: &Digest) {
        self.lengths.remove(digest);
    }

    /// Looks for blobs of a repository with these layer links, here first, and puts those that only the tree has into the
    /// batch.
    pub(super) async fn find(
        &mut self,
        digests: &[Digest],
        layers: &HashMap<Digest, Digest>,
        db: &Db,
        batch: &mut Batch,
    ) -> Result<(), ImportError> {
        let mut seen = HashSet::new();
        let mut wanted: Vec<Digest> = digests.to_vec();
        wanted.retain(|digest| !self.lengths.contains_key(digest) && seen.insert(*digest));
        for blob in db.blobs_among(&wanted).await? {
            self.known += 1;
            self.lengths.insert(blob.digest, blob.size);
        }
        wanted.retain(|digest| !self.lengths.contains_key(digest));
        let files = wanted.into_iter().map(|digest| {
            // Distribution refuses a blob that has no link; a manifest that names it had one once.
            let target = layers.get(&digest).unwrap_or(&digest);
            (digest, self.tree.blob(target))
        });
        let (files, verify): (Vec<_>, bool) = (files.collect(), self.verify);
        let looked = blocking(move || {
            let look = |(digest, file): (Digest, PathBuf)| {
                let found = look_at(&file, &digest, verify)?;
                Ok::<_, ImportError>((digest, file, found))
            };
            files.into_iter().map(look).collect::<Result<Vec<_>, _>>()
        });
        for (digest, file, found) in looked.await? {
            match found {
                Ok(length) => {
                    self.lengths.insert(digest, length);
                    batch.take(NewBlob { digest, file, length });
                }
                Err(fault) => {
                    self.faults.insert(digest, fault);
                }
            }
        }
        Ok(())
    }
}

/// How long a file is; its bytes are those of the digest, where that is to be verified.
fn look_at(
    path: &Path,
    digest: &Digest,
    verify: bool,
) -> Result<Result<u64, BlobFault>, ImportError> {
    let failed = |source| ImportError::Tree { path: path.to_owned(), source };
    let length = match fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Ok(Err(BlobFault::Missing)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(BlobFault::Missing));
        }
        Err(error) => return Err(failed(error)),
    };
    if !verify {
        return Ok(Ok(length));
    }
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut buffer) = (Hasher::new(digest.algorithm()), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(if hasher.finish() == *digest { Ok(length) } else { Err(BlobFault::Digest) })
}

const BUFFER: usize = 1024 * 1024;
