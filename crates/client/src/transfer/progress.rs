//! What a transfer tells while it runs.

use std::fmt;

use portpass_protocol::manifest::Descriptor;

/// Whoever watches a transfer. Called from the transfer itself, so it has to be quick.
pub trait Progress: fmt::Debug + Send + Sync {
    /// Something has become of a blob.
    fn blob(&self, blob: &Descriptor, step: Step<'_>);

    /// A manifest has been written; all that it points at is there.
    fn manifest(&self, _manifest: &Descriptor) {}
}

/// What has become of a blob.
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
    /// It was there already.
    AlreadyPresent,
    /// The registry had it in another repository, and has it here now.
    Mounted,
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn blob(&self, _blob: &Descriptor, _step: Step<'_>) {}
}
