//! What the registry changes, written into the trail.

use portpass_authority::{
    audit::{Change as Kept, Event as Entry, Happened, Trail},
    request::ClientInfo,
};
use portpass_registry::{
    Witness,
    event::{Change, Event},
};

/// Hands the registry's events to the trail.
#[derive(Debug)]
pub(super) struct ToTrail(pub(super) Trail);

impl Witness for ToTrail {
    fn saw(&self, event: Event) {
        let Event { at, subject, address, request, repository, change } = event;
        let change = match change {
            Change::ManifestPushed { digest, tags } => Kept::ManifestPushed { digest, tags },
            Change::ManifestDeleted { digest, tags } => Kept::ManifestDeleted { digest, tags },
            Change::TagDeleted { tag } => Kept::TagDeleted { tag },
            Change::BlobDeleted { digest } => Kept::BlobDeleted { digest },
            Change::BlobMounted { digest, from } => Kept::BlobMounted { digest, from },
        };
        self.0.record(Entry {
            at,
            happened: Happened::Changed { repository, change },
            account: Some(subject).filter(|subject| !subject.is_empty()),
            service: None,
            leg: None,
            client: ClientInfo {
                id: None,
                address: address.map(|address| address.0),
                request: request.map(|request| request.0),
            },
        });
    }
}
