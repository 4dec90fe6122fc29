//! The requests of an HTTP/2 connection, each a task of its own: one whose answer is not taken ends, though the connection
//! is well.
//!
//! A peer may close the window of a stream, and never open it again (RFC 9113 §5.2.2). Nothing is written then, so no
//! write fails; the peer answers every PING, and the answer would hold its file for ever.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

use super::patience::PATIENCE;

/// Runs what hyper makes of a stream, for as long as its answer makes progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams;

tokio::task_local! {
    /// Whether the stream that is polled has its answer.
    static ANSWERED: Arc<AtomicBool>;
}

/// From here on the peer has to take what it asked for. Nothing outside of a stream of [`Streams`].
pub(crate) fn answered() {
    let _ = ANSWERED.try_with(|answered| answered.store(true, Ordering::Relaxed));
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let answered = Arc::new(AtomicBool::new(false));
        let stream = ANSWERED.scope(answered.clone(), stream);
        tokio::spawn(patiently(stream, answered));
    }
}

/// Drops `stream`, which resets it, when it was not woken for [`PATIENCE`] after it had its answer. Until then it is the
/// handler that it waits for.
async fn patiently(stream: impl Future<Output = ()>, answered: Arc<AtomicBool>) {
    let mut stream = pin!(stream);
    let mut timer = pin!(sleep(PATIENCE));
    let mut woken = Instant::now();
    poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !answered.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        if timer.as_mut().poll(context).is_pending() {
            woken = Instant::now();
            return Poll::Pending;
        }
        if woken.elapsed() >= PATIENCE {
            tracing::debug!("a stream whose answer nobody takes is reset");
            return Poll::Ready(());
        }
        timer.as_mut().reset(woken + PATIENCE);
        timer.as_mut().poll(context)
    })
    .await;
}
