//! Tells endpoints of events, each at its own pace, until it has taken them.
//!
//! ```text
//! queue ── behind what was delivered ── what it wants ── POST ── 2xx ─> further
//!                                                          └ otherwise: a pause, and the same again
//! ```
//! One request is under way for each endpoint, and at most [`MOST_EVENTS`] events are in memory for it.

#[cfg(test)]
mod tests;

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use portpass_config::NotificationEndpoint;
use portpass_federation::webhook::{Webhook, WebhookError};
use portpass_registry::notification::{EVENTS_MEDIA_TYPE, Interest};
use portpass_state::{Db, EventEndpoint, QueuedEvent, StateError};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::every;

/// One endpoint, and how far it is.
pub(super) struct Delivery {
    db: Db,
    webhook: Webhook,
    interest: Interest,
    threshold: u64,
    backoff: Duration,
    name: String,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There may be more to tell.
    GoOn,
    /// There is nothing to tell.
    Wait,
    /// It was not told.
    Pause(Duration),
}

impl Delivery {
    pub(super) fn new(endpoint: NotificationEndpoint, db: Db) -> Self {
        let NotificationEndpoint { name, webhook, interest, threshold, backoff } = endpoint;
        let threshold = threshold.get() as u64;
        Self { db, webhook: Webhook::new(webhook), interest, threshold, backoff, name }
    }

