//! Callers who have proved nothing: what they do is counted, and little of it is kept.
//!
//! Whoever has no account can ask as often as the network lets them. So an anonymous request that was granted
//! nothing has no entry of its own, and of the rest (anonymous requests that were granted something, refused
//! logins) a minute has [`KEPT`]. What is above is one entry a minute that says how many there were of each
//! kind: no stranger can fill the trail, or push out of it what others did.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use portpass_state::AuditRecord;
use serde_json::json;

use super::{
    Action,
    event::{Event, EventKind},
};

/// What callers without a proved account did in this minute.
#[derive(Debug, Default)]
pub(super) struct AnonymousEvents(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    kept: u32,
    /// By kinds that are words of this program.
    counted: BTreeMap<&'static str, u64>,
    last: Option<SystemTime>,
}

impl AnonymousEvents {
    /// The event, if it gets an entry of its own; otherwise it is counted.
    pub(super) fn sift(&self, event: Event) -> Option<Event> {
        let Some(kind) = Kind::of(&event) else { return Some(event) };
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kind.kept && minute.kept < KEPT {
            minute.kept += 1;
            return Some(event);
        }
        *minute.counted.entry(kind.word).or_default() += 1;
        minute.last = Some(event.at);
        None
    }

    /// Begins another minute; the entry of this one, if anything was counted.
    pub(super) fn close(&self) -> Option<AuditRecord> {
        let minute = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let record = |at| AuditRecord {
            at,
            action: Action::AnonymousCounted.as_str().to_owned(),
            actor: None,
            object: None,
            address: None,
            request: None,
            detail: json!({ "requests": minute.counted }),
        };
        minute.last.map(record)
    }
}

/// Of a stranger's request.
struct Kind {
    word: &'static str,
    /// Whether it may have an entry.
    kept: bool,
}

impl Kind {
    /// `None` for whoever has an account, and for changes of repositories, whoever made them.
    fn of(event: &Event) -> Option<Self> {
        match &event.kind {
            _ if event.account.is_some() => None,
            EventKind::Issued { decisions, .. } => {
                let nothing = decisions.iter().all(|decision| decision.granted.is_empty());
                let word = if nothing { "nothing-granted" } else { "token-issued" };
                Some(Self { word, kept: !nothing })
            }
            EventKind::Refused { reason, .. } => Some(Self { word: reason, kept: true }),
            EventKind::IssuedWithRefresh { .. }
            | EventKind::Refreshed { .. }
            | EventKind::Revoked { .. }
            | EventKind::Changed { .. } => None,
        }
    }
}

/// Entries of anonymous callers and refused logins in a minute.
pub(super) const KEPT: u32 = 60;
