//! Answers: the one table from error to status, code and header, and what every answer has.

use std::{error::Error as _, time::Duration};

use axum::{body::Body, response::Response};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body::Body as _;
use portpass_protocol::{
    Access, ErrorBody, ErrorCode, ErrorEntry, RefusalDetails, RequestOutcome, error::Detail,
    manifest::ManifestError, range,
};
use portpass_state::StateError;
use portpass_storage::StoreError;
use serde::Serialize;

use crate::{
    access::Denied,
    controller::{Denial, MissingCredentials},
    error::Error,
    location,
    route::RouteError,
};

/// What a refusal becomes: the one table of its kind. There is no arm for "the rest".
struct Refusal {
    status: StatusCode,
    /// At least one.
    errors: Vec<ErrorEntry>,
    /// A stable word for the log.
    id: &'static str,
    headers: Vec<(HeaderName, String)>,
}

/// A path or query that is no route.
pub(crate) fn route_error(error: &RouteError) -> Response {
    let refused = match error {
        RouteError::Digest(_) | RouteError::MissingDigest => {
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, "digest-invalid")
        }
        RouteError::Encoding | RouteError::Name(_) => {
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::NameInvalid, "name-invalid")
        }
        RouteError::Last | RouteError::Number | RouteError::NumberTooLarge { .. } => Refusal::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::PaginationNumberInvalid,
            "page-invalid",
        ),
        RouteError::Method { method: _, allow } => {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "method")
                .with(ALLOW, *allow)
        }
        RouteError::NoReference(_) => {
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, "manifest-unknown")
        }
        RouteError::Options { allow } => return options(allow),
        RouteError::Tag(_) => {
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::TagInvalid, "tag-invalid")
        }
        RouteError::TooManyTags { .. } => {
            Refusal::new(StatusCode::URI_TOO_LONG, ErrorCode::TagInvalid, "too-many-tags")
        }
        RouteError::Unknown => {
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "path-unknown")
        }
        RouteError::UploadId => {
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, "upload-unknown")
        }
    };
    refused.with_message(error).answer(None, error.to_string())
}

/// A caller who is not known, or may not. Always 401, with the one challenge (CH8, R2); only where
/// nobody could say is it 503, for then nothing is wrong with the caller, and 429 where too many wrong
/// passwords came before.
pub(crate) fn denied(denied: &Denied) -> Response {
    let Denied { needed, subject, denial, fingerprint, challenge: _ } = denied;
    let mut response = denial_refusal(denied).answer(subject.clone(), denial.to_string());
    // Every conversation begins without credentials; nobody asks why.
    if !matches!(denial, Denial::Missing(MissingCredentials::Nothing)) {
        let handled = response.extensions_mut().remove::<RequestOutcome>().unwrap_or_default();
        response.extensions_mut().insert(
            handled.with_details(RefusalDetails {
                fingerprint: *fingerprint,
                ..details(needed, denial)
            }),
        );
    }
    response
}

fn denial_refusal(
    Denied { needed, subject: _, denial, fingerprint: _, challenge }: &Denied,
) -> Refusal {
    let id = denial.id();
    match denial {
        Denial::InsufficientScope { .. }
        | Denial::InvalidToken(_)
        | Denial::Missing(_)
        | Denial::WrongPassword { .. } => Refusal {
            status: StatusCode::UNAUTHORIZED,
            errors: ErrorBody::unauthorized(needed).errors,
            id,
            headers: vec![(WWW_AUTHENTICATE, challenge.to_string())],
        },
        Denial::Limited(limited) => {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, id)
                .with_message(limited)
                .retry_after(limited.retry_after)
        }
        Denial::Unavailable { what: _, retry_after } => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, id)
                .retry_after(*retry_after)
        }
    }
}

/// What a denial rests on, for whoever asks later.
fn details(needed: &[Access], denial: &Denial) -> RefusalDetails {
    let needed = needed.iter().cloned().collect();
    match denial {
        Denial::InsufficientScope { granted, lacking: _ } => {
            RefusalDetails { needed, granted: granted.clone(), ..RefusalDetails::default() }
        }
        Denial::InvalidToken(reason) => RefusalDetails {
            needed,
            token: reason.token.as_deref().cloned(),
            ..RefusalDetails::default()
        },
        Denial::Limited(_)
        | Denial::Missing(_)
        | Denial::Unavailable { .. }
        | Denial::WrongPassword { .. } => RefusalDetails { needed, ..RefusalDetails::default() },
    }
}

