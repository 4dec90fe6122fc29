//! The engine against a slow reference, and what it removes from a database.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use portpass_pattern::{PathPattern, WordPattern};
use portpass_protocol::{Digest, Tag};
use portpass_state::{Child, ManifestFacts, TagFacts};
use proptest::prelude::*;

use super::{Decided, Fate, decide::Deciding, inventory::Inventory};
use crate::{
    immutable::{ImmutableRule, ImmutableTags},
    rules::{Retention, RetentionRule},
};

/// Seconds ago.
type Age = u64;

/// A repository as a test draws it: manifest N may hold and refer to those with a smaller number alone.
#[derive(Debug, Clone)]
struct Drawn {
    manifests: Vec<DrawnManifest>,
    tags: BTreeMap<String, DrawnTag>,
}

#[derive(Debug, Clone)]
struct DrawnManifest {
    pushed: Age,
    pulled: Option<Age>,
    subject: Option<usize>,
    /// Its subject is not in the repository.
    subject_is_absent: bool,
    children: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Here(usize),
    Absent,
}

#[derive(Debug, Clone)]
struct DrawnTag {
    manifest: usize,
    tagged: Age,
    pulled: Option<Age>,
    /// What the tag is for, where it is one for referrers: a manifest, or nothing that is here.
    referrers_of: Option<Subject>,
}

