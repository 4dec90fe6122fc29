//! A client, and what it may rely on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use http::StatusCode;
use portpass_protocol::Digest;
use portpass_testkit::SeededRng;

use super::super::{
    ALL, DAY,
    goods::{Manifest, blob_path, manifest_path, mount},
};
use crate::harness::Harness;

/// Has a repository of its own, and knows what is in it.
pub(super) struct Client {
    registry: Arc<Harness>,
    name: String,
    others: Vec<String>,
    tags: BTreeMap<&'static str, Digest>,
    manifests: BTreeMap<Digest, Known>,
    next: usize,
    pub(super) tally: Tally,
}

/// A manifest that was pushed.
#[derive(Debug, Clone)]
struct Known {
    manifest: Manifest,
    /// Since when nothing keeps it, as far as this client knows; it is there until a day later at least.
    unkept_since: Option<SystemTime>,
}

/// What was done, and how it ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    images: usize,
    mounted: usize,
    told_by_head: usize,
    indexes: usize,
    referrers: usize,
    retagged: usize,
    deleted: usize,
    pulled: usize,
    collected: usize,
    too_late: usize,
}

impl Tally {
    pub(super) fn add(&mut self, more: Self) {
        self.images += more.images;
        self.mounted += more.mounted;
        self.told_by_head += more.told_by_head;
        self.indexes += more.indexes;
        self.referrers += more.referrers;
        self.retagged += more.retagged;
        self.deleted += more.deleted;
        self.pulled += more.pulled;
        self.collected += more.collected;
        self.too_late += more.too_late;
    }

    /// Whether everything has happened that should; not all of it must be too late.
    pub(super) fn is_varied(&self) -> bool {
        let Self { images, mounted, told_by_head, indexes, referrers, .. } = *self;
        let Self { retagged, deleted, pulled, collected, too_late, .. } = *self;
        let least =
            [mounted, told_by_head, indexes, referrers, retagged, deleted, pulled, collected];
        least.into_iter().all(|count| count > 0) && images > 2 * too_late
    }
}

impl Client {
    pub(super) fn new(registry: Arc<Harness>, number: usize, of: usize) -> Self {
        let name = |number: usize| format!("client/{number}");
        let others = (0..of).filter(|other| *other != number).map(name).collect();
        Self {
            registry,
            name: name(number),
            others,
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
            next: 0,
            tally: Tally::default(),
        }
    }

    /// Does something, and looks whether what it relied on was there.
    pub(super) async fn errand(&mut self, rng: &mut SeededRng) {
        match rng.below(10) {
            0..=2 => {
                let tag = (rng.below(4) > 0).then(|| rng.choose(&TAGS));
                self.push_image(rng, tag, None).await;
            }
            3 => self.push_index(rng).await,
            4 => self.push_referrer(rng).await,
            5 => self.retag(rng).await,
            6 => self.delete_tag(rng).await,
            7 => self.delete_manifest(rng).await,
            _ => self.pull(rng).await,
        }
    }

    /// As docker pushes: asks for each layer, mounts it or pushes it, and then puts the manifest.
    async fn push_image(
        &mut self,
        rng: &mut SeededRng,
        tag: Option<&'static str>,
        subject: Option<Digest>,
    ) -> Option<Digest> {
        let begun = self.registry.now();
        let layers: Vec<Vec<u8>> = (0..=rng.below(3)).map(|_| content(rng.below(LAYERS))).collect();
        for layer in &layers {
            self.bring(rng, layer).await;
        }
        self.next += 1;
        let word = format!("{} {}", self.name, self.next);
        let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
        let manifest = Manifest::image(&layers, &word, subject);
        self.tally.images += 1;
        self.put(manifest, tag, begun).await
    }

    /// Has a layer in the repository.
    async fn bring(&mut self, rng: &mut SeededRng, layer: &[u8]) {
        let head = self.registry.head(&blob_path(&self.name, layer)).await;
        match head.status {
            StatusCode::OK => self.tally.told_by_head += 1,
            StatusCode::NOT_FOUND => {
                let from = &self.others[rng.below(self.others.len())];
                if rng.below(2) == 0 && mount(&self.registry, &self.name, from, layer).await {
                    self.tally.mounted += 1;
                } else {
                    self.registry.blob(&self.name, layer).await;
                }
            }
            status => panic!("{status}"),
        }
    }

