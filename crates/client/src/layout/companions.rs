//! Which manifests of a layout are about which others: those that its `index.json` lists, and cosign's
//! by their names.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use portpass_protocol::{Digest, MediaType, Tag, manifest::Descriptor};

use super::index::Entry;
use crate::transfer::{Companion, Error, VerifiedManifest};

/// By subject, once somebody has asked: every manifest that is listed has to be read for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Companions(Arc<OnceLock<HashMap<Digest, Vec<Companion>>>>);

impl Companions {
    /// What is about one manifest. An entry that cannot be read is about nothing: it is looked at
    /// only if it is what was asked for.
    pub(super) fn of(
        &self,
        subject: &Digest,
        entries: &[Entry],
        read: impl Fn(&Descriptor) -> Result<VerifiedManifest, Error>,
    ) -> Vec<Companion> {
        let by_subject = self.0.get_or_init(|| {
            let mut by_subject: HashMap<Digest, Vec<Companion>> = HashMap::new();
            for Entry { manifest, name, .. } in entries {
                if MediaType::from_content_type(&manifest.media_type).is_err() {
                    continue;
                }
                let mut add = |subject, companion| {
                    let companions = by_subject.entry(subject).or_default();
                    if !companions.contains(&companion) {
                        companions.push(companion);
                    }
                };
                if let Some((subject, tag)) = name.as_deref().and_then(of_cosign) {
                    add(subject, Companion::Tagged(tag, manifest.clone()));
                } else if let Ok(manifest) = read(manifest)
                    && let Some(subject) = &manifest.links().subject
                {
                    add(subject.digest, Companion::Referrer(manifest.descriptor()));
                }
            }
            by_subject
        });
        by_subject.get(subject).cloned().unwrap_or_default()
    }
}

/// What a name of cosign's is about: `sha256-HEX.sig`.
fn of_cosign(name: &str) -> Option<(Digest, Tag)> {
    let (digest, kind) = name.rsplit_once('.')?;
    let digest = digest.replacen('-', ":", 1).parse().ok()?;
    let tag = name.parse().ok()?;
    matches!(kind, "sig" | "att" | "sbom").then_some((digest, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosigns_names_say_what_they_are_about() {
        let digest = Digest::sha256(b"image");
        for (name, is) in [
            (format!("sha256-{}.sig", digest.hex()), true),
            (format!("sha256-{}.att", digest.hex()), true),
            (format!("sha256-{}", digest.hex()), false),
            (format!("sha256-{}.txt", digest.hex()), false),
            (format!("sha256:{}.sig", digest.hex()), false),
            ("v1.sig".to_owned(), false),
        ] {
            assert_eq!(of_cosign(&name).map(|(about, _)| about), is.then_some(digest), "{name}");
        }
    }
}
