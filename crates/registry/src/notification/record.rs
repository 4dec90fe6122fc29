//! The members of an event, in distribution's order and with what it leaves out where it is empty.

use std::time::SystemTime;

use jiff::Timestamp;
use portpass_protocol::{Digest, RepositoryName, manifest::Descriptor};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Event<'a> {
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) action: &'static str,
    pub(super) target: Target,
    pub(super) request: &'a Request,
    pub(super) actor: &'a Actor,
    pub(super) source: &'a Source,
}

impl Event<'_> {
    pub(super) fn to_json(&self) -> String {
        // Texts and numbers under fixed names: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What was changed or pulled.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) media_type: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// The same as `size`, by its older name.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) length: u64,
    pub(super) repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) references: Vec<Reference>,
}

impl Target {
    pub(super) fn of(
        repository: &RepositoryName,
        media_type: &str,
        digest: &Digest,
        size: u64,
        url: Option<String>,
    ) -> Self {
        Self {
            media_type: media_type.to_owned(),
            size,
            digest: Some(digest.to_string()),
            length: size,
            repository: repository.to_string(),
            url,
            ..Self::default()
        }
    }
}

/// What a manifest refers to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    media_type: String,
    size: u64,
    digest: String,
}

impl From<&Descriptor> for Reference {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            media_type: descriptor.media_type.clone(),
            size: descriptor.size,
            digest: descriptor.digest.to_string(),
        }
    }
}

/// The request that did it; empty where the registry did it by itself.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Request {
    pub(super) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) addr: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) host: String,
    pub(super) method: String,
    pub(super) useragent: String,
}

/// Who did it; empty for an anonymous caller.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Actor {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
}

/// Who tells of it.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// Name and port of the machine.
    pub addr: String,
    /// Of this process; another one after each start.
    #[serde(rename = "instanceID")]
    pub instance: String,
}

/// As RFC 3339 has it. A time that no calendar has is the first one.
pub(super) fn timestamp(at: SystemTime) -> String {
    Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
