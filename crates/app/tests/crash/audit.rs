//! Everything that can be seen from outside, held against the journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::body::Bytes;
use futures_util::{StreamExt as _, stream};
use portpass_protocol::Digest;
use portpass_testkit::SeededRng;
use reqwest::{Method, StatusCode};
use serde_json::Value as Json;

use crate::{
    goods::{REPOSITORIES, TAGS},
    journal::{Journal, Thing, Value},
    wire::{Answer, Lost, Wire},
};

/// Whoever looks at everything.
#[derive(Debug)]
pub(crate) struct Auditor {
    pub(crate) wire: Wire,
    pub(crate) token: String,
    pub(crate) journal: Arc<Journal>,
}

/// What was seen, all of it allowed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    blobs: BTreeSet<(&'static str, Digest)>,
    manifests: BTreeMap<(&'static str, Digest), Bytes>,
    tags: BTreeMap<(&'static str, &'static str), Digest>,
    /// Things that were looked for.
    pub(crate) looked_at: usize,
    /// Refresh tokens that work.
    pub(crate) refresh_tokens: usize,
    /// Refresh tokens that were given back.
    pub(crate) dead_tokens: usize,
}

impl Seen {
    /// Digests of blobs that a manifest of their repository links to: each needs one object, and a day later nothing else
    /// does.
    pub(crate) fn live(&self) -> BTreeSet<Digest> {
        self.linked().into_iter().map(|(_, digest)| digest).collect()
    }

    /// Has the others looked for as what is gone.
    pub(crate) fn outlive_the_rest(&self, journal: &Journal) {
        for (repository, digest) in self.blobs.difference(&self.linked()) {
            let blob = Thing::Blob { repository, digest: *digest };
            journal.settle(&blob, Value::Absent);
        }
    }

    fn linked(&self) -> BTreeSet<(&'static str, Digest)> {
        let blobs = |((repository, _), bytes): (&(&'static str, Digest), &Bytes)| {
            let repository = *repository;
            blobs_of(bytes).into_iter().map(move |blob| (repository, blob))
        };
        self.manifests.iter().flat_map(blobs).collect()
    }

    pub(crate) fn visible(&self) -> usize {
        self.blobs.len() + self.manifests.len() + self.tags.len()
    }
}

impl Auditor {
    /// Looks at everything, and takes what is seen for settled.
    pub(crate) async fn audit(&self, rng: &mut SeededRng) -> Seen {
        let things = self.journal.things();
        let seen = self.look_at(&things).await;
        seen.is_complete();
        self.lists_agree(&seen).await;
        self.referrers_agree(&seen).await;
        self.nothing_is_elsewhere(&things, rng).await;
        seen
    }

    /// Pulls everything that there may be.
    pub(crate) async fn pull(&self) {
        let mut things = self.journal.things();
        things.retain(|thing| !matches!(thing, Thing::RefreshToken { .. }));
        self.look_at(&things).await.is_complete();
    }

    async fn look_at(&self, things: &[Thing]) -> Seen {
        let mut seen = Seen { looked_at: things.len(), ..Seen::default() };
        let looks = stream::iter(things.iter().map(|thing| self.look(thing)));
        let looks: Vec<(Value, Bytes)> = looks.buffered(AT_ONCE).collect().await;
        for (thing, (value, bytes)) in things.iter().zip(looks) {
            let allowed = self.journal.allowed(thing);
            assert!(allowed.contains(&value), "{thing:?} is {value:?}, and not one of {allowed:?}");
            self.journal.settle(thing, value);
            seen.note(thing, value, bytes);
        }
        seen
    }

    async fn look(&self, thing: &Thing) -> (Value, Bytes) {
        let (path, digest) = match thing {
            Thing::Blob { repository, digest } => {
                (format!("/v2/{repository}/blobs/{digest}"), Some(digest))
            }
            Thing::Manifest { repository, digest } => {
                (format!("/v2/{repository}/manifests/{digest}"), Some(digest))
            }
            Thing::Tag { repository, tag } => (format!("/v2/{repository}/manifests/{tag}"), None),
            Thing::RefreshToken { secret } => {
                let token = self.wire.refresh(secret).await.unwrap();
                let value = token.map_or(Value::Absent, |_| Value::Present);
                return (value, Bytes::new());
            }
        };
        let found = self.wire.fetch(&path, &self.token).await;
        let found = found.unwrap_or_else(|lost| panic!("{path}: {lost:?}"));
        match (found, digest) {
            (None, _) => (Value::Absent, Bytes::new()),
            (Some(bytes), None) => (Value::Names(Digest::sha256(&bytes)), bytes),
            (Some(bytes), Some(digest)) => {
                assert_eq!(Digest::sha256(&bytes), *digest, "{path}");
                (Value::Present, bytes)
            }
        }
    }

