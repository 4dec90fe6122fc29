//! Manifests: bytes that are given back as they were pushed.

mod body;
mod immutable;

use std::collections::HashSet;

use axum::{
    body::Body,
    response::{AppendHeaders, IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use portpass_protocol::{
    Digest, DigestAlgorithm, Reference, RepositoryChange, RepositoryName, Tag,
    manifest::{Descriptor, Links, MediaType},
};
use portpass_state::{Manifest, NewManifest};
use serde_json::{Map, Value};

use self::immutable::Binding;
use super::{CONTENT_DIGEST, Call, blob, conditional};
use crate::{error::Error, location, notification::Pulled, pulls::NotedPull, registry::Deletes};

/// `GET` and `HEAD /v2/NAME/manifests/REFERENCE`: what was pushed, whatever the client says that it
/// accepts (OC4, OC5). 304 where the client has it already.
pub(crate) async fn read(
    call: Call,
    name: RepositoryName,
    reference: Reference,
) -> Result<Response, Error> {
    let found = match call.head.method {
        Method::HEAD => call.registry.db().manifest(&name, &reference).await?,
        _ => call.registry.db().manifest_to_send(&name, &reference).await?,
    };
    let Some(manifest) = found else {
        return Err(Error::ManifestUnknown { name, reference });
    };
    let digest = manifest.digest;
    let response = if conditional::is_known(&call.head.headers, &digest) {
        (StatusCode::NOT_MODIFIED, validators(&digest)).into_response()
    } else {
        announce_pull(&call, &name, &reference, &manifest);
        described(manifest)
    };
    note_pull(&call, name, reference, digest);
    Ok(response)
}

fn announce_pull(call: &Call, name: &RepositoryName, reference: &Reference, manifest: &Manifest) {
    let Manifest { bytes, media_type, digest } = manifest;
    let tag = match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(_) => None,
    };
    call.announce_pull(name, Pulled::Manifest { bytes, media_type, digest, tag });
}

/// Clients look a tag up with `HEAD` and then fetch the digest that it names, or fetch it by its tag at once: each is
/// one pull of the tag and one of the manifest. A `HEAD` of a digest only asks whether it is there.
fn note_pull(call: &Call, repository: RepositoryName, reference: Reference, digest: Digest) {
    let (tag, fetched) = match reference {
        Reference::Tag(tag) => (Some(tag), call.head.method != Method::HEAD),
        Reference::Digest(_) if call.head.method == Method::HEAD => return,
        Reference::Digest(_) => (None, true),
    };
    let pull = NotedPull { repository, tag, digest, fetched };
    call.registry.pulls().note(pull, call.registry.now());
}

/// `PUT /v2/NAME/manifests/REFERENCE` (OC16 to OC20): one transaction, and before it nothing that
/// another request could see.
pub(crate) async fn write(
    mut call: Call,
    name: RepositoryName,
    reference: Reference,
    also: Vec<Tag>,
) -> Result<Response, Error> {
    let actor = call.actor();
    let media_type = pushed_media_type(&call.head.headers)?;
    let received = body::receive(&mut call, &name).await?;
    let (expected, tags) = match reference {
        Reference::Digest(digest) => (Some(digest), also),
        Reference::Tag(tag) => (None, vec![tag]),
    };
    let pushed = Pushed::examine(received.bytes.clone(), media_type, expected).await?;
    // What is acknowledged can be pulled: a client that is told pushes the bytes again.
    let lost = blob::lost_among(&call.registry, &name, &pushed.blobs).await?;
    if !lost.is_empty() {
        return Err(Error::ManifestBlobUnknown { name, digests: lost });
    }
    let put = NewManifest {
        repository: &name,
        digest: &pushed.digest,
        media_type: media_type.as_str(),
        bytes: &pushed.bytes,
        blobs: &pushed.blobs,
        children: &pushed.children,
        absent_children: call.registry.settings().absent_children,
        subject: pushed.links.subject.as_ref().map(|subject| &subject.digest),
        artifact_type: pushed.links.referrer_type(),
        annotations: pushed.annotations.as_ref(),
        tags: &tags,
        immutable: &[],
    };
    let registry = call.registry.announcing(call.cause().referring(&pushed.links));
    Binding::new(&registry, call.grant.subject(), &name).put(put).await?;
    let response = created(&name, &pushed, &tags);
    let subject = pushed.links.subject.as_ref().map(|subject| subject.digest);
    let change = RepositoryChange::ManifestPushed { digest: pushed.digest, tags, subject };
    actor.emit_change(&call.registry, &name, change);
    Ok(response)
}

/// `DELETE /v2/NAME/manifests/REFERENCE`: a digest with all its tags, or a tag alone (OC22).
pub(crate) async fn delete(
    call: Call,
    name: RepositoryName,
    reference: Reference,
) -> Result<Response, Error> {
    if call.registry.deletes() == Deletes::Disabled {
        return Err(Error::DeletesDisabled { allow: "GET, HEAD, PUT" });
    }
    let binding = Binding::new(&call.registry, call.grant.subject(), &name);
    let tags = binding.delete(&reference).await?;
    let change = match reference {
        Reference::Digest(digest) => RepositoryChange::ManifestDeleted { digest, tags },
        Reference::Tag(tag) => RepositoryChange::TagDeleted { tag },
    };
    call.actor().emit_change(&call.registry, &name, change);
    Ok(StatusCode::ACCEPTED.into_response())
}

/// The `Content-Type`, which a manifest must have (OC16).
fn pushed_media_type(headers: &HeaderMap) -> Result<MediaType, Error> {
    let header = headers.get(header::CONTENT_TYPE).ok_or(Error::ManifestUntyped)?;
    let text = String::from_utf8_lossy(header.as_bytes());
    Ok(MediaType::from_content_type(&text)?)
}

/// A manifest that came, with what was read in it.
struct Pushed {
    bytes: Bytes,
    /// With the algorithm of the digest that it was pushed by (OC20).
    digest: Digest,
    links: Links,
    blobs: Vec<Digest>,
    children: Vec<Digest>,
    annotations: Option<Map<String, Value>>,
}

impl Pushed {
    /// Hashes and reads it; a large one takes milliseconds, and then on a thread for such work.
    async fn examine(
        bytes: Bytes,
        media_type: MediaType,
        expected: Option<Digest>,
    ) -> Result<Self, Error> {
        if bytes.len() < BLOCKING_LENGTH {
            return Self::new(bytes, media_type, expected);
        }
        tokio::task::spawn_blocking(move || Self::new(bytes, media_type, expected))
            .await
            .unwrap_or(Err(Error::Task { doing: "reading a manifest" }))
    }

    fn new(bytes: Bytes, media_type: MediaType, expected: Option<Digest>) -> Result<Self, Error> {
        let algorithm = expected.as_ref().map_or(DigestAlgorithm::Sha256, Digest::algorithm);
        let digest = Digest::of(algorithm, &bytes);
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            return Err(Error::DigestMismatch { computed: digest.into(), expected });
        }
        let links = Links::parse(&bytes, media_type)?;
        // BuildKit keeps its cache as an index whose entries are layers and not manifests.
        let (children, entries): (Vec<&Descriptor>, Vec<&Descriptor>) = links
            .manifests
            .iter()
            .partition(|entry| MediaType::from_content_type(&entry.media_type).is_ok());
        let children = children.into_iter().map(|child| child.digest).collect();
        let mut named = HashSet::new();
        let blobs = links.blobs().chain(entries).map(|blob| blob.digest);
        let blobs = blobs.filter(|digest| named.insert(*digest)).collect();
        let annotations = &links.annotations;
        let annotations =
            annotations.iter().map(|(key, value)| (key.clone(), value.clone().into()));
        let annotations = Some(annotations.collect::<Map<_, _>>()).filter(|map| !map.is_empty());
        Ok(Self { bytes, digest, links, blobs, children, annotations })
    }
}

