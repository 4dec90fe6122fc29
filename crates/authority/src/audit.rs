//! The trail: who got which token, who was refused, and why.
//!
//! What belongs to a refresh token commits in its row's transaction. Everything else goes through
//! one writer, which adds what came within [`FLUSH_EVERY`] in one transaction: a crash loses at most
//! that much, and a caller never waits for it.

use std::{
    collections::HashMap,
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
#[derive(Debug, Clone)]
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
        let flush_at = tokio::time::sleep(FLUSH_EVERY);
        tokio::pin!(flush_at);
        let mut batch = Batch::default();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            batch.note_gap(first.at, lost);
        }
        batch.add(first);
        while batch.records.len() < BATCH {
            tokio::select! {
                biased;
                () = &mut flush_at => break,
                event = self.events.recv() => match event {
                    Some(event) => batch.add(event),
                    None => break,
                },
            }
        }
        batch.close()
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

/// Records of one flush.
#[derive(Default)]
struct Batch {
    records: Vec<AuditRecord>,
    times: Vec<u64>,
    places: HashMap<String, usize>,
}

impl Batch {
    fn add(&mut self, event: Event) {
        let record = event.into_record();
        let AuditRecord { action, actor, object, address, detail, .. } = &record;
        let key = json!([action, actor, object, address, detail]).to_string();
        if let Some(place) = self.places.get(&key) {
            self.times[*place] += 1;
        } else {
            self.places.insert(key, self.records.len());
            self.records.push(record);
            self.times.push(1);
        }
    }

    fn note_gap(&mut self, at: SystemTime, lost: u64) {
        self.times.push(1);
        self.records.push(AuditRecord {
            at,
            action: "audit-gap".into(),
            actor: None,
            object: None,
            address: None,
            request: None,
            detail: json!({ "lost": lost }),
        });
    }

    fn close(mut self) -> Vec<AuditRecord> {
        for (record, times) in self.records.iter_mut().zip(self.times) {
            if times > 1
                && let Some(members) = record.detail.as_object_mut()
            {
                members.insert("times".into(), times.into());
            }
        }
        self.records
    }
}

/// How much of the trail a crash may lose.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);
const RETRY_EVERY: Duration = Duration::from_secs(1);
const LAST_TRIES: u32 = 3;
const QUEUE: usize = 16 * 1024;
const BATCH: usize = 1024;