/// A request that was authorized and is not served.
pub(crate) fn error(error: &Error, subject: &str) -> Response {
    refusal(error).answer(Some(subject.to_owned()), with_causes(error))
}

fn refusal(error: &Error) -> Refusal {
    let because = |status, code, id| Refusal::new(status, code, id).with_message(error);
    match error {
        Error::BlobUnknown { name: _, digest } => {
            because(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, "blob-unknown").about(digest)
        }
        Error::BlobLost { name: _, digest } => {
            because(StatusCode::NOT_FOUND, ErrorCode::BlobUnknown, "blob-lost").about(digest)
        }
        Error::BodyBroken { .. } => {
            because(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, "body-broken")
        }
        Error::ContentRange { .. } => {
            because(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid, "content-range")
        }
        Error::Groups(_) => Refusal::unavailable("groups-unavailable"),
        Error::ManifestsBusy { .. } => Refusal::unavailable("manifests-busy"),
        Error::DeletesDisabled { allow } => {
            because(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "deletes-disabled")
                .with(ALLOW, *allow)
        }
        Error::ReadOnly { allow } => {
            because(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, "read-only")
                .with(ALLOW, *allow)
        }
        Error::DigestMismatch { computed: _, expected } => {
            because(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, "digest-mismatch")
                .about(expected)
        }
        Error::Length { .. } => because(StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid, "length"),
        Error::ManifestBlobUnknown { name: _, digests } => Refusal {
            errors: digests.iter().map(missing).collect(),
            ..because(
                StatusCode::BAD_REQUEST,
                ErrorCode::ManifestBlobUnknown,
                "manifest-blob-unknown",
            )
        },
        Error::ManifestInvalid(ManifestError::TooLong { .. }) | Error::ManifestTooLong => {
            because(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid, "manifest-too-long")
        }
        Error::ManifestInvalid(_) | Error::ManifestUntyped => {
            because(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, "manifest-invalid")
        }
        Error::ManifestUnknown { name: _, reference } => {
            because(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, "manifest-unknown")
                .about(reference)
        }
        Error::NameUnknown { name } => {
            let detail = Detail::Object(vec![("name", name.to_string())]);
            because(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, "name-unknown").detail(&detail)
        }
        Error::TagImmutable { name: _, tag, rule: _ } => {
            because(StatusCode::CONFLICT, ErrorCode::Denied, "tag-immutable").about(tag)
        }
        Error::TokenExpired(denied) => denial_refusal(denied),
        Error::RangeNotSatisfiable { length } => {
            because(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid, "range")
                .with(CONTENT_RANGE, range::unsatisfiable(*length))
        }
        Error::CatalogNumber { limit: _ } => {
            because(StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid, "page-invalid")
        }
        Error::TooManyUploads => {
            because(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, "too-many-uploads")
        }
        Error::UploadOffset { name, id, length, reason: _ } => {
            because(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid, "upload-offset")
                .with(LOCATION, location::upload(name, *id))
                .with(RANGE, range::progress(*length))
        }
        Error::UploadUnknown { .. } => {
            because(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, "upload-unknown")
        }
        Error::State(error) => state(error),
        Error::Store(error) => store(error),
        Error::Origin | Error::Task { .. } => Refusal::internal("fault"),
    }
}

/// The whole chain of causes, for the log: the system's own words are at its end.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// The database. A row that makes no sense is our fault; that it does not answer is nobody's.
fn state(error: &StateError) -> Refusal {
    match error {
        StateError::Unavailable(_) => Refusal::unavailable("database-unavailable"),
        StateError::Altered { .. }
        | StateError::Foreign
        | StateError::Inconsistent { .. }
        | StateError::Newer { .. }
        | StateError::Open { .. }
        | StateError::Unusable { .. } => Refusal::internal("database-fault"),
    }
}

