//! What the rules make of a repository. No I/O.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    fmt,
    time::{Duration, SystemTime},
};

use portpass_protocol::{Digest, RepositoryName, Tag};
use portpass_state::Removal;

use super::{
    inventory::{Inventory, ManifestEntry, TagEntry, TagKind},
    owners::Owners,
    removals::removals,
};
use crate::{
    immutable::ImmutableTags,
    rules::{Retention, RetentionRule},
};

/// What becomes of a repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// One for each tag, by name.
    pub tags: Vec<Verdict>,
    /// What goes, in units: what belongs together goes together.
    pub removals: Vec<Removal>,
    /// Bytes of the manifests that go.
    pub bytes: u64,
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub tag: Tag,
    /// What it names.
    pub manifest: Digest,
    /// The number of the rule that decided, where one did.
    pub rule: Option<usize>,
    /// Why.
    pub reason: Reason,
}

/// Why a tag is kept or dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No rule is about it.
    NoRule,
    /// This rule of `registry.immutable` keeps it.
    Immutable(Box<str>),
    /// The rule would drop everything, and nobody has confirmed that.
    Unconfirmed,
    /// It matches a pattern of `keep`.
    Pattern(Box<str>),
    /// It is one of those that were pushed last.
    Last {
        /// Its place among them, from one.
        place: usize,
        /// How many are kept.
        of: usize,
    },
    /// It was pushed within the time.
    Younger(Duration),
    /// It, or its manifest, was pulled within the time.
    Pulled(Duration),
    /// It is for what refers to a manifest that stays.
    SubjectStays(Digest),
    /// It is for what refers to a manifest that is not here: perhaps not yet.
    SubjectUnknown,
    /// Nothing keeps it.
    NothingKeepsIt,
    /// It is for what refers to a manifest that goes.
    SubjectGoes(Digest),
}

/// What a reason comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The tag stays.
    Keep,
    /// The tag goes.
    Drop,
}

impl Reason {
    /// What it comes to.
    pub fn fate(&self) -> Fate {
        match self {
            Self::NoRule
            | Self::Immutable(_)
            | Self::Unconfirmed
            | Self::Pattern(_)
            | Self::Last { .. }
            | Self::Younger(_)
            | Self::Pulled(_)
            | Self::SubjectStays(_)
            | Self::SubjectUnknown => Fate::Keep,
            Self::NothingKeepsIt | Self::SubjectGoes(_) => Fate::Drop,
        }
    }
}

/// The rules that are about one repository, at one moment.
#[derive(Debug)]
pub(super) struct Deciding<'a> {
    repository: &'a RepositoryName,
    /// With their numbers, in their order.
    rules: Vec<(usize, &'a RetentionRule)>,
    immutable: &'a ImmutableTags,
    /// Rules by whose numbers nothing is dropped.
    unconfirmed: &'a BTreeSet<usize>,
    now: SystemTime,
}

impl<'a> Deciding<'a> {
    /// `None` where no rule is about the repository.
    pub(super) fn new(
        repository: &'a RepositoryName,
        retention: &'a Retention,
        immutable: &'a ImmutableTags,
        unconfirmed: &'a BTreeSet<usize>,
        now: SystemTime,
    ) -> Option<Self> {
        let rules = retention.rules.iter().enumerate();
        let rules: Vec<_> = rules.filter(|(_, rule)| rule.is_about(repository)).collect();
        let deciding = Self { repository, rules, immutable, unconfirmed, now };
        (!deciding.rules.is_empty()).then_some(deciding)
    }

    /// Decides about every tag, and finds what nothing keeps then.
    pub(super) fn decide(&self, inventory: &Inventory) -> Decided {
        let mut verdicts = self.plain_verdicts(inventory);
        let live = self.live(inventory, &verdicts);
        for (entry, verdict) in inventory.tags.iter().zip(&mut verdicts) {
            if let (TagKind::Referrers { subject }, Reason::NothingKeepsIt) =
                (entry.kind, &verdict.reason)
            {
                let digest = inventory.manifests[subject].facts.digest;
                verdict.reason = if live[subject] {
                    Reason::SubjectStays(digest)
                } else {
                    Reason::SubjectGoes(digest)
                };
            }
        }
        let dead = (0..inventory.manifests.len()).filter(|number| !live[*number]);
        let bytes = dead.map(|number| inventory.manifests[number].facts.size).sum();
        let dropped: Vec<bool> =
            verdicts.iter().map(|verdict| verdict.reason.fate() == Fate::Drop).collect();
        let removals = removals(inventory, &dropped, &live);
        Decided { tags: verdicts, removals, bytes }
    }

    /// What becomes of each tag. Whether the subject of a tag for referrers stays is not known yet.
    fn plain_verdicts(&self, inventory: &Inventory) -> Vec<Verdict> {
        let mut last: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut verdicts: Vec<Verdict> = inventory
            .tags
            .iter()
            .enumerate()
            .map(|(number, entry)| {
                let (rule, reason) = self.reason(entry, inventory);
                if let (TagKind::Plain, Some(rule)) = (entry.kind, rule) {
                    last.entry(rule).or_default().push(number);
                }
                let TagEntry { facts, .. } = entry;
                Verdict { tag: facts.name.clone(), manifest: facts.manifest, rule, reason }
            })
            .collect();
        for (rule, rules) in &self.rules {
            let (Some(count), Some(numbers)) = (rules.keep_last, last.get_mut(rule)) else {
                continue;
            };
            numbers.sort_by_key(|number| {
                let facts = &inventory.tags[*number].facts;
                (Reverse(facts.tagged_at), facts.name.clone())
            });
            for (place, number) in (1..=count).zip(numbers.iter()) {
                if verdicts[*number].reason == Reason::NothingKeepsIt {
                    verdicts[*number].reason = Reason::Last { place, of: count };
                }
            }
        }
        verdicts
    }

