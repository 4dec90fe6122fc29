//! What is written down, and how it stands in the trail.

use std::{sync::Arc, time::SystemTime};

use portpass_protocol::{Access, Actions, RepositoryChange, RepositoryName, Tag};
use portpass_state::{AuditRecord, KeyId};
use portpass_token::ServiceName;
use serde_json::{Map, Value, json};

use super::Action;
use crate::{
    policy::Decision,
    request::{ClientInfo, Leg},
};

/// One thing that happened at the token endpoint, or that the registry did.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
    /// Whose doing: the account's name; `None` for an anonymous caller.
    pub account: Option<String>,
    /// Which registry it was about, where that was known.
    pub service: Option<ServiceName>,
    /// Which way the request came, where it was readable.
    pub leg: Option<Leg>,
    /// The program that asked.
    pub client: ClientInfo,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A token was signed.
    Issued {
        /// What was decided on each resource.
        decisions: Arc<[Decision]>,
        /// The API key that proved the account.
        key: Option<KeyId>,
    },
    /// A token and a refresh token were.
    IssuedWithRefresh {
        /// What was decided on each resource.
        decisions: Arc<[Decision]>,
        /// The refresh token's row.
        refresh: String,
    },
    /// A token was signed for a refresh token.
    Refreshed {
        /// What was decided on each resource.
        decisions: Arc<[Decision]>,
        /// The refresh token's row.
        refresh: String,
    },
    /// There was no token.
    Refused {
        /// A stable word.
        reason: &'static str,
        /// The name that was claimed, proved or not.
        claimed: Option<String>,
    },
    /// A refresh token was found to be dead, or given back by its holder.
    Revoked {
        /// Its row.
        refresh: String,
        /// A stable word.
        reason: &'static str,
    },
    /// A repository of ours is another one now.
    Changed {
        /// Which.
        repository: RepositoryName,
        /// How.
        change: RepositoryChange,
    },
}

impl Event {
    /// As it is kept.
    pub fn into_record(self) -> AuditRecord {
        let mut detail = Map::new();
        let (action, object) = self.kind.describe(&mut detail);
        let leg = self.leg.map(|leg| if leg == Leg::Get { "get" } else { "post" });
        for (name, value) in [
            ("service", self.service.as_ref().map(ServiceName::as_str)),
            ("client", self.client.id.as_deref()),
            ("leg", leg),
        ] {
            if let Some(value) = value {
                detail.insert(name.to_owned(), value.into());
            }
        }
        AuditRecord {
            at: self.at,
            action: action.as_str().to_owned(),
            actor: self.account,
            object,
            address: self.client.address.map(|address| address.to_string()),
            request: self.client.request,
            detail: Value::Object(detail),
        }
    }

    /// What it holds of the memory, more or less.
    pub(super) fn weight(&self) -> usize {
        let decision = |decision: &Decision| {
            let Access { resource, actions } = &decision.requested;
            let actions: usize = actions.iter().map(|action| action.as_str().len() + 64).sum();
            resource.name.len() + 3 * actions + size_of::<Decision>()
        };
        let kind = match &self.kind {
            EventKind::Issued { decisions, .. }
            | EventKind::IssuedWithRefresh { decisions, .. }
            | EventKind::Refreshed { decisions, .. } => decisions.iter().map(decision).sum(),
            EventKind::Refused { .. } | EventKind::Revoked { .. } => 0,
            EventKind::Changed { change, .. } => match change {
                RepositoryChange::ManifestPushed { tags, .. }
                | RepositoryChange::ManifestDeleted { tags, .. } => {
                    tags.iter().map(|tag| tag.as_str().len() + size_of::<Tag>()).sum()
                }
                RepositoryChange::TagDeleted { .. }
                | RepositoryChange::BlobDeleted { .. }
                | RepositoryChange::BlobMounted { .. } => 0,
            },
        };
        // Its own words are short: names, an address, an id.
        size_of::<Self>() + 512 + kind
    }
}

