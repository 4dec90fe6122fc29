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

use super::stall_timeout::STALL_TIMEOUT;

/// Runs what hyper makes of a stream, for as long as its answer makes progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamExecutor;

tokio::task_local! {
    /// Whether the stream that is polled has its answer.
    static ANSWERED: Arc<AtomicBool>;
}

/// From here on the peer has to take what it asked for. Nothing outside of a stream of [`StreamExecutor`].
pub(crate) fn response_started() {
    let _ = ANSWERED.try_with(|answered| answered.store(true, Ordering::Relaxed));
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let answered = Arc::new(AtomicBool::new(false));
        let stream = ANSWERED.scope(answered.clone(), stream);
        tokio::spawn(with_stall_timeout(stream, answered));
    }
}

/// Drops `stream`, which resets it, when it was not woken for [`STALL_TIMEOUT`] after it had its answer. Until then it is the
/// handler that it waits for.
async fn with_stall_timeout(stream: impl Future<Output = ()>, answered: Arc<AtomicBool>) {
    let mut stream = pin!(stream);
    let mut timer = pin!(sleep(STALL_TIMEOUT));
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
        if woken.elapsed() >= STALL_TIMEOUT {
            tracing::debug!("reset a stream, because the client does not read the response");
            return Poll::Ready(());
        }
        timer.as_mut().reset(woken + STALL_TIMEOUT);
        timer.as_mut().poll(context)
    })
    .await;
}
