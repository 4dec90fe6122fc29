//! Images on disk: folders in the OCI image layout, and the archives of `docker save`.
//!
//! ```text
//! Folder        read and written     oci-layout, index.json, blobs/ALGORITHM/HEX
//!    └ Incoming   a blob on its way    .portpass-incoming/, renamed into blobs/ when it is whole
//! Archive       read                 both kinds that docker has written, and OCI's
//! ArchiveFile   written              one image that `docker load` and OCI's tools take
//! ```
//!
//! Nothing is ever unpacked: members of an archive are looked up where they lie in the file.

mod archive;
mod blobs;
mod extent;
mod folder;
mod index;
mod partial;
#[cfg(test)]
mod tests;

pub use archive::{Archive, ArchiveWriter};
pub use folder::Folder;
pub use index::{RefName, RefNameError};
