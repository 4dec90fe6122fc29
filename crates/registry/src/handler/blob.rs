//! Reading and deleting blobs.

mod byteranges;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use portpass_protocol::{
    Digest, RepositoryChange, RepositoryName,
    range::{ByteRange, Requested},
};
use portpass_state::{Blob, Change};
use portpass_storage::{Content, Location, StoreError};

use super::{Call, conditional};
use crate::{
    error::Error,
    notification::Pulled,
    registry::{Deletes, Registry},
};

/// `GET` and `HEAD /v2/NAME/blobs/DIGEST` (OC2, OC3). A `HEAD` opens nothing, but looks whether the bytes are there:
/// its 200 keeps clients from pushing them.
pub(crate) async fn read(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, Error> {
    let (registry, head) = (&call.registry, &call.head);
    let found = match head.method {
        Method::HEAD => registry.db().blob(&name, &digest).await?,
        _ => registry.db().blob_to_send(&name, &digest).await?,
    };
    let Some(blob) = found else {
        return Err(Error::BlobUnknown { name, digest });
    };
    if head.method == Method::HEAD && !is_whole(registry, &blob, &digest).await? {
        return Err(Error::BlobLost { name, digest });
    }
    if conditional::is_known(&head.headers, &digest) {
        return Ok((StatusCode::NOT_MODIFIED, validators(&digest)).into_response());
    }
    let pulled = Pulled::Blob { digest: &digest, size: blob.size };
    if head.method == Method::HEAD {
        call.announce_pull(&name, pulled);
        return Ok(described(StatusCode::OK, &digest, &blob, blob.size, Body::empty()));
    }
    match requested(&head.headers, &digest, blob.size) {
        Requested::Whole => {
            let content = open(registry, &blob, &digest, None).await?;
            call.announce_pull(&name, pulled);
            Ok(described(StatusCode::OK, &digest, &blob, blob.size, body(content)))
        }
        Requested::Part(part) => {
            let content = open(registry, &blob, &digest, Some(part)).await?;
            call.announce_pull(&name, pulled);
            let response = described(
                StatusCode::PARTIAL_CONTENT,
                &digest,
                &blob,
                part.length(),
                body(content),
            );
            Ok(([(header::CONTENT_RANGE, part.content_range(blob.size))], response).into_response())
        }
        Requested::Parts(parts) => {
            call.announce_pull(&name, pulled);
            byteranges::answer(call.registry, blob, digest, parts).await
        }
        Requested::Unsatisfiable => Err(Error::RangeNotSatisfiable { length: blob.size }),
    }
}

/// `DELETE /v2/NAME/blobs/DIGEST` (OC23): the repository lets go of the blob. The bytes go when no
/// repository holds it.
pub(crate) async fn delete(
    call: Call,
    name: RepositoryName,
    digest: Digest,
) -> Result<Response, Error> {
    let registry = &call.registry;
    match registry.deletes() {
        Deletes::Disabled => return Err(Error::DeletesDisabled { allow: "GET, HEAD" }),
        Deletes::Enabled => {}
    }
    match registry.db().delete_blob(&name, &digest, registry.now()).await? {
        Change::Done => {
            call.actor().emit_change(registry, &name, RepositoryChange::BlobDeleted { digest });
            Ok(StatusCode::ACCEPTED.into_response())
        }
        Change::Unknown => Err(Error::BlobUnknown { name, digest }),
    }
}

/// What part of the blob the client wants. A range that is only wanted of another content is none
/// (RFC 9110 §13.1.5).
fn requested(headers: &HeaderMap, digest: &Digest, size: u64) -> Requested {
    if conditional::range_is_of_another(headers, digest) {
        return Requested::Whole;
    }
    // A value that is no text is no range either.
    let header = headers.get(header::RANGE).map(|value| value.to_str().unwrap_or(""));
    Requested::parse(header, size)
}

/// Whether the bytes of a blob are there. If not, it is told to whoever reads the log.
pub(super) async fn is_whole(
    registry: &Registry,
    blob: &Blob,
    digest: &Digest,
) -> Result<bool, Error> {
    let location = Location::from(blob.location.clone());
    let whole = portpass_storage::is_whole(&**registry.store(), location, blob.size).await?;
    if !whole {
        tell_of_loss(blob, digest);
    }
    Ok(whole)
}

/// Those of these blobs that the repository holds, but whose bytes are not there.
pub(super) async fn lost_among(
    registry: &Registry,
    name: &RepositoryName,
    digests: &[Digest],
) -> Result<Vec<Digest>, Error> {
    let held = registry.db().held_among(name, digests).await?;
    let objects = held.iter().map(|(_, blob)| Location::from(blob.location.clone())).collect();
    let lengths = registry.store().lengths(objects).await?;
    let is_lost = |((_, blob), length): &(&(Digest, Blob), _)| *length != Some(blob.size);
    let lost = held.iter().zip(lengths).filter(is_lost);
    Ok(lost
        .map(|((digest, blob), _)| {
            tell_of_loss(blob, digest);
            *digest
        })
        .collect())
}

fn tell_of_loss(Blob { location, size, .. }: &Blob, digest: &Digest) {
    tracing::error!(
        %digest, object = location, size,
        "the object of a blob is gone or has another length; push the blob again to repair it"
    );
}

/// The bytes, as they are read.
async fn open(
    registry: &Registry,
    blob: &Blob,
    digest: &Digest,
    part: Option<ByteRange>,
) -> Result<Content, StoreError> {
    let location = Location::from(blob.location.clone());
    let offsets = part.map_or(0..blob.size, |part| part.first()..part.last() + 1);
    let opened = registry.store().open(&location, blob.size, offsets).await;
    if let Err(StoreError::Lost { .. }) = &opened {
        tell_of_loss(blob, digest);
    }
    opened
}

fn body(content: Content) -> Body {
    match content {
        Content::Whole(bytes) => bytes.into(),
        Content::Stream { stream, .. } => Body::from_stream(stream),
    }
}

/// The headers of an answer that has bytes of the blob, or would have.
fn described(
    status: StatusCode,
    digest: &Digest,
    blob: &Blob,
    length: u64,
    body: Body,
) -> Response {
    let headers = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_TYPE, blob.media_type.clone()),
    ];
    (status, validators(digest), headers, body).into_response()
}

/// What a cache keeps of a blob; it never changes.
fn validators(digest: &Digest) -> [(HeaderName, String); 3] {
    [
        (header::CACHE_CONTROL, "max-age=31536000".to_owned()),
        (header::ETAG, conditional::etag(digest)),
        (super::CONTENT_DIGEST, digest.to_string()),
    ]
}