fn digest(number: usize) -> Digest {
    Digest::sha256(format!("manifest {number}").as_bytes())
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn ago(age: Age) -> SystemTime {
    now() - Duration::from_secs(age)
}

impl Drawn {
    fn inventory(&self) -> Inventory {
        let tag = |(name, tag): (&String, &DrawnTag)| TagFacts {
            name: name.parse().unwrap(),
            manifest: digest(tag.manifest),
            tagged_at: ago(tag.tagged),
            pulled_at: tag.pulled.map(ago),
        };
        let facts = |(number, manifest): (usize, &DrawnManifest)| ManifestFacts {
            digest: digest(number),
            pushed_at: ago(manifest.pushed),
            pulled_at: manifest.pulled.map(ago),
            subject: match manifest.subject {
                _ if manifest.subject_is_absent => Some(Digest::sha256(b"absent")),
                subject => subject.map(digest),
            },
            size: 1,
        };
        let children = self.manifests.iter().enumerate().flat_map(|(number, manifest)| {
            let child = move |child: &usize| Child { of: digest(number), digest: digest(*child) };
            manifest.children.iter().map(child)
        });
        Inventory::new(
            self.tags.iter().map(tag).collect(),
            self.manifests.iter().enumerate().map(facts).collect(),
            &children.collect::<Vec<_>>(),
        )
    }

    fn decided(&self, rules: &[RetentionRule], immutable: &ImmutableTags) -> Decided {
        let retention = Retention { rules: rules.to_vec(), interval: Duration::ZERO };
        let (name, unconfirmed) = ("team/app".parse().unwrap(), BTreeSet::new());
        let deciding = Deciding::new(&name, &retention, immutable, &unconfirmed, now()).unwrap();
        deciding.decide(&self.inventory())
    }

    /// The manifests that keep themselves by others.
    fn circles(&self) -> BTreeSet<usize> {
        let owned = |owner: usize| {
            let of = move |(number, it): (usize, &DrawnManifest)| {
                let subject = it.subject.filter(|_| !it.subject_is_absent);
                let is_owned =
                    subject == Some(owner) || self.manifests[owner].children.contains(&number);
                is_owned.then_some(number)
            };
            self.manifests.iter().enumerate().filter_map(of)
        };
        let is_in_one = |number: &usize| {
            let mut reached: BTreeSet<usize> = owned(*number).collect();
            for _ in &self.manifests {
                let further: Vec<usize> = reached.iter().flat_map(|it| owned(*it)).collect();
                reached.extend(further);
            }
            reached.contains(number)
        };
        (0..self.manifests.len()).filter(is_in_one).collect()
    }

    /// The tags and manifests that stay, by the definition and in no hurry.
    fn reference(
        &self,
        rules: &[RetentionRule],
        immutable: &ImmutableTags,
    ) -> (BTreeSet<String>, BTreeSet<usize>) {
        let pulled_within = rules.iter().filter_map(|rule| rule.keep_pulled_within).max();
        let within = |age: Age, time: Option<Duration>| time.is_some_and(|t| age < t.as_secs());
        let is_immutable = |name: &str| {
            immutable.0.iter().any(|rule| rule.tags.iter().any(|tag| tag.matches(name)))
        };
        let deciding = |name: &str| {
            rules.iter().position(|rule| rule.tags.iter().any(|tag| tag.matches(name)))
        };
        let plain = |tag: &DrawnTag| {
            tag.referrers_of.is_none() || tag.referrers_of == Some(Subject::Here(tag.manifest))
        };
        let stays_by_rule = |name: &String, tag: &DrawnTag| {
            if is_immutable(name) {
                return true;
            }
            if !plain(tag) {
                return tag.referrers_of == Some(Subject::Absent);
            }
            let Some(number) = deciding(name) else { return true };
            let rule = &rules[number];
            let newer = self.tags.iter().filter(|(other, it)| {
                plain(it)
                    && !is_immutable(other)
                    && deciding(other) == Some(number)
                    && (it.tagged, *other) < (tag.tagged, name)
            });
            let pulls = [tag.pulled, self.manifests[tag.manifest].pulled];
            rule.keep.iter().any(|pattern| pattern.matches(name))
                || within(tag.tagged, rule.keep_younger)
                || pulls.iter().flatten().any(|age| within(*age, rule.keep_pulled_within))
                || rule.keep_last.is_some_and(|count| newer.count() < count)
        };
        let holders = |number: usize| {
            let holds = move |(_, it): &(usize, &DrawnManifest)| it.children.contains(&number);
            self.manifests.iter().enumerate().filter(holds)
        };
        let (mut tags, mut manifests) = (BTreeSet::new(), self.circles());
        loop {
            let before = (tags.len(), manifests.len());
            for (name, tag) in &self.tags {
                let by_subject = match tag.referrers_of {
                    Some(Subject::Here(subject)) => manifests.contains(&subject),
                    Some(Subject::Absent) | None => false,
                };
                if stays_by_rule(name, tag) || (by_subject && !plain(tag)) {
                    tags.insert(name.clone());
                }
            }
            for (number, manifest) in self.manifests.iter().enumerate() {
                let has_tag = self.tags.values().any(|tag| tag.manifest == number);
                let has_subject = manifest.subject.is_some() && !manifest.subject_is_absent;
                let is_free = !has_tag && !has_subject && holders(number).next().is_none();
                let is_pushed_again = !has_tag
                    && !has_subject
                    && holders(number).next().is_some()
                    && manifest.pushed < 3600
                    && holders(number).all(|(_, holder)| holder.pushed > manifest.pushed);
                let stays = manifest.pulled.is_some_and(|age| within(age, pulled_within))
                    || is_free
                    || is_pushed_again
                    || self
                        .tags
                        .iter()
                        .any(|(name, tag)| tag.manifest == number && tags.contains(name))
                    || holders(number).any(|(holder, _)| manifests.contains(&holder))
                    || (has_subject && manifest.subject.is_some_and(|s| manifests.contains(&s)));
                if stays {
                    manifests.insert(number);
                }
            }
            if (tags.len(), manifests.len()) == before {
                return (tags, manifests);
            }
        }
    }
}

fn age() -> impl Strategy<Value = Age> {
    prop_oneof![0..30_u64, 3_500..3_700_u64]
}

fn drawn_manifest(number: usize) -> impl Strategy<Value = DrawnManifest> {
    let below = prop::option::weighted(0.4, 0..number.max(1));
    let children = prop::collection::btree_set(0..number.max(1), 0..3);
    let is_index = prop::bool::weighted(0.4);
    let pulled = prop::option::weighted(0.2, age());
    (age(), pulled, below, prop::bool::weighted(0.1), children, is_index).prop_map(
        move |(pushed, pulled, subject, subject_is_absent, children, is_index)| DrawnManifest {
            pushed,
            pulled,
            subject: subject.filter(|_| number > 0),
            subject_is_absent,
            children: if number > 0 && is_index { children } else { BTreeSet::new() },
        },
    )
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (1..9_usize).prop_flat_map(|count| {
        let manifests: Vec<_> = (0..count).map(drawn_manifest).collect();
        let plain = ("(a|b|v)[0-3]", 0..count, age(), prop::option::weighted(0.2, age()));
        let plain = plain.prop_map(|(name, manifest, tagged, pulled)| {
            (name, DrawnTag { manifest, tagged, pulled, referrers_of: None })
        });
        let of = prop::option::weighted(0.8, 0..count);
        let referrers = (of, 0..count, age(), prop::sample::select(vec!["", ".sig"]));
        let referrers = referrers.prop_map(|(of, manifest, tagged, suffix)| {
            let subject = of.map_or_else(|| Digest::sha256(b"absent"), digest);
            let name = format!("sha256-{}{suffix}", &subject.to_string()["sha256:".len()..]);
            let of = of.map_or(Subject::Absent, Subject::Here);
            (name, DrawnTag { manifest, tagged, pulled: None, referrers_of: Some(of) })
        });
        let tags = prop_oneof![3 => plain, 1 => referrers];
        let tags = prop::collection::vec(tags, 0..8).prop_map(|tags| tags.into_iter().collect());
        (manifests, tags).prop_map(|(manifests, tags)| Drawn { manifests, tags })
    })
}

fn rule() -> impl Strategy<Value = RetentionRule> {
    let time = || prop::option::weighted(0.3, prop_oneof![1..30_u64, Just(3_600)]);
    let words = prop::sample::subsequence(vec!["a*", "b?", "v1", "*"], 0..3);
    let tags = prop::sample::select(vec!["*", "a*", "v*"]);
    (tags, prop::option::weighted(0.4, 0..3_usize), time(), time(), words).prop_map(
        |(tags, keep_last, younger, pulled, keep)| RetentionRule {
            name: "rule".into(),
            repositories: vec![PathPattern::parse_fixed("**").unwrap()],
            tags: vec![WordPattern::new(tags)],
            keep_last,
            keep_younger: younger.map(Duration::from_secs),
            keep_pulled_within: pulled.map(Duration::from_secs),
            keep: keep.into_iter().map(WordPattern::new).collect(),
        },
    )
}

fn immutable() -> impl Strategy<Value = ImmutableTags> {
    prop::option::weighted(0.3, prop::sample::select(vec!["v*", "a1"])).prop_map(|tags| {
        let rule = |tags| ImmutableRule {
            name: "fixed".into(),
            repositories: vec![PathPattern::parse_fixed("team/**").unwrap()],
            tags: vec![WordPattern::new(tags)],
            except_tags: Vec::new(),
            except: Vec::new(),
        };
        ImmutableTags(tags.into_iter().map(rule).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_stays_is_what_the_definition_says(
        drawn in drawn(),
        rules in prop::collection::vec(rule(), 1..4),
        immutable in immutable(),
    ) {
        let decided = drawn.decided(&rules, &immutable);
        let (tags, manifests) = drawn.reference(&rules, &immutable);
        let kept: BTreeSet<String> = decided.tags.iter()
            .filter(|verdict| verdict.reason.fate() == Fate::Keep)
            .map(|verdict| verdict.tag.to_string())
            .collect();
        prop_assert_eq!(&kept, &tags);
        let gone: BTreeSet<Digest> = decided.removals.iter()
            .flat_map(|removal| removal.manifests.iter().map(|(digest, _)| *digest))
            .collect();
        let expected: BTreeSet<Digest> = (0..drawn.manifests.len())
            .filter(|number| !manifests.contains(number))
            .map(digest)
            .collect();
        prop_assert_eq!(&gone, &expected);
        prop_assert_eq!(decided.bytes, expected.len() as u64);
        let dropped: BTreeSet<Tag> = decided.removals.iter()
            .flat_map(|removal| removal.tags.iter().map(|tag| tag.name.clone()))
            .collect();
        prop_assert_eq!(dropped.len() + kept.len(), drawn.tags.len());
    }

    /// Otherwise the database would find each of them kept by the next.
    #[test]
    fn what_goes_comes_behind_what_kept_it(
        drawn in drawn(),
        rules in prop::collection::vec(rule(), 1..4),
    ) {
        let decided = drawn.decided(&rules, &ImmutableTags::default());
        let order: Vec<Digest> = decided.removals.iter()
            .flat_map(|removal| removal.manifests.iter().map(|(digest, _)| *digest))
            .collect();
        let place = |number: usize| order.iter().position(|gone| *gone == digest(number));
        let unit_of_tags: BTreeMap<Tag, usize> = decided.removals.iter().enumerate()
            .flat_map(|(unit, removal)| removal.tags.iter().map(move |tag| (tag.name.clone(), unit)))
            .collect();
        for (number, manifest) in drawn.manifests.iter().enumerate() {
            let Some(at) = place(number) else { continue };
            let subject = manifest.subject.filter(|_| !manifest.subject_is_absent);
            let holders = drawn.manifests.iter().enumerate()
                .filter(|(_, holder)| holder.children.contains(&number))
                .map(|(holder, _)| holder);
            for owner in holders.chain(subject) {
                prop_assert!(place(owner).is_some_and(|owner| owner < at), "{owner} keeps {number}");
            }
            let unit = decided.removals.iter().position(|removal| {
                removal.manifests.iter().any(|(gone, _)| *gone == digest(number))
            });
            for (name, tag) in &drawn.tags {
                if tag.manifest == number {
                    let gone = unit_of_tags.get(&name.parse().unwrap()).copied();
                    prop_assert!(gone.is_some() && gone <= unit, "{name} names {number}");
                }
            }
        }
        // What follows a subject waits for it, and is not waited for by it.
        let place = |digest: &Digest| order.iter().position(|gone| gone == digest);
        for tag in decided.removals.iter().flat_map(|removal| &removal.tags) {
            let Some(subject) = place(&tag.subject.unwrap_or(tag.manifest)) else {
                prop_assert_eq!(tag.subject, None, "{} follows what stays", &tag.name);
                continue;
            };
            let named = place(&tag.manifest);
            prop_assert!(named.is_none_or(|named| subject <= named), "{}", &tag.name);
        }
    }
}