    /// Puts a manifest all of whose parts were there since `begun`; it is refused only if that is too long ago.
    async fn put(
        &mut self,
        manifest: Manifest,
        tag: Option<&'static str>,
        begun: SystemTime,
    ) -> Option<Digest> {
        let digest = manifest.digest;
        let status = manifest.put(&self.registry, &self.name, tag).await;
        if status != StatusCode::CREATED {
            let took = self.registry.now().duration_since(begun).unwrap();
            assert_eq!(status, StatusCode::BAD_REQUEST);
            // In another process a mark may be seen one step of the clock later.
            assert!(took >= ALL.mark_age() * 2 / 3, "{digest} lacks what was there {took:?} ago");
            self.tally.too_late += 1;
            return None;
        }
        let known = Known { manifest, unkept_since: None };
        self.manifests.insert(digest, known);
        if let Some(old) = tag.and_then(|tag| self.tags.insert(tag, digest)) {
            self.lost(old, begun);
        }
        self.lost(digest, begun);
        Some(digest)
    }

    /// An index of manifests that were pushed before, and are asked for.
    async fn push_index(&mut self, rng: &mut SeededRng) {
        let begun = self.registry.now();
        let mut children = Vec::new();
        for _ in 0..2 {
            let tag = (rng.below(3) == 0).then(|| rng.choose(&TAGS));
            children.extend(self.push_image(rng, tag, None).await);
        }
        if !self.manifests.is_empty() {
            let known: Vec<Digest> = self.manifests.keys().copied().collect();
            children.push(rng.choose(&known));
        }
        for child in children.clone() {
            if !self.look(child).await {
                children.retain(|other| *other != child);
            }
        }
        self.next += 1;
        let index = Manifest::index(&children, &format!("{} {}", self.name, self.next));
        self.tally.indexes += 1;
        self.put(index, Some(rng.choose(&TAGS)), begun).await;
    }

    async fn push_referrer(&mut self, rng: &mut SeededRng) {
        let tags: Vec<Digest> = self.tags.values().copied().collect();
        if !tags.is_empty() {
            let subject = rng.choose(&tags);
            self.tally.referrers += 1;
            self.push_image(rng, None, Some(subject)).await;
        }
    }

    async fn retag(&mut self, rng: &mut SeededRng) {
        let digests: Vec<Digest> = self.manifests.keys().copied().collect();
        if digests.is_empty() {
            return;
        }
        let (begun, digest) = (self.registry.now(), rng.choose(&digests));
        if self.look(digest).await {
            self.tally.retagged += 1;
            let manifest = self.manifests[&digest].manifest.clone();
            self.put(manifest, Some(rng.choose(&TAGS)), begun).await;
        }
    }

    async fn delete_tag(&mut self, rng: &mut SeededRng) {
        let tag = rng.choose(&TAGS);
        let begun = self.registry.now();
        let path = format!("/v2/{}/manifests/{tag}", self.name);
        let status = self.registry.delete(&path).await.status;
        match self.tags.remove(tag) {
            None => assert_eq!(status, StatusCode::NOT_FOUND),
            Some(digest) => {
                assert_eq!(status, StatusCode::ACCEPTED);
                self.tally.deleted += 1;
                self.lost(digest, begun);
            }
        }
    }

    async fn delete_manifest(&mut self, rng: &mut SeededRng) {
        let digests: Vec<Digest> = self.manifests.keys().copied().collect();
        if digests.is_empty() || rng.below(2) == 0 {
            return;
        }
        let (begun, digest) = (self.registry.now(), rng.choose(&digests));
        // What an index holds stays, so that indexes are whole.
        if self.manifests.values().any(|other| other.manifest.children.contains(&digest)) {
            return;
        }
        let status = self.registry.delete(&manifest_path(&self.name, &digest)).await.status;
        if status == StatusCode::NOT_FOUND {
            self.must_be_old(digest).await;
            self.forget(digest, self.earliest_end(digest));
        } else {
            assert_eq!(status, StatusCode::ACCEPTED);
            self.tally.deleted += 1;
            self.forget(digest, begun);
        }
    }

    async fn pull(&mut self, rng: &mut SeededRng) {
        let digests: Vec<Digest> = self.manifests.keys().copied().collect();
        if !digests.is_empty() {
            self.tally.pulled += 1;
            self.look(rng.choose(&digests)).await;
        }
    }

    /// Pulls a manifest with all that belongs to it; whether it is there, which it must be unless it may have gone.
    async fn look(&mut self, digest: Digest) -> bool {
        // Whatever was looked at before may have shown that this one has gone with it.
        if !self.manifests.contains_key(&digest) {
            return false;
        }
        let path = manifest_path(&self.name, &digest);
        let answer = self.registry.get(&path).await;
        if answer.status == StatusCode::NOT_FOUND {
            self.must_be_old(digest).await;
            self.tally.collected += 1;
            self.forget(digest, self.earliest_end(digest));
            return false;
        }
        let manifest = self.manifests[&digest].manifest.clone();
        assert_eq!(answer.body, manifest.text);
        for blob in &manifest.blobs {
            let pulled = self.registry.get(&blob_path(&self.name, blob)).await;
            let is_whole = pulled.status == StatusCode::OK && pulled.body == *blob;
            // It may have gone in the middle, and its blobs after it, if nothing kept it.
            if !is_whole {
                let again = self.registry.head(&path).await.status;
                assert_eq!(again, StatusCode::NOT_FOUND, "{digest} lacks a blob: {pulled:?}");
                self.must_be_old(digest).await;
                self.forget(digest, self.earliest_end(digest));
                return false;
            }
        }
        true
    }