/// The store.
fn store(error: &StoreError) -> Refusal {
    match error {
        StoreError::Full { .. } => Refusal::unavailable("storage-full"),
        StoreError::Io { .. } => Refusal::unavailable("storage-unavailable"),
        StoreError::Busy { .. } => Refusal::unavailable("too-many-transfers"),
        StoreError::TooManySegments { .. } => {
            Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, "too-many-chunks")
                .with_message(error)
        }
        StoreError::DamagedHash
        | StoreError::DamagedUpload { .. }
        | StoreError::ForeignLocation { .. }
        | StoreError::Lost { .. }
        | StoreError::NoFreshName
        | StoreError::OutOfRange { .. } => Refusal::internal("storage-fault"),
    }
}

fn missing(digest: &portpass_protocol::Digest) -> ErrorEntry {
    ErrorEntry::new(ErrorCode::ManifestBlobUnknown).with_detail(Detail::Text(digest.to_string()))
}

impl Refusal {
    fn new(status: StatusCode, code: ErrorCode, id: &'static str) -> Self {
        Self { status, errors: vec![ErrorEntry::new(code)], id, headers: Vec::new() }
    }

    /// Our fault; the client is not told which, the log is.
    fn internal(id: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, id)
    }

    /// Nobody's fault; the client may come back.
    fn unavailable(id: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, id)
            .retry_after(RETRY_AFTER_FAULT)
    }

    fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        self.with(RETRY_AFTER, seconds.to_string())
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Tells the client the whole sentence: it holds nothing but what the client sent.
    fn with_message(mut self, sentence: &impl ToString) -> Self {
        self.errors =
            self.errors.into_iter().map(|entry| entry.with_message(sentence.to_string())).collect();
        self
    }

    fn about(self, thing: &impl ToString) -> Self {
        self.detail(&Detail::Text(thing.to_string()))
    }

    fn detail(mut self, detail: &Detail) -> Self {
        self.errors =
            self.errors.into_iter().map(|entry| entry.with_detail(detail.clone())).collect();
        self
    }

    fn answer(self, subject: Option<String>, text: String) -> Response {
        let body: ErrorBody = self.errors.into_iter().collect();
        let mut response = Response::new(Body::from(body.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        for (name, value) in self.headers {
            // Challenges are printable ASCII, and the rest is ours.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response.extensions_mut().insert(RequestOutcome::refused(subject, self.id, text));
        response
    }
}

/// What `OPTIONS` is answered with (OC29).
fn options(allow: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// An answer of JSON, with the line end that distribution sends too.
pub(crate) fn json(content_type: HeaderValue, value: &impl Serialize) -> Result<Response, Error> {
    let mut body = serde_json::to_vec(value).map_err(|_| Error::Task { doing: "writing JSON" })?;
    body.push(b'\n');
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// What every answer has, and what the answer to a `HEAD` does not have (CH10, R13).
pub(crate) fn finish(method: &Method, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if method == Method::HEAD {
        let length = response.body().size_hint().exact();
        if let (Some(length), None) = (length, response.headers().get(CONTENT_LENGTH)) {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        *response.body_mut() = Body::empty();
    }
    response
}

/// `application/json`
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Old docker clients ask for it even on a 401 (CH10).
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// When to come back after something of ours did not answer.
const RETRY_AFTER_FAULT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::io;

    use http_body_util::BodyExt as _;

    use super::*;

    /// Our faults are told to the log in the system's words, and to the client in none of ours.
    #[tokio::test]
    async fn the_log_is_told_what_the_client_is_not() {
        let source = || io::Error::other("/data/blobs/ab: input/output error");
        for (fault, status, text) in [
            (
                StoreError::Io { doing: "open a blob", source: source() }.into(),
                StatusCode::SERVICE_UNAVAILABLE,
                "blob storage failed to open a blob: /data/blobs/ab: input/output error",
            ),
            (
                StateError::Open { path: "/data/portpass.db".into(), source: source() }.into(),
                StatusCode::INTERNAL_SERVER_ERROR,
                "cannot open the database /data/portpass.db: /data/blobs/ab: input/output error",
            ),
        ] {
            let response = error(&fault, "ann");
            assert_eq!(response.status(), status);
            let handled = response.extensions().get::<RequestOutcome>().unwrap();
            assert_eq!(handled.refusal.as_ref().unwrap().text, text);
            assert_eq!(handled.subject.as_deref(), Some("ann"));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            assert!(!body.contains("/data"), "{body}");
        }
    }
}
