//! Who gains or loses what between two sets of rules: on which repositories, under which circumstances, by which rule.
//!
//! Nothing is tried out on samples that may miss something. For one caller, the patterns of both sides part all
//! names of repositories ([`partition`]), and the conditions all requests. Both sides decide the same on all
//! names of a part and all requests of a kind, so one decision on each of them tells all.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::SystemTime,
};

use portpass_pattern::{Part, Tangled, partition};
use portpass_protocol::access::{Access, Action, Resource};
use portpass_token::ServiceName;

mod addresses;
mod circumstances;
mod meant;
mod terms;

use self::{
    circumstances::{Circumstances, Sample},
    meant::{Families, Meant, meant},
    terms::{Term, terms},
};
use super::{
    AppliedRule, Caller, Conditions, Effect, Lifetime, Request, Rule, RuleId, RuleSet, decide_for,
};
use crate::{
    ceiling::Ceiling,
    subject::{AccountKind, Subject},
};

pub use self::{
    circumstances::{Circumstance, When},
    meant::Family,
};

/// One of two sets of rules.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// Whether anybody may ask without credentials.
    pub anonymous: bool,
}

/// Rights of one caller that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsChange {
    /// What becomes of them.
    pub kind: ChangeKind,
    /// Which: some of `pull`, `push`, `delete` and `*`.
    pub actions: Vec<Action>,
    /// On what.
    pub on: ChangedResources,
    /// Under which circumstances: any of these. `[]` is always.
    pub when: Vec<When>,
    /// What the old rules say there.
    pub old: Option<DecidedBy>,
    /// What the new rules say there.
    pub new: Option<DecidedBy>,
}

/// What becomes of a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there.
    Gained,
    /// It is there no more.
    Lost,
    /// It stays, but a token with it lives for another time; `None` is that of the service.
    Lifetime {
        /// Before.
        old: Option<Lifetime>,
        /// After.
        new: Option<Lifetime>,
    },
}

/// Where a right differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedResources {
    /// `registry:catalog`
    Catalog,
    /// Repositories of any of these regions.
    Repositories(Vec<Region>),
}

/// Repositories that all patterns of one list mean, and none of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// All of these mean it.
    pub matching: Vec<Family>,
    /// None of these does.
    pub except: Vec<Family>,
    /// The name of one.
    pub example: String,
}

impl Region {
    /// Whether the repository is one of them.
    pub fn means(&self, repository: &str) -> bool {
        self.matching.iter().all(|family| family.means(repository))
            && !self.except.iter().any(|family| family.means(repository))
    }
}

impl fmt::Display for Region {
    /// `team/** except team/frozen`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |families: &[Family], between: &str| {
            families.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
        };
        f.write_str(&list(&self.matching, " and "))?;
        if self.except.is_empty() {
            return Ok(());
        }
        write!(f, " except {}", list(&self.except, ", "))
    }
}

/// What gives or takes a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DecidedBy {
    /// This rule.
    Rule(RuleId),
    /// The robot's own permission.
    OwnPermission,
}

/// Two sets of rules.
#[derive(Debug)]
pub struct Comparison<'a> {
    old: Side<'a>,
    new: Side<'a>,
    circumstances: Circumstances,
    /// Rules that the other side does not have, by their places.
    only_old: BTreeSet<usize>,
    only_new: BTreeSet<usize>,
    /// Of callers to whom all rules say the same.
    known: HashMap<Likeness, Arc<[RightsChange]>>,
}

/// What a caller is to both sides; callers of one likeness have the same changes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Likeness {
    /// The places of the rules and of their families.
    rules: [Vec<(usize, Option<usize>)>; 2],
    patterns: Vec<Vec<String>>,
    limit: Option<(String, bool)>,
}

impl<'a> Comparison<'a> {
    /// Of requests from `now` on, for tokens for one of these services, of which there is at least one.
    pub fn new(old: Side<'a>, new: Side<'a>, services: &[ServiceName], now: SystemTime) -> Self {
        let (before, after) = (old.rules.rules(), new.rules.rules());
        let only = |one: &[Rule], other: &[Rule]| {
            (0..one.len()).filter(|place| !other.contains(&one[*place])).collect()
        };
        Self {
            circumstances: Circumstances::new(before.iter().chain(after), services, now),
            only_old: only(before, after),
            only_new: only(after, before),
            known: HashMap::new(),
            old,
            new,
        }
    }

