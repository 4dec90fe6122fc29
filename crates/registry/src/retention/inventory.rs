//! What a repository holds, as numbers that point at each other.

use std::collections::HashMap;

use portpass_protocol::{Digest, DigestAlgorithm, RepositoryName, Tag};
use portpass_state::{Child, Db, ManifestFacts, StateError, TagFacts};

/// All tags and manifests of a repository.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) tags: Vec<TagEntry>,
    pub(super) manifests: Vec<ManifestEntry>,
}

/// A tag.
#[derive(Debug)]
pub(super) struct TagEntry {
    pub(super) facts: TagFacts,
    /// What it names, by number.
    pub(super) manifest: usize,
    pub(super) kind: TagKind,
}

/// What a tag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagKind {
    /// It names something for people.
    Plain,
    /// Clients of registries without a list of referrers made it for what refers to this manifest.
    Referrers { subject: usize },
    /// The same, of a manifest that is not here.
    Orphan,
}

/// A manifest.
#[derive(Debug)]
pub(super) struct ManifestEntry {
    pub(super) facts: ManifestFacts,
    /// What it refers to, where that is here.
    pub(super) subject: Option<usize>,
    /// What it holds.
    pub(super) children: Vec<usize>,
}

impl Inventory {
    /// Reads a repository page by page; what is pushed meanwhile may be left out.
    pub(super) async fn read(db: &Db, name: &RepositoryName) -> Result<Self, StateError> {
        let (mut tags, mut manifests, mut children) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let last = tags.last().map(|tag: &TagFacts| tag.name.clone());
            let page = db.tag_facts(name, last.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            tags.extend(page);
            if is_last {
                break;
            }
        }
        loop {
            let last = manifests.last().map(|manifest: &ManifestFacts| manifest.digest);
            let page = db.manifest_facts(name, last.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            manifests.extend(page);
            if is_last {
                break;
            }
        }
        loop {
            let page = db.children(name, children.last(), PAGE).await?;
            let is_last = page.len() < PAGE;
            children.extend(page);
            if is_last {
                break;
            }
        }
        Ok(Self::new(tags, manifests, &children))
    }

    /// Puts the rows together. What points at something that is not among them is left out.
    pub(super) fn new(
        tags: Vec<TagFacts>,
        manifests: Vec<ManifestFacts>,
        children: &[Child],
    ) -> Self {
        let numbers: HashMap<Digest, usize> =
            manifests.iter().enumerate().map(|(at, manifest)| (manifest.digest, at)).collect();
        let beginnings: HashMap<(DigestAlgorithm, &[u8]), usize> = manifests
            .iter()
            .enumerate()
            .map(|(at, manifest)| {
                let digest = &manifest.digest;
                ((digest.algorithm(), &digest.as_bytes()[..NAMED_BYTES]), at)
            })
            .collect();
        let tags = tags
            .into_iter()
            .filter_map(|facts| {
                let manifest = *numbers.get(&facts.manifest)?;
                let kind = match named_subject(&facts.name) {
                    None => TagKind::Plain,
                    Some((algorithm, bytes)) => match beginnings.get(&(algorithm, &bytes[..])) {
                        // Whoever calls a manifest by its own digest names it for people.
                        Some(subject) if *subject == manifest => TagKind::Plain,
                        Some(subject) => TagKind::Referrers { subject: *subject },
                        None => TagKind::Orphan,
                    },
                };
                Some(TagEntry { facts, manifest, kind })
            })
            .collect();
        drop(beginnings);
        let entry = |facts: ManifestFacts| {
            let subject = facts.subject.and_then(|subject| numbers.get(&subject).copied());
            ManifestEntry { facts, subject, children: Vec::new() }
        };
        let mut manifests: Vec<ManifestEntry> = manifests.into_iter().map(entry).collect();
        for child in children {
            if let (Some(of), Some(digest)) = (numbers.get(&child.of), numbers.get(&child.digest)) {
                manifests[*of].children.push(*digest);
            }
        }
        Self { tags, manifests }
    }
}

/// The manifest that a tag is made for by clients of registries without a list of referrers: `sha256-<hex>` (OC25),
/// which has 64 digits of any digest, and `sha256-<hex>.sig`, `.att` and the like of cosign.
fn named_subject(tag: &Tag) -> Option<(DigestAlgorithm, [u8; NAMED_BYTES])> {
    let (algorithm, rest) = tag.as_str().split_once('-')?;
    let algorithm = match algorithm {
        "sha256" => DigestAlgorithm::Sha256,
        "sha512" => DigestAlgorithm::Sha512,
        _ => return None,
    };
    let (hex, suffix) = rest.split_at_checked(2 * NAMED_BYTES)?;
    if !(suffix.is_empty() || suffix.starts_with('.')) {
        return None;
    }
    let mut bytes = [0; NAMED_BYTES];
    for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digit = |at: usize| match digits[at] {
            digit @ b'0'..=b'9' => Some(digit - b'0'),
            digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = digit(0)? * 16 + digit(1)?;
    }
    Some((algorithm, bytes))
}

/// Bytes of a digest that are in such a tag.
const NAMED_BYTES: usize = 32;

const PAGE: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_for_referrers_name_their_subject() {
        let hex = "ab".repeat(32);
        let of = |text: &str| named_subject(&text.parse().unwrap());
        let sha256 = Some((DigestAlgorithm::Sha256, [0xab; 32]));
        assert_eq!(of(&format!("sha256-{hex}")), sha256);
        assert_eq!(of(&format!("sha256-{hex}.sig")), sha256);
        assert_eq!(of(&format!("sha512-{hex}")), Some((DigestAlgorithm::Sha512, [0xab; 32])));
        for other in [
            "latest".to_owned(),
            "sha256-ab".to_owned(),
            format!("sha384-{hex}"),
            format!("sha256-{hex}0"),
            format!("sha256-{}", hex.to_uppercase()),
            format!("sha256-{}é", &hex[1..]).replace('é', "-"),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }
}
