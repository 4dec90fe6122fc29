//! The rows and their states: accounts, robots, API keys, refresh tokens, keys, audit, repositories, manifests, tags,
//! blobs and uploads in one SQL database.
//!
//! SQL is the truth and objects are dumb: a blob exists because a row says where it lies, and what a
//! repository holds is a row too. Each method of [`Db`] is one unit of work; what it acknowledges is
//! on the disk (`synchronous=FULL`). Rows become states (enums) here and nowhere else; a row that is
//! in no state is [`StateError::Inconsistent`].
//!
//! ```text
//!              Db (cheap to clone)
//!   reads ------+------ writes
//!   pool of readers     one connection, BEGIN IMMEDIATE
//!               |
//!   account --< account_group        repository --< manifest --< manifest_link
//!   refresh_token                         |   |         +-----< tag
//!   not_before    key_file                |   |     (tag_pull, manifest_pull: when last and how often)
//!   signing_key (ring version)            |   +--< repository_blob >-- blob
//!   audit (chained)    meta            upload            garbage (objects to remove)
//! ```
//!
//! **When a repository exists.** A repository is made by the transaction that commits the first
//! blob, mount or manifest into it, and by nothing else: an upload session alone does not make one.
//! It stays when its last manifest is deleted (its tags are then an empty list), until
//! [`Db::remove_empty_repositories`] finds nothing left in it. Until then, and after, its name is
//! unknown (`NAME_UNKNOWN`).
//!
//! Nothing here reads a clock or draws a random number: times and identifiers are arguments.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use portpass_protocol::{Digest, RepositoryName};
//! use portpass_state::{BlobCommit, Committed, Db};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = Db::in_memory().await?;
//! let repository: RepositoryName = "library/alpine".parse()?;
//! let digest = Digest::sha256(b"layer");
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let commit = BlobCommit {
//!     repository: &repository,
//!     digest: &digest,
//!     location: "ab/cdef",
//!     size: 5,
//!     media_type: "application/octet-stream",
//!     upload: None,
//! };
//! assert_eq!(db.commit_blob(&commit, now).await?, Committed::Stored);
//! assert_eq!(db.blob(&repository, &digest).await?.map(|blob| blob.size), Some(5));
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod announcer;
pub mod api_key;
pub mod audit;
pub mod blob;
mod cache;
#[cfg(test)]
mod conformance;
pub mod content;
pub mod db;
pub mod ended_secret;
mod error;
pub mod event;
pub mod export;
pub mod garbage;
pub mod id;
pub mod import;
pub mod key;
pub mod key_file;
pub mod last_use;
pub mod manifest;
pub mod meta;
mod migrate;
pub mod not_before;
pub mod orphan;
pub mod page;
pub mod permission;
pub mod pull;
mod read_only;
pub mod referrer;
pub mod refresh;
pub mod repository;
pub mod retention;
pub mod robot;
pub mod snapshot;
mod sql;
pub mod tag;
pub mod unkept;
pub mod upload;
pub mod used_token;
mod writer;

pub use account::{Account, AccountStatus, Addition, GroupChange, NewAccount};
pub use announcer::{Announced, Announcer, NewEvent};
pub use api_key::{ApiKey, NewApiKey};
pub use audit::{
    AuditEntry, AuditHead, AuditRecord, AuditSize, Fault, Retention, RowHash, RowHashError,
    Verified,
};
pub use blob::{BlobCommit, Candidates, Committed, Mounted};
pub use content::{Blob, Manifest};
pub use db::{Change, Db};
pub use ended_secret::{EndedSecret, SecretEnd};
pub use error::StateError;
pub use event::{EventEndpoint, QueuedEvent};
pub use garbage::{Garbage, Piece};
pub use id::{
    AccountId, EventId, IdError, KeyId, LeaseOwner, RefreshId, RobotId, SecretId, UploadId,
};
pub use import::{Imported, ImportedManifest, ImportedRepository, ImportedRows, ImportedTag};
pub use key::{KeyPhase, KeyRing, KeyRole, KeyRow, Swap};
pub use key_file::KeyFileRow;
pub use last_use::Used;
pub use manifest::{AbsentChildren, Deletion, Missing, NewManifest, PutManifest};
pub use not_before::{NotBefore, NotBeforeList, RevokedTokens};
pub use orphan::{OrphanAge, RemovedManifest};
pub use page::{MAX_PAGE, Page};
pub use permission::Permission;
pub use pull::{ManifestPulls, Pull, PullCount, Pulled, TagPulls};
pub use referrer::Referrer;
pub use refresh::{
    AccountKey, AccountNamed, EvictedToken, NewRefreshToken, RefreshState, RefreshToken,
    Revocation, TokenAddition, TokenHash, Touch,
};
pub use retention::{Child, ManifestFacts, Removal, Removed, RetiredTag, TagFacts};
pub use robot::{NewRobot, NewSecret, Robot, RobotSecret, Rotation};
pub use snapshot::{CopyError, HeldBlob};
pub use unkept::{LinkedBlob, Orphan, UnlinkedBlob};
pub use upload::{Begun, Lease, Leased, NewUpload, Saved, Upload, UploadClaim};
pub use used_token::FirstUse;
