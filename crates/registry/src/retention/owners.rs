//! What keeps a manifest.

use super::inventory::{Inventory, TagKind};

/// Who keeps whom, by number.
pub(super) struct Owners {
    /// The indexes that hold each manifest.
    pub(super) holders: Vec<Vec<usize>>,
    /// What refers to each manifest by its own word.
    pub(super) referrers: Vec<Vec<usize>>,
    /// What refers to each manifest by the tag that it has.
    pub(super) followers: Vec<Vec<usize>>,
    /// Whether a tag names it.
    pub(super) tagged: Vec<bool>,
}

impl Owners {
    pub(super) fn of(inventory: &Inventory) -> Self {
        let count = inventory.manifests.len();
        let mut owners = Self {
            holders: vec![Vec::new(); count],
            referrers: vec![Vec::new(); count],
            followers: vec![Vec::new(); count],
            tagged: vec![false; count],
        };
        for (number, manifest) in inventory.manifests.iter().enumerate() {
            for child in &manifest.children {
                owners.holders[*child].push(number);
            }
            if let Some(subject) = manifest.subject {
                owners.referrers[subject].push(number);
            }
        }
        for tag in &inventory.tags {
            owners.tagged[tag.manifest] = true;
            if let TagKind::Referrers { subject } = tag.kind {
                owners.followers[subject].push(tag.manifest);
            }
        }
        owners
    }

    /// Marks these manifests as live, and all that they keep.
    pub(super) fn keep(&self, live: &mut [bool], mut pending: Vec<usize>, inventory: &Inventory) {
        while let Some(number) = pending.pop() {
            if !std::mem::replace(&mut live[number], true) {
                pending.extend(self.owned(number, inventory));
                pending.extend(&self.followers[number]);
            }
        }
    }

    /// What keeps itself by others, as an index does that holds its own subject, and what that keeps. The database
    /// lets no such thing go.
    pub(super) fn circles(&self, live: &[bool], inventory: &Inventory) -> Vec<usize> {
        let dead = || (0..live.len()).filter(|number| !live[*number]);
        let mut waits_for = vec![0_usize; live.len()];
        for kept in dead().flat_map(|number| self.owned(number, inventory)) {
            waits_for[kept] += 1;
        }
        let mut free: Vec<usize> = dead().filter(|number| waits_for[*number] == 0).collect();
        while let Some(number) = free.pop() {
            for kept in self.owned(number, inventory) {
                waits_for[kept] -= 1;
                if waits_for[kept] == 0 && !live[kept] {
                    free.push(kept);
                }
            }
        }
        dead().filter(|number| waits_for[*number] > 0).collect()
    }

    /// What a manifest holds, and what refers to it by its own word.
    pub(super) fn owned<'a>(
        &'a self,
        number: usize,
        inventory: &'a Inventory,
    ) -> impl Iterator<Item = usize> + use<'a> {
        inventory.manifests[number].children.iter().chain(&self.referrers[number]).copied()
    }
}
