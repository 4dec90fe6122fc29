//! Paths, read from their end.

use http::Method;
use portpass_protocol::{Reference, RepositoryName};

use super::{BlobOp, ManifestOp, Route, RouteError, UploadOp, query::Query};

/// A path whose words are told apart, but not yet parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Base,
    Blob { name: &'a str, digest: &'a str },
    Catalog,
    Manifest { name: &'a str, reference: &'a str },
    Referrers { name: &'a str, digest: &'a str },
    StartUpload { name: &'a str },
    Tags { name: &'a str },
    Upload { name: &'a str, id: &'a str },
}

impl<'a> Endpoint<'a> {
    /// Finds the endpoint of a decoded path. `/v2` and `/v2/` are alike, and so are the two
    /// spellings of where uploads start (R9, OC7).
    pub(super) fn find(path: &'a str) -> Option<Self> {
        let rest = match path.strip_prefix("/v2")? {
            "" | "/" => return Some(Self::Base),
            rest => rest.strip_prefix('/')?,
        };
        if rest == "_catalog" {
            return Some(Self::Catalog);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags { name });
        }
        if let Some(name) = rest.strip_suffix('/').unwrap_or(rest).strip_suffix("/blobs/uploads") {
            return Some(Self::StartUpload { name });
        }
        let (before, last) = rest.rsplit_once('/').filter(|(_, last)| !last.is_empty())?;
        let (name, word) = before.rsplit_once('/')?;
        match word {
            "blobs" => Some(Self::Blob { name, digest: last }),
            "manifests" => Some(Self::Manifest { name, reference: last }),
            "referrers" => Some(Self::Referrers { name, digest: last }),
            "uploads" => Some(Self::Upload { name: name.strip_suffix("/blobs")?, id: last }),
            _ => None,
        }
    }

    /// What the method asks of this path.
    pub(super) fn route(self, method: &Method, query: &Query<'_>) -> Result<Route, RouteError> {
        match (self, Verb::of(method)) {
            (Self::Base, Verb::Read) => Ok(Route::Base),
            (Self::Catalog, Verb::Read) => Ok(Route::Catalog { page: query.catalog_page()? }),
            (Self::Tags { name }, Verb::Read) => {
                Ok(Route::Tags { name: repository(name)?, page: query.tags_page()? })
            }
            (Self::Referrers { name, digest }, Verb::Read) => Ok(Route::Referrers {
                name: repository(name)?,
                digest: digest.parse()?,
                artifact_type: query.artifact_type(),
                page: query.referrers_page()?,
            }),
            (Self::Manifest { name, reference }, Verb::Read) => {
                let name = repository(name)?;
                let reference = reference.parse().map_err(RouteError::NoReference)?;
                Ok(Route::Manifest { name, reference, op: ManifestOp::Read })
            }
            (Self::Manifest { name, reference }, Verb::Put) => manifest(name, reference, |to| {
                Ok(ManifestOp::Write { also: query.tags_beside(to)? })
            }),
            (Self::Manifest { name, reference }, Verb::Delete) => {
                manifest(name, reference, |_| Ok(ManifestOp::Delete))
            }
            (Self::Blob { name, digest }, Verb::Read) => blob(name, digest, BlobOp::Read),
            (Self::Blob { name, digest }, Verb::Delete) => blob(name, digest, BlobOp::Delete),
            (Self::StartUpload { name }, Verb::Post) => {
                Ok(Route::StartUpload { name: repository(name)?, start: query.start()? })
            }
            (Self::Upload { name, id }, Verb::Read) => upload(name, id, UploadOp::Status),
            (Self::Upload { name, id }, Verb::Patch) => upload(name, id, UploadOp::Append),
            (Self::Upload { name, id }, Verb::Put) => {
                upload(name, id, UploadOp::Finish(query.digest()?))
            }
            (Self::Upload { name, id }, Verb::Delete) => upload(name, id, UploadOp::Cancel),
            (endpoint, Verb::Options) => Err(RouteError::Options { allow: endpoint.allow() }),
            (endpoint, _) => {
                Err(RouteError::Method { method: method.clone(), allow: endpoint.allow() })
            }
        }
    }

    /// The methods that [`Endpoint::route`] knows for this path.
    fn allow(self) -> &'static str {
        match self {
            Self::Base | Self::Catalog | Self::Referrers { .. } | Self::Tags { .. } => "GET, HEAD",
            Self::Blob { .. } => "GET, HEAD, DELETE",
            Self::Manifest { .. } => "GET, HEAD, PUT, DELETE",
            Self::StartUpload { .. } => "POST",
            Self::Upload { .. } => "GET, HEAD, PATCH, PUT, DELETE",
        }
    }
}

/// The methods that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Delete,
    Options,
    Other,
    Patch,
    Post,
    Put,
    /// `GET` and `HEAD`
    Read,
}

impl Verb {
    fn of(method: &Method) -> Self {
        match *method {
            Method::DELETE => Self::Delete,
            Method::GET | Method::HEAD => Self::Read,
            Method::OPTIONS => Self::Options,
            Method::PATCH => Self::Patch,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            _ => Self::Other,
        }
    }
}

fn manifest(
    name: &str,
    reference: &str,
    op: impl FnOnce(&Reference) -> Result<ManifestOp, RouteError>,
) -> Result<Route, RouteError> {
    let (name, reference) = (repository(name)?, reference.parse()?);
    let op = op(&reference)?;
    Ok(Route::Manifest { name, reference, op })
}

fn blob(name: &str, digest: &str, op: BlobOp) -> Result<Route, RouteError> {
    Ok(Route::Blob { name: repository(name)?, digest: digest.parse()?, op })
}

fn upload(name: &str, id: &str, op: UploadOp) -> Result<Route, RouteError> {
    let name = repository(name)?;
    let id = id.parse().map_err(|_| RouteError::UploadId)?;
    Ok(Route::Upload { name, id, op })
}

fn repository(name: &str) -> Result<RepositoryName, RouteError> {
    name.parse().map_err(RouteError::Name)
}