    /// What differs for one caller.
    pub fn changes(&mut self, subject: &Subject) -> Result<Arc<[RightsChange]>, Tangled> {
        let is_admitted = |side: &Side<'_>| side.anonymous || subject.account().is_some();
        let (is_in_old, is_in_new) = (is_admitted(&self.old), is_admitted(&self.new));
        let caller = Caller::of(subject);
        let differs = |only: &BTreeSet<usize>, rules: &RuleSet| {
            only.iter().any(|place| rules.rules()[*place].applies_to(caller))
        };
        let may_differ = is_in_old != is_in_new
            || differs(&self.only_old, self.old.rules)
            || differs(&self.only_new, self.new.rules);
        if !may_differ || !(is_in_old || is_in_new) {
            return Ok(Arc::new([]));
        }
        let mut families = Families::default();
        let mut rules = |side: &Side<'a>, is_in: bool| {
            if is_in { meant(side.rules, caller, &mut families) } else { Vec::new() }
        };
        let (old, new) = (rules(&self.old, is_in_old), rules(&self.new, is_in_new));
        let ceiling = subject.ceiling();
        let likeness = Likeness::new(subject, [&old, &new], &families);
        if let Some(known) = self.known.get(&likeness) {
            return Ok(Arc::clone(known));
        }
        // Where its limit ends, the rights of a robot or a key may differ too.
        for pattern in ceiling.map(Ceiling::repositories).unwrap_or_default() {
            if !pattern.has_placeholders() {
                families.add(pattern.to_string(), vec![pattern.clone()]);
            }
        }
        let question =
            Question { comparison: self, subject, old, new, families: families.into_distinct() };
        let changes: Arc<[RightsChange]> = question.answer()?.into();
        self.known.insert(likeness, Arc::clone(&changes));
        Ok(changes)
    }
}

impl Likeness {
    fn new(subject: &Subject, rules: [&[Meant<'_>]; 2], families: &Families) -> Self {
        let is_robot = subject.account().is_some_and(|account| account.kind == AccountKind::Robot);
        Self {
            rules: rules
                .map(|rules| rules.iter().map(|meant| (meant.place, meant.family)).collect()),
            patterns: families.own(),
            limit: subject.ceiling().map(|ceiling| (ceiling.to_string(), is_robot)),
        }
    }
}

/// One caller, and all that both sides say to it.
struct Question<'a> {
    comparison: &'a Comparison<'a>,
    subject: &'a Subject,
    old: Vec<Meant<'a>>,
    new: Vec<Meant<'a>>,
    families: Vec<Family>,
}

/// A difference in one place, but for the place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    kind: ChangeKind,
    old: Option<DecidedBy>,
    new: Option<DecidedBy>,
    when: Vec<Term>,
}

