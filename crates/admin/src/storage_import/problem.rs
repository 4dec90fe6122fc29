//! What is broken in a tree, and what its owner can do.

use std::path::Path;

use portpass_protocol::{Digest, RepositoryName, Tag, manifest::ManifestError};
use serde::Serialize;

/// Something that was not imported as it is, or at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// One word for its kind.
    pub kind: &'static str,
    /// Which repository, tag, manifest or file.
    #[serde(rename = "where")]
    pub place: String,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

/// Why a blob of a manifest is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlobFault {
    /// Nothing lies where it should.
    Missing,
    /// Its bytes are others than its digest says.
    Digest,
    /// It has so many bytes, and the manifest says so many.
    Length { found: u64, said: u64 },
}

impl Problem {
    pub(super) fn repository_name(name: &str) -> Self {
        Self {
            kind: "name",
            place: name.to_owned(),
            what: "the folder's name cannot be that of a repository".to_owned(),
            advice: "no client can name it; move it aside, or leave it",
        }
    }

    pub(super) fn tag_name(repository: &RepositoryName, tag: &str) -> Self {
        Self {
            kind: "name",
            place: repository.to_string(),
            what: format!("{tag:?} cannot be a tag"),
            advice: "no client can name it; tag the image again",
        }
    }

    pub(super) fn symbolic_link(path: &Path) -> Self {
        Self {
            kind: "symbolic-link",
            place: path.display().to_string(),
            what: "it is a symbolic link, and is not followed".to_owned(),
            advice: "if repositories lie there, mount the folder in place of the link",
        }
    }

    pub(super) fn unreadable_link(repository: &RepositoryName, link: &str) -> Self {
        Self {
            kind: "link",
            place: repository.to_string(),
            what: format!("the link of {link} says no digest"),
            advice: "push the image again",
        }
    }

    pub(super) fn tag_without_link(repository: &RepositoryName, tag: &Tag) -> Self {
        Self {
            kind: "tag-without-link",
            place: format!("{repository}:{tag}"),
            what: "the tag names nothing: a push or a delete was broken off".to_owned(),
            advice: "push the tag again if it should exist",
        }
    }

    pub(super) fn tag_without_manifest(
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> Self {
        Self {
            kind: "tag-without-manifest",
            place: format!("{repository}:{tag}"),
            what: format!("the tag names {digest}, which the repository does not hold"),
            advice: "push the tag again; the old registry cannot serve it either",
        }
    }

    pub(super) fn tag_newer_here(repository: &RepositoryName, tag: &Tag) -> Self {
        Self {
            kind: "tag-newer-here",
            place: format!("{repository}:{tag}"),
            what: "the tag was pushed here later than to the tree, and stays as it is here"
                .to_owned(),
            advice: "tag the old image here again if it is the right one",
        }
    }

    pub(super) fn manifest_gone(place: String) -> Self {
        Self {
            kind: "manifest-missing",
            place,
            what: "the manifest's bytes are gone".to_owned(),
            advice: "push the image again",
        }
    }

    pub(super) fn manifest_digest(place: String) -> Self {
        Self {
            kind: "manifest-digest",
            place,
            what: "the manifest's bytes are others than its digest says".to_owned(),
            advice: "push the image again: the disk has damaged it",
        }
    }

    pub(super) fn manifest_refused(place: String, error: &ManifestError) -> Self {
        Self {
            kind: if *error == ManifestError::Schema1 { "schema1" } else { "manifest-refused" },
            place,
            what: error.to_string(),
            advice: "push the image again with a client of today",
        }
    }

    pub(super) fn blob(place: String, digest: &Digest, fault: BlobFault) -> Self {
        let (kind, what) = match fault {
            BlobFault::Missing => ("blob-missing", format!("it needs {digest}, which is gone")),
            BlobFault::Digest => ("blob-digest", format!("the bytes of {digest} are others")),
            BlobFault::Length { found, said } => {
                ("blob-length", format!("{digest} has {found} bytes, and {said} in the manifest"))
            }
        };
        let advice = "the image is skipped, for nobody can pull all of it; push it again";
        Self { kind, place, what, advice }
    }

    pub(super) fn child_missing(place: String, digest: &Digest) -> Self {
        Self {
            kind: "child-missing",
            place,
            what: format!("the index names {digest}, which is not among the manifests"),
            advice: "the index is imported; push the image of this platform again",
        }
    }

    pub(super) fn layer_link(
        repository: &RepositoryName,
        digest: &Digest,
        fault: BlobFault,
    ) -> Self {
        let what = match fault {
            BlobFault::Digest => format!("the bytes of {digest} are others"),
            BlobFault::Missing | BlobFault::Length { .. } => {
                format!("the link to {digest} leads to nothing")
            }
        };
        Self {
            kind: "layer-link",
            place: repository.to_string(),
            what,
            advice: "no image needs it: a garbage collection leaves these links",
        }
    }

    /// Of this installation, and not of a tree.
    pub(crate) fn own_blob(repository: &RepositoryName, digest: &Digest, is_damaged: bool) -> Self {
        let (kind, what) = if is_damaged {
            ("blob-digest", format!("the bytes of {digest} are others"))
        } else {
            ("blob-missing", format!("the file of {digest} is gone"))
        };
        let advice = "push an image that has it again, and export again";
        Self { kind, place: repository.to_string(), what, advice }
    }

    pub(super) fn changed(file: &str) -> Self {
        Self {
            kind: "changed",
            place: file.to_owned(),
            what: "the file changed while it was imported".to_owned(),
            advice: "import again when the old registry has stopped",
        }
    }
}
