//! `manifest.json` of `docker save`: configs and layers, and no manifest (moby,
//! `image/spec/spec.md`, version 1.2).

use std::collections::BTreeMap;

use portpass_protocol::{Digest, DigestAlgorithm, Hasher, MediaType, manifest::Descriptor};
use serde::Deserialize;
use serde_json::json;

use super::{
    super::{extent::Extent, index::described},
    members::Members,
    name,
};
use crate::transfer::{LayoutError, MemberFault};

/// One image of the manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// The image that is meant: of that name, or the only one.
pub(super) fn choose(members: &Members, name: Option<&str>) -> Result<SavedImage, LayoutError> {
    let path = members.path().to_owned();
    let Some(document) = members.document(MANIFEST)? else {
        let why = "it has neither `manifest.json` nor `index.json`".to_owned();
        return Err(LayoutError::NotAnArchive { path, why });
    };
    let images: Vec<SavedImage> =
        serde_json::from_slice(&document).map_err(|error| LayoutError::Document {
            path: path.clone(),
            document: MANIFEST.to_owned(),
            reason: error.to_string(),
        })?;
    let tags = |image: &SavedImage| image.repo_tags.clone().unwrap_or_default();
    let there = || images.iter().flat_map(tags).collect();
    match name {
        Some(name) => {
            let called =
                |image: &&SavedImage| tags(image).iter().any(|tag| name::same_reference(tag, name));
            images.iter().find(called).cloned().ok_or_else(|| LayoutError::NoImage {
                path,
                name: name.to_owned(),
                there: there(),
            })
        }
        None => match images.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(LayoutError::WhichImage { path, there: there() }),
        },
    }
}

/// Makes a manifest for an image; gives it with the blobs that it points at.
///
/// # Errors
/// When a layer that is not compressed is not the one that the config names.
pub(super) fn read(
    members: &Members,
    image: &SavedImage,
) -> Result<(String, BTreeMap<Digest, Extent>), LayoutError> {
    let mut blobs = BTreeMap::new();
    let config = find(members, &image.config)?;
    let text = members.document(&image.config)?.unwrap_or_default();
    let diff_ids = diff_ids(members, &image.config, &text)?;
    let names = image.layers.as_deref().unwrap_or_default();
    if names.len() != diff_ids.len() {
        return Err(LayoutError::Document {
            path: members.path().to_owned(),
            document: MANIFEST.to_owned(),
            reason: format!("it has {} layers, but its config has {}", names.len(), diff_ids.len()),
        });
    }
    let config_digest = Digest::sha256(&text);
    let config_descriptor = Descriptor {
        media_type: "application/vnd.oci.image.config.v1+json".to_owned(),
        digest: config_digest,
        size: config.length,
    };
    blobs.insert(config_digest, config);
    let mut layers = Vec::new();
    for (name, diff_id) in names.iter().zip(diff_ids) {
        let extent = find(members, name)?;
        let layer = layer(members, &extent, &diff_id)?;
        layers.push(described(&layer));
        blobs.insert(layer.digest, extent);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": described(&config_descriptor),
        "layers": layers,
    });
    Ok((manifest.to_string(), blobs))
}

fn layer(members: &Members, extent: &Extent, diff_id: &Digest) -> Result<Descriptor, LayoutError> {
    let io = |error| LayoutError::io(members.path())(error);
    let compression = compression(extent).map_err(io)?;
    // What is not compressed is what the config has the digest of.
    let algorithm =
        if compression.is_empty() { diff_id.algorithm() } else { DigestAlgorithm::Sha256 };
    let digest = extent.digest(Hasher::new(algorithm)).map_err(io)?;
    if compression.is_empty() && digest != *diff_id {
        return Err(LayoutError::Damaged {
            path: members.path().to_owned(),
            expected: *diff_id,
            found: digest.to_string(),
        });
    }
    let media_type = format!("application/vnd.oci.image.layer.v1.tar{compression}");
    Ok(Descriptor { media_type, digest, size: extent.length })
}

/// As a media type's suffix.
fn compression(extent: &Extent) -> std::io::Result<&'static str> {
    let beginning = Extent { length: extent.length.min(4), ..extent.clone() };
    let beginning = beginning.all(4)?.unwrap_or_default();
    Ok(match beginning.as_ref() {
        [0x1f, 0x8b, ..] => "+gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "+zstd",
        _ => "",
    })
}

fn find(members: &Members, name: &str) -> Result<Extent, LayoutError> {
    members.extent(name).ok_or_else(|| LayoutError::Missing {
        path: members.path().to_owned(),
        wanted: format!("member {:?}", name.chars().take(128).collect::<String>()),
    })
}

fn diff_ids(members: &Members, name: &str, config: &[u8]) -> Result<Vec<Digest>, LayoutError> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        diff_ids: Option<Vec<Digest>>,
    }
    let read: Config = serde_json::from_slice(config).map_err(|error| LayoutError::Document {
        path: members.path().to_owned(),
        document: name.to_owned(),
        reason: error.to_string(),
    })?;
    let ids = read.rootfs.diff_ids.unwrap_or_default();
    if ids.len() > MAX_LAYERS {
        return Err(LayoutError::Member {
            path: members.path().to_owned(),
            member: name.to_owned(),
            fault: MemberFault::Long,
        });
    }
    Ok(ids)
}

const MANIFEST: &str = "manifest.json";
/// Each is hashed; docker itself stops at 127.
const MAX_LAYERS: usize = 1024;
