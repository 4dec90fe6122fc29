//! What is pushed: blobs and manifests, some of them everybody's.

use std::{fmt, ops::Range};

use axum::body::Bytes;
use portpass_protocol::Digest;
use portpass_testkit::SeededRng;
use serde_json::{Value, json};

pub(crate) const REPOSITORIES: [&str; 6] =
    ["team/alpha", "team/beta", "prod/web/front", "ann/app", "tags/list/manifests", "x"];
pub(crate) const TAGS: [&str; 8] =
    ["latest", "v1", "v2", "v3", "nightly", "stable", "edge", "sha256"];

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The bytes of a blob or a manifest.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::sha256(&bytes), bytes: bytes.into() }
    }

    pub(crate) fn draw(rng: &mut SeededRng, lengths: Range<usize>) -> Self {
        let length = rng.between(lengths.start, lengths.end);
        Self::new(rng.bytes(length))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.digest, self.bytes.len())
    }
}

/// A manifest, and all that has to be there before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) content: Content,
    pub(crate) media_type: &'static str,
    pub(crate) blobs: Vec<Content>,
    pub(crate) children: Vec<Manifest>,
    pub(crate) subject: Option<Digest>,
}

impl Manifest {
    /// An image of these layers that is like no other.
    pub(crate) fn image(rng: &mut SeededRng, layers: &[Content], subject: Option<&Self>) -> Self {
        let config = json!({ "architecture": "amd64", "os": "linux", "number": rng.next_u64() });
        let config = Content::new(config.to_string().into_bytes());
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers
                .iter()
                .map(|layer| described("application/vnd.oci.image.layer.v1.tar", layer))
                .collect::<Vec<_>>(),
        });
        if let Some(subject) = subject {
            manifest["subject"] = described(subject.media_type, &subject.content);
        }
        let content = Content::new(manifest.to_string().into_bytes());
        let blobs = [config].into_iter().chain(layers.iter().cloned()).collect();
        let subject = subject.map(|subject| subject.content.digest);
        Self { content, media_type: IMAGE, blobs, children: Vec::new(), subject }
    }

    pub(crate) fn index(children: &[Self]) -> Self {
        let entries: Vec<Value> =
            children.iter().map(|child| described(child.media_type, &child.content)).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        Self {
            content: Content::new(manifest.to_string().into_bytes()),
            media_type: INDEX,
            blobs: Vec::new(),
            children: children.to_vec(),
            subject: None,
        }
    }
}

fn described(media_type: &str, content: &Content) -> Value {
    json!({
        "mediaType": media_type,
        "digest": content.digest.to_string(),
        "size": content.bytes.len(),
    })
}

/// What several pushers push, and thereby the same digests at the same time.
#[derive(Debug)]
pub(crate) struct Goods {
    /// Of images; nobody deletes these.
    pub(crate) layers: Vec<Content>,
    /// Of no manifest; pushed and deleted.
    pub(crate) loose: Vec<Content>,
    /// Pushed, tagged and deleted.
    pub(crate) images: Vec<Manifest>,
    /// Of images that nobody deletes.
    pub(crate) indexes: Vec<Manifest>,
}

impl Goods {
    pub(crate) fn draw(rng: &mut SeededRng) -> Self {
        let mut layers: Vec<Content> = (0..24).map(|_| Content::draw(rng, 1..60_000)).collect();
        layers.extend((0..3).map(|_| Content::draw(rng, 600_000..1_500_000)));
        layers.push(Content::new(Vec::new()));
        let loose = (0..12).map(|_| Content::draw(rng, 1..20_000)).collect();
        let image = |rng: &mut SeededRng| {
            let layers = [rng.choose(&layers), rng.choose(&layers)];
            Manifest::image(rng, &layers, None)
        };
        let images = (0..6).map(|_| image(rng)).collect();
        let indexes = (0..4).map(|_| Manifest::index(&[image(rng), image(rng)])).collect();
        Self { layers, loose, images, indexes }
    }
}
