//! Which repository has which blob, over several transfers into one registry.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use futures_util::{StreamExt as _, stream};
use portpass_protocol::{
    Digest, Links, MediaType, Reference, RepositoryName, manifest::Descriptor,
};

use crate::Repository;

/// Which repository of a registry has which blob, as far as transfers have seen. What one repository has
/// another can mount. Share one for all transfers into a registry.
#[derive(Debug, Default)]
pub struct KnownBlobs {
    blobs: Mutex<HashMap<Digest, RepositoryName>>,
    /// Images that were there already. Nobody reads them before a blob is missing somewhere else.
    unread: tokio::sync::Mutex<HashMap<Digest, RepositoryName>>,
}

impl KnownBlobs {
    /// A repository has an image, with its blobs.
    pub async fn note_image(&self, image: &Descriptor, repository: &RepositoryName) {
        let mut unread = self.unread.lock().await;
        if unread.len() < MAX_KNOWN {
            unread.entry(image.digest).or_insert_with(|| repository.clone());
        }
    }

    /// Another repository of that registry that has a blob. If none is known, the images that were there already
    /// are looked into; whoever asks meanwhile waits, for nothing is sent that could be mounted.
    pub(super) async fn find(&self, blob: &Digest, remote: &Repository) -> Option<RepositoryName> {
        let mut unread = self.unread.lock().await;
        let here = remote.repository();
        if let Some(other) = self.elsewhere(blob, here) {
            return Some(other);
        }
        let elsewhere = unread.extract_if(|_, repository| repository != here).collect::<Vec<_>>();
        let session = remote.session();
        let read = elsewhere.into_iter().map(|(image, repository)| {
            links_of(Repository::new(session.clone(), repository), image)
        });
        let mut read = stream::iter(read).buffer_unordered(AT_ONCE);
        while let Some((repository, links)) = read.next().await {
            for blob in links.iter().flat_map(Links::blobs) {
                self.note(&blob.digest, &repository);
            }
        }
        self.elsewhere(blob, here)
    }

    /// A repository has a blob. The first that is known to have it stays.
    pub(super) fn note(&self, blob: &Digest, repository: &RepositoryName) {
        let mut known = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KNOWN {
            known.entry(*blob).or_insert_with(|| repository.clone());
        }
    }

    /// Another repository than this one that has a blob.
    fn elsewhere(&self, blob: &Digest, repository: &RepositoryName) -> Option<RepositoryName> {
        let known = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(blob).filter(|other| *other != repository).cloned()
    }
}

/// What an image points at. One that is gone meanwhile, or that we may not read, has nothing to mount.
async fn links_of(there: Repository, image: Digest) -> (RepositoryName, Option<Links>) {
    let manifest = there.manifest(&Reference::Digest(image)).await.ok();
    let links = manifest.and_then(|manifest| {
        let media_type = MediaType::from_content_type(&manifest.media_type).ok()?;
        Links::parse(&manifest.bytes, media_type).ok()
    });
    (there.repository().clone(), links)
}

/// Manifests that are read at the same time.
const AT_ONCE: usize = 8;
/// So many blobs are remembered, and images: some hundred megabytes at the most.
const MAX_KNOWN: usize = 1_000_000;
