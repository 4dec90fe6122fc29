//! What a request asks for, read once from its method, path and query; and what that needs.

use http::{Method, Uri};
use portpass_protocol::{
    Access, Digest, DigestAlgorithm, Reference, RepositoryName, Tag,
    digest::DigestError,
    name::{NameError, ReferenceError},
};
use portpass_state::UploadId;

mod endpoint;
mod query;

#[cfg(test)]
mod tests;

use endpoint::Endpoint;
use query::Query;

/// Everything that this registry answers, each with all that its path and query said.
///
/// A value of this type has only names, digests and tags that were parsed: what is authorized is
/// byte for byte what is served (AR10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /v2/`: is there a registry, and are the credentials good? (OC1)
    Base,
    /// `GET /v2/_catalog` (DX1)
    Catalog {
        /// Which part of the list.
        page: Page,
    },
    /// `GET /v2/NAME/tags/list` (OC21)
    Tags {
        /// The repository.
        name: RepositoryName,
        /// Which part of the list.
        page: Page,
    },
    /// `/v2/NAME/manifests/REFERENCE` (OC4, OC16, OC22)
    Manifest {
        /// The repository.
        name: RepositoryName,
        /// Which manifest.
        reference: Reference,
        /// What is done with it.
        op: ManifestOp,
    },
    /// `/v2/NAME/blobs/DIGEST` (OC2, OC23)
    Blob {
        /// The repository.
        name: RepositoryName,
        /// Which blob.
        digest: Digest,
        /// What is done with it.
        op: BlobOp,
    },
    /// `POST /v2/NAME/blobs/uploads/` (OC7, OC8, OC9, OC15)
    StartUpload {
        /// The repository.
        name: RepositoryName,
        /// In which of the three ways.
        start: Start,
    },
    /// `/v2/NAME/blobs/uploads/ID` (OC11 to OC14)
    Upload {
        /// The repository.
        name: RepositoryName,
        /// Which session.
        id: UploadId,
        /// What is done with it.
        op: UploadOp,
    },
    /// `GET /v2/NAME/referrers/DIGEST` (OC24)
    Referrers {
        /// The repository.
        name: RepositoryName,
        /// What the manifests in the list are about.
        digest: Digest,
        /// Only those of this type.
        artifact_type: Option<ArtifactType>,
        /// Which part of the list.
        page: Page<Digest>,
    },
}

impl Route {
    /// Reads a request's first line.
    ///
    /// The path is percent-decoded once and read from its end, so that a repository may be called
    /// `x/tags/list/manifests`. Nothing is cleaned or redirected: `..`, `//`, NUL, upper case and a
    /// host before the name make no repository name, and are refused as such (AR8 to AR11).
    /// What a client may send in two places or twice counts once: the query alone, and of repeated
    /// members the first (AR4).
    pub fn parse(method: &Method, uri: &Uri) -> Result<Self, RouteError> {
        let path = percent_encoding::percent_decode_str(uri.path())
            .decode_utf8()
            .map_err(|_| RouteError::Encoding)?;
        let endpoint = Endpoint::find(&path).ok_or(RouteError::Unknown)?;
        endpoint.route(method, &Query::of(uri))
    }

    /// What must be granted before this route is served: the registry's whole table of rights.
    ///
    /// The actions are distribution's (AR1), but for the cancelling of an upload, which needs what
    /// starting it needed and not `delete` (AR2; docs/protocol.md §15).
    pub fn access(&self) -> Vec<Access> {
        match self {
            Self::Base => vec![],
            Self::Catalog { page: _ } => vec![Access::catalog()],
            Self::Tags { name, page: _ }
            | Self::Referrers { name, digest: _, artifact_type: _, page: _ } => vec![name.pull()],
            Self::Manifest { name, reference: _, op } => vec![match op {
                ManifestOp::Read => name.pull(),
                ManifestOp::Write { also: _ } => name.pull_push(),
                ManifestOp::Delete => name.delete(),
            }],
            Self::Blob { name, digest: _, op } => vec![match op {
                BlobOp::Read => name.pull(),
                BlobOp::Delete => name.delete(),
            }],
            Self::StartUpload { name, start } => match start {
                Start::Session(_)
                | Start::Whole(_)
                | Start::Mount(Mount { digest: _, from: None }) => vec![name.pull_push()],
                Start::Mount(Mount { digest: _, from: Some(from) }) => {
                    vec![name.pull_push(), from.pull()]
                }
            },
            Self::Upload { name, id: _, op } => vec![match op {
                UploadOp::Status => name.pull(),
                UploadOp::Append | UploadOp::Finish(_) | UploadOp::Cancel => name.pull_push(),
            }],
        }
    }

    /// Of what changes something, the methods of the same path that change nothing; `None` of what itself changes
    /// nothing.
    pub fn reads_beside_write(&self) -> Option<&'static str> {
        match self {
            Self::Base
            | Self::Catalog { .. }
            | Self::Tags { .. }
            | Self::Referrers { .. }
            | Self::Manifest { op: ManifestOp::Read, .. }
            | Self::Blob { op: BlobOp::Read, .. }
            | Self::Upload { op: UploadOp::Status, .. } => None,
            Self::Manifest { op: ManifestOp::Write { .. } | ManifestOp::Delete, .. }
            | Self::Blob { op: BlobOp::Delete, .. }
            | Self::Upload {
                op: UploadOp::Append | UploadOp::Finish(_) | UploadOp::Cancel, ..
            } => Some("GET, HEAD"),
            Self::StartUpload { .. } => Some(""),
        }
    }
}

