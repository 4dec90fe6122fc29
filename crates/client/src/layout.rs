//! Images on disk: folders in the OCI image layout, and the archives of `docker save`.
//!
//! ```text
//! Folder        read and written     oci-layout, index.json, blobs/ALGORITHM/HEX
//!    └ PartialBlob   being fetched    .portpass-incoming/, renamed into blobs/ when it is complete
//! Directory     read and written     skopeo's `dir:`
//! Archive       read                 both formats of docker, and OCI's
//! ArchiveWriter written              one image for `docker load` and OCI's tools
//! OciArchiveWriter   written         an OCI image layout as an archive
//! ```
//!
//! Nothing is ever unpacked: members of an archive are looked up where they lie in the file.

#[cfg(feature = "archive")]
mod archive;
mod blobs;
mod companions;
mod directory;
mod extent;
mod folder;
mod index;
mod partial;
#[cfg(test)]
#[cfg(feature = "archive")]
mod tests;

#[cfg(feature = "archive")]
pub use archive::{Archive, ArchiveWriter, OciArchiveWriter};
pub use directory::Directory;
pub use folder::Folder;
pub use index::{RefName, RefNameError};
