//! The bytes of a blob, counted and told of as they pass.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::StreamExt as _;
use portpass_protocol::manifest::Descriptor;

use super::{Content, Error, Progress, Step};
use crate::session;

/// An eye on one blob.
#[derive(Debug, Clone)]
pub(super) struct ContentMonitor {
    blob: Descriptor,
    progress: Arc<dyn Progress>,
    bytes: Arc<AtomicU64>,
    broken: Arc<OnceLock<SourceFailure>>,
}

impl ContentMonitor {
    /// Adds to `bytes` what passes.
    pub(super) fn new(
        blob: &Descriptor,
        progress: Arc<dyn Progress>,
        bytes: Arc<AtomicU64>,
    ) -> Self {
        Self { blob: blob.clone(), progress, bytes, broken: Arc::default() }
    }

    /// The same bytes.
    pub(super) fn wrap(&self, content: Content) -> Content {
        let monitor = self.clone();
        content
            .inspect(move |piece| match piece {
                Ok(piece) => {
                    let by = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    monitor.bytes.fetch_add(by, Ordering::Relaxed);
                    monitor.progress.blob(&monitor.blob, Step::Advanced { by });
                }
                Err(error) => {
                    // Only the first counts: nothing comes after it.
                    let _ = monitor.broken.set(SourceFailure::of(error));
                }
            })
            .boxed()
    }

    /// Why the source broke off, if it did.
    pub(super) fn broken(&self) -> Option<Error> {
        let digest = self.blob.digest;
        Some(match self.broken.get()?.clone() {
            SourceFailure::Transient(reason) => Error::Interrupted { digest, reason },
            SourceFailure::Permanent(reason) => Error::Source { digest, reason },
        })
    }
}

/// Why a source gave no more.
#[derive(Debug, Clone)]
enum SourceFailure {
    /// It may give it when it is asked again.
    Transient(String),
    /// What it has is not what it should be.
    Permanent(String),
}

impl SourceFailure {
    fn of(error: &io::Error) -> Self {
        let reason = error.to_string();
        let cause = error.get_ref();
        let registry = cause.and_then(|cause| cause.downcast_ref::<session::Error>());
        if registry.is_some_and(|error| !error.is_transient()) {
            Self::Permanent(reason)
        } else {
            Self::Transient(reason)
        }
    }
}
