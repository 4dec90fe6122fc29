//! Events of one flush, of which equal ones are one entry.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
};

use portpass_state::AuditRecord;

use super::event::{Event, EventKind};

/// Events of one flush: how often each came, and in which order they came first.
#[derive(Default)]
pub(super) struct Batch {
    events: HashMap<Alike, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    order: usize,
    times: u64,
}

impl Batch {
    /// How many entries it will be.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn add(&mut self, event: Event) {
        let fresh = Count { order: self.events.len(), times: 0 };
        self.events.entry(Alike(event)).or_insert(fresh).times += 1;
    }

    pub(super) fn close(self) -> Vec<AuditRecord> {
        let mut events: Vec<_> = self.events.into_iter().collect();
        events.sort_unstable_by_key(|(_, count)| count.order);
        let record = |(Alike(event), count): (Alike, Count)| {
            let mut record = event.into_record();
            if count.times > 1
                && let Some(members) = record.detail.as_object_mut()
            {
                members.insert("times".into(), count.times.into());
            }
            record
        };
        events.into_iter().map(record).collect()
    }
}

/// An event that equals another if only the time and the request's id differ.
struct Alike(Event);

impl PartialEq for Alike {
    fn eq(&self, Self(other): &Self) -> bool {
        let Self(this) = self;
        this.kind == other.kind
            && this.account == other.account
            && this.service == other.service
            && this.leg == other.leg
            && this.client.id == other.client.id
            && this.client.address == other.client.address
    }
}

impl Eq for Alike {}

impl Hash for Alike {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Event { kind, account, client, .. } = &self.0;
        std::mem::discriminant(kind).hash(state);
        account.hash(state);
        client.address.hash(state);
        if let EventKind::Issued { decisions, .. } = kind {
            for decision in decisions.iter() {
                decision.requested.resource.hash(state);
            }
        }
    }
}