impl EventKind {
    /// Its word, and what it was done to; the rest goes into the detail.
    fn describe(&self, detail: &mut Map<String, Value>) -> (Action, Option<String>) {
        let mut granted = |decisions: &[Decision]| list("access", access(decisions), detail);
        match self {
            Self::Issued { decisions, key } => {
                granted(decisions);
                if let Some(key) = key {
                    detail.insert("key".to_owned(), json!(key.to_string()));
                }
                (Action::TokenIssued, None)
            }
            Self::IssuedWithRefresh { decisions, refresh } => {
                granted(decisions);
                (Action::RefreshTokenIssued, Some(refresh.clone()))
            }
            Self::Refreshed { decisions, refresh } => {
                granted(decisions);
                (Action::RefreshTokenUsed, Some(refresh.clone()))
            }
            Self::Refused { reason, claimed } => {
                detail.insert("reason".to_owned(), json!(reason));
                (Action::TokenRefused, claimed.clone())
            }
            Self::Revoked { refresh, reason } => {
                detail.insert("reason".to_owned(), json!(reason));
                (Action::RefreshTokenRevoked, Some(refresh.clone()))
            }
            Self::Changed { repository, change } => {
                (changed(change, detail), Some(repository.to_string()))
            }
        }
    }
}

/// The word for it; which, goes into the detail.
fn changed(change: &RepositoryChange, detail: &mut Map<String, Value>) -> Action {
    let mut set = |name: &str, value: String| detail.insert(name.to_owned(), value.into());
    let named = |tags: &[Tag]| tags.iter().map(|tag| json!(tag.as_str())).collect();
    match change {
        RepositoryChange::ManifestPushed { digest, tags, subject } => {
            set("digest", digest.to_string());
            if let Some(subject) = subject {
                set("subject", subject.to_string());
            }
            list("tags", named(tags), detail);
            Action::ManifestPushed
        }
        RepositoryChange::ManifestDeleted { digest, tags } => {
            set("digest", digest.to_string());
            list("tags", named(tags), detail);
            Action::ManifestDeleted
        }
        RepositoryChange::TagDeleted { tag } => {
            list("tags", named(std::slice::from_ref(tag)), detail);
            Action::TagDeleted
        }
        RepositoryChange::BlobDeleted { digest } => {
            set("digest", digest.to_string());
            Action::BlobDeleted
        }
        RepositoryChange::BlobMounted { digest, from } => {
            set("digest", digest.to_string());
            set("from", from.to_string());
            Action::BlobMounted
        }
    }
}

/// Each resource with what was asked, what was granted, and the rules that said so. Where something was
/// granted comes first: it must not be what is left out.
fn access(decisions: &[Decision]) -> Vec<Value> {
    let (granted, denied): (Vec<_>, Vec<_>) =
        decisions.iter().partition(|decision| !decision.granted.is_empty());
    let words = |actions: &Actions| -> Vec<String> {
        actions.iter().map(|action| shortened(action.as_str(), LONGEST_ACTION)).collect()
    };
    let entry = |decision: &Decision| {
        let mut rules: Vec<u32> = decision.applied_rules.iter().map(|g| g.rule.number()).collect();
        rules.dedup();
        let mut entry = json!({
            "resource": shortened(&decision.requested.resource.to_string(), LONGEST_RESOURCE),
            "requested": words(&decision.requested.actions),
            "granted": words(&decision.granted),
            "rules": rules,
        });
        let own = decision.own();
        if !own.is_empty() {
            entry["own"] = words(&own).into();
        }
        entry
    };
    granted.into_iter().chain(denied).map(entry).collect()
}

/// A list of as many as have room, and how many are left out.
fn list(name: &str, entries: Vec<Value>, detail: &mut Map<String, Value>) {
    let (all, mut length) = (entries.len(), 0);
    let fits = |entry: &Value| {
        length += entry.to_string().len() + 1;
        length <= LONGEST_LIST
    };
    let kept: Vec<Value> = entries.into_iter().take_while(fits).collect();
    if kept.len() < all {
        detail.insert(format!("{name}_left_out"), (all - kept.len()).into());
    }
    detail.insert(name.to_owned(), kept.into());
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// In bytes; with all the rest of a detail it is less than an entry may have.
const LONGEST_LIST: usize = 2048;
/// No registry takes a longer name.
const LONGEST_RESOURCE: usize = 300;
const LONGEST_ACTION: usize = 32;
