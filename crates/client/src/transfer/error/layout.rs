//! Why a place on disk is of no use.

use std::{
    io,
    path::{Path, PathBuf},
};

use portpass_protocol::Digest;

/// Why a folder or an archive is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A blob that is not what its name says.
    #[error("{} is damaged: its digest is {found}, not {expected}", path.display())]
    Damaged {
        /// The file, or the archive.
        path: PathBuf,
        /// As it is named.
        expected: Digest,
        /// As it is.
        found: String,
    },
    /// A document that is there and cannot be understood.
    #[error("{document} in {} is not readable: {reason}", path.display())]
    Document {
        /// The folder or archive.
        path: PathBuf,
        /// `index.json`, `manifest.json`, …
        document: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else is at it.
    #[error("another portpass is writing {}", path.display())]
    InUse {
        /// The archive.
        path: PathBuf,
    },
    /// The system.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A member of an archive that no honest archive has.
    #[error("member {member:?} of {} is refused: {fault}", path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// As in the archive, shortened.
        member: String,
        /// What is wrong with it.
        fault: MemberFault,
    },
    /// Something that is pointed at and is not there.
    #[error("{} has no {wanted}", path.display())]
    Missing {
        /// The folder or archive.
        path: PathBuf,
        /// A digest or a name.
        wanted: String,
    },
    /// No image of that name.
    #[error("{} has no image {name:?}{}", path.display(), having(there))]
    NoImage {
        /// The folder or archive.
        path: PathBuf,
        /// As asked for.
        name: String,
        /// Which there are.
        there: Vec<String>,
    },
    /// A place that holds images, and nothing about them.
    #[error("{} has no place for signatures and other manifests about an image", path.display())]
    NoCompanions {
        /// The folder or archive.
        path: PathBuf,
    },
    /// A folder that skopeo did not write.
    #[error("{} is not a folder of skopeo's `dir:`: {why}", path.display())]
    NotADirectory {
        /// The folder.
        path: PathBuf,
        /// What is missing or odd.
        why: String,
    },
    /// A folder of something else.
    #[error("{} is not an OCI image layout: {why}", path.display())]
    NotALayout {
        /// The folder.
        path: PathBuf,
        /// What is missing or odd.
        why: String,
    },
    /// A file of something else.
    #[error("{} is not an archive of images: {why}", path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What is missing or odd.
        why: String,
    },
    /// Neither a regular file nor a folder, where one has to be.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// As reached.
        path: PathBuf,
    },
    /// Several images, and nobody said which.
    #[error("{} has {} images{}", path.display(), there.len(), having(there))]
    WhichImage {
        /// The folder or archive.
        path: PathBuf,
        /// Which there are.
        there: Vec<String>,
    },
}

impl LayoutError {
    /// For `map_err`: the system refused something with this file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }

    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Damaged { .. } => "delete it and fetch it again",
            Self::Io { error, .. }
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                "free space there and run the same command again: what has arrived stays"
            }
            Self::InUse { .. } => "wait until it ends, or write another file",
            Self::Member { .. } => "docker did not write this archive, or it was changed since",
            Self::Missing { .. } => {
                "if only one platform was fetched there, name it with --platform"
            }
            Self::NotALayout { .. } => {
                "name an empty or new folder, or one that has `oci-layout` and `index.json`"
            }
            Self::NotADirectory { .. } => {
                "name an empty or new folder, or one that `skopeo copy … dir:FOLDER` wrote"
            }
            Self::NoCompanions { .. } => "leave out --referrers, or write oci:FOLDER",
            Self::WhichImage { .. } | Self::NoImage { .. } => {
                "name one after a colon, as in oci:FOLDER:TAG or docker-archive:FILE:NAME:TAG"
            }
            Self::Document { .. }
            | Self::Io { .. }
            | Self::NotAnArchive { .. }
            | Self::NotRegular { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// Why a member of an archive is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberFault {
    /// A device, a pipe, a hard link, a sparse file.
    #[error("it is neither a file nor a folder")]
    Kind,
    /// The same name once more: readers differ in which of the two they take.
    #[error("there are two members of that name")]
    Duplicate,
    /// A header that contradicts itself.
    #[error("its header is damaged")]
    Header,
    /// A link that leads out of the archive, nowhere, or to another link.
    #[error("it is a link to something that is not a file of the archive")]
    Link,
    /// A document longer than any that docker writes, or a name longer than paths are.
    #[error("it is too long")]
    Long,
    /// More of them than any image has.
    #[error("there are too many members before it")]
    Many,
    /// Absolute, with `..`, with a backslash, or empty.
    #[error("its name leads out of the archive")]
    Traversal,
    /// The archive ends before it does.
    #[error("the archive ends before the member does")]
    Truncated,
}

fn having(there: &[String]) -> String {
    const SHOWN: usize = 8;
    match there {
        [] => String::new(),
        few if few.len() <= SHOWN => format!("; it has {}", few.join(", ")),
        many => format!("; it has {}, …", many[..SHOWN].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_what_to_do_about() {
        let hints = |kind: io::ErrorKind| LayoutError::io(Path::new("app"))(kind.into()).hints();
        assert_eq!(hints(io::ErrorKind::NotFound), Vec::<String>::new());
        assert!(hints(io::ErrorKind::StorageFull)[0].contains("what has arrived stays"));
    }
}
