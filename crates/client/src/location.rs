//! Places of images, as people type them.

use std::{fmt, path::PathBuf, str::FromStr};

use portpass_protocol::printable::on_one_line;

use crate::{
    ImageReference,
    layout::{RefName, RefNameError},
    reference::ImageReferenceError,
};

/// Where an image is or shall be, written as for skopeo: `oci:FOLDER[:TAG]`, `oci-archive:FILE[:TAG]`,
/// `docker-archive:FILE[:NAME:TAG]`, `dir:FOLDER`, else an image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`
    Registry(ImageReference),
    /// A folder in the OCI image layout.
    Folder {
        /// The folder; it has no colon in its name.
        path: PathBuf,
        /// Which image of it.
        name: Option<RefName>,
    },
    /// An archive of `docker save`.
    Archive {
        /// The file; it has no colon in its name.
        path: PathBuf,
        /// Which image of it, as docker calls it.
        name: Option<String>,
    },
    /// An archive of the OCI image layout.
    OciArchive {
        /// The file; it has no colon in its name.
        path: PathBuf,
        /// Which image of it.
        name: Option<RefName>,
    },
    /// A folder of skopeo's `dir:`, which holds one image.
    Directory {
        /// The folder.
        path: PathBuf,
    },
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if let Some(path) = text.strip_prefix(REGCTL_FOLDER) {
            return format!("{FOLDER}:{path}").parse();
        }
        if is_path(text) {
            return Err(LocationError::Path { path: on_one_line(text, 128) });
        }
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        if !matches!(word, FOLDER | ARCHIVE | OCI_ARCHIVE | DIRECTORY) {
            return Ok(Self::Registry(text.parse()?));
        }
        if word == DIRECTORY && !rest.is_empty() {
            return Ok(Self::Directory { path: PathBuf::from(rest) });
        }
        let (path, name) = match rest.split_once(':') {
            Some((path, name)) => (path, Some(name)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(LocationError::NoPath { word: word.to_owned() });
        }
        let path = PathBuf::from(path);
        match word {
            FOLDER => return Ok(Self::Folder { path, name: name.map(str::parse).transpose()? }),
            OCI_ARCHIVE => {
                return Ok(Self::OciArchive { path, name: name.map(str::parse).transpose()? });
            }
            _ => {}
        }
        // Docker's names are references, with what docker leaves out.
        let checked: Option<RefName> = name.map(str::parse).transpose()?;
        Ok(Self::Archive { path, name: checked.map(|name| name.to_string()) })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, path, name) = match self {
            Self::Registry(image) => return image.fmt(f),
            Self::Folder { path, name } => (FOLDER, path, name.as_ref().map(RefName::as_str)),
            Self::Archive { path, name } => (ARCHIVE, path, name.as_deref()),
            Self::OciArchive { path, name } => {
                (OCI_ARCHIVE, path, name.as_ref().map(RefName::as_str))
            }
            Self::Directory { path } => (DIRECTORY, path, None),
        };
        write!(f, "{word}:{}", path.display())?;
        name.map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

/// Why a text is no place of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// An image in a registry.
    #[error(transparent)]
    Image(#[from] ImageReferenceError),
    /// The part after the second colon.
    #[error(transparent)]
    Name(#[from] RefNameError),
    /// A path without the word that says what is there.
    #[error(
        "{path} is a path; write oci:{path} for a folder or docker-archive:{path} for an archive"
    )]
    Path {
        /// As typed.
        path: String,
    },
    /// Nothing behind the colon.
    #[error("{word}: needs a path, as in {word}:PATH")]
    NoPath {
        /// `oci`, `oci-archive`, `docker-archive` or `dir`.
        word: String,
    },
}

/// What nobody would call an image.
fn is_path(text: &str) -> bool {
    let begins = ["./", "../", "/", "~"].iter().any(|start| text.starts_with(start));
    let ends = [".tar", ".tar.gz", ".tgz"].iter().any(|end| text.ends_with(end));
    begins || matches!(text, "." | "..") || (!text.contains(':') && (ends || text.ends_with('/')))
}

const FOLDER: &str = "oci";
/// How regctl writes a folder.
const REGCTL_FOLDER: &str = "ocidir://";
const ARCHIVE: &str = "docker-archive";
const OCI_ARCHIVE: &str = "oci-archive";
const DIRECTORY: &str = "dir";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_skopeo_writes_them() {
        for text in [
            "oci:folder",
            "oci:/some/folder:v1",
            "oci:folder:registry.example.com:5000/team/app:v1",
            "docker-archive:image.tar",
            "docker-archive:/tmp/image.tar:team/app:v1",
            "oci-archive:image.tar",
            "oci-archive:/tmp/image.tar:v1",
            "dir:/some/folder",
            "dir:folder:with:colons",
            "registry.example.com:5000/team/app:v1",
        ] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
        assert!(matches!("oci:folder:v1".parse(), Ok(Location::Folder { name: Some(_), .. })));
        assert!(matches!("alpine".parse(), Ok(Location::Registry(_))));
        // What others write for the same.
        for (typed, meant) in [
            ("docker://registry.example.com/app:v1", "registry.example.com/app:v1"),
            ("reg://registry.example.com/app:v1", "registry.example.com/app:v1"),
            ("ocidir://folder:v1", "oci:folder:v1"),
        ] {
            assert_eq!(typed.parse::<Location>().unwrap().to_string(), meant);
        }
    }

    #[test]
    fn what_is_no_place_is_told_why() {
        let said = |text: &str| text.parse::<Location>().unwrap_err().to_string();
        insta::assert_snapshot!(said("oci:"), @"oci: needs a path, as in oci:PATH");
        insta::assert_snapshot!(said("oci"), @"oci: needs a path, as in oci:PATH");
        insta::assert_snapshot!(said("docker-archive::a:b"), @"docker-archive: needs a path, as in docker-archive:PATH");
        insta::assert_snapshot!(said("oci:folder:../v1"), @r#""../v1" cannot name an image in a layout; a name has letters, digits and `-._:@+/`"#);
        insta::assert_snapshot!(said("dir:"), @"dir: needs a path, as in dir:PATH");
        insta::assert_snapshot!(said("./folder"), @"./folder is a path; write oci:./folder for a folder or docker-archive:./folder for an archive");
    }
}
