//! Manifests, checked on both ways.

use bytes::Bytes;
use portpass_protocol::{
    Digest, Links, MediaType, Reference,
    manifest::{MAX_LENGTH, ManifestError},
};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::{Descriptor, Error, Manifest, Repository};
use crate::{
    session::{Request, RetryPolicy, excerpt, read_unencoded},
    transport::{BufferedResponse, Content},
};

/// What a registry says of the content that it gives or has taken.
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

impl Repository {
    /// Gets a manifest and checks it: the digest that was asked for, else the one that the registry
    /// announces; the media type against the content (GHSA-qq97-vm5h-rrhg).
    pub async fn manifest(&self, reference: &Reference) -> Result<Manifest, Error> {
        let request = self.manifest_request(Method::GET, reference);
        let incoming = self.session.expect(request, &[StatusCode::OK]).await?;
        checked(reference, read_unencoded(incoming, MAX_LENGTH).await?)
    }

    /// What a reference points at; `None` if there is nothing.
    ///
    /// A registry that says too little is asked for the manifest itself.
    pub async fn head_manifest(&self, reference: &Reference) -> Result<Option<Descriptor>, Error> {
        let request = self.manifest_request(Method::HEAD, reference);
        let expected = [StatusCode::OK, StatusCode::NOT_FOUND];
        let incoming = self.session.expect(request, &expected).await?;
        if incoming.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let url = incoming.shown_url();
        let said = announced(incoming.headers(), &url, reference)?;
        let header =
            |name| incoming.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let size = header(CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let media_type = header(CONTENT_TYPE).map(essence);
        match (media_type, said, size) {
            (Some(media_type), Some(digest), Some(size)) => {
                Ok(Some(Descriptor { media_type: media_type.to_owned(), digest, size }))
            }
            _ => self.manifest(reference).await.map(|manifest| Some(manifest.descriptor())),
        }
    }

    /// Puts a manifest under a tag or under its own digest.
    ///
    /// It has to be what it says before it is sent, so that nobody gets from us what two clients read
    /// differently.
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let kind = check(reference, manifest)?;
        let request = Request {
            headers: HeaderMap::from_iter([(
                CONTENT_TYPE,
                HeaderValue::from_static(kind.as_str()),
            )]),
            content: Content::Bytes(manifest.bytes.clone()),
            ..Request::write(Method::PUT, self.manifest_path(reference), self.push())
                .of(&self.repository)
        };
        let expected = [StatusCode::CREATED, StatusCode::OK, StatusCode::NO_CONTENT];
        let incoming = self.session.expect(request, &expected).await?;
        check_stored_digest(incoming.headers(), &incoming.shown_url(), &manifest.digest)
    }

    /// Deletes a tag, or a manifest with all its tags (OC22).
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<(), Error> {
        let scopes = [self.repository.delete()].into_iter().collect();
        let request = Request::write(Method::DELETE, self.manifest_path(reference), scopes);
        let expected = [StatusCode::ACCEPTED, StatusCode::OK, StatusCode::NO_CONTENT];
        self.session.expect(request.of(&self.repository), &expected).await.map(drop)
    }

    fn manifest_request(&self, method: Method, reference: &Reference) -> Request<'_> {
        // Each on its own: distribution responds with 404 to what it is not told of (OC5).
        let accept = MediaType::ALL.map(|kind| (ACCEPT, HeaderValue::from_static(kind.as_str())));
        let mut headers = HeaderMap::new();
        for (name, value) in accept {
            headers.append(name, value);
        }
        let request = Request::read(method, self.manifest_path(reference), self.pull());
        Request { headers, retry: RetryPolicy::Always, ..request.of(&self.repository) }
    }

    fn manifest_path(&self, reference: &Reference) -> String {
        format!("/v2/{}/manifests/{reference}", self.repository)
    }
}

/// A manifest is what was asked for, what the registry says it is, and what it looks like.
fn checked(reference: &Reference, answer: BufferedResponse) -> Result<Manifest, Error> {
    let url = answer.shown_url();
    let digest = match announced(&answer.headers, &url, reference)? {
        None => Digest::sha256(&answer.body),
        Some(expected) => same(&url, expected, &answer.body)?,
    };
    let Some(header) = answer.headers.get(CONTENT_TYPE) else {
        return Err(Error::Header { url, name: "Content-Type", value: None });
    };
    let kind = kind_of(&url, &String::from_utf8_lossy(header.as_bytes()))?;
    parse(&url, &answer.body, kind)?;
    Ok(Manifest { media_type: kind.as_str().to_owned(), digest, bytes: Bytes::from(answer.body) })
}

/// A manifest that is to be sent is what it says.
fn check(reference: &Reference, manifest: &Manifest) -> Result<MediaType, Error> {
    let what = "the manifest to send";
    let kind = kind_of(what, &manifest.media_type)?;
    same(what, manifest.digest, &manifest.bytes)?;
    if let Reference::Digest(expected) = reference {
        same(what, *expected, &manifest.bytes)?;
    }
    parse(what, &manifest.bytes, kind)?;
    Ok(kind)
}

fn kind_of(what: &str, media_type: &str) -> Result<MediaType, Error> {
    MediaType::from_content_type(media_type).map_err(|error| broken(what, error))
}

fn parse(what: &str, bytes: &[u8], kind: MediaType) -> Result<Links, Error> {
    Links::parse(bytes, kind).map_err(|error| broken(what, error))
}

fn broken(what: &str, error: ManifestError) -> Error {
    Error::Manifest { what: what.to_owned(), error }
}

fn same(what: &str, expected: Digest, bytes: &[u8]) -> Result<Digest, Error> {
    let found = Digest::of(expected.algorithm(), bytes);
    if found == expected { Ok(found) } else { Err(Error::digest(what, expected, found)) }
}

/// The digest that an answer has to have: the one that was asked for, else the one that it announces. If
/// there are both, they are the same, unless they are made in two ways (OC20).
fn announced(
    headers: &HeaderMap,
    url: &str,
    reference: &Reference,
) -> Result<Option<Digest>, Error> {
    let said = digest_of(headers, url)?;
    match (reference, said) {
        (Reference::Tag(_), said) => Ok(said),
        (Reference::Digest(asked), Some(said))
            if said != *asked && said.algorithm() == asked.algorithm() =>
        {
            Err(Error::digest(url, *asked, said))
        }
        (Reference::Digest(asked), _) => Ok(Some(*asked)),
    }
}

fn digest_of(headers: &HeaderMap, url: &str) -> Result<Option<Digest>, Error> {
    let Some(header) = headers.get(DOCKER_CONTENT_DIGEST) else { return Ok(None) };
    let text = header.to_str().ok().map(str::trim);
    match text.and_then(|text| text.parse().ok()) {
        Some(digest) => Ok(Some(digest)),
        None if text == Some("") => Ok(None),
        None => Err(Error::Header {
            url: url.to_owned(),
            name: "Docker-Content-Digest",
            value: Some(excerpt(header)),
        }),
    }
}

/// The registry has kept what was sent under its digest, as far as it says.
pub(super) fn check_stored_digest(
    headers: &HeaderMap,
    url: &str,
    expected: &Digest,
) -> Result<(), Error> {
    match digest_of(headers, url)? {
        Some(found) if found != *expected && found.algorithm() == expected.algorithm() => {
            Err(Error::digest(url, *expected, found))
        }
        _ => Ok(()),
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}