/// 201, with the digest's own URL, whatever the manifest was pushed as (OC16, OC18, OC19).
fn created(name: &RepositoryName, pushed: &Pushed, tags: &[Tag]) -> Response {
    let digest = [
        (header::LOCATION, location::manifest(name, &pushed.digest)),
        (CONTENT_DIGEST, pushed.digest.to_string()),
    ];
    let subject =
        pushed.links.subject.as_ref().map(|subject| [(OCI_SUBJECT, subject.digest.to_string())]);
    let tags = AppendHeaders(tags.iter().map(|tag| (OCI_TAG, tag.to_string())));
    (StatusCode::CREATED, digest, subject, tags).into_response()
}

/// 200, with the whole manifest; the body is taken out again for a `HEAD`.
fn described(manifest: Manifest) -> Response {
    let headers = [
        (header::CONTENT_TYPE, manifest.media_type),
        (header::CONTENT_LENGTH, manifest.bytes.len().to_string()),
    ];
    (headers, validators(&manifest.digest), Body::from(manifest.bytes)).into_response()
}

fn validators(digest: &Digest) -> [(HeaderName, String); 2] {
    [(CONTENT_DIGEST, digest.to_string()), (header::ETAG, conditional::etag(digest))]
}

/// Manifests from this size on are hashed and read on a thread for such work.
const BLOCKING_LENGTH: usize = 64 * 1024;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
