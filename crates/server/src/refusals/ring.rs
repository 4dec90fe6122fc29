//! What is kept, and how much of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use portpass_protocol::{AccessSet, Handled, Refusal, foreign::on_one_line};
use portpass_token::Clock;

use super::{Question, Refused, Told};
use crate::http::{access_log::Asked, by, request_id::RequestIds};
use crate::metrics::RouteKind;

/// The refusals of this process, oldest first. When there is no more room, the oldest go.
#[derive(Debug)]
pub(crate) struct Refusals {
    ids: Arc<RequestIds>,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    ring: Mutex<Ring>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    entries: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Kept>,
    bytes: usize,
    forgotten: u64,
}

/// An entry as it is sent, so that its bytes are all that it takes.
#[derive(Debug)]
struct Kept {
    request: Box<str>,
    json: Box<str>,
}

impl Refusals {
    /// Keeps a few thousand. `ids` are those of this process.
    pub(crate) fn new(ids: Arc<RequestIds>, clock: Arc<dyn Clock>) -> Self {
        Self { ids, clock, bounds: BOUNDS, ring: Mutex::default() }
    }

    /// Keeps what was refused, and lets go of everything else. A request without credentials is how
    /// every conversation begins: there would be nothing else to see.
    pub(crate) fn keep(
        &self,
        asked: &Asked,
        kind: RouteKind,
        status: StatusCode,
        handled: &Handled,
    ) {
        let Some(refusal) = &handled.refusal else { return };
        if refusal.id == "credentials-missing" || kind == RouteKind::Admin {
            return;
        }
        let refused = self.refused(asked, kind, status, handled, refusal);
        // Texts, numbers and lists of texts cannot fail to become JSON.
        let Ok(json) = serde_json::to_string(&refused) else { return };
        self.lock().push(Kept { request: refused.request.into(), json: json.into() }, self.bounds);
    }

    /// What somebody who asks is told, as JSON.
    pub(crate) fn answer(&self, question: &Question) -> String {
        let ring = self.lock();
        let wanted = |kept: &&Kept| match question {
            Question::Latest(_) => true,
            Question::Request(id) => *kept.request == **id,
        };
        let number = match question {
            Question::Latest(number) => *number,
            Question::Request(_) => usize::MAX,
        };
        let found: Vec<&str> =
            ring.kept.iter().rev().filter(wanted).take(number).map(|kept| &*kept.json).collect();
        let head = Told {
            process: self.ids.process(),
            issued: self.ids.issued(),
            kept: ring.kept.len(),
            forgotten: ring.forgotten,
            found: Vec::new(),
        };
        head.with_found(&found)
    }

    fn refused(
        &self,
        asked: &Asked,
        kind: RouteKind,
        status: StatusCode,
        handled: &Handled,
        refusal: &Refusal,
    ) -> Refused {
        let by = by(kind);
        let grounds = refusal.grounds.as_deref();
        let failures = refusal.failures(by);
        Refused {
            request: asked.id.0.clone(),
            at: self.clock.now(),
            client: asked.client.0.to_string(),
            agent: asked.agent.clone(),
            subject: handled.subject.as_deref().map(|name| on_one_line(name, MAX_NAME)),
            method: asked.method.to_string(),
            path: asked.path.clone(),
            status: status.as_u16(),
            by,
            refusal: refusal.id.to_owned(),
            reason: on_one_line(&refusal.text, MAX_REASON),
            failures: failures.rows().iter().map(|row| (*row).to_owned()).collect(),
            needed: grounds.map_or_else(Vec::new, |grounds| scopes(&grounds.needed)),
            granted: grounds.map_or_else(Vec::new, |grounds| scopes(&grounds.granted)),
            token: grounds.and_then(|grounds| grounds.token.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, kept: Kept, bounds: Bounds) {
        self.bytes += kept.bytes();
        self.kept.push_back(kept);
        while self.kept.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.forgotten += 1;
        }
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.request.len() + self.json.len()
    }
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

/// A day of a small server, or minutes of one that is attacked; a token's words are some hundred bytes.
const BOUNDS: Bounds = Bounds { entries: 4096, bytes: 4 * 1024 * 1024 };

const MAX_NAME: usize = 300;
const MAX_REASON: usize = 1000;
const MAX_SCOPES: usize = 32;

#[cfg(test)]
mod tests;
