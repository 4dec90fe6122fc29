//! One handler for each arm of [`Route`], called with what was authorized and nothing else.

use std::time::Duration;

use axum::{body::Body, response::Response};
use futures_util::{TryStreamExt as _, stream};
use http::{HeaderName, request::Parts};
use portpass_protocol::{ClientAddress, RepositoryChange, RepositoryName, RequestId};
use portpass_storage::BodyStream;
use tokio::time;

use crate::{
    access::Authorized,
    error::Error,
    event::Event,
    grant::Grant,
    notification::{Cause, Pulled},
    registry::Registry,
    route::{BlobOp, ManifestOp, Route, UploadOp},
};

mod base;
mod blob;
mod catalog;
mod conditional;
mod list;
mod manifest;
mod referrers;
mod tags;
mod upload;

/// All that a handler may use: it owns every part, so that work which must not stop half way can
/// be moved into a task of its own.
#[derive(Debug)]
pub(crate) struct Call {
    /// The database, the store, the clock. Cheap to clone.
    pub(crate) registry: Registry,
    /// Who asks, and how far they reach.
    pub(crate) grant: Grant,
    /// Method, headers, extensions. The path and query are in the route.
    pub(crate) head: Parts,
    /// Not read yet.
    pub(crate) body: Body,
}

impl Call {
    /// Has others told of a pull.
    pub(crate) fn announce_pull(&self, repository: &RepositoryName, pulled: Pulled<'_>) {
        if let Some(notifications) = self.registry.notifications() {
            notifications.pulled(repository, pulled, &self.cause());
        }
    }

    /// Who asks and how, for whoever is told what is done.
    pub(crate) fn cause(&self) -> Cause {
        Cause::of(self.grant.subject(), &self.head)
    }

    /// Who asks and from where, for what has changed by it.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            subject: self.grant.subject().to_owned(),
            address: self.head.extensions.get().copied(),
            request: self.head.extensions.get().cloned(),
        }
    }
}

/// Who makes a request, and from where.
#[derive(Debug)]
pub(crate) struct Actor {
    subject: String,
    address: Option<ClientAddress>,
    request: Option<RequestId>,
}

impl Actor {
    /// Emits the event of what this actor has changed.
    pub(crate) fn emit_change(
        self,
        registry: &Registry,
        repository: &RepositoryName,
        change: RepositoryChange,
    ) {
        let Self { subject, address, request } = self;
        let (at, repository) = (registry.now(), repository.clone());
        registry.events().emit(Event { at, subject, address, request, repository, change });
    }
}

/// A request's body as the store wants it.
///
/// It breaks off when nothing has come for [`STALL_TIMEOUT`]: a client may vanish without a word, and would
/// hold its connection and its upload for good.
pub(crate) fn stream(body: Body) -> BodyStream {
    let pieces = body.into_data_stream().map_err(axum::Error::into_inner);
    Box::pin(stream::try_unfold(pieces, |mut pieces| async move {
        match time::timeout(STALL_TIMEOUT, pieces.try_next()).await {
            Ok(next) => Ok(next?.map(|piece| (piece, pieces))),
            Err(_) => Err(format!("nothing came for {} s", STALL_TIMEOUT.as_secs()).into()),
        }
    }))
}

/// Longer than any client pauses, even one that copies from a registry that is busy.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);

/// Serves what was authorized: one arm for each route, one handler for each arm.
pub(crate) async fn serve(
    authorized: Authorized,
    registry: Registry,
    head: Parts,
    body: Body,
) -> Result<Response, Error> {
    let (route, grant) = authorized.into_parts();
    let call = Call { registry, grant, head, body };
    match route {
        Route::Base => Ok(base::answer()),
        Route::Catalog { page } => catalog::list(call, page).await,
        Route::Tags { name, page } => tags::list(call, name, page).await,
        Route::Manifest { name, reference, op } => match op {
            ManifestOp::Read => manifest::read(call, name, reference).await,
            ManifestOp::Write { also } => manifest::write(call, name, reference, also).await,
            ManifestOp::Delete => manifest::delete(call, name, reference).await,
        },
        Route::Blob { name, digest, op } => match op {
            BlobOp::Read => blob::read(call, name, digest).await,
            BlobOp::Delete => blob::delete(call, name, digest).await,
        },
        Route::StartUpload { name, start } => upload::start(call, name, start).await,
        Route::Upload { name, id, op } => match op {
            UploadOp::Status => upload::status(call, name, id).await,
            UploadOp::Append => upload::append(call, name, id).await,
            UploadOp::Finish(digest) => upload::finish(call, name, id, digest).await,
            UploadOp::Cancel => upload::cancel(call, name, id).await,
        },
        Route::Referrers { name, digest, artifact_type, page } => {
            referrers::list(call, name, digest, artifact_type, page).await
        }
    }
}

/// The digest of what an answer is about; distribution's name for it is the specification's too.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
