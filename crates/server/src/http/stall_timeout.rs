//! How long a peer may stand still: one that neither sends its body nor takes its answer would keep a
//! slot among the connections for ever.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    sync::Semaphore,
    time::{Instant, Sleep, sleep, timeout},
};

use super::activity::{Activity, RequestGuard};

/// A request's body that breaks off when nothing of it has come for [`STALL_TIMEOUT`].
///
/// What the handler leaves of it is still read for [`LINGER`], and thrown away: a connection of HTTP/1
/// that is closed on bytes that nobody has read is reset, and the client loses the answer that says why
/// it was refused ("broken pipe"). Whoever reads fills a buffer of the connection, so no more than
/// [`LINGERING`] are read from at a time; the others wait, unread, and are closed on if it comes to that.
/// HTTP/2 needs none of it: the stream alone is reset, after its answer and with `NO_ERROR` (RFC 9113 §8.1), and
/// what has come of it is let go at once.
#[derive(Debug)]
pub(crate) struct StallTimeoutBody {
    /// Always there until it is dropped.
    inner: Option<Incoming>,
    /// Where the rest has to be read; it may come after the answer, and is no beginning of the next request.
    lingers: Option<RequestGuard>,
    wait: StallTimer,
}

/// A connection that breaks off when nothing of an answer has been taken for [`STALL_TIMEOUT`].
#[derive(Debug)]
pub(crate) struct StallTimeoutStream<S> {
    inner: S,
    /// Was read before, and is read again first.
    unread: Bytes,
    activity: Arc<Activity>,
    wait: StallTimer,
}

/// The time since the last progress; runs only while there is none.
#[derive(Debug, Default)]
struct StallTimer {
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl StallTimer {
    /// Passes on what was polled, unless it has been pending for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<Result<T, Stalled>> {
        if let Poll::Ready(progress) = polled {
            self.running = false;
            return Poll::Ready(Ok(progress));
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(STALL_TIMEOUT)));
        if !self.running {
            self.running = true;
            timer.as_mut().reset(Instant::now() + STALL_TIMEOUT);
        }
        timer.as_mut().poll(context).map(|()| Err(Stalled))
    }
}

/// The peer stood still.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client has stalled for {} s", STALL_TIMEOUT.as_secs())]
pub(crate) struct Stalled;

/// The connection ended before the body. From here a client that was stopped and a proxy that had enough
/// look alike.
#[derive(Debug, thiserror::Error)]
#[error(
    "the connection ended before the body: the client was stopped, or a proxy in front does not accept a body of this size (nginx: client_max_body_size)"
)]
pub(crate) struct ConnectionClosed(#[source] hyper::Error);

/// What it means for a person that a body cannot be read.
fn body_error(error: hyper::Error) -> axum::BoxError {
    let cause =
        std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            ConnectionClosed(error).into()
        }
        Some(_) | None => error.into(),
    }
}

impl StallTimeoutBody {
    pub(crate) fn new(inner: Incoming, version: Version, activity: &Arc<Activity>) -> Self {
        let lingers = version < Version::HTTP_2 && !inner.is_end_stream();
        let lingers = lingers.then(|| activity.begin());
        Self { inner: Some(inner), lingers, wait: StallTimer::default() }
    }
}

impl Drop for StallTimeoutBody {
    fn drop(&mut self) {
        let rest = self.inner.take().filter(|rest| !rest.is_end_stream());
        let (Some(mut rest), Some(under_way)) = (rest, self.lingers.take()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(LINGER, async move {
                let _under_way = under_way;
                // Nobody closes it.
                let _place = LINGERING.acquire().await;
                while let Ok(Some(Ok(_))) = timeout(SETTLED, rest.frame()).await {}
            }));
        }
    }
}

impl http_body::Body for StallTimeoutBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(context);
        self.wait.watch(context, polled).map(|frame| match frame {
            Ok(frame) => frame.map(|frame| frame.map_err(body_error)),
            Err(stalled) => Some(Err(stalled.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl<S> StallTimeoutStream<S> {
    pub(crate) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, unread: Bytes::new(), activity, wait: StallTimer::default() }
    }

    /// Has these bytes, which were read, read once more; says whether there are any. They are the beginning of a request.
    pub(crate) fn unread(&mut self, bytes: &Bytes) -> bool {
        // What was to be read once more, and was not, comes after them.
        self.unread = [bytes, &self.unread].map(AsRef::as_ref).concat().into();
        if !self.unread.is_empty() {
            self.activity.received();
        }
        !self.unread.is_empty()
    }
}

impl<S: AsyncRead + Unpin> StallTimeoutStream<S> {
    /// Waits until there are bytes to be read; `false` is the end of them.
    pub(crate) async fn wait_for_bytes(&mut self) -> bool {
        // With TLS, that bytes have come is no sign of any that can be read.
        let mut byte = [0];
        let is_there = matches!(self.read(&mut byte).await, Ok(1));
        if is_there {
            self.unread = Bytes::copy_from_slice(&byte);
        }
        is_there
    }
}

impl<S: Unpin> StallTimeoutStream<S> {
    fn writing<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = write(Pin::new(&mut self.inner), context);
        self.wait.watch(context, polled).map(|written| match written {
            Ok(written) => {
                self.activity.sent_bytes();
                written
            }
            Err(stalled) => Err(io::Error::new(io::ErrorKind::TimedOut, stalled)),
        })
    }
}

/// Reading is not watched: between requests there is nothing to read, and who serves the connection ends that.
impl<S: AsyncRead + Unpin> AsyncRead for StallTimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(length));
            self.activity.received();
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if read.is_ready() {
            self.activity.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallTimeoutStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writing(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing(context, |stream, context| stream.poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(context, AsyncWrite::poll_shutdown)
    }
}

/// As long as nginx waits; a client that has its answer stops sending at once.
const LINGER: Duration = Duration::from_secs(5);

/// Whoever has sent nothing for so long has nothing on its way that could reset the connection.
const SETTLED: Duration = Duration::from_secs(1);

/// Each holds up to 150 KiB of buffers.
static LINGERING: Semaphore = Semaphore::const_new(64);

/// Longer than a mobile network's silence between two cells, shorter than anybody waits.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_mins(2);
