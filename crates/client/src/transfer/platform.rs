//! Platforms, and the image of an index that is for one (image specification, "Image Index").

use std::{fmt, str::FromStr};

use portpass_protocol::{
    Digest,
    manifest::{Descriptor, ManifestError},
};
use serde::Deserialize;

use super::{Checked, Error};

/// `OS/ARCHITECTURE[/VARIANT]`, in Go's words: `linux/amd64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

impl Platform {
    /// Linux on the processor that this program was built for: what docker runs here.
    pub fn of_this_machine() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            // riscv64, s390x and others are called alike.
            other => (other, None),
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    /// Reads the platform out of an image's config; artifacts have none there.
    pub fn of_config(config: &[u8]) -> Option<Self> {
        serde_json::from_slice(config).ok().filter(Self::is_legal)
    }

    /// Whether it is one that somebody can ask for, and that can be shown: what stands in images is
    /// whatever their makers wrote there.
    fn is_legal(&self) -> bool {
        self.to_string().parse::<Self>().is_ok()
    }

    /// How well an image for `other` runs where this is asked for; the less, the better.
    fn fit(&self, other: &Self) -> Option<Fit> {
        if (&self.os, &self.architecture) != (&other.os, &other.architecture) {
            return None;
        }
        match (self.variant(), other.variant()) {
            (asked, there) if asked == there => Some(Fit::Exact),
            // Nobody asked for a variant; the newest of arm is what runs on most machines.
            (None, Some("v7")) => Some(Fit::Usual),
            (None, Some(_)) => Some(Fit::Any),
            _ => None,
        }
    }

    /// Whether an image for `other` is what was asked for.
    pub fn is_met_by(&self, other: &Self) -> bool {
        self.fit(other).is_some()
    }

    /// `arm64` has one variant, which is named or not.
    fn variant(&self) -> Option<&str> {
        let variant = self.variant.as_deref().filter(|variant| !variant.is_empty());
        variant.filter(|variant| !(self.architecture == "arm64" && *variant == "v8"))
    }
}

/// In the order of preference.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Exact,
    Usual,
    Any,
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let legal = |word: &str| {
            let characters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            !word.is_empty() && word.chars().all(characters)
        };
        let words: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match words.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(*variant)),
            _ => return Err(PlatformError { text: text.chars().take(64).collect() }),
        };
        if !words.iter().all(|word| legal(word)) {
            return Err(PlatformError { text: text.chars().take(64).collect() });
        }
        Ok(Self {
            os: (*os).to_owned(),
            architecture: (*architecture).to_owned(),
            variant: variant.map(str::to_owned),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no platform; write its system and processor, as in `linux/amd64` or `linux/arm/v7`"
)]
pub struct PlatformError {
    text: String,
}

/// The image of an index that is for this platform.
pub(super) fn choose(index: &Checked, platform: &Platform) -> Result<Descriptor, Error> {
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

fn entries(index: &Checked) -> Result<Vec<Entry>, Error> {
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

    fn index(platforms: &[&str]) -> Checked {
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
        Checked::read(Bytes::from(text), MediaType::OciIndex, None).unwrap()
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
        let index = Checked::read(Bytes::from(text), MediaType::OciIndex, None).unwrap();
        assert!(choose(&index, &"linux/amd64".parse().unwrap()).is_ok());
    }

    #[test]
    fn platforms_are_read_as_docker_writes_them() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "amd64", "linux/", "/amd64", "linux/arm/v7/x", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text:?}");
        }
        assert!(Platform::of_this_machine().to_string().starts_with("linux/"));
        assert_eq!(Platform::of_config(b"{}"), None);
        assert_eq!(Platform::of_config(br#"{"os":"linux","architecture":""}"#), None);
    }
}
