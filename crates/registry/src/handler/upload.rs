//! Upload sessions.
//!
//! ```text
//! POST ──> session ── PATCH ──> session ── PUT ?digest= ──> blob       (OC7, OC11, OC12)
//!   │ ?digest=, with the bytes ────────────────────────────> blob       (OC8)
//!   └ ?mount=, held elsewhere ─────────────────────────────> blob       (OC15)
//! ```
//! Whatever reads a body runs in a task of its own: a client that goes away ends its body, but not
//! the work on what had arrived.

mod announced;
mod record;
mod session;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use http::{HeaderName, StatusCode, header};
use portpass_protocol::{Digest, DigestAlgorithm, RepositoryChange, RepositoryName, range};
use portpass_state::{Begun, Candidates, Mounted, NewUpload, UploadId};
use portpass_storage::{Appended, CommitError, End, Upload as Progress};
use tracing::Instrument as _;

use self::{announced::Announced, record::record_blob, session::Session};
use super::{Call, blob::is_whole as blob_is_whole};
use crate::{
    error::Error,
    grant::{Grant, Readable},
    location,
    registry::{Registry, UploadUrls},
    route::{Mount, Start},
};

/// `POST /v2/NAME/blobs/uploads/` (OC7, OC8, OC9, OC15).
///
/// What a mount names as `from` was checked: the grant covers pulling from it.
pub(crate) async fn start(
    call: Call,
    name: RepositoryName,
    start: Start,
) -> Result<Response, Error> {
    match start {
        Start::Session(algorithm) => begin(&call.registry, &name, algorithm).await,
        Start::Whole(digest) => {
            let pushing = whole(call.registry, name.clone(), digest, call.body);
            detached("storing a blob", pushing).await?;
            Ok(created(&name, &digest))
        }
        Start::Mount(mount) => {
            let digest = mount.digest;
            let registry = &call.registry;
            match mounted(registry, &call.grant, &name, mount).await? {
                Outcome::Anew { from } => {
                    let change = RepositoryChange::BlobMounted { digest, from };
                    call.actor().emit_change(registry, &name, change);
                    return Ok(created(&name, &digest));
                }
                Outcome::There => return Ok(created(&name, &digest)),
                Outcome::Nowhere => {}
            }
            begin(registry, &name, digest.algorithm()).await
        }
    }
}

/// `GET` and `HEAD` of a session (OC13).
pub(crate) async fn status(
    call: Call,
    name: RepositoryName,
    id: UploadId,
) -> Result<Response, Error> {
    let upload = find(&call.registry, &name, id).await?;
    let urls = call.registry.settings().upload_urls;
    Ok(session_at(StatusCode::NO_CONTENT, urls, &name, id, upload.length()))
}

/// `PATCH` of a session (OC11).
pub(crate) async fn append(
    call: Call,
    name: RepositoryName,
    id: UploadId,
) -> Result<Response, Error> {
    let Call { registry, head, body, .. } = call;
    let urls = registry.settings().upload_urls;
    let announced = Announced::read(&head.headers, &body, id)?;
    let target = name.clone();
    let length = detached("receiving an upload", async move {
        let session = Session::lease(registry, target, id).await?;
        let (session, upload) = receive(session, announced, body).await?;
        let length = upload.length();
        session.release(upload).await?;
        Ok(length)
    });
    Ok(session_at(StatusCode::ACCEPTED, urls, &name, id, length.await?))
}

/// `PUT ?digest=` of a session (OC12). If the bytes are not what the digest says, the session is as
/// it was before: the same request may be sent again with what was meant, and nothing is read twice for it.
pub(crate) async fn finish(
    call: Call,
    name: RepositoryName,
    id: UploadId,
    digest: Digest,
) -> Result<Response, Error> {
    let Call { registry, head, body, .. } = call;
    let announced = Announced::read(&head.headers, &body, id)?;
    let target = name.clone();
    detached("finishing an upload", async move {
        let session = Session::lease(registry, target, id).await?.hashed_for(&digest).await?;
        let (session, upload) = receive(session, announced, body).await?;
        session.finish(upload, &digest).await
    })
    .await?;
    Ok(created(&name, &digest))
}

