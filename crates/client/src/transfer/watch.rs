//! The bytes of a blob, counted and told of as they pass.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use futures_util::StreamExt as _;
use portpass_protocol::manifest::Descriptor;

use super::{Content, Progress, Step};

/// An eye on one blob.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    blob: Descriptor,
    progress: Arc<dyn Progress>,
    bytes: Arc<AtomicU64>,
    broken: Arc<OnceLock<String>>,
}

impl Watch {
    /// Adds to `bytes` what passes.
    pub(super) fn new(
        blob: &Descriptor,
        progress: Arc<dyn Progress>,
        bytes: Arc<AtomicU64>,
    ) -> Self {
        Self { blob: blob.clone(), progress, bytes, broken: Arc::default() }
    }

    /// The same bytes.
    pub(super) fn over(&self, content: Content) -> Content {
        let watch = self.clone();
        content
            .inspect(move |piece| match piece {
                Ok(piece) => {
                    let by = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    watch.bytes.fetch_add(by, Ordering::Relaxed);
                    watch.progress.blob(&watch.blob, Step::Advanced { by });
                }
                Err(error) => {
                    // Only the first counts: nothing comes after it.
                    let _ = watch.broken.set(error.to_string());
                }
            })
            .boxed()
    }

    /// Why the source broke off, if it did.
    pub(super) fn broken(&self) -> Option<String> {
        self.broken.get().cloned()
    }
}
