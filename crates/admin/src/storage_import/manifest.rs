//! A manifest out of a tree: bytes without a `Content-Type`.

use portpass_protocol::{
    Digest,
    manifest::{Descriptor, Links, ManifestError, MediaType},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

/// What was read in a manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) bytes: Vec<u8>,
    pub(super) links: Links,
    /// What has to be there, with lengths.
    pub(super) blobs: Vec<Descriptor>,
    pub(super) children: Vec<Digest>,
    pub(super) annotations: Option<Map<String, Value>>,
}

impl Manifest {
    pub(super) fn read(bytes: Vec<u8>) -> Result<Self, ManifestError> {
        let links = Links::parse(&bytes, media_type(&bytes)?)?;
        // BuildKit keeps its cache as an index whose entries are layers and not manifests.
        let (children, entries): (Vec<&Descriptor>, Vec<&Descriptor>) = links
            .manifests
            .iter()
            .partition(|entry| MediaType::from_content_type(&entry.media_type).is_ok());
        let children = children.into_iter().map(|child| child.digest).collect();
        let blobs = links.blobs().chain(entries).cloned().collect();
        let annotations = &links.annotations;
        let annotations =
            annotations.iter().map(|(key, value)| (key.clone(), value.clone().into()));
        let annotations = Some(annotations.collect::<Map<_, _>>()).filter(|map| !map.is_empty());
        Ok(Self { bytes, links, blobs, children, annotations })
    }
}

/// As distribution finds it out: by `mediaType`, and OCI's kinds need not have one.
fn media_type(bytes: &[u8]) -> Result<MediaType, ManifestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        schema_version: Option<i64>,
        media_type: Option<String>,
        manifests: Option<IgnoredAny>,
    }
    if bytes.len() > portpass_protocol::manifest::MAX_LENGTH {
        return Err(ManifestError::TooLong { length: bytes.len() });
    }
    let unreadable = |error: serde_json::Error| ManifestError::Json { reason: error.to_string() };
    let kind: Kind = serde_json::from_slice(bytes).map_err(unreadable)?;
    if kind.schema_version == Some(1) {
        return Err(ManifestError::Schema1);
    }
    match (kind.media_type.as_deref(), kind.manifests) {
        (Some(text), _) if !text.is_empty() => MediaType::from_content_type(text),
        (_, Some(_)) => Ok(MediaType::OciIndex),
        (_, None) => Ok(MediaType::OciManifest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_manifest_is_read_out_of_it() {
        let config = format!(
            r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":2}}"#,
            Digest::sha256(b"{}")
        );
        for (text, kind) in [
            (format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#), "manifest.v1"),
            (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), "index.v1"),
            (
                format!(
                    r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{config},"layers":[]}}"#
                ),
                "manifest.v2",
            ),
        ] {
            let read = Manifest::read(text.clone().into_bytes()).unwrap();
            assert!(read.links.media_type.as_str().contains(kind), "{text}");
        }
        let schema1 = br#"{"schemaVersion":1,"name":"a","signatures":[]}"#.to_vec();
        assert_eq!(Manifest::read(schema1).unwrap_err(), ManifestError::Schema1);
        for text in ["", "[]", "{}", r#"{"schemaVersion":2,"mediaType":"text/plain"}"#] {
            assert!(Manifest::read(text.as_bytes().to_vec()).is_err(), "{text}");
        }
    }
}