/// `DELETE` of a session (OC14), even while another request writes to it.
pub(crate) async fn cancel(
    call: Call,
    name: RepositoryName,
    id: UploadId,
) -> Result<Response, Error> {
    let registry = call.registry;
    let Some(row) = registry.db().cancel_upload(&name, id).await? else {
        return Err(Error::UploadUnknown { name, id });
    };
    let upload = Progress::from_bytes(&row.progress)?;
    registry.store().discard(upload, None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Opens a session.
async fn begin(
    registry: &Registry,
    name: &RepositoryName,
    algorithm: DigestAlgorithm,
) -> Result<Response, Error> {
    let id = UploadId::from_random(registry.draw());
    let progress = registry.store().begin(algorithm).await?.to_bytes();
    let account = registry.db().principal();
    let upload = NewUpload { id, repository: name, account, progress: &progress };
    match registry.db().begin_upload(&upload, registry.now()).await? {
        Begun::Begun => {
            let urls = registry.settings().upload_urls;
            Ok(session_at(StatusCode::ACCEPTED, urls, name, id, 0))
        }
        Begun::TooMany => Err(Error::TooManyUploads),
    }
}

/// Takes a blob that comes with one request. There is no session to go on with: what broke off or
/// is not what the digest says leaves nothing behind.
async fn whole(
    registry: Registry,
    name: RepositoryName,
    digest: Digest,
    body: Body,
) -> Result<(), Error> {
    let store = registry.store();
    let begun = store.begin(digest.algorithm()).await?;
    let Appended { upload, end } = store.append(begun, super::stream(body)).await?;
    let refused = match end {
        End::Broken(reason) => broken(&reason),
        End::Complete => match store.commit(&upload, &digest).await {
            Ok(committed) => {
                record_blob(&registry, &name, &digest, &upload, committed, None).await?;
                return Ok(());
            }
            Err(error) => commit_error(error, &digest),
        },
    };
    store.discard(upload, None).await?;
    Err(refused)
}

/// Lets the repository hold a blob that another one holds, if there is one that the caller may pull
/// from (OC15). It may be this one.
async fn mounted(
    registry: &Registry,
    grant: &Grant,
    name: &RepositoryName,
    Mount { digest, from }: Mount,
) -> Result<Outcome, Error> {
    let db = registry.db();
    if let Some(blob) = db.blob(name, &digest).await? {
        let whole = blob_is_whole(registry, &blob, &digest).await?;
        return Ok(if whole { Outcome::There } else { Outcome::Nowhere });
    }
    let from = match (from, grant.readable()) {
        (Some(from), _) => Some(from),
        (None, Readable::All) => db.find_blob(&digest, Candidates::All).await?,
        (None, Readable::Among(names)) => db.find_blob(&digest, Candidates::Among(&names)).await?,
    };
    let Some(from) = from else { return Ok(Outcome::Nowhere) };
    match db.mount_blob(&from, name, &digest, registry.now()).await? {
        Mounted::Mounted(blob) => {
            let whole = blob_is_whole(registry, &blob, &digest).await?;
            Ok(if whole { Outcome::Anew { from } } else { Outcome::Nowhere })
        }
        Mounted::NotAMember => Ok(Outcome::Nowhere),
    }
}

/// Where a blob is that somebody wants to mount.
enum Outcome {
    /// The repository holds it from now on, as this one does.
    Anew { from: RepositoryName },
    /// It held it already.
    There,
    /// Nobody holds the whole of it who may be asked.
    Nowhere,
}

/// All that has arrived, this body included. Where the body broke off, what came of it is saved
/// for the client to go on from.
async fn receive(
    mut session: Session,
    announced: Announced,
    body: Body,
) -> Result<(Session, Progress), Error> {
    match session.receive(announced, body).await {
        Ok(Appended { upload, end: End::Complete }) => Ok((session, upload)),
        Ok(Appended { upload, end: End::Broken(reason) }) => {
            session.release(upload).await?;
            Err(broken(&reason))
        }
        Err(error) => Err(session.restore(error).await),
    }
}

/// How far a session is.
async fn find(registry: &Registry, name: &RepositoryName, id: UploadId) -> Result<Progress, Error> {
    let row = registry.db().upload(name, id).await?;
    let row = row.ok_or_else(|| Error::UploadUnknown { name: name.clone(), id })?;
    Ok(Progress::from_bytes(&row.progress)?)
}

fn broken(reason: &portpass_storage::BodyError) -> Error {
    Error::BodyBroken { reason: reason.to_string() }
}

fn commit_error(error: CommitError, expected: &Digest) -> Error {
    match error {
        CommitError::Mismatch { computed } => {
            Error::DigestMismatch { computed: computed.into(), expected: *expected }
        }
        CommitError::Store(error) => error.into(),
    }
}

/// Runs `work` to its end, even if nobody waits for it any more.
async fn detached<T: Send + 'static>(
    doing: &'static str,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work.in_current_span()).await.unwrap_or(Err(Error::Task { doing }))
}

/// Where a session is, and how far.
fn session_at(
    status: StatusCode,
    urls: UploadUrls,
    name: &RepositoryName,
    id: UploadId,
    length: u64,
) -> Response {
    let url = match urls {
        UploadUrls::Plain => location::upload(name, id),
        UploadUrls::WithQuery => location::upload_with_query(name, id),
    };
    let headers = [
        (header::LOCATION, url),
        (header::RANGE, range::progress(length)),
        (UPLOAD_ID, id.to_string()),
    ];
    (status, headers).into_response()
}

/// The blob is there.
fn created(name: &RepositoryName, digest: &Digest) -> Response {
    let headers = [
        (header::LOCATION, location::blob(name, digest)),
        (super::CONTENT_DIGEST, digest.to_string()),
    ];
    (StatusCode::CREATED, headers).into_response()
}

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