/// What is done with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestOp {
    /// `GET`, `HEAD`
    Read,
    /// `PUT`
    Write {
        /// The tags of `?tag=…&tag=…`, which a manifest pushed by digest gets as well (OC19);
        /// without repetitions, in the order given.
        also: Vec<Tag>,
    },
    /// `DELETE`
    Delete,
}

/// What is done with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobOp {
    /// `GET`, `HEAD`
    Read,
    /// `DELETE`
    Delete,
}

/// How an upload begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With a session that the bytes are sent to, hashed with this as they come (OC7, OC9).
    Session(DigestAlgorithm),
    /// With the whole blob in this very request (`?digest=`, OC8).
    Whole(Digest),
    /// With a blob that another repository has (OC15).
    Mount(Mount),
}

/// `?mount=DIGEST&from=NAME`, both valid. What is not valid asks for an ordinary session and is
/// never echoed (CH12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The blob.
    pub digest: Digest,
    /// Where it is; where this is not said, it may be any repository that the caller can pull.
    pub from: Option<RepositoryName>,
}

/// What is done with an upload session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadOp {
    /// `GET`, `HEAD`
    Status,
    /// `PATCH`
    Append,
    /// `PUT ?digest=`
    Finish(Digest),
    /// `DELETE`
    Cancel,
}

/// The part of a list that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T = String> {
    /// How many entries at most; may be 0 (OC21). Never more than is safe to hold in memory.
    pub limit: usize,
    /// Only entries that come after this one, which need not exist.
    pub after: Option<T>,
}

impl Page {
    /// Names in one page of the catalog that says no number (DX1).
    pub const CATALOG_DEFAULT: usize = 100;
    /// Names in one page of the catalog whatever a registry allows; a larger number is refused, as distribution does (DX1).
    pub const CATALOG_LIMIT: usize = portpass_state::MAX_PAGE;
    /// Tags in one page: a larger number, or none, means this one (OC21, CVE-2023-2253).
    pub const TAGS_LIMIT: usize = portpass_state::MAX_PAGE;
    /// Descriptors in one page of referrers.
    pub const REFERRERS_LIMIT: usize = 1000;
    /// Characters that `last` may have: those of the longest repository name.
    pub const MAX_LAST: usize = RepositoryName::MAX_LENGTH;
}

/// The `artifactType` that a list of referrers is narrowed to; any text, compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactType(Box<str>);

impl ArtifactType {
    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why there is no route. None of these depends on what is stored, so a caller without credentials
/// learns nothing from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The path or the query names no digest, or one that is not computed here.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The path is not percent-encoded UTF-8.
    #[error("the path is not UTF-8 once it is percent-decoded")]
    Encoding,
    /// `last` is too long, or holds what no name has (`OC27b`).
    #[error("`last` must be at most {} printable characters", Page::MAX_LAST)]
    Last,
    /// The method is not one of this path.
    #[error("the path supports {allow}, not {method}")]
    Method {
        /// As sent.
        method: Method,
        /// For the header `Allow`.
        allow: &'static str,
    },
    /// `PUT` to an upload without `?digest=` (OC12).
    #[error("an upload is finished with `?digest=`, which is missing")]
    MissingDigest,
    /// Not a repository name.
    #[error(transparent)]
    Name(NameError),
    /// What is read is neither tag nor digest, so it is nowhere (the conformance suite of OCI 1.1).
    #[error(transparent)]
    NoReference(ReferenceError),
    /// `n` is no number.
    #[error("`n` must be a number with only digits")]
    Number,
    /// `n` is more than may be asked for.
    #[error("`n` must be at most {limit}")]
    NumberTooLarge {
        /// The most that may be asked for.
        limit: usize,
    },
    /// `OPTIONS`: no error, but no route either; answered with `Allow` alone (OC29).
    #[error("the path supports {allow}")]
    Options {
        /// For the header `Allow`.
        allow: &'static str,
    },
    /// Not a tag.
    #[error(transparent)]
    Tag(NameError),
    /// More tags in one request than are taken (OC19).
    #[error("{count} tags are more than the {} that one push may set", Self::MAX_TAGS)]
    TooManyTags {
        /// How many there were.
        count: usize,
    },
    /// No endpoint has such a path.
    #[error("no endpoint of this registry has this path")]
    Unknown,
    /// The session's name is none that was ever given (`OC27b`).
    #[error("the upload session's id is not one of this registry")]
    UploadId,
}

impl RouteError {
    /// Tags that one push may set; the specification wants at least ten (OC19).
    pub const MAX_TAGS: usize = 64;
}

impl From<ReferenceError> for RouteError {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Digest(error) => Self::Digest(error),
            ReferenceError::Tag(error) => Self::Tag(error),
        }
    }
}
