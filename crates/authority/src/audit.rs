//! The trail: who got which token, who was refused, and why.
//!
//! What belongs to a refresh token commits in its row's transaction. Everything else goes through
//! one writer, which adds what came within [`FLUSH_EVERY`] in one transaction: a crash loses at most
//! that much, and a caller never waits for it.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use portpass_state::{AuditRecord, Db};
use portpass_token::ServiceName;
use serde_json::{Value, json};
use tokio::sync::mpsc;

#[cfg(test)]
mod tests;

use crate::{
    policy::Decision,
    request::{ClientInfo, Leg},
};

/// One thing that happened at the token endpoint.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub happened: Happened,
    /// Whose doing: the account's name; `None` for an anonymous caller.
    pub account: Option<String>,
    /// Which registry it was about, where that was known.
    pub service: Option<ServiceName>,
    /// Which way the request came, where it was readable.
    pub leg: Option<Leg>,
    /// The program that asked.
    pub client: ClientInfo,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// A token was signed.
    Issued {
        /// What was decided on each resource.
        decisions: Arc<[Decision]>,
    },
    /// A token and a refresh token were.
    IssuedWithRefresh {
        /// What was decided on each resource.
        decisions: Arc<[Decision]>,
        /// The refresh token's row.
        refresh: String,
    },
    /// A token was signed for a refresh token.
    Refreshed {
        /// What was decided on each resource.
        decisions: Arc<[Decision]>,
        /// The refresh token's row.
        refresh: String,
    },
    /// There was no token.
    Refused {
        /// A stable word.
        reason: &'static str,
        /// The name that was claimed, proved or not.
        claimed: Option<String>,
    },
    /// A refresh token was found to be dead, or given back by its holder.
    Revoked {
        /// Its row.
        refresh: String,
        /// A stable word.
        reason: &'static str,
    },
}

impl Event {
    /// As it is kept.
    pub fn into_record(self) -> AuditRecord {
        let (action, object, mut detail) = match &self.happened {
            Happened::Issued { decisions } => {
                ("token-issued", None, json!({ "access": access(decisions) }))
            }
            Happened::IssuedWithRefresh { decisions, refresh } => {
                let detail = json!({ "access": access(decisions) });
                ("refresh-token-issued", Some(refresh.clone()), detail)
            }
            Happened::Refreshed { decisions, refresh } => {
                let detail = json!({ "access": access(decisions) });
                ("refresh-token-used", Some(refresh.clone()), detail)
            }
            Happened::Refused { reason, claimed } => {
                ("token-refused", claimed.clone(), json!({ "reason": reason }))
            }
            Happened::Revoked { refresh, reason } => {
                ("refresh-token-revoked", Some(refresh.clone()), json!({ "reason": reason }))
            }
        };
        set(&mut detail, "service", self.service.as_ref().map(ServiceName::as_str));
        set(&mut detail, "client", self.client.id.as_deref());
        set(&mut detail, "leg", self.leg.map(|leg| if leg == Leg::Get { "get" } else { "post" }));
        AuditRecord {
            at: self.at,
            action: action.to_owned(),
            actor: self.account,
            object,
            address: self.client.address.map(|address| address.to_string()),
            request: self.client.request,
            detail,
        }
    }
}

fn set(detail: &mut Value, name: &str, value: Option<&str>) {
    if let (Some(members), Some(value)) = (detail.as_object_mut(), value) {
        members.insert(name.to_owned(), value.into());
    }
}

/// Each resource with what was asked, what was granted, and the rules that said so.
fn access(decisions: &[Decision]) -> Value {
    let entry = |decision: &Decision| {
        let mut rules: Vec<u32> = decision.grounds.iter().map(|g| g.rule.number()).collect();
        rules.dedup();
        json!({
            "resource": decision.requested.resource.to_string(),
            "requested": decision.requested.actions,
            "granted": decision.granted,
            "rules": rules,
        })
    };
    decisions.iter().map(entry).collect()
}

/// Where events go. Cheap to clone; when the last clone is dropped, the [`Writer`] finishes.
#[derive(Debug, Clone)]
pub struct Trail {
    queue: mpsc::Sender<Event>,
    lost: Arc<AtomicU64>,
}

impl Trail {
    /// A trail, and the writer that whoever composes the process has to run.
    pub fn new(db: Db) -> (Self, Writer) {
        let (queue, events) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        (Self { queue, lost: Arc::clone(&lost) }, Writer { db, events, lost })
    }

    /// Hands an event to the writer. Never waits: if the database has been gone for so long that
    /// the queue is full, the event is counted as lost, and the trail will say how many were.
    pub fn record(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes what a [`Trail`] was given.
#[derive(Debug)]
pub struct Writer {
    db: Db,
    events: mpsc::Receiver<Event>,
    lost: Arc<AtomicU64>,
}

impl Writer {
    /// Runs until every [`Trail`] is gone and all that they were given is written.
    pub async fn run(mut self) {
        while let Some(first) = self.events.recv().await {
            let records = self.gather(first).await;
            self.write(&records).await;
        }
    }

    /// What comes within one flush, with equal events counted instead of repeated.
    async fn gather(&mut self, first: Event) -> Vec<AuditRecord> {
        let (mut batch, at) = (Batch::default(), first.at);
        batch.add(first);
        for _ in 0..LOOKS {
            // Asleep rather than waiting: at thousands of events a second nobody has to wake us
            // for each.
            tokio::time::sleep(FLUSH_EVERY / LOOKS).await;
            while batch.events.len() < BATCH
                && let Ok(event) = self.events.try_recv()
            {
                batch.add(event);
            }
            if self.events.is_closed() || batch.events.len() == BATCH {
                break;
            }
        }
        let mut records = batch.close();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            records.push(gap(lost, at));
        }
        records
    }

    /// Tries until the database takes it. Once nobody is left to record anything, the process is
    /// about to end, and a database that stays away is not waited for.
    async fn write(&self, records: &[AuditRecord]) {
        let mut patience = LAST_TRIES;
        while let Err(error) = self.db.append_audit(records).await {
            tracing::error!(%error, records = records.len(), "the audit trail cannot be written");
            if self.events.is_closed() {
                patience -= 1;
            }
            if patience == 0 {
                return;
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}

/// What is written in place of events that found the queue full.
fn gap(lost: u64, at: SystemTime) -> AuditRecord {
    AuditRecord {
        at,
        action: "audit-gap".into(),
        actor: None,
        object: None,
        address: None,
        request: None,
        detail: json!({ "lost": lost }),
    }
}

/// Events of one flush: how often each came, and in which order they came first.
#[derive(Default)]
struct Batch {
    events: HashMap<Alike, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    order: usize,
    times: u64,
}

impl Batch {
    fn add(&mut self, event: Event) {
        let fresh = Count { order: self.events.len(), times: 0 };
        self.events.entry(Alike(event)).or_insert(fresh).times += 1;
    }

    fn close(self) -> Vec<AuditRecord> {
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
        this.happened == other.happened
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
        let Event { happened, account, client, .. } = &self.0;
        std::mem::discriminant(happened).hash(state);
        account.hash(state);
        client.address.hash(state);
        if let Happened::Issued { decisions } = happened {
            for decision in decisions.iter() {
                decision.requested.resource.hash(state);
            }
        }
    }
}

/// How much of the trail a crash may lose.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const LAST_TRIES: u32 = 3;
const QUEUE: usize = 16 * 1024;
const BATCH: usize = 1024;
/// How often the queue is emptied before it is written: between two looks it must not overflow.
const LOOKS: u32 = 5;
