//! Platforms (image specification, "Image Index").

use std::{fmt, str::FromStr};

use serde::Deserialize;

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
    pub(super) fn is_legal(&self) -> bool {
        self.to_string().parse::<Self>().is_ok()
    }

    /// How well an image for `other` runs where this is asked for; the less, the better.
    pub(super) fn fit(&self, other: &Self) -> Option<Fit> {
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
pub(super) enum Fit {
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
    "{text:?} is not a platform; write its system and processor, as in `linux/amd64` or `linux/arm/v7`"
)]
pub struct PlatformError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

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