    /// It has gone, and must have been without a name for long enough.
    async fn must_be_old(&mut self, digest: Digest) {
        self.ask_for_holders(digest).await;
        let since = self.manifests[&digest].unkept_since;
        let since = since.unwrap_or_else(|| panic!("{digest} is kept, and gone"));
        let age = self.registry.now().duration_since(since).unwrap();
        assert!(age >= DAY + ALL.mark_age(), "{digest} has gone after {age:?}");
    }

    /// An index or a subject that has gone without a word keeps nothing any more.
    async fn ask_for_holders(&mut self, digest: Digest) {
        let subject = self.manifests[&digest].manifest.subject;
        let holds = |other: &&Known| {
            other.manifest.children.contains(&digest) || Some(other.manifest.digest) == subject
        };
        let holders: Vec<Digest> =
            self.manifests.values().filter(holds).map(|other| other.manifest.digest).collect();
        for holder in holders {
            // It may have been forgotten with one before it, which held it.
            if !self.manifests.contains_key(&holder) {
                continue;
            }
            let path = manifest_path(&self.name, &holder);
            if self.registry.head(&path).await.status == StatusCode::NOT_FOUND {
                Box::pin(self.must_be_old(holder)).await;
                self.forget(holder, self.earliest_end(holder));
            }
        }
    }

    /// When it may have gone.
    fn earliest_end(&self, digest: Digest) -> SystemTime {
        let since = self.manifests[&digest].unkept_since;
        since.map_or_else(|| self.registry.now(), |since| since + DAY + ALL.mark_age())
    }

    /// It is not there any more, and keeps nothing.
    fn forget(&mut self, digest: Digest, since: SystemTime) {
        let Some(known) = self.manifests.remove(&digest) else { return };
        self.tags.retain(|_, named| *named != digest);
        let referrers = self.manifests.values().map(|other| &other.manifest);
        let referrers = referrers.filter(|other| other.subject == Some(digest));
        let mut concerned: Vec<Digest> = referrers.map(|other| other.digest).collect();
        concerned.extend(known.manifest.children);
        for other in concerned {
            self.lost(other, since);
        }
    }

    /// Something changed that may have kept it: whether something does, and since when not.
    fn lost(&mut self, digest: Digest, since: SystemTime) {
        let kept = self.is_kept(digest);
        if let Some(known) = self.manifests.get_mut(&digest) {
            known.unkept_since = (!kept).then_some(since);
            let children = known.manifest.children.clone();
            if kept {
                for child in children {
                    self.lost(child, since);
                }
            }
        }
    }

    /// Whether a tag, an index or a subject keeps it.
    fn is_kept(&self, digest: Digest) -> bool {
        let holds = |other: &Known| other.manifest.children.contains(&digest);
        let subject = self.manifests.get(&digest).and_then(|known| known.manifest.subject);
        self.tags.values().any(|named| *named == digest)
            || self.manifests.values().any(holds)
            || subject.is_some_and(|subject| self.manifests.contains_key(&subject))
    }

    /// Looks at everything, in the end: tags name what they were set to.
    pub(super) async fn audit_all(&mut self) {
        for (tag, digest) in &self.tags {
            let answer = self.registry.get(&format!("/v2/{}/manifests/{tag}", self.name)).await;
            assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        }
        // What belonged to what has gone is kept by nothing any more, and has gone too.
        while let Some(unkept) = self.an_unkept_one() {
            assert!(!self.look(unkept).await, "{unkept} is there, and nothing keeps it");
        }
        for digest in self.manifests.keys().copied().collect::<Vec<_>>() {
            assert!(self.look(digest).await, "{digest} is gone");
        }
    }

    fn an_unkept_one(&self) -> Option<Digest> {
        let mut unkept = self.manifests.values().filter(|known| known.unkept_since.is_some());
        unkept.next().map(|known| known.manifest.digest)
    }

    /// The blobs that its manifests link to.
    pub(super) fn live(&self) -> BTreeSet<(Digest, u64)> {
        let blobs = self.manifests.values().flat_map(|known| &known.manifest.blobs);
        blobs.map(|blob| (Digest::sha256(blob), blob.len() as u64)).collect()
    }
}

/// One of the layers that all clients have.
fn content(number: usize) -> Vec<u8> {
    format!("layer {number} ").repeat(number + 1).into_bytes()
}

const LAYERS: usize = 60;
const TAGS: [&str; 4] = ["latest", "v1", "v2", "edge"];
