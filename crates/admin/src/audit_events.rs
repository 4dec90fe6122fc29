//! What the registry changes, written into the trail.

use portpass_authority::{
    audit::{AuditTrail, Event as Entry, EventKind},
    request::ClientInfo,
};
use portpass_registry::{EventSink, event::Event};

/// Hands the registry's events to the trail.
#[derive(Debug)]
pub struct AuditEvents(pub AuditTrail);

impl EventSink for AuditEvents {
    fn emit(&self, event: Event) {
        let Event { at, subject, address, request, repository, change } = event;
        self.0.record(Entry {
            at,
            kind: EventKind::Changed { repository, change },
            account: Some(subject).filter(|subject| !subject.is_empty()),
            service: None,
            leg: None,
            client: ClientInfo {
                address: address.map(|address| address.0),
                request: request.map(|request| request.0),
                ..ClientInfo::default()
            },
        });
    }
}
