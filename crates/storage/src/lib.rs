//! Where blobs lie: a directory, or memory.
//!
//! A store knows bytes and the names it gave them. It knows no repository, no user and no row: who
//! may see a blob, and whether anybody still needs it, is decided above.
//!
//! ```text
//! begin ─> Upload ─ append(body) ─> Upload ─ append(body) ─> Upload      kept in the session's row
//!                     │                        │               │
//!                  segment           more of it, or another  commit(digest)
//!                                                              │
//!                                                           Location       kept in the blob's row
//!                                                              │
//!                                                      open(range) ─> Content
//! ```
//!
//! ```
//! # async fn example(keys: portpass_storage::Keys) -> Result<(), Box<dyn std::error::Error>> {
//! use portpass_protocol::{Digest, DigestAlgorithm};
//! use portpass_storage::{BlobStore, FsStore};
//!
//! let store = FsStore::open("/var/lib/portpass/blobs", keys)?;
//! let upload = store.begin(DigestAlgorithm::Sha256).await?;
//! let body = Box::pin(futures_util::stream::iter([Ok("hello".into())]));
//! let upload = store.append(upload, body).await?.upload;
//! let blob = store.commit(&upload, &Digest::sha256(b"hello")).await?;
//! assert_eq!(store.open(&blob.location, 5, 0..5).await?.length(), 5);
//! # Ok(()) }
//! ```

pub mod caching;
#[cfg(test)]
mod conformance;
pub mod fs;
pub mod gc;
mod hashers;
pub mod memory;
pub mod store;

pub use caching::CachingStore;
pub use fs::{
    FsStore, OpenFiles,
    adopt::{AdoptError, Adopter, Adoption, sync_file_system},
    object_path, owner,
    replica::{Replica, ReplicaError, Taken},
};
pub use gc::{Surveyed, Swept, survey, sweep};
pub use memory::MemoryStore;
pub use store::{
    Appended, BlobStore, BodyError, BodyStream, CommitError, Committed, Content, Cursor, End,
    Inventory, Keys, Listing, Location, Object, StoreError, Upload, is_whole,
};
