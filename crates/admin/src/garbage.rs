//! Garbage of the registry: what collections will remove, and one of them, beside a server or without one.

use std::{collections::HashSet, sync::Arc, time::SystemTime};

use portpass_authority::audit::AuditTrail;
use portpass_registry::gc::{
    Collected, Collector, GcSettings,
    forecast::{Doomed, DoomedKind, Why},
};
use serde::Serialize;

use super::{AdminError, AuditEvents, Installation, serialize_time};

/// What a collection removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GarbageCollection {
    /// Blobs that are gone from the disk.
    pub blobs: u64,
    /// Manifests that are gone.
    pub manifests: u64,
    /// What the disk has more.
    pub bytes: u64,
    /// What was marked: it goes a grace period later, unless somebody asks for it.
    pub marked: u64,
    /// Blobs that no repository has any more, and that are still on the disk for a moment.
    pub waiting: u64,
}

/// What collections will remove if nothing else happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GarbageForecast {
    /// Blobs that will be gone from the disk.
    pub blobs: u64,
    /// Manifests that will be gone.
    pub manifests: u64,
    /// What the disk will have more.
    pub bytes: u64,
    /// All of it, in the order in which it goes.
    pub items: Vec<GarbageItem>,
}

/// A manifest or a blob that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GarbageItem {
    /// `manifest` or `blob`.
    pub kind: &'static str,
    /// Which; absent of an object that was never a blob.
    pub digest: Option<String>,
    /// Who holds it, or held it last.
    pub repository: Option<String>,
    /// What the disk has more then: nothing where other repositories go on to hold it.
    pub bytes: u64,
    /// Why it goes.
    pub why: &'static str,
    /// Not before then.
    #[serde(serialize_with = "serialize_time")]
    pub goes_at: SystemTime,
}

impl Installation {
    /// What collections will remove; nothing is changed.
    pub async fn garbage(&self) -> Result<GarbageForecast, AdminError> {
        let doomed = Doomed::all(&self.db, self.gc_settings()?, self.now()).await?;
        let of = |kind| doomed.iter().filter(move |it| it.kind == kind);
        let freed: Vec<_> = of(DoomedKind::Blob).filter(|blob| blob.bytes > 0).collect();
        let digests: HashSet<_> = freed.iter().filter_map(|blob| blob.digest).collect();
        let nameless = freed.iter().filter(|blob| blob.digest.is_none()).count();
        Ok(GarbageForecast {
            blobs: (digests.len() + nameless) as u64,
            manifests: of(DoomedKind::Manifest).count() as u64,
            bytes: of(DoomedKind::Blob).map(|blob| blob.bytes).sum(),
            items: doomed.into_iter().map(GarbageItem::from).collect(),
        })
    }

    /// Takes each step whose time has come. A server that runs meanwhile may collect too.
    pub async fn collect_garbage(&self) -> Result<GarbageCollection, AdminError> {
        let settings = self.gc_settings()?;
        self.require_writable().await?;
        let store = self.blob_store().await?;
        let (trail, writer) = AuditTrail::new(self.db.clone());
        let writing = tokio::spawn(writer.run());
        let events = Arc::new(AuditEvents(trail));
        let collector = Collector::new(&self.db, store, events, settings);
        let collected = collector.collect(self.now()).await;
        // The trail ends when nobody can write into it any more.
        drop(collector);
        let _ = writing.await;
        let Collected { manifests, retired, objects, bytes, marked, .. } = collected?;
        Ok(GarbageCollection { blobs: objects, manifests, bytes, marked, waiting: retired })
    }

    fn gc_settings(&self) -> Result<GcSettings, AdminError> {
        let registry = self.config.registry.as_ref().ok_or(AdminError::NoRegistry)?;
        Ok(registry.gc.settings)
    }
}

impl From<Doomed> for GarbageItem {
    fn from(doomed: Doomed) -> Self {
        let Doomed { kind, digest, repository, bytes, why, goes_at } = doomed;
        Self {
            kind: match kind {
                DoomedKind::Manifest => "manifest",
                DoomedKind::Blob => "blob",
            },
            digest: digest.map(|digest| digest.to_string()),
            repository,
            bytes,
            why: match why {
                Why::Untagged => "no tag, index or subject keeps it",
                Why::Unlinked => "no manifest refers to it",
                Why::ManifestsGo => "only manifests that go refer to it",
                Why::Released => "no repository holds it",
            },
            goes_at,
        }
    }
}
