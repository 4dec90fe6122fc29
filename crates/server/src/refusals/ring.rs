//! What is kept, and how much of it.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{Method, StatusCode};
use portpass_protocol::{AccessSet, Refusal, RequestOutcome, printable::on_one_line};
use portpass_token::Clock;
use tokio::time::Instant;

use super::{INSUFFICIENT_SCOPE, Query, QueryResult, RefusedRequest};
use crate::{
    metrics::RouteKind,
    request::{RequestSummary, id::RequestIds},
};

/// The refusals of this process, oldest first. When there is no more room, the oldest go.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    ids: Arc<RequestIds>,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    rings: Mutex<Rings>,
}

/// Healthy pushes and pulls ask for a lot that is not there: that must neither hide refusals nor push them out.
#[derive(Debug, Default)]
struct Rings {
    refused: Ring,
    absent: Ring,
    /// How many were ever kept.
    count: u64,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    entries: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Entry>,
    bytes: usize,
    forgotten: u64,
}

/// An entry as it is sent, so that its bytes are all that it takes.
#[derive(Debug)]
struct Entry {
    /// Counts all that are kept.
    number: u64,
    request: Box<str>,
    json: Box<str>,
    /// The same token and the same need, where that is why.
    same: Option<u64>,
    /// When it came, and when it was answered.
    time: (Instant, Instant),
}

impl RefusalLog {
    /// Keeps a few thousand. `ids` are those of this process.
    pub(crate) fn new(ids: Arc<RequestIds>, clock: Arc<dyn Clock>) -> Self {
        Self { ids, clock, bounds: BOUNDS, rings: Mutex::default() }
    }

    /// Keeps what was refused, and lets go of everything else. A request without credentials is how
    /// every conversation begins: there would be nothing else to see.
    pub(crate) fn keep(
        &self,
        request: &RequestSummary,
        kind: RouteKind,
        status: StatusCode,
        handled: &RequestOutcome,
    ) {
        let Some(refusal) = &handled.refusal else { return };
        if refusal.id == "credentials-missing" || kind == RouteKind::Admin {
            return;
        }
        let refused = self.refused(request, kind, status, handled, refusal);
        // Texts, numbers and lists of texts cannot fail to become JSON.
        let Ok(json) = serde_json::to_string(&refused) else { return };
        let time = (request.at, Instant::now());
        let mut rings = self.lock();
        let number = rings.count;
        rings.count += 1;
        let same = same(refusal);
        let kept = Entry { number, request: refused.request.into(), json: json.into(), same, time };
        if is_absence(&request.method, status, refusal) {
            rings.absent.push(kept, self.bounds.of_absences());
        } else {
            rings.refused.push(kept, self.bounds);
        }
    }

