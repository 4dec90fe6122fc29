//! Events for others: what is in the queue, and how far each endpoint is.

use std::{ops::RangeInclusive, str::FromStr, time::SystemTime};

use portpass_state::{Change, EventEndpoint, QueuedEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{AdminError, Installation, serialize_time};

/// An event of the queue.
#[derive(Debug, Clone, Serialize)]
pub struct EventRecord {
    /// Its place in the queue.
    pub sequence: i64,
    /// When it happened.
    #[serde(serialize_with = "serialize_time")]
    pub at: SystemTime,
    /// What happened.
    pub action: String,
    /// Where.
    pub repository: String,
    /// As endpoints get it.
    pub event: Box<RawValue>,
}

/// How far an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// What the configuration calls it.
    pub name: String,
    /// Events behind the last that it has taken; some of them it may not want.
    pub waiting: u64,
    /// Events that were removed before it took them.
    pub lost: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// Why the last of them did.
    pub failure: Option<String>,
}

/// Places in the queue: `12`, or `12-20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRange(RangeInclusive<i64>);

/// A text that is no place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of an event, or the first and the last with a hyphen between")]
pub struct EventRangeError;

impl FromStr for EventRange {
    type Err = EventRangeError;

    fn from_str(text: &str) -> Result<Self, EventRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |digits: &str| {
            let digits = Some(digits).filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse().ok()).filter(|number| *number > 0)
        };
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..=last)),
            _ => Err(EventRangeError),
        }
    }
}

impl Installation {
    /// The latest events, at most so many, oldest first.
    pub async fn latest_events(&self, number: usize) -> Result<Vec<EventRecord>, AdminError> {
        let (_, last) = self.db.event_bounds().await?;
        let mut place = last.saturating_sub(i64::try_from(number).unwrap_or(i64::MAX)).max(0);
        let mut found = Vec::new();
        loop {
            let mut page = self.events_after(place).await?;
            let Some(end) = page.last() else { return Ok(found) };
            place = end.sequence;
            found.append(&mut page);
        }
    }

    /// The end of the queue: what is added from now on comes behind it.
    pub async fn event_end(&self) -> Result<i64, AdminError> {
        Ok(self.db.event_bounds().await?.1)
    }

    /// Some events behind a place, oldest first; none at the end of the queue.
    pub async fn events_after(&self, place: i64) -> Result<Vec<EventRecord>, AdminError> {
        let events = self.db.events_after(place, PAGE).await?;
        events.into_iter().map(EventRecord::try_from).collect()
    }

    /// Who is told, by name, and how far they are. A server notes them when it starts.
    pub async fn event_endpoints(&self) -> Result<Vec<EndpointStatus>, AdminError> {
        let (_, last) = self.db.event_bounds().await?;
        let status = |endpoint: EventEndpoint| {
            let EventEndpoint { name, delivered, lost, failures, failure } = endpoint;
            let waiting = u64::try_from(last - delivered).unwrap_or(0);
            EndpointStatus { name, waiting, lost, failures, failure }
        };
        Ok(self.db.event_endpoints().await?.into_iter().map(status).collect())
    }

    /// Has an endpoint told of these events once more, also of those that it does not want; says how many.
    pub async fn redeliver(
        &self,
        endpoint: &str,
        EventRange(events): EventRange,
    ) -> Result<u64, AdminError> {
        let known = self.event_endpoints().await?;
        if !known.iter().any(|it| it.name == endpoint) {
            let known = known.into_iter().map(|it| it.name).collect();
            return Err(AdminError::UnknownEndpoint { name: endpoint.to_owned(), known });
        }
        let (first, last) = self.db.event_bounds().await?;
        let mut told = 0;
        for event in *events.start().max(&first)..=*events.end().min(&last) {
            if self.db.redeliver(endpoint, event).await? == Change::Done {
                told += 1;
            }
        }
        if told == 0 {
            return Err(AdminError::UnknownEvent { sequence: *events.start(), first, last });
        }
        Ok(told)
    }
}

impl TryFrom<QueuedEvent> for EventRecord {
    type Error = AdminError;

    fn try_from(event: QueuedEvent) -> Result<Self, AdminError> {
        let QueuedEvent { sequence, at, action, repository, document, .. } = event;
        let event =
            RawValue::from_string(document).map_err(|_| AdminError::BrokenEvent { sequence })?;
        Ok(Self { sequence, at, action, repository: repository.to_string(), event })
    }
}

/// Events that are read at a time.
const PAGE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_a_number_or_two_in_order() {
        for (text, expected) in [("7", 7..=7), ("3-9", 3..=9), ("5-5", 5..=5)] {
            assert_eq!(text.parse(), Ok(EventRange(expected)));
        }
        for text in ["", "0", "-", "3-", "-3", "9-3", "+3", "1-2-3", "x", "99999999999999999999"] {
            assert_eq!(text.parse::<EventRange>(), Err(EventRangeError), "{text}");
        }
    }
}