impl Question<'_> {
    fn answer(&self) -> Result<Vec<RightsChange>, Tangled> {
        let changed = self.changed();
        let wanted: BTreeSet<usize> = changed.iter().copied().flatten().collect();
        let patterns: Vec<_> = self.families.iter().map(Family::patterns).collect();
        let parts = partition(&patterns, &wanted)?;
        let rows: Vec<Vec<usize>> = parts.iter().map(|part| part.meant_by.clone()).collect();
        let mut found: BTreeMap<(usize, Difference), BTreeSet<usize>> = BTreeMap::new();
        for (place, part) in parts.iter().enumerate() {
            let about = |meant: &Meant<'_>| {
                meant.family.is_some_and(|family| part.meant_by.binary_search(&family).is_ok())
            };
            for (action, difference) in
                self.differences(&Resource::repository(&part.example), about)
            {
                found.entry((action, difference)).or_default().insert(place);
            }
        }
        let mut merged: BTreeMap<(Difference, Option<Vec<Term>>), Vec<usize>> = BTreeMap::new();
        for ((action, difference), places) in found {
            let regions = terms(&rows, &places, &wanted);
            merged.entry((difference, Some(regions))).or_default().push(action);
        }
        if changed.contains(&None) {
            let on_catalog = self.differences(&Resource::catalog(), |meant| meant.family.is_none());
            for (action, difference) in on_catalog {
                merged.entry((difference, None)).or_default().push(action);
            }
        }
        Ok(merged.into_iter().map(|change| self.change(change, &parts)).collect())
    }

    /// On what rules say something to the caller that the other side does not say.
    fn changed(&self) -> BTreeSet<Option<usize>> {
        let only = |one: &[Meant<'_>], other: &[Meant<'_>]| {
            let alone = one.iter().filter(|meant| !other.iter().any(|other| meant.says_as(other)));
            alone.map(|meant| meant.family).collect::<BTreeSet<_>>()
        };
        let (old, new) = (only(&self.old, &self.new), only(&self.new, &self.old));
        old.union(&new).copied().collect()
    }

    /// What differs on this resource, by the place of the action.
    fn differences(
        &self,
        resource: &Resource,
        is_about: impl Fn(&Meant<'_>) -> bool,
    ) -> Vec<(usize, Difference)> {
        let rules = self.old.iter().chain(&self.new).filter(|meant| is_about(meant));
        let conditions: Vec<&Conditions> = rules.map(|meant| &meant.rule.conditions).collect();
        let samples = self.comparison.circumstances.samples(&conditions);
        let rows: Vec<_> = samples.iter().map(|sample| sample.row.clone()).collect();
        let mut found = Vec::new();
        for (place, action) in ACTIONS.iter().enumerate() {
            let mut differing: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
            for (which, sample) in samples.iter().enumerate() {
                let asked =
                    Access { resource: resource.clone(), actions: vec![action.clone()].into() };
                let old = self.decided(&self.comparison.old, sample, &asked);
                let new = self.decided(&self.comparison.new, sample, &asked);
                if let Some(kind) = old.change_to(&new) {
                    differing.entry((kind, old.by, new.by)).or_default().insert(which);
                }
            }
            for ((kind, old, new), chosen) in differing {
                let mut when = Vec::new();
                if chosen.len() < samples.len() {
                    when = terms(&rows, &chosen, &BTreeSet::new());
                    when.sort();
                }
                found.push((place, Difference { kind, old, new, when }));
            }
        }
        found
    }

    fn decided(&self, side: &Side<'_>, sample: &Sample<'_>, asked: &Access) -> Decided {
        if self.subject.account().is_none() && !side.anonymous {
            return Decided { granted: None, by: None };
        }
        let Sample { service, address, now, .. } = sample;
        let request = Request { subject: self.subject, service, address: *address, now: *now };
        let decision = decide_for(side.rules, &request, asked);
        let mut rules = decision.applied_rules.iter();
        let is_granted = asked.actions.iter().all(|action| decision.granted.contains(action));
        if is_granted {
            // Where a robot's own permission gives `*`, a rule may give a part of it.
            let gives = |rule: &&AppliedRule| {
                rule.effect == Effect::Allow && asked.actions.contains(&rule.action)
            };
            let (by, lifetime) = match rules.find(gives) {
                Some(rule) => (DecidedBy::Rule(rule.rule), rule.lifetime),
                None => (DecidedBy::OwnPermission, None),
            };
            Decided { granted: Some(Granted { lifetime }), by: Some(by) }
        } else {
            let takes = rules.find(|rule| rule.effect == Effect::Deny);
            Decided { granted: None, by: takes.map(|rule| DecidedBy::Rule(rule.rule)) }
        }
    }

    fn change(
        &self,
        change: ((Difference, Option<Vec<Term>>), Vec<usize>),
        parts: &[Part],
    ) -> RightsChange {
        let ((Difference { kind, old, new, when }, regions), actions) = change;
        let region = |term: &Term| self.region(term, parts);
        let on = match regions {
            None => ChangedResources::Catalog,
            Some(terms) => ChangedResources::Repositories(terms.iter().map(region).collect()),
        };
        RightsChange {
            kind,
            actions: actions.into_iter().map(|place| ACTIONS[place].clone()).collect(),
            on,
            when: when.iter().map(|term| self.comparison.circumstances.when(term)).collect(),
            old,
            new,
        }
    }

    fn region(&self, Term { with, without }: &Term, parts: &[Part]) -> Region {
        let is_meant = |part: &Part, family: &usize| part.meant_by.binary_search(family).is_ok();
        let is_within = |part: &&Part| {
            with.iter().all(|family| is_meant(part, family))
                && !without.iter().any(|family| is_meant(part, family))
        };
        let example = parts.iter().find(is_within).map(|part| part.example.clone());
        let families = |places: &[usize]| -> Vec<Family> {
            places.iter().map(|place| self.families[*place].clone()).collect()
        };
        Region {
            matching: narrowest(families(with)),
            except: families(without),
            example: example.unwrap_or_default(),
        }
    }
}

/// Without those that mean all that another means: they say nothing more.
fn narrowest(mut families: Vec<Family>) -> Vec<Family> {
    let mut place = 0;
    while let Some(family) = families.get(place) {
        let mut others = families.iter().enumerate().filter(|(other, _)| *other != place);
        if others.any(|(_, other)| family.contains(other)) {
            families.remove(place);
        } else {
            place += 1;
        }
    }
    families
}

/// What one side says of one action.
#[derive(Debug)]
struct Decided {
    granted: Option<Granted>,
    by: Option<DecidedBy>,
}

/// How long a token with it lives; `None` is as long as the service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Granted {
    lifetime: Option<Lifetime>,
}

impl Decided {
    fn change_to(&self, new: &Self) -> Option<ChangeKind> {
        match (self.granted, new.granted) {
            (None, Some(_)) => Some(ChangeKind::Gained),
            (Some(_), None) => Some(ChangeKind::Lost),
            (Some(old), Some(new)) if old != new => {
                Some(ChangeKind::Lifetime { old: old.lifetime, new: new.lifetime })
            }
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

/// What a rule can name.
const ACTIONS: [Action; 4] = [Action::Pull, Action::Push, Action::Delete, Action::Any];
