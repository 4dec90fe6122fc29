//! `index.json` of an OCI image layout (image specification, "Image Layout"): the names of its images.
//!
//! Other programs keep entries of their own there; whatever is not named anew stays as it is.

use std::{fmt, path::Path, str::FromStr};

use portpass_protocol::{MediaType, manifest::Descriptor};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::transfer::LayoutError;

/// What names an image within a layout (`org.opencontainers.image.ref.name`): often a tag, but any
/// reference is legal there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefName(String);

impl RefName {
    /// As in the annotation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefName {
    type Err = RefNameError;

    /// Image specification, "Pre-Defined Annotation Keys": letters and digits, and `-._:@+/` between
    /// them.
    fn from_str(text: &str) -> Result<Self, RefNameError> {
        let between = |c: char| matches!(c, '-' | '.' | '_' | ':' | '@' | '+' | '/');
        let legal = |c: char| c.is_ascii_alphanumeric() || between(c);
        // Tags may begin with `_`, and skopeo writes them as they are.
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if begins && text.len() <= MAX_NAME && text.chars().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RefNameError { text: text.chars().take(64).collect() })
        }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that can name no image in a layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot name an image in a layout; a name has letters, digits and `-._:@+/`")]
pub struct RefNameError {
    text: String,
}

/// The document.
#[derive(Debug, Clone)]
pub(super) struct Index(Map<String, Value>);

/// One line of it that points at a manifest.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) manifest: Descriptor,
    /// Its name, if it has one.
    pub(super) name: Option<String>,
    /// What containerd and docker call it: the whole reference.
    pub(super) image: Option<String>,
}

impl Index {
    /// One that names nothing yet.
    pub(super) fn empty() -> Self {
        let members = [
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(MediaType::OciIndex.as_str())),
            (MANIFESTS.to_owned(), json!([])),
        ];
        Self(members.into_iter().collect())
    }

    /// Reads one; `place` is for the message.
    pub(super) fn read(bytes: &[u8], place: &Path) -> Result<Self, LayoutError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(unreadable(place, "it is not a JSON object")),
            Err(error) => Err(unreadable(place, error)),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    /// What it points at.
    pub(super) fn entries(&self, place: &Path) -> Result<Vec<Entry>, LayoutError> {
        self.manifests().iter().map(|value| Entry::read(value, place)).collect()
    }

    /// Whether a manifest has that name, and nothing else has it.
    pub(super) fn has(&self, name: Option<&RefName>, manifest: &Descriptor) -> bool {
        let digest = manifest.digest.to_string();
        let is_it = |entry: &Value| entry["digest"].as_str() == Some(&digest);
        match name.map(RefName::as_str) {
            Some(name) => {
                let called = |entry: &&Value| entry["annotations"][REF_NAME].as_str() == Some(name);
                let mut called = self.manifests().iter().filter(called);
                called.next().is_some_and(is_it) && called.next().is_none()
            }
            None => self.manifests().iter().any(is_it),
        }
    }

    /// Gives a name to a manifest, and takes it from whichever had it. Without a name, the manifest
    /// is merely listed.
    pub(super) fn set(&mut self, name: Option<&RefName>, manifest: &Descriptor) {
        let mut manifests = self.manifests().to_vec();
        let name = name.map(RefName::as_str);
        manifests.retain(|entry| match name {
            Some(_) => entry["annotations"][REF_NAME].as_str() != name,
            None => !is_bare(entry, manifest),
        });
        let mut entry = described(manifest);
        if let Some(name) = name {
            entry["annotations"] = json!({ REF_NAME: name });
        }
        manifests.push(entry);
        self.0.insert(MANIFESTS.to_owned(), manifests.into());
    }

    fn manifests(&self) -> &[Value] {
        self.0.get(MANIFESTS).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

impl Entry {
    fn read(value: &Value, place: &Path) -> Result<Self, LayoutError> {
        let written = Written::deserialize(value).map_err(|error| unreadable(place, error))?;
        let annotation = |key: &str| value["annotations"][key].as_str().map(str::to_owned);
        Ok(Self {
            manifest: Descriptor {
                media_type: written.media_type,
                digest: written.digest,
                size: written.size,
            },
            name: annotation(REF_NAME),
            image: annotation(IMAGE_NAME),
        })
    }
}

/// A descriptor as JSON.
pub(super) fn described(descriptor: &Descriptor) -> Value {
    json!({
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    })
}

fn is_bare(entry: &Value, manifest: &Descriptor) -> bool {
    entry["digest"].as_str() == Some(&manifest.digest.to_string())
        && entry["annotations"][REF_NAME].is_null()
}

fn unreadable(place: &Path, reason: impl fmt::Display) -> LayoutError {
    LayoutError::Document {
        path: place.to_owned(),
        document: "index.json".to_owned(),
        reason: reason.to_string(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    media_type: String,
    digest: portpass_protocol::Digest,
    size: u64,
}

/// The annotation that names an image.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation in which containerd keeps the whole reference.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";
const MANIFESTS: &str = "manifests";
const MAX_NAME: usize = 512;

#[cfg(test)]
mod tests {
    use portpass_protocol::Digest;
    use proptest::prelude::*;

    use super::*;

    fn manifest() -> Descriptor {
        Descriptor {
            media_type: MediaType::OciManifest.to_string(),
            digest: Digest::sha256(b"manifest"),
            size: 8,
        }
    }

    proptest! {
        /// Whatever stood there before: what is named is found, once, and is still there when the
        /// document is read again.
        #[test]
        fn any_document_takes_a_name_or_is_refused(
            text in "\\{(\"(manifests|x)\":(null|5|\\[\\]|\\[\\{\\}\\]|\\[5,null\\]|\\[\\{\"annotations\":(5|\\{\\}|\\{\"org.opencontainers.image.ref.name\":(\"v1\"|7)\\})\\}\\])){0,1}\\}|\\PC{0,20}",
            named: bool,
        ) {
            let name = named.then(|| "v1".parse().unwrap());
            if let Ok(mut index) = Index::read(text.as_bytes(), Path::new("x")) {
                let _ = index.entries(Path::new("x"));
                index.set(name.as_ref(), &manifest());
                prop_assert!(index.has(name.as_ref(), &manifest()), "{text}");
                let once = index.bytes();
                let mut again = Index::read(&once, Path::new("x")).unwrap();
                again.set(name.as_ref(), &manifest());
                prop_assert_eq!(again.bytes(), once);
            }
        }

        #[test]
        fn a_name_has_only_what_names_have(text in "\\PC{0,20}|[a-z._:@+/-]{0,20}") {
            if let Ok(name) = text.parse::<RefName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(!text.starts_with(['/', '.', '-']) && text.is_ascii());
            }
        }
    }
}