    /// The catalog and the tags' lists have what can be pulled, and nothing else.
    async fn lists_agree(&self, seen: &Seen) {
        let listed = self.get("/v2/_catalog?n=1000").await.json();
        let listed = words(&listed["repositories"]);
        for repository in &listed {
            assert!(REPOSITORIES.contains(&repository.as_str()), "the catalog has {repository}");
        }
        for repository in REPOSITORIES {
            let tags: BTreeSet<String> = seen
                .tags
                .keys()
                .filter(|(held_in, _)| *held_in == repository)
                .map(|(_, tag)| (*tag).to_owned())
                .collect();
            let answer = self.get(&format!("/v2/{repository}/tags/list")).await;
            assert_eq!(listed.contains(repository), answer.status == StatusCode::OK, "{answer:?}");
            if seen.holds_anything(repository) {
                assert!(listed.contains(repository), "the catalog lacks {repository}");
            }
            if answer.status == StatusCode::OK {
                assert_eq!(words(&answer.json()["tags"]), tags, "tags of {repository}");
            }
        }
    }

    /// Whatever can be pulled and names a subject is listed as its referrer, and nothing else is.
    async fn referrers_agree(&self, seen: &Seen) {
        let mut expected: BTreeMap<(&str, Digest), BTreeSet<String>> = BTreeMap::new();
        for ((repository, digest), bytes) in &seen.manifests {
            if let Some(subject) = subject_of(bytes) {
                let referrers = expected.entry((*repository, subject)).or_default();
                referrers.insert(digest.to_string());
            }
        }
        for (repository, digest) in seen.manifests.keys() {
            expected.entry((*repository, *digest)).or_default();
        }
        for ((repository, subject), referrers) in expected {
            let answer = self.get(&format!("/v2/{repository}/referrers/{subject}")).await;
            let listed = answer.json();
            let listed = listed["manifests"].as_array().unwrap().iter();
            let listed: BTreeSet<String> =
                listed.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect();
            assert_eq!(listed, referrers, "referrers of {subject} in {repository}");
        }
    }

    /// What was pushed to one repository is in no other.
    async fn nothing_is_elsewhere(&self, things: &[Thing], rng: &mut SeededRng) {
        for _ in 0..things.len() / 5 {
            let (thing, repository) = (rng.choose(things), rng.choose(&REPOSITORIES));
            let elsewhere = match thing {
                Thing::Blob { digest, .. } => Thing::Blob { repository, digest },
                Thing::Manifest { digest, .. } => Thing::Manifest { repository, digest },
                Thing::Tag { .. } | Thing::RefreshToken { .. } => continue,
            };
            if things.binary_search(&elsewhere).is_err() {
                assert_eq!(self.look(&elsewhere).await.0, Value::Absent, "{elsewhere:?}");
            }
        }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.wire.request(Method::GET, path).bearer_auth(&self.token);
        match self.wire.send(request).await {
            Ok(answer) => answer,
            Err(Lost::NeverSent | Lost::Unanswered | Lost::Refused(_)) => {
                panic!("{path} is not answered")
            }
        }
    }
}

impl Seen {
    fn note(&mut self, thing: &Thing, value: Value, bytes: Bytes) {
        match (thing, value) {
            (Thing::RefreshToken { .. }, Value::Absent) => self.dead_tokens += 1,
            (_, Value::Absent) => {}
            (Thing::Blob { repository, digest }, _) => {
                self.blobs.insert((repository, *digest));
            }
            (Thing::Manifest { repository, digest }, _) => {
                self.manifests.insert((repository, *digest), bytes);
            }
            (Thing::Tag { repository, tag }, Value::Names(digest)) => {
                self.tags.insert((repository, tag), digest);
            }
            (Thing::Tag { .. }, Value::Present) => panic!("{thing:?} names something"),
            (Thing::RefreshToken { .. }, _) => self.refresh_tokens += 1,
        }
    }

    /// Whatever has a name is whole: a tag's manifest, a manifest's blobs and children.
    fn is_complete(&self) {
        for ((repository, tag), digest) in &self.tags {
            assert!(self.manifests.contains_key(&(*repository, *digest)), "{repository}:{tag}");
        }
        for ((repository, digest), bytes) in &self.manifests {
            let manifest: Json = serde_json::from_slice(bytes).unwrap();
            let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
            for blob in blobs_of(bytes) {
                let held = self.blobs.contains(&(*repository, blob));
                assert!(held, "{digest} in {repository} lacks its blob {blob}");
            }
            for child in &list("manifests") {
                let child = digest_of(child);
                let held = self.manifests.contains_key(&(*repository, child));
                assert!(held, "{digest} in {repository} lacks its child {child}");
            }
        }
    }

    fn holds_anything(&self, repository: &str) -> bool {
        self.blobs.iter().any(|(held_in, _)| *held_in == repository)
            || self.manifests.keys().any(|(held_in, _)| *held_in == repository)
    }
}

fn subject_of(manifest: &Bytes) -> Option<Digest> {
    let manifest: Json = serde_json::from_slice(manifest).unwrap();
    manifest.get("subject").map(digest_of)
}

fn blobs_of(manifest: &Bytes) -> Vec<Digest> {
    let manifest: Json = serde_json::from_slice(manifest).unwrap();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.chain(manifest.get("config")).map(digest_of).collect()
}

fn digest_of(descriptor: &Json) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

fn words(list: &Json) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Has every tag looked at that there can be, also those that nobody sets.
pub(crate) fn watch_tags(journal: &Journal) {
    for repository in REPOSITORIES {
        for tag in TAGS {
            journal.watch(Thing::Tag { repository, tag });
        }
    }
}

const AT_ONCE: usize = 16;
