//! The paths that `Location` and `Link` name. Always without scheme and host, so that a client keeps
//! to the address that it used (R10).

use portpass_protocol::{Digest, RepositoryName};
use portpass_state::UploadId;

/// `/v2/NAME/manifests/DIGEST`
pub(crate) fn manifest(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/manifests/{digest}")
}

/// `/v2/NAME/blobs/DIGEST`
pub(crate) fn blob(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

/// `/v2/NAME/blobs/uploads/ID`
pub(crate) fn upload(name: &RepositoryName, id: UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The same with a query that says nothing: distribution's has one, and scripts go on with `&digest=`.
pub(crate) fn upload_with_query(name: &RepositoryName, id: UploadId) -> String {
    format!("{}?_state={id}", upload(name, id))
}

/// `/v2/NAME/referrers/DIGEST`
pub(crate) fn referrers(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{name}/referrers/{digest}")
}
