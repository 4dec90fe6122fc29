//! The image of an index for a platform (image specification, "Image Index").

use std::{
    collections::{BTreeMap, HashSet},
    io,
};

use futures_util::StreamExt as _;
use portpass_protocol::{
    Digest,
    manifest::{Descriptor, ManifestError},
};
use serde::Deserialize;

use super::{DEPTH, Error, MAX_DEPTH, Platform, Source, VerifiedManifest};

/// Which images of an index are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The index and every image of it.
    Everything,
    /// The image for this platform. A single image has to be for it.
    Only(Platform),
    /// The image for this platform. A single image is copied for any platform.
    OnlyOfIndex(Platform),
    /// The index as it is, with the images for these platforms alone and what is attested of them. A
    /// single image has to be for one of them.
    Sparse(Vec<Platform>),
}

impl Selection {
    /// The image or index of a source that is meant.
    ///
    /// # Errors
    /// The source fails, or has nothing for the platform.
    pub async fn root(&self, source: &dyn Source) -> Result<VerifiedManifest, Error> {
        let mut root = source.root().await?;
        let platform = match self {
            Self::Everything => return Ok(root),
            Self::Sparse(_) if root.media_type().is_index() => return Ok(root),
            Self::Sparse(platforms) => {
                check_platform(source, &root, platforms).await?;
                return Ok(root);
            }
            Self::Only(platform) | Self::OnlyOfIndex(platform) => platform,
        };
        let outermost = *root.digest();
        let mut was_index = false;
        for _ in 0..=MAX_DEPTH {
            if !root.media_type().is_index() {
                if !was_index && matches!(self, Self::Only(_)) {
                    check_platform(source, &root, std::slice::from_ref(platform)).await?;
                }
                return Ok(root);
            }
            was_index = true;
            root = source.manifest(&choose(&root, platform)?).await?;
        }
        Err(Error::LimitExceeded { digest: outermost, limit: DEPTH })
    }

    /// The images of the root that are copied with it; `None` for all.
    pub(super) fn kept(&self, root: &VerifiedManifest) -> Result<Option<HashSet<Digest>>, Error> {
        let Self::Sparse(platforms) = self else { return Ok(None) };
        if !root.media_type().is_index() {
            return Ok(None);
        }
        let chosen = platforms.iter().map(|platform| Ok(choose(root, platform)?.digest));
        let mut kept: HashSet<Digest> = chosen.collect::<Result<_, Error>>()?;
        let attested = entries(root)?.into_iter().filter(|entry| {
            let about = entry.annotations.as_ref().and_then(|all| all.get(ATTESTED)?.as_str());
            about.and_then(|about| about.parse().ok()).is_some_and(|about| kept.contains(&about))
        });
        let attested: Vec<Digest> = attested.map(|entry| entry.digest).collect();
        kept.extend(attested);
        Ok(Some(kept))
    }
}

/// An image that stands alone says in its config what it is for.
async fn check_platform(
    source: &dyn Source,
    image: &VerifiedManifest,
    platforms: &[Platform],
) -> Result<(), Error> {
    let mut found = None;
    if let Some(config) = &image.links().config {
        let mut bytes = Vec::new();
        let mut content = source.blob(config, 0).await?;
        while let Some(piece) = content.next().await {
            let broken = |error: io::Error| Error::Interrupted {
                digest: config.digest,
                reason: error.to_string(),
            };
            bytes.extend_from_slice(&piece.map_err(broken)?);
            if bytes.len() > MAX_CONFIG {
                break;
            }
        }
        found = Platform::of_config(&bytes).map(Box::new);
    }
    let met = |found: &Platform| platforms.iter().any(|platform| platform.is_met_by(found));
    match (found, platforms) {
        (Some(found), _) if met(&found) => Ok(()),
        (_, []) => Ok(()),
        (found, [platform, ..]) => {
            Err(Error::PlatformMismatch { platform: platform.clone(), found })
        }
    }
}