    /// Tells for as long as it is polled; `bell` rings when there may be something new.
    pub(super) async fn run(self, mut bell: watch::Receiver<()>) -> Infallible {
        let mut failing = false;
        let mut known = None;
        loop {
            bell.mark_unchanged();
            match self.next(&mut known).await {
                Ok(next) => {
                    failing = false;
                    match next {
                        Next::GoOn => {}
                        // Other processes ring no bell, and not every write is done when it rings.
                        Next::Wait => drop(timeout(LOOK_EVERY, bell.changed()).await),
                        Next::Pause(pause) => sleep(pause).await,
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(endpoint = self.name, "cannot read events: {error}");
                    }
                    failing = true;
                    sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Only this job changes what is known of the endpoint, so it is read once.
    async fn next(&self, known: &mut Option<EventEndpoint>) -> Result<Next, StateError> {
        let mut endpoint = match known.take() {
            Some(endpoint) => endpoint,
            None => self.db.event_endpoint(&self.name).await?,
        };
        let next = self.round(&mut endpoint).await?;
        *known = Some(endpoint);
        Ok(next)
    }

    /// Tells what comes next, if there is anything.
    async fn round(&self, endpoint: &mut EventEndpoint) -> Result<Next, StateError> {
        // After a failure one at a time: an event that the endpoint cannot take holds up no others before it.
        let most = if endpoint.failures == 0 { MOST_EVENTS } else { 1 };
        let events = self.db.events_after(endpoint.delivered, most).await?;
        let Some(first) = events.first() else { return self.tell_again(endpoint).await };
        self.count_lost(endpoint, first.sequence);
        let (mut told, mut bytes, mut reached) = (Vec::new(), 0, endpoint.delivered);
        for event in &events {
            if self.interest.wants(&event.action, &event.media_type) {
                bytes += event.document.len();
                if bytes > MOST_BYTES && !told.is_empty() {
                    break;
                }
                told.push(event);
            }
            reached = event.sequence;
        }
        let outcome = if told.is_empty() { Ok(()) } else { self.tell(&told).await };
        if outcome.is_ok() {
            endpoint.delivered = reached;
        }
        self.save(outcome, endpoint).await
    }

    /// Tells what an operator wants to be told once more.
    async fn tell_again(&self, endpoint: &mut EventEndpoint) -> Result<Next, StateError> {
        let again = self.db.redeliveries(&self.name, 1).await?;
        let Some(sequence) = again.first().copied() else { return Ok(Next::Wait) };
        let outcome = match self.db.event(sequence).await? {
            Some(event) => self.tell(&[&event]).await,
            // It went since.
            None => Ok(()),
        };
        if outcome.is_ok() {
            self.db.redelivered(&self.name, sequence).await?;
        }
        self.save(outcome, endpoint).await
    }

    async fn tell(&self, events: &[&QueuedEvent]) -> Result<(), WebhookError> {
        self.webhook.deliver(EVENTS_MEDIA_TYPE, envelope(events)).await
    }

    /// Writes down how it went, and says what to do next.
    async fn save(
        &self,
        outcome: Result<(), WebhookError>,
        endpoint: &mut EventEndpoint,
    ) -> Result<Next, StateError> {
        let next = match outcome {
            Ok(()) => {
                if endpoint.failures > 0 {
                    let failures = endpoint.failures;
                    tracing::info!(
                        endpoint = self.name,
                        failures,
                        "the endpoint takes events again"
                    );
                }
                endpoint.failures = 0;
                endpoint.failure = None;
                Next::GoOn
            }
            Err(error) => {
                if endpoint.failures == 0 {
                    tracing::warn!(
                        endpoint = self.name,
                        "the endpoint does not take events, the server tries again: {error}"
                    );
                } else {
                    tracing::debug!(endpoint = self.name, "still: {error}");
                }
                endpoint.failures += 1;
                endpoint.failure = Some(error.to_string());
                Next::Pause(self.pause(endpoint.failures))
            }
        };
        self.db.save_event_endpoint(endpoint).await?;
        Ok(next)
    }

    /// How long after so many failures.
    fn pause(&self, failures: u64) -> Duration {
        let doubled = u32::try_from(failures.saturating_sub(self.threshold)).unwrap_or(u32::MAX);
        let pause = self.backoff.saturating_mul(2_u32.saturating_pow(doubled));
        pause.min(LONGEST_PAUSE.max(self.backoff))
    }

    fn count_lost(&self, endpoint: &mut EventEndpoint, first: i64) {
        let lost = u64::try_from(first - endpoint.delivered - 1).unwrap_or(0);
        if lost > 0 {
            endpoint.lost += lost;
            tracing::error!(
                endpoint = self.name,
                lost,
                "events were removed before the endpoint took them"
            );
        }
    }
}

/// Forgets endpoints that are not configured, and then removes the oldest events for as long as it is polled.
pub(super) async fn keep_queue_short(db: Db, names: Vec<String>) -> Infallible {
    let mut timer = every(SHORTEN_EVERY);
    let mut failing = false;
    loop {
        timer.tick().await;
        match shorten(&db, &names, KEPT, MOST_KEPT).await {
            Ok(()) => failing = false,
            Err(error) if failing => tracing::debug!("still cannot remove old events: {error}"),
            Err(error) => {
                failing = true;
                tracing::warn!("cannot remove old events: {error}");
            }
        }
    }
}

/// Of what every endpoint was told, `kept` events stay to be looked at and told once more; of the others `most`.
async fn shorten(db: &Db, names: &[String], kept: i64, most: i64) -> Result<(), StateError> {
    let (mut first, last) = db.event_bounds().await?;
    let mut delivered = last;
    for endpoint in db.event_endpoints().await? {
        if names.contains(&endpoint.name) {
            delivered = delivered.min(endpoint.delivered);
        } else {
            db.remove_event_endpoint(&endpoint.name).await?;
        }
    }
    let end = delivered.min(last - kept).max(last - most);
    while first <= end {
        let part = end.min(first + REMOVED_AT_ONCE - 1);
        db.remove_events(part).await?;
        first = part + 1;
    }
    Ok(())
}

/// What distribution calls a message: events in a list.
fn envelope(events: &[&QueuedEvent]) -> Bytes {
    let documents: Vec<&str> = events.iter().map(|event| event.document.as_str()).collect();
    format!("{{\"events\":[{}]}}", documents.join(",")).into()
}

/// For what rings no bell.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_mins(5);
const SHORTEN_EVERY: Duration = Duration::from_mins(1);

/// In one message.
const MOST_EVENTS: usize = 20;

/// In one message; one event may be longer.
const MOST_BYTES: usize = 1 << 20;

/// Events that stay when everybody was told.
const KEPT: i64 = 10_000;

/// Events that wait for an endpoint at most: about a gigabyte.
const MOST_KEPT: i64 = 1_000_000;

/// Others write between two parts.
const REMOVED_AT_ONCE: i64 = 1000;