    /// What somebody who asks is told, as JSON.
    pub(crate) fn answer(&self, query: &Query) -> String {
        let rings = self.lock();
        let (refused, absent) = (rings.refused.latest(), rings.absent.latest());
        let mut found: Vec<&Entry> = match query {
            Query::Latest(number) => refused.take(*number).collect(),
            Query::All(number) => refused.take(*number).chain(absent.take(*number)).collect(),
            Query::Request(id) => {
                refused.chain(absent).filter(|kept| *kept.request == **id).collect()
            }
        };
        found.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.number));
        if let Query::All(number) = query {
            found.truncate(*number);
        }
        let found: Vec<String> = found.into_iter().map(|kept| rings.refused.json(kept)).collect();
        let head = QueryResult {
            process: self.ids.process(),
            issued: self.ids.issued(),
            kept: rings.refused.kept.len(),
            absent: rings.absent.kept.len(),
            forgotten: rings.refused.forgotten + rings.absent.forgotten,
            found: Vec::new(),
        };
        head.with_found(&found)
    }

    fn refused(
        &self,
        request: &RequestSummary,
        kind: RouteKind,
        status: StatusCode,
        handled: &RequestOutcome,
        refusal: &Refusal,
    ) -> RefusedRequest {
        let by = kind.answered_by();
        let details = refusal.details.as_deref();
        let failures = refusal.failures(by);
        RefusedRequest {
            request: request.id.0.clone(),
            at: self.clock.now(),
            client: request.client.0.to_string(),
            agent: request.agent.clone(),
            subject: handled.subject.as_deref().map(|name| on_one_line(name, MAX_NAME)),
            method: request.method.to_string(),
            path: request.path.clone(),
            status: status.as_u16(),
            by,
            refusal: refusal.id.to_owned(),
            reason: on_one_line(&refusal.text, MAX_REASON),
            failures: failures.rows().iter().map(|row| (*row).to_owned()).collect(),
            needed: details.map_or_else(Vec::new, |details| scopes(&details.needed)),
            granted: details.map_or_else(Vec::new, |details| scopes(&details.granted)),
            token: details.and_then(|details| details.token.clone()),
            repeated: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bounds {
    /// A quarter is enough for what is seldom asked for.
    fn of_absences(self) -> Self {
        Self { entries: self.entries.div_ceil(4), bytes: self.bytes.div_ceil(4) }
    }
}

impl Ring {
    fn latest(&self) -> impl Iterator<Item = &Entry> {
        self.kept.iter().rev()
    }

    /// The entry as JSON, with how often else it came.
    fn json(&self, kept: &Entry) -> String {
        let again = self.kept.iter().filter(|other| kept.is_repeated_by(other)).count();
        let fields = kept.json.strip_suffix(NOT_REPEATED).filter(|_| again > 0);
        fields.map_or_else(|| kept.json.to_string(), |fields| format!("{fields}{again}}}"))
    }

    fn push(&mut self, kept: Entry, bounds: Bounds) {
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.kept.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.forgotten += 1;
        }
    }
}

impl Entry {
    /// Whether the other is of the same token for the same, and one of the two came after the other was answered: what
    /// a client asks side by side is no repetition.
    fn is_repeated_by(&self, other: &Self) -> bool {
        let one_after_the_other = self.time.1 <= other.time.0 || other.time.1 <= self.time.0;
        self.number != other.number
            && self.same.is_some()
            && self.same == other.same
            && one_after_the_other
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.request.len() + self.json.len()
    }
}

/// Whether something is only not there, for whoever looks before a push or a pull.
fn is_absence(method: &Method, status: StatusCode, refusal: &Refusal) -> bool {
    let looks = matches!(*method, Method::GET | Method::HEAD);
    looks && status == StatusCode::NOT_FOUND && NOT_THERE.contains(&refusal.id)
}

/// What tells the same token, refused for the same, from all others.
fn same(refusal: &Refusal) -> Option<u64> {
    let details = refusal.details.as_deref().filter(|_| refusal.id == INSUFFICIENT_SCOPE)?;
    let mut hasher = DefaultHasher::new();
    details.fingerprint?.hash(&mut hasher);
    details.needed.to_string().hash(&mut hasher);
    Some(hasher.finish())
}

/// The first few, and how many there are more.
fn scopes(access: &AccessSet) -> Vec<String> {
    let mut scopes: Vec<String> = access
        .iter()
        .take(MAX_SCOPES)
        .map(|access| on_one_line(&access.to_string(), MAX_REASON))
        .collect();
    if access.len() > MAX_SCOPES {
        scopes.push(format!("… and {} more", access.len() - MAX_SCOPES));
    }
    scopes
}

/// Every push and every pull of a tag that is new asks for these.
const NOT_THERE: &[&str] = &["blob-unknown", "manifest-unknown", "name-unknown"];

/// How an entry ends.
const NOT_REPEATED: &str = "0}";

/// A day of a small server, or minutes of one that is attacked; a token's words are some hundred bytes.
const BOUNDS: Bounds = Bounds { entries: 4096, bytes: 3 * 1024 * 1024 };

const MAX_NAME: usize = 300;
const MAX_REASON: usize = 1000;
const MAX_SCOPES: usize = 32;

#[cfg(test)]
mod tests;
