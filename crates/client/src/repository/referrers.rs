//! Manifests about another one: signatures, attestations, lists of contents (distribution
//! specification, "Listing Referrers").
//!
//! A registry that has no such list leaves it to its clients: they keep an index under a tag that is
//! made of the digest ("Referrers Tag Schema").

use std::collections::{BTreeMap, HashSet};

use portpass_protocol::{
    Digest, Links, MediaType, Reference, Tag,
    manifest::{Descriptor, ManifestError},
};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Error, Manifest, Repository};
use crate::{session::Request, transport::BufferedResponse};

/// The manifests that name one manifest as their subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrers {
    /// Each once, in the registry's order.
    pub list: Vec<Referrer>,
    /// Who keeps the list.
    pub api: ReferrersApi,
}

/// Who keeps the list of referrers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferrersApi {
    /// The registry.
    Served,
    /// Its clients, under a tag.
    Absent,
}

/// A manifest about another one, as a list of referrers shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest.
    pub descriptor: Descriptor,
    /// What it is.
    pub artifact_type: Option<String>,
    /// The annotations of the manifest itself.
    pub annotations: BTreeMap<String, String>,
}

impl Referrer {
    /// As a list of referrers has to show a manifest.
    pub fn of(descriptor: Descriptor, links: &Links) -> Self {
        Self {
            descriptor,
            artifact_type: links.referrer_type().map(str::to_owned),
            annotations: links.annotations.clone(),
        }
    }
}

