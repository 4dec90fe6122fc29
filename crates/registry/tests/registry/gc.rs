//! Garbage collection while serving: what goes, what stays, and the order in which it is critical.

mod goods;
mod model;
mod schedules;
mod steps;

use std::time::Duration;

use portpass_registry::gc::{Collected, GcSettings, UntaggedRule};

use crate::harness::Harness;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Blobs after two hours, manifests never.
const BLOBS: GcSettings = GcSettings { grace: HOUR.saturating_mul(2), untagged: None };

/// And manifests after a day.
const ALL: GcSettings = GcSettings {
    untagged: Some(UntaggedRule { older_than: DAY, unless_pulled_within: None }),
    ..BLOBS
};

async fn collect(registry: &Harness, settings: GcSettings) -> Collected {
    registry.collector(settings).collect(registry.now()).await.unwrap()
}

/// So late that a mark counts that was set now.
fn let_marks_count(registry: &Harness) {
    registry.clock.advance(BLOBS.mark_age() + MILLISECOND);
}

/// So late that an object may go whose row went now.
fn let_requests_end(registry: &Harness) {
    registry.clock.advance(BLOBS.hold() + MILLISECOND);
}
