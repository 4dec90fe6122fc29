//! The order in which things go.

use portpass_state::{Removal, RetiredTag, TagFacts};

use super::{
    inventory::{Inventory, TagEntry, TagKind},
    owners::Owners,
};

/// What goes, in units: a manifest comes behind those that hold it and the one it refers to, and in the unit of the
/// last of them. `dropped` says of each tag of the inventory whether it goes, `live` of each manifest whether it stays.
pub(super) fn removals(inventory: &Inventory, dropped: &[bool], live: &[bool]) -> Vec<Removal> {
    let owners = Owners::of(inventory);
    let (places, waits) = (vec![None; live.len()], vec![Waits::default(); live.len()]);
    let (units, count) = (Vec::new(), 0);
    let mut all = Removals { inventory, owners, live, units, places, count, waits };
    all.place_manifests();
    all.add_tags(dropped);
    all.units
}

/// The units so far.
struct Removals<'a> {
    inventory: &'a Inventory,
    owners: Owners,
    live: &'a [bool],
    units: Vec<Removal>,
    /// Of each manifest that goes: its unit, and its place among all.
    places: Vec<Option<(usize, usize)>>,
    count: usize,
    /// How many of those that keep it have no place yet.
    waits: Vec<Waits>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Waits {
    /// Those that hold it or that it refers to: the database would find it kept.
    owners: usize,
    /// Those that it is said to refer to by a tag. Such words can go in circles.
    by_tag: usize,
}

impl Removals<'_> {
    fn place_manifests(&mut self) {
        let dead: Vec<usize> = (0..self.live.len()).filter(|number| !self.live[*number]).collect();
        for number in &dead {
            for kept in self.owners.owned(*number, self.inventory) {
                self.waits[kept].owners += 1;
            }
            for kept in &self.owners.followers[*number] {
                self.waits[*kept].by_tag += 1;
            }
        }
        let (mut ready, mut circles) = (Vec::new(), Vec::new());
        for number in &dead {
            self.waits[*number].list(*number, &mut ready, &mut circles);
        }
        let mut seeds = std::mem::take(&mut ready);
        while let Some(seed) = seeds.pop().or_else(|| circles.pop()) {
            if self.places[seed].is_none() && is_full(self.units.last()) {
                self.units.push(Removal::default());
            }
            ready.push(seed);
            while let Some(number) = ready.pop() {
                self.place(number, &mut ready, &mut circles);
            }
        }
    }

    fn place(&mut self, number: usize, ready: &mut Vec<usize>, circles: &mut Vec<usize>) {
        if self.places[number].is_some() || self.live[number] {
            return;
        }
        let Some(unit) = self.units.last_mut() else { return };
        let facts = &self.inventory.manifests[number].facts;
        unit.manifests.push((facts.digest, facts.pushed_at));
        self.places[number] = Some((self.units.len() - 1, self.count));
        self.count += 1;
        for kept in self.owners.owned(number, self.inventory) {
            let waits = &mut self.waits[kept];
            waits.owners = waits.owners.saturating_sub(1);
            waits.list(kept, ready, circles);
        }
        for &kept in &self.owners.followers[number] {
            let waits = &mut self.waits[kept];
            waits.by_tag = waits.by_tag.saturating_sub(1);
            waits.list(kept, ready, circles);
        }
    }

    /// A tag goes in the unit of its manifest; those of manifests that stay go first, in units of their own, or
    /// with the subject that they follow.
    fn add_tags(&mut self, dropped: &[bool]) {
        let mut alone: Vec<Removal> = Vec::new();
        let tags = self.inventory.tags.iter().zip(dropped);
        for (TagEntry { facts, manifest, kind }, _) in tags.filter(|(_, dropped)| **dropped) {
            let subject = match kind {
                TagKind::Referrers { subject } => Some(*subject),
                TagKind::Plain | TagKind::Orphan => None,
            };
            let follows = subject.and_then(|subject| Some((subject, self.places[subject]?)));
            let (unit, subject) = match (self.places[*manifest], follows) {
                (Some((unit, place)), Some((subject, (_, earlier)))) if earlier < place => {
                    (Some(unit), Some(subject))
                }
                (Some((unit, _)), _) => (Some(unit), None),
                (None, Some((subject, (unit, _)))) => (Some(unit), Some(subject)),
                (None, None) => (None, None),
            };
            let subject = subject.map(|number| self.inventory.manifests[number].facts.digest);
            let TagFacts { name, manifest, tagged_at, .. } = facts.clone();
            let tag = RetiredTag { name, manifest, tagged_at, subject };
            if unit.is_none() && is_full(alone.last()) {
                alone.push(Removal::default());
            }
            let unit = unit.map_or_else(|| alone.last_mut(), |unit| self.units.get_mut(unit));
            if let Some(unit) = unit {
                unit.tags.push(tag);
            }
        }
        alone.append(&mut self.units);
        self.units = alone;
    }
}

impl Waits {
    /// Puts a manifest that waits for no owner where it belongs.
    fn list(self, number: usize, ready: &mut Vec<usize>, circles: &mut Vec<usize>) {
        match self {
            Self { owners: 0, by_tag: 0 } => ready.push(number),
            Self { owners: 0, .. } => circles.push(number),
            Self { .. } => {}
        }
    }
}

/// Whether the next thing begins another unit: a transaction is short, so that pushes go on between.
fn is_full(unit: Option<&Removal>) -> bool {
    unit.is_none_or(|unit| unit.manifests.len() + unit.tags.len() >= UNIT)
}

/// Rows that one transaction removes, roughly.
const UNIT: usize = 32;
