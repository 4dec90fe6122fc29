//! What a repository holds, as it is read.

use bytes::Bytes;
use portpass_protocol::Digest;

/// A blob as one repository holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Where the object lies; the store knows what it means.
    pub location: String,
    /// Length in bytes.
    pub size: u64,
    /// What it was committed as.
    pub media_type: String,
}

/// A manifest as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Under the algorithm it was pushed with.
    pub digest: Digest,
    /// As pushed, without parameters.
    pub media_type: String,
    /// The very bytes.
    pub bytes: Bytes,
}
