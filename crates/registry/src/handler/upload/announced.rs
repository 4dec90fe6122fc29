//! What a request's headers say of the bytes that it carries.

use axum::body::{Body, HttpBody as _};
use http::{HeaderMap, header};
use portpass_protocol::{ContentRange, RepositoryName};
use portpass_state::UploadId;

use crate::error::Error;

/// Where the bytes of a body belong, if the request says so (OC11).
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced(Option<ContentRange>);

impl Announced {
    /// Reads `Content-Range` and compares it with the body's length, where that is known.
    pub(super) fn read(headers: &HeaderMap, body: &Body, id: UploadId) -> Result<Self, Error> {
        let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(Self(None)) };
        let text = String::from_utf8_lossy(value.as_bytes());
        let range = ContentRange::parse(&text)
            .map_err(|error| Error::ContentRange { id, reason: error.to_string() })?;
        let announced = Self(Some(range));
        match body.size_hint().exact() {
            Some(length) => announced.holds(length).map(|()| announced),
            None => Ok(announced),
        }
    }

    /// Whether the bytes come right behind the `length` that have arrived.
    pub(super) fn follows(
        self,
        name: &RepositoryName,
        id: UploadId,
        length: u64,
    ) -> Result<(), Error> {
        match self.0.map(|range| range.bytes().first()) {
            Some(first) if first != length => Err(Error::UploadOffset {
                name: name.clone(),
                id,
                length,
                reason: format!("the next byte is at {length}, and not at {first}"),
            }),
            _ => Ok(()),
        }
    }

    /// Whether as many bytes came as were announced.
    pub(super) fn holds(self, received: u64) -> Result<(), Error> {
        match self.0.map(|range| range.bytes().length()) {
            Some(announced) if announced != received => Err(Error::Length { announced, received }),
            _ => Ok(()),
        }
    }
}
