//! Which repositories and tags of many are copied.

use std::str::FromStr;

use clap::Args;
use portpass_client::{Digest, RepositoryName};
use portpass_pattern::{PathPattern, WordPattern};

/// What is meant of a registry or repository; everything by default.
#[derive(Args, Debug)]
pub(super) struct Filter {
    /// Only these repositories of FROM, as in `team/*` (one segment) or `team/**` (any)
    #[arg(long, value_name = "PATTERN")]
    include: Vec<RepositoryPattern>,
    /// None of these repositories of FROM
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<RepositoryPattern>,
    /// Only these tags, as in `v1.*`
    #[arg(long, value_name = "PATTERN")]
    tags: Vec<TagPattern>,
    /// None of these tags
    #[arg(long, value_name = "PATTERN")]
    exclude_tags: Vec<TagPattern>,
}

impl Filter {
    /// Whether a repository is meant.
    pub(super) fn means(&self, repository: &RepositoryName) -> bool {
        let fits = |pattern: &RepositoryPattern| pattern.0.means(repository.as_str());
        (self.include.is_empty() || self.include.iter().any(fits)) && !self.exclude.iter().any(fits)
    }

    /// Whether a tag is meant.
    pub(super) fn means_tag(&self, tag: &str) -> bool {
        let fits = |pattern: &TagPattern| pattern.0.matches(tag);
        (self.tags.is_empty() || self.tags.iter().any(fits)) && !self.exclude_tags.iter().any(fits)
    }

    /// Whether it says anything about repositories.
    pub(super) fn is_of_repositories(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// Whether it says anything about tags.
    pub(super) fn is_of_tags(&self) -> bool {
        !self.tags.is_empty() || !self.exclude_tags.is_empty()
    }
}

/// Whether a tag is a list of referrers that clients keep.
pub(super) fn is_list_of_referrers(tag: &str) -> bool {
    tag.split_once('-').is_some_and(|(algorithm, hex)| {
        format!("{algorithm}:{hex}").parse::<Digest>().is_ok()
            || (algorithm == "sha512" && hex.len() == 64 && is_hex(hex))
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[derive(Debug, Clone)]
struct RepositoryPattern(PathPattern);

impl FromStr for RepositoryPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = PathPattern::parse(text).map_err(|error| error.to_string())?;
        if pattern.has_placeholders() {
            return Err("a pattern of repositories has no placeholders here".to_owned());
        }
        Ok(Self(pattern))
    }
}

#[derive(Debug, Clone)]
struct TagPattern(WordPattern);

impl FromStr for TagPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-*?".contains(c);
        match text.chars().find(|c| !legal(*c)) {
            Some(c) => Err(format!("no tag has {c:?}; a pattern has letters, digits and `._-*?`")),
            None if text.is_empty() => Err("a pattern of tags must not be empty".to_owned()),
            None => Ok(Self(WordPattern::new(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_excluded_and_included_if_anything_is_is_meant() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let tags = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let filter = Filter {
            include: patterns(&["team/*", "other/**"]),
            exclude: patterns(&["team/secret"]),
            tags: tags(&["v*"]),
            exclude_tags: tags(&["*-rc?"]),
        };
        for (repository, meant) in [
            ("team/app", true),
            ("team/app/deep", false),
            ("other/app/deep", true),
            ("team/secret", false),
            ("elsewhere", false),
        ] {
            assert_eq!(filter.means(&repository.parse().unwrap()), meant, "{repository}");
        }
        for (tag, meant) in [("v1", true), ("v1-rc1", false), ("latest", false)] {
            assert_eq!(filter.means_tag(tag), meant, "{tag}");
        }
        assert!("a/b".parse::<TagPattern>().is_err() && "".parse::<TagPattern>().is_err());
        assert!("${account}/a".parse::<RepositoryPattern>().is_err());
    }

    #[test]
    fn lists_of_referrers_are_known_by_their_tags() {
        let digest = Digest::sha256(b"").hex();
        assert!(is_list_of_referrers(&format!("sha256-{digest}")));
        assert!(is_list_of_referrers(&format!("sha512-{digest}")));
        assert!(!is_list_of_referrers(&format!("sha256-{digest}.sig")));
        assert!(!is_list_of_referrers("v1-2") && !is_list_of_referrers("sha256-1"));
    }
}