/// The image of an index that is for this platform.
pub(super) fn choose(index: &VerifiedManifest, platform: &Platform) -> Result<Descriptor, Error> {
    let entries = entries(index)?;
    let fitting = entries.iter().filter_map(|entry| {
        let fit = platform.fit(entry.platform.as_ref()?)?;
        Some((fit, entry))
    });
    // Of two that fit alike, the first (image specification: "the first matching entry").
    let best = fitting.min_by(|(one, _), (other, _)| one.cmp(other));
    let missing = || {
        let named = entries.iter().filter_map(|entry| entry.platform.as_ref());
        let named = named.filter(|platform| platform.is_legal());
        Error::NoPlatform {
            platform: platform.clone(),
            there: named.map(Platform::to_string).filter(|name| name != UNKNOWN).collect(),
        }
    };
    let (_, entry) = best.ok_or_else(missing)?;
    let mut links = index.links().manifests.iter();
    links.find(|link| link.digest == entry.digest).cloned().ok_or_else(missing)
}

fn entries(index: &VerifiedManifest) -> Result<Vec<Entry>, Error> {
    let read: Index = serde_json::from_slice(index.bytes()).map_err(|error| Error::Manifest {
        digest: *index.digest(),
        error: Box::new(ManifestError::Json { reason: error.to_string() }),
    })?;
    Ok(read.manifests.unwrap_or_default())
}

/// What attestations are for.
const UNKNOWN: &str = "unknown/unknown";
/// How builders say in an index which image an attestation is about.
const ATTESTED: &str = "vnd.docker.reference.digest";
/// The longest config that is looked into, in bytes.
const MAX_CONFIG: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, serde_json::Value>>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use portpass_protocol::MediaType;
    use serde_json::{Value, json};

    use super::*;

    fn index(platforms: &[&str]) -> VerifiedManifest {
        let manifests: Vec<Value> = platforms
            .iter()
            .map(|name| {
                let words: Vec<&str> = name.split('/').collect();
                let mut platform = json!({ "os": words[0], "architecture": words[1] });
                if let Some(variant) = words.get(2) {
                    platform["variant"] = json!(variant);
                }
                json!({
                    "mediaType": MediaType::OciManifest.as_str(),
                    "digest": Digest::sha256(name.as_bytes()),
                    "size": 7,
                    "platform": platform,
                })
            })
            .collect();
        let text = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
        VerifiedManifest::read(Bytes::from(text), MediaType::OciIndex, None).unwrap()
    }

    #[test]
    fn an_index_gives_the_image_for_a_platform() {
        let there =
            ["linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7", "unknown/unknown"];
        for (asked, given) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/arm64", Some("linux/arm64/v8")),
            ("linux/arm64/v8", Some("linux/arm64/v8")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux/arm/v5", None),
            ("windows/amd64", None),
            ("linux/s390x", None),
        ] {
            let chosen = choose(&index(&there), &asked.parse().unwrap());
            let digest = given.map(|name| Digest::sha256(name.as_bytes()));
            assert_eq!(chosen.ok().map(|chosen| chosen.digest), digest, "{asked}");
        }
    }

    #[test]
    fn what_is_there_is_said_where_a_platform_is_not() {
        let index = index(&["linux/amd64", "linux/arm/v7", "unknown/unknown"]);
        let error = choose(&index, &"linux/s390x".parse().unwrap()).unwrap_err();
        insta::assert_snapshot!(error, @"the index has no image for linux/s390x; it has linux/amd64, linux/arm/v7");
    }

    /// What is in an index ends on a terminal.
    #[test]
    fn platforms_that_nobody_can_ask_for_are_not_shown() {
        let escape = "\u{1b}]0;hello\u{7}";
        let index = index(&["linux/amd64", &format!("linux/{escape}"), "/"]);
        let error = choose(&index, &"linux/s390x".parse().unwrap()).unwrap_err();
        insta::assert_snapshot!(error, @"the index has no image for linux/s390x; it has linux/amd64");
        let config = json!({ "os": "linux", "architecture": escape }).to_string();
        assert_eq!(Platform::of_config(config.as_bytes()), None);
    }

    /// Artifacts have platforms that say nothing.
    #[test]
    fn an_empty_platform_is_no_reason_to_give_up() {
        let manifests: Vec<Value> = [json!({}), json!({ "os": "linux", "architecture": "amd64" })]
            .into_iter()
            .map(|platform| {
                json!({
                    "mediaType": MediaType::OciManifest.as_str(),
                    "digest": Digest::sha256(platform.to_string().as_bytes()),
                    "size": 7,
                    "platform": platform,
                })
            })
            .collect();
        let text = json!({ "schemaVersion": 2, "manifests": manifests }).to_string();
        let index = VerifiedManifest::read(Bytes::from(text), MediaType::OciIndex, None).unwrap();
        assert!(choose(&index, &"linux/amd64".parse().unwrap()).is_ok());
    }
}
