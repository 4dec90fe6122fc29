//! The image of an index for a platform (image specification, "Image Index").

use portpass_protocol::{
    Digest,
    manifest::{Descriptor, ManifestError},
};
use serde::Deserialize;

use super::{Error, Platform, VerifiedManifest};

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

#[derive(Deserialize)]
struct Index {
    manifests: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    platform: Option<Platform>,
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
