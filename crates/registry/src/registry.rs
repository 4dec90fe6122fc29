//! The registry: its parts, and what all clones of it share.

use std::{num::NonZeroUsize, sync::Arc, time::SystemTime};

use portpass_protocol::ClientAddress;
use portpass_state::{AbsentChildren, Db};
use portpass_storage::BlobStore;
use portpass_token::{Clock, Random};

use crate::{
    controller::Guard,
    event::EventSink,
    groups::GroupDirectory,
    immutable::ImmutableTags,
    manifest_budget::ManifestBudget,
    notification::{Cause, Notifications},
    pulls::PullNotes,
    read_only::ReadOnly,
    rules::Rules,
};

/// What a registry is made of.
#[derive(Debug)]
pub struct RegistryParts {
    /// Who may do what.
    pub guard: Guard,
    /// Manifests, tags, and which blobs belong to which repository.
    pub db: Db,
    /// The bytes of blobs.
    pub store: Arc<dyn BlobStore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Names for upload sessions.
    pub random: Arc<dyn Random>,
    /// Whether anything may be deleted.
    pub deletes: Deletes,
    /// Who is told of what changes.
    pub events: Arc<dyn EventSink>,
    /// What makes events for others, where there are others.
    pub notifications: Option<Arc<Notifications>>,
    /// Where pulls are noted.
    pub pulls: Arc<PullNotes>,
    /// Whether nothing may change.
    pub read_only: Arc<ReadOnly>,
    /// What operators choose of the API.
    pub settings: ApiSettings,
    /// What repositories may hold, and for how long.
    pub rules: Arc<Rules>,
    /// Who is in which group.
    pub groups: Arc<dyn GroupDirectory>,
}

/// What operators choose of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSettings {
    /// Whether an index may name manifests that are not in the repository.
    pub absent_children: AbsentChildren,
    /// How many names one page of the catalog has at most.
    pub catalog_limit: NonZeroUsize,
    /// What the URLs of uploads look like.
    pub upload_urls: UploadUrls,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            absent_children: AbsentChildren::Refused,
            catalog_limit: NonZeroUsize::new(1000).expect("not zero"),
            upload_urls: UploadUrls::Plain,
        }
    }
}

/// What the URLs of uploads look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadUrls {
    /// A path alone.
    Plain,
    /// With a query, as distribution's: some scripts put `&digest=` behind it.
    WithQuery,
}

/// One switch for tags, manifests and blobs (CVE-2026-41888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// Refused with 405, whoever asks.
    Disabled,
    /// A question of rights.
    Enabled,
}

/// The registry. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
    /// For what is written on behalf of somebody.
    db: Db,
}

/// What all clones have in common.
#[derive(Debug)]
struct Shared {
    parts: RegistryParts,
    manifest_budget: ManifestBudget,
}

impl Registry {
    /// A registry of these parts.
    pub fn new(parts: RegistryParts) -> Self {
        let db = parts.db.clone();
        Self { shared: Arc::new(Shared { parts, manifest_budget: ManifestBudget::new() }), db }
    }

    /// The same registry, where this account writes, or this address where it has no name: among those who write,
    /// each has its turn.
    pub(crate) fn on_behalf_of(&self, account: &str, address: Option<ClientAddress>) -> Self {
        let db = match (account, address) {
            ("", Some(address)) => {
                self.db.on_behalf_of(&format!("network {:02x?}", address.network()))
            }
            (account, _) => self.db.on_behalf_of(account),
        };
        Self { shared: Arc::clone(&self.shared), db }
    }

    /// The same registry, which tells others what is done, and who does it.
    pub(crate) fn announcing(&self, cause: Cause) -> Self {
        let db = match self.notifications() {
            Some(notifications) => self.db.announcing(notifications.announcer(cause)),
            None => self.db.clone(),
        };
        Self { shared: Arc::clone(&self.shared), db }
    }

    /// Room for manifests under way.
    pub(crate) fn manifest_budget(&self) -> &ManifestBudget {
        &self.shared.manifest_budget
    }

    /// Who may do what.
    pub(crate) fn guard(&self) -> &Guard {
        &self.shared.parts.guard
    }

    /// Manifests, tags, and which blobs belong to which repository.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// The bytes of blobs.
    pub(crate) fn store(&self) -> &Arc<dyn BlobStore> {
        &self.shared.parts.store
    }

    /// What time it is.
    pub(crate) fn now(&self) -> SystemTime {
        self.shared.parts.clock.now()
    }

    /// 128 random bits.
    pub(crate) fn draw(&self) -> [u8; 16] {
        let mut bits = [0; 16];
        self.shared.parts.random.fill(&mut bits);
        bits
    }

    /// As [`Registry::events`], to be kept.
    pub(crate) fn event_sink(&self) -> &Arc<dyn EventSink> {
        &self.shared.parts.events
    }

    /// Who is told of what changes.
    pub(crate) fn events(&self) -> &dyn EventSink {
        &*self.shared.parts.events
    }

    /// Whether nothing may change at the moment.
    pub(crate) fn is_read_only(&self) -> bool {
        self.shared.parts.read_only.is_on()
    }

    /// What makes events for others, where there are others.
    pub(crate) fn notifications(&self) -> Option<&Arc<Notifications>> {
        self.shared.parts.notifications.as_ref()
    }

    /// What operators choose of the API.
    pub(crate) fn settings(&self) -> ApiSettings {
        self.shared.parts.settings
    }

    /// Where pulls are noted.
    pub(crate) fn pulls(&self) -> &PullNotes {
        &self.shared.parts.pulls
    }

    /// What repositories may hold, and for how long.
    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.shared.parts.rules
    }

    /// Which tags must not move.
    pub(crate) fn immutable(&self) -> &ImmutableTags {
        &self.shared.parts.rules.immutable
    }

    /// Who is in which group.
    pub(crate) fn groups(&self) -> &dyn GroupDirectory {
        &*self.shared.parts.groups
    }

    /// Whether anything may be deleted.
    pub(crate) fn deletes(&self) -> Deletes {
        self.shared.parts.deletes
    }
}