impl Repository {
    /// The manifests that name this one as their subject; none if it is not there.
    ///
    /// # Errors
    /// The registry refuses, cannot be reached, or its list is unreadable or longer than the limits.
    pub async fn referrers(&self, subject: &Digest) -> Result<Referrers, Error> {
        let index = HeaderValue::from_static(MediaType::OciIndex.as_str());
        let path = format!("/v2/{}/referrers/{subject}", self.repository);
        let request = Request {
            headers: HeaderMap::from_iter([(ACCEPT, index)]),
            ..Request::read(Method::GET, path, self.pull()).of(&self.repository)
        };
        match self.session.pages(request, page).await {
            Ok(list) => Ok(Referrers { list: once_each(list), api: ReferrersApi::Served }),
            Err(error) if is_unknown_route(&error) => {
                let list = self.tagged_referrers(subject).await?;
                Ok(Referrers { list: once_each(list), api: ReferrersApi::Absent })
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the list of referrers of `subject` has this one, whose manifest is there
    /// already. Where the registry keeps the list, it knows by itself.
    ///
    /// Two clients that do so at the same time may undo each other's work: there is no way to change
    /// a tag only if nobody else has.
    ///
    /// # Errors
    /// As for [`Repository::referrers`], or the registry does not take the new list.
    pub async fn list_referrer(&self, subject: &Digest, referrer: &Referrer) -> Result<(), Error> {
        let Referrers { mut list, api } = self.referrers(subject).await?;
        let is_it = |one: &Referrer| one.descriptor.digest == referrer.descriptor.digest;
        if api == ReferrersApi::Served || list.iter().any(is_it) {
            return Ok(());
        }
        list.push(referrer.clone());
        let manifests: Vec<Entry> = list.into_iter().map(Entry::from).collect();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OciIndex.as_str(),
            "manifests": manifests,
        });
        let manifest = Manifest::new(MediaType::OciIndex.as_str(), index.to_string());
        self.put_manifest(&Reference::Tag(fallback_tag(subject)), &manifest).await
    }

    async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Referrer>, Error> {
        let reference = Reference::Tag(fallback_tag(subject));
        let manifest = match self.manifest(&reference).await {
            Ok(manifest) => manifest,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // What else has that tag is no list of ours to read.
        if manifest.media_type != MediaType::OciIndex.as_str() {
            return Ok(Vec::new());
        }
        read(&manifest.bytes).map_err(|reason| Error::Manifest {
            what: format!("{}:{reference}", self.repository),
            error: ManifestError::Json { reason },
        })
    }
}

/// The tag under which clients keep the list, where the registry does not: at most 32 characters of
/// the algorithm and 64 of the digest.
pub(crate) fn fallback_tag(subject: &Digest) -> Tag {
    let hex = subject.hex();
    let tag = format!("{}-{}", subject.algorithm(), &hex[..hex.len().min(64)]);
    tag.parse().unwrap_or_else(|_| unreachable!("letters, digits and a dash are a tag"))
}

/// Whether a registry does not know what a list of referrers is. Older ones take the path for that of
/// something else, and say so in one of these ways.
fn is_unknown_route(error: &Error) -> bool {
    let unknown = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::BAD_REQUEST];
    error.status().is_some_and(|status| unknown.contains(&status))
}

fn page(answer: &BufferedResponse) -> Result<Vec<Referrer>, Error> {
    read(&answer.body)
        .map_err(|reason| Error::ListingUnreadable { url: answer.shown_url(), reason })
}

fn read(index: &[u8]) -> Result<Vec<Referrer>, String> {
    let index: Index = serde_json::from_slice(index).map_err(|error| error.to_string())?;
    Ok(index.manifests.unwrap_or_default().into_iter().map(Referrer::from).collect())
}

fn once_each(mut list: Vec<Referrer>) -> Vec<Referrer> {
    let mut seen = HashSet::new();
    list.retain(|referrer| seen.insert(referrer.descriptor.digest));
    list
}

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

impl From<Entry> for Referrer {
    fn from(entry: Entry) -> Self {
        let Entry { media_type, digest, size, artifact_type, annotations } = entry;
        Self {
            descriptor: Descriptor { media_type, digest, size },
            // Some registries write an empty one where there is none.
            artifact_type: artifact_type.filter(|kind| !kind.is_empty()),
            annotations: annotations.unwrap_or_default(),
        }
    }
}

impl From<Referrer> for Entry {
    fn from(referrer: Referrer) -> Self {
        let Referrer { descriptor, artifact_type, annotations } = referrer;
        let Descriptor { media_type, digest, size } = descriptor;
        let annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
        Self { media_type, digest, size, artifact_type, annotations }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tag_of_a_list_is_made_of_the_digest() {
        let short = Digest::sha256(b"");
        assert_eq!(fallback_tag(&short).to_string(), format!("sha256-{}", short.hex()));
        let long = Digest::of(portpass_protocol::DigestAlgorithm::Sha512, b"");
        assert_eq!(fallback_tag(&long).to_string(), format!("sha512-{}", &long.hex()[..64]));
    }

    proptest! {
        /// A list that this crate wrote says the same when it is read; whatever else is there is
        /// refused with a reason.
        #[test]
        fn a_list_is_read_as_it_was_written(
            kinds in prop::collection::vec((any::<u64>(), prop::option::of("[a-z/]{1,9}"), any::<bool>()), 0..4),
            other in "\\{\"manifests\":(null|\\[\\{\\}\\]|\\[5\\]|7)\\}|\\PC{0,20}",
        ) {
            let list: Vec<Referrer> = kinds
                .into_iter()
                .map(|(number, artifact_type, annotated)| Referrer {
                    descriptor: Descriptor {
                        media_type: MediaType::OciManifest.to_string(),
                        digest: Digest::sha256(&number.to_be_bytes()),
                        size: number,
                    },
                    artifact_type,
                    annotations: annotated.then(|| ("a".to_owned(), "b".to_owned())).into_iter().collect(),
                })
                .collect();
            let entries: Vec<Entry> = list.iter().cloned().map(Entry::from).collect();
            let text = json!({ "manifests": entries }).to_string();
            prop_assert_eq!(read(text.as_bytes()), Ok(list));
            let _ = read(other.as_bytes());
        }
    }
}
