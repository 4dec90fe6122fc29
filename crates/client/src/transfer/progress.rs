//! Progress events of a transfer.

use std::fmt;

use portpass_protocol::manifest::Descriptor;

/// Gets the progress events of a transfer. The transfer waits for each call, so return quickly.
pub trait Progress: fmt::Debug + Send + Sync {
    /// An event of a blob.
    fn blob(&self, blob: &Descriptor, step: Step<'_>);

    /// A manifest has been written; all that it points at is there.
    fn manifest(&self, _manifest: &Descriptor) {}
}

/// An event of a blob.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// Its bytes begin to come, from this one on.
    Started {
        /// Zero, unless an earlier run has got some.
        from: u64,
    },
    /// So many more bytes have passed.
    Advanced {
        /// Since the last step.
        by: u64,
    },
    /// It broke off, and will be tried again.
    Interrupted {
        /// Why.
        error: &'a super::Error,
    },
    /// All of it has arrived.
    Done,
    /// The target had it already.
    AlreadyPresent,
    /// The registry had it in another repository, and has it here now.
    Mounted,
}

/// Ignores all events.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn blob(&self, _blob: &Descriptor, _step: Step<'_>) {}
}
