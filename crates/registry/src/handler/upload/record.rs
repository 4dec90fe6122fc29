//! From bytes in the store to a blob of a repository.

use portpass_protocol::{Digest, RepositoryName};
use portpass_state::{BlobCommit, Change, Committed as Row, UploadClaim};
use portpass_storage::{Committed, Location, StoreError, Upload as Progress, is_whole};

use crate::{error::Error, registry::Registry};

/// Whether the bytes became a blob of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// They did, or it held the same blob already.
    Stored,
    /// The session they came from was cancelled or taken over meanwhile.
    SessionLost,
}

/// Writes the rows of a blob that lies in the store, and clears away what is no longer needed.
///
/// The rows come first: what is removed afterwards is named by none. If that fails, a sweep finds
/// it, and the push has succeeded all the same.
pub(super) async fn record_blob(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    upload: &Progress,
    committed: Committed,
    session: Option<UploadClaim>,
) -> Result<Recorded, Error> {
    let Committed { location, rest } = committed;
    let commit = BlobCommit {
        repository: name,
        digest,
        location: location.as_str(),
        size: upload.length(),
        media_type: MEDIA_TYPE,
        upload: session,
    };
    let (kept, cleared) = match registry.db().commit_blob(&commit, registry.now()).await? {
        Row::Stored => (Recorded::Stored, Ok(())),
        Row::Superfluous { kept } => {
            let cleared = match replace_lost(registry, &commit, kept).await? {
                Change::Done => Ok(()),
                Change::Unknown => remove(registry, &location).await,
            };
            (Recorded::Stored, cleared)
        }
        // One of its own segments may be another request's by now; an object that was copied is
        // nobody's.
        Row::SessionLost if upload.locations().any(|segment| *segment == location) => {
            return Ok(Recorded::SessionLost);
        }
        Row::SessionLost => (Recorded::SessionLost, remove(registry, &location).await),
    };
    let cleared = match (kept, cleared) {
        (Recorded::Stored, Ok(())) => {
            registry.store().discard(rest, None).await.map_err(Error::from)
        }
        (_, cleared) => cleared,
    };
    if let Err(error) = cleared {
        tracing::warn!(repository = %name, %digest, %error, "objects stay until the next sweep");
    }
    Ok(kept)
}

/// Puts the new object in the place of the one that the blob's row names, if that is not whole: whoever is told that
/// the blob is there has to find it.
async fn replace_lost(
    registry: &Registry,
    commit: &BlobCommit<'_>,
    kept: String,
) -> Result<Change, Error> {
    let (digest, new, size) = (commit.digest, commit.location, commit.size);
    let (store, db) = (&**registry.store(), registry.db());
    if is_whole(store, Location::from(kept.clone()), size).await? {
        return Ok(Change::Unknown);
    }
    let replaced = db.replace_lost(digest, &kept, new, size, registry.now()).await?;
    if replaced == Change::Done {
        tracing::warn!(%digest, object = kept, "the object of a blob was lost; the pushed one replaces it");
        return Ok(Change::Done);
    }
    // Somebody else was first, and it is theirs that has to be there.
    match db.blob(commit.repository, digest).await? {
        Some(blob) if !is_whole(store, Location::from(blob.location.clone()), size).await? => {
            Err(StoreError::Lost { location: Location::from(blob.location) }.into())
        }
        // Deleted since: a blob that was there for a moment.
        Some(_) | None => Ok(Change::Unknown),
    }
}

/// Removes an object that no row names, and the note of it.
async fn remove(registry: &Registry, location: &Location) -> Result<(), Error> {
    registry.store().delete(location).await?;
    Ok(registry.db().remove_garbage_rows(&[location.as_str()]).await?)
}

/// What every blob is served as, whatever manifests say of it: no browser runs it.
const MEDIA_TYPE: &str = "application/octet-stream";