    /// The rule that decides about a tag, and what it says of this tag alone.
    fn reason(&self, entry: &TagEntry, inventory: &Inventory) -> (Option<usize>, Reason) {
        let tag = &entry.facts.name;
        if let Some(rule) = self.immutable.rule_for_retention(self.repository, tag) {
            return (None, Reason::Immutable(rule.name.clone()));
        }
        match entry.kind {
            TagKind::Plain => {}
            TagKind::Referrers { .. } => return (None, Reason::NothingKeepsIt),
            TagKind::Orphan => return (None, Reason::SubjectUnknown),
        }
        let Some((number, rule)) = self.rules.iter().find(|(_, rule)| rule.names(tag)) else {
            return (None, Reason::NoRule);
        };
        let manifest = &inventory.manifests[entry.manifest];
        let pattern = rule.keep.iter().find(|pattern| pattern.matches(tag.as_str()));
        let younger = rule.keep_younger.filter(|time| self.is_within(entry.facts.tagged_at, *time));
        let pulled = rule.keep_pulled_within.filter(|time| {
            let pulls = [entry.facts.pulled_at, manifest.facts.pulled_at];
            pulls.into_iter().flatten().any(|at| self.is_within(at, *time))
        });
        let reason = match (pattern, younger, pulled) {
            _ if self.unconfirmed.contains(number) => Reason::Unconfirmed,
            (Some(pattern), _, _) => Reason::Pattern(pattern.as_str().into()),
            (None, Some(time), _) => Reason::Younger(time),
            (None, None, Some(time)) => Reason::Pulled(time),
            (None, None, None) => Reason::NothingKeepsIt,
        };
        (Some(*number), reason)
    }

    fn is_within(&self, at: SystemTime, time: Duration) -> bool {
        // What was pushed by a clock that is ahead is young.
        self.now.duration_since(at).map_or(true, |age| age < time)
    }

    /// Which manifests stay.
    fn live(&self, inventory: &Inventory, verdicts: &[Verdict]) -> Vec<bool> {
        let owners = Owners::of(inventory);
        let mut live = vec![false; inventory.manifests.len()];
        let tags = inventory.tags.iter().zip(verdicts);
        let kept = tags.filter(|(_, verdict)| verdict.reason.fate() == Fate::Keep);
        let mut pending: Vec<usize> = kept.map(|(entry, _)| entry.manifest).collect();
        let of_itself = |(number, manifest): (usize, &ManifestEntry)| {
            self.stays_by_itself(number, manifest, &owners, inventory).then_some(number)
        };
        pending.extend(inventory.manifests.iter().enumerate().filter_map(of_itself));
        owners.keep(&mut live, pending, inventory);
        let circles = owners.circles(&live, inventory);
        owners.keep(&mut live, circles, inventory);
        live
    }

    /// Whether a manifest stays although no tag and no other manifest keeps it.
    fn stays_by_itself(
        &self,
        number: usize,
        manifest: &ManifestEntry,
        owners: &Owners,
        inventory: &Inventory,
    ) -> bool {
        let pulled_within = self.rules.iter().filter_map(|(_, rule)| rule.keep_pulled_within).max();
        if let (Some(at), Some(time)) = (manifest.facts.pulled_at, pulled_within)
            && self.is_within(at, time)
        {
            return true;
        }
        let (pushed_at, holders) = (manifest.facts.pushed_at, &owners.holders[number]);
        if owners.tagged[number] || manifest.subject.is_some() {
            return false;
        }
        // What has no tag and nothing that holds it is left to garbage collection. And what was pushed again after
        // all that hold it came perhaps for an index that comes next.
        let earlier = |holder: &usize| inventory.manifests[*holder].facts.pushed_at < pushed_at;
        holders.is_empty() || (self.is_within(pushed_at, PUSH) && holders.iter().all(earlier))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |time: &Duration| written(*time);
        match self {
            Self::NoRule => f.write_str("no rule is about it"),
            Self::Immutable(rule) => write!(f, "immutable by rule `{rule}`"),
            Self::Unconfirmed => f.write_str("its rule would drop everything"),
            Self::Pattern(pattern) => write!(f, "matches `{pattern}`"),
            Self::Last { place, of } => write!(f, "number {place} of the last {of}"),
            Self::Younger(time) => write!(f, "pushed within {}", days(time)),
            Self::Pulled(time) => write!(f, "pulled within {}", days(time)),
            Self::SubjectStays(subject) => write!(f, "refers to {subject}, which stays"),
            Self::SubjectUnknown => f.write_str("refers to a manifest that is not here"),
            Self::NothingKeepsIt => f.write_str("nothing keeps it"),
            Self::SubjectGoes(subject) => write!(f, "refers to {subject}, which goes"),
        }
    }
}

/// As in the configuration: by the largest unit of which it is a whole number.
fn written(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(24 * 3600, "d"), (3600, "h"), (60, "m")];
    let whole = units.iter().find(|(worth, _)| seconds >= *worth && seconds.is_multiple_of(*worth));
    whole
        .map_or_else(|| format!("{seconds}s"), |(worth, unit)| format!("{}{unit}", seconds / worth))
}

/// Longer than a push takes from a manifest to the index that holds it.
const PUSH: Duration = Duration::from_hours(1);
