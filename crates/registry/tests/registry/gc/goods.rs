//! Images, as clients push them.

use axum::body::Body;
use http::{HeaderName, Method, StatusCode, header};
use portpass_protocol::Digest;
use serde_json::{Value, json};

use crate::harness::{Harness, request};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    media_type: &'static str,
    pub(super) text: String,
    pub(super) digest: Digest,
    pub(super) blobs: Vec<Vec<u8>>,
    pub(super) children: Vec<Digest>,
    pub(super) subject: Option<Digest>,
}

impl Manifest {
    /// Of these layers, the first of which is its configuration too.
    pub(super) fn image(layers: &[&[u8]], word: &str, subject: Option<Digest>) -> Self {
        let described = |bytes: &&[u8]| {
            json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": Digest::sha256(bytes).to_string(),
                "size": bytes.len(),
            })
        };
        let layers: Vec<&[u8]> = layers.to_vec();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": described(&layers[0]),
            "layers": layers.iter().map(described).collect::<Vec<_>>(),
            "annotations": { "word": word },
        });
        if let Some(subject) = subject {
            manifest["subject"] =
                json!({ "mediaType": IMAGE, "digest": subject.to_string(), "size": 2 });
        }
        let blobs = layers.iter().map(|layer| layer.to_vec()).collect();
        Self::of(IMAGE, &manifest, blobs, Vec::new(), subject)
    }

    /// Of these children.
    pub(super) fn index(children: &[Digest], word: &str) -> Self {
        let described =
            |child: &Digest| json!({ "mediaType": IMAGE, "digest": child.to_string(), "size": 2 });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": children.iter().map(described).collect::<Vec<_>>(),
            "annotations": { "word": word },
        });
        Self::of(INDEX, &manifest, Vec::new(), children.to_vec(), None)
    }

    fn of(
        media_type: &'static str,
        manifest: &Value,
        blobs: Vec<Vec<u8>>,
        children: Vec<Digest>,
        subject: Option<Digest>,
    ) -> Self {
        let text = manifest.to_string();
        Self { media_type, digest: Digest::sha256(text.as_bytes()), text, blobs, children, subject }
    }

    /// Puts it under a tag, or under its digest.
    pub(super) async fn put(
        &self,
        registry: &Harness,
        name: &str,
        tag: Option<&str>,
    ) -> StatusCode {
        let reference = tag.map_or_else(|| self.digest.to_string(), str::to_owned);
        let path = format!("/v2/{name}/manifests/{reference}");
        let media_type: (HeaderName, &str) = (header::CONTENT_TYPE, self.media_type);
        registry.send(request(Method::PUT, &path, [media_type], self.text.clone())).await.status
    }

    /// Pushes its blobs, and then puts it.
    pub(super) async fn push(&self, registry: &Harness, name: &str, tag: Option<&str>) {
        for blob in &self.blobs {
            registry.blob(name, blob).await;
        }
        assert_eq!(self.put(registry, name, tag).await, StatusCode::CREATED);
    }

    /// Its own path.
    pub(super) fn path(&self, name: &str) -> String {
        manifest_path(name, &self.digest)
    }
}

pub(super) fn manifest_path(name: &str, digest: &Digest) -> String {
    format!("/v2/{name}/manifests/{digest}")
}

pub(super) fn blob_path(name: &str, content: &[u8]) -> String {
    format!("/v2/{name}/blobs/{}", Digest::sha256(content))
}

/// Asks for a blob of another repository; whether it is here now.
pub(super) async fn mount(registry: &Harness, name: &str, from: &str, content: &[u8]) -> bool {
    let digest = Digest::sha256(content);
    let path = format!("/v2/{name}/blobs/uploads/?mount={digest}&from={from}");
    let answer = registry.send(request(Method::POST, &path, [], Body::empty())).await;
    match answer.status {
        StatusCode::CREATED => true,
        StatusCode::ACCEPTED => {
            // The session that was opened instead is of no use here.
            registry.delete(&answer.location()).await;
            false
        }
        status => panic!("{status}"),
    }
}
