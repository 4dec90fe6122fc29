//! What the registry has changed, told to whoever keeps a record of it.

use std::{fmt, time::SystemTime};

use portpass_protocol::{ClientAddress, RepositoryChange, RepositoryName, RequestId};

/// A repository is another one now: it is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// Whose doing; empty for an anonymous caller.
    pub subject: String,
    /// Where the request came from, where the listener said so.
    pub address: Option<ClientAddress>,
    /// The request's id, where the listener gave it one.
    pub request: Option<RequestId>,
    /// Which.
    pub repository: RepositoryName,
    /// What became of it.
    pub change: RepositoryChange,
}

/// Takes each event before the client gets its answer.
pub trait EventSink: fmt::Debug + Send + Sync {
    /// Must not wait: the client does.
    fn emit(&self, event: Event);
}

/// Keeps no record.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardEvents;

impl EventSink for DiscardEvents {
    fn emit(&self, _: Event) {}
}
