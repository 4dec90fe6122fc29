//! Requests with a response that is read as it arrives: for a registry's content.

use std::{
    fmt, io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Notify, time::Instant};

use super::{BufferedResponse, MAX_REDIRECTS, NetworkZone, Transport, TransportError, shown};

/// How long a short answer may take in all, however it drips.
const WHOLE: Duration = Duration::from_mins(5);
/// Bytes that have to come while nothing may be idle for longer: a body that drips would last for
/// years, and no line that anybody uses is as slow as 300 bytes in a second.
const ENOUGH: usize = 16 * 1024;
/// How many times longer than usual we wait for the answer to an upload: the other side may have to
/// hash and move all of it.
const COMMIT_FACTOR: u32 = 10;

/// A request to a registry, or to where it redirects.
#[derive(Debug)]
pub(crate) struct StreamingRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// For the origin of `url` alone.
    pub(crate) authorization: Option<SecretString>,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// How near to us a place of another origin may be.
    pub(crate) redirect_zone: NetworkZone,
}

/// What a request carries.
pub(crate) enum Content {
    Nothing,
    Bytes(Bytes),
    /// Can be sent once. The mutex is never locked: it lets requests be looked at from many threads.
    Stream(u64, Mutex<BoxStream<'static, io::Result<Bytes>>>),
    /// A stream that has been sent.
    Spent,
}

impl Content {
    /// So many bytes from a stream.
    pub(crate) fn stream(length: u64, stream: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self::Stream(length, Mutex::new(stream))
    }

    /// What to send now; a stream is gone then.
    pub(crate) fn take(&mut self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Self::Stream(..) | Self::Spent => std::mem::replace(self, Self::Spent),
        }
    }

    /// Whether there is something that cannot be sent again.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self, Self::Spent)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(length, _) => write!(f, "Stream({length})"),
            Self::Spent => f.write_str("Spent"),
        }
    }
}

/// A response before its body has been read.
#[derive(Debug)]
pub(crate) struct StreamingResponse {
    response: Response,
    idle_timeout: IdleTimeout,
}

impl StreamingResponse {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Where it came from in the end.
    pub(crate) fn url(&self) -> &Url {
        self.response.url()
    }

    pub(crate) fn shown_url(&self) -> String {
        shown(self.url())
    }

    /// The next piece of the body; an error if nothing comes for too long or next to nothing, or if
    /// the body is not as long as announced.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let asked = Instant::now();
        let chunk =
            tokio::time::timeout(self.idle_timeout.remaining(), self.response.chunk()).await;
        match chunk {
            Ok(Ok(Some(chunk))) => {
                self.idle_timeout.record(asked.elapsed(), chunk.len());
                Ok(Some(chunk))
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(TransportError::of(self.response.url(), &error)),
            Err(_) => Err(TransportError::timeout(self.response.url())),
        }
    }

    /// The whole of a short body, cut at `limit`.
    pub(crate) async fn buffered(
        mut self,
        limit: usize,
    ) -> Result<BufferedResponse, TransportError> {
        let (mut body, mut truncated) = (Vec::new(), false);
        let read = async {
            while let Some(chunk) = self.chunk().await? {
                let room = limit - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    truncated = true;
                    break;
                }
            }
            Ok(())
        };
        match tokio::time::timeout(WHOLE, read).await {
            Ok(read) => read?,
            Err(_) => return Err(TransportError::timeout(self.response.url())),
        }
        Ok(BufferedResponse {
            status: self.status(),
            headers: self.headers().clone(),
            body,
            truncated,
            url: self.url().clone(),
            address: self.response.remote_addr(),
        })
    }
}

/// How long a body may be waited for until enough of it has come. Only waiting counts: whoever reads
/// may take as long as it likes, for the bytes may go on to a slow place.
#[derive(Debug)]
struct IdleTimeout {
    limit: Duration,
    waited: Duration,
    came: usize,
}

impl IdleTimeout {
    fn new(idle: Duration) -> Self {
        Self { limit: idle, waited: Duration::ZERO, came: 0 }
    }

    /// For how much longer.
    fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.waited)
    }

    /// So many bytes came after so long.
    fn record(&mut self, waited: Duration, bytes: usize) {
        self.waited += waited;
        self.came = self.came.saturating_add(bytes);
        if self.came >= ENOUGH {
            *self = Self::new(self.limit);
        }
    }
}

impl Transport {
    /// Sends a request; its answer is read by the caller.
    ///
    /// A redirect within the origin is followed with everything that was sent. One that leads
    /// elsewhere is followed for reading alone, never with the authorization, never from HTTPS to
    /// HTTP, and no nearer to us than `redirect_zone` (GHSA-vh4v-2xq2-g5cg, CVE-2026-49349).
    pub(crate) async fn open(
        &self,
        mut outgoing: StreamingRequest,
    ) -> Result<StreamingResponse, TransportError> {
        let mut zone = NetworkZone::Loopback;
        for _ in 0..=MAX_REDIRECTS {
            let incoming = self.open_once(&mut outgoing, zone).await?;
            match redirected(&outgoing, &incoming)? {
                None => return Ok(incoming),
                Some(url) => {
                    if url.origin() != outgoing.url.origin() {
                        outgoing.authorization = None;
                        zone = outgoing.redirect_zone;
                    }
                    outgoing.url = url;
                }
            }
        }
        Err(TransportError::TooManyRedirects { url: shown(&outgoing.url) })
    }

    async fn open_once(
        &self,
        outgoing: &mut StreamingRequest,
        zone: NetworkZone,
    ) -> Result<StreamingResponse, TransportError> {
        let url = outgoing.url.clone();
        let client = self.client_to(&url, zone)?;
        let mut request =
            client.request(outgoing.method.clone(), url.clone()).headers(outgoing.headers.clone());
        if let Some(authorization) = &outgoing.authorization {
            let mut value = HeaderValue::try_from(authorization.expose_secret())
                .map_err(|_| TransportError::Unsendable { url: shown(&url) })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let progress = Arc::new(UploadProgress::default());
        let request = with_content(request, outgoing.content.take(), &progress);
        let idle = self.settings.idle_timeout;
        let response =
            progress.watch(request, idle).await.ok_or_else(|| TransportError::timeout(&url))?;
        let response = response.map_err(|error| TransportError::of(&url, &error))?;
        Ok(StreamingResponse { response, idle_timeout: IdleTimeout::new(idle) })
    }
}

fn with_content(
    request: RequestBuilder,
    content: Content,
    progress: &Arc<UploadProgress>,
) -> RequestBuilder {
    match content {
        Content::Nothing | Content::Spent => request,
        Content::Bytes(bytes) => request.header(CONTENT_LENGTH, bytes.len()).body(bytes),
        Content::Stream(length, stream) => {
            let stream = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
            let watched = WatchedBody { stream, progress: Arc::clone(progress) };
            request.header(CONTENT_LENGTH, length).body(Body::wrap_stream(watched))
        }
    }
}

/// How far the sending of a request has got.
#[derive(Debug, Default)]
struct UploadProgress {
    moved: Notify,
    ended: AtomicBool,
}

impl UploadProgress {
    /// Sends; `None` if nothing moves for too long.
    async fn watch(
        &self,
        request: RequestBuilder,
        idle: Duration,
    ) -> Option<reqwest::Result<Response>> {
        let mut sending = pin!(request.send());
        loop {
            let ended = self.ended.load(Ordering::SeqCst);
            let limit = if ended { idle.saturating_mul(COMMIT_FACTOR) } else { idle };
            tokio::select! {
                biased;
                sent = &mut sending => return Some(sent),
                () = self.moved.notified() => {}
                () = tokio::time::sleep(limit) => return None,
            }
        }
    }
}

/// A stream that tells when it was read from.
struct WatchedBody {
    stream: BoxStream<'static, io::Result<Bytes>>,
    progress: Arc<UploadProgress>,
}

impl Stream for WatchedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.stream.poll_next_unpin(context);
        if let Poll::Ready(item) = &polled {
            self.progress.ended.fetch_or(item.is_none(), Ordering::SeqCst);
            self.progress.moved.notify_one();
        }
        polled
    }
}

impl Drop for WatchedBody {
    /// A body of known length is not read beyond its end: it is let go.
    fn drop(&mut self) {
        self.progress.ended.store(true, Ordering::SeqCst);
        self.progress.moved.notify_one();
    }
}

/// Where to go next, if the answer says so and we may.
fn redirected(
    outgoing: &StreamingRequest,
    incoming: &StreamingResponse,
) -> Result<Option<Url>, TransportError> {
    let status = incoming.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(target) =
        incoming.headers().get(LOCATION).and_then(|to| resolve_location(incoming.url(), to))
    else {
        return Ok(None);
    };
    let reads = matches!(outgoing.method, Method::GET | Method::HEAD);
    let same = target.origin() == outgoing.url.origin();
    let repeats = matches!(status, 307 | 308) && !outgoing.content.is_spent();
    let downgrade = outgoing.url.scheme() == "https" && target.scheme() != "https";
    let known = matches!(target.scheme(), "http" | "https");
    let near = !outgoing.redirect_zone.allows_host(&target);
    let follows = if same { reads || repeats } else { reads && known && !downgrade && !near };
    if follows {
        Ok(Some(target))
    } else {
        Err(TransportError::Redirect { from: shown(&outgoing.url), to: shown(&target) })
    }
}

/// The URL that a header names, seen from where the answer came; without a name and password, which
/// would be sent as credentials.
pub(crate) fn resolve_location(from: &Url, header: &HeaderValue) -> Option<Url> {
    let mut url = from.join(header.to_str().ok()?).ok()?;
    if url.has_host() {
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_drips_is_waited_for_as_long_as_one_that_stops() {
        let mut patience = IdleTimeout::new(Duration::from_mins(1));
        for _ in 0..59 {
            patience.record(Duration::from_secs(1), 1);
        }
        assert_eq!(patience.remaining(), Duration::from_secs(1));
        patience.record(Duration::from_secs(2), 1);
        assert_eq!(patience.remaining(), Duration::ZERO);
        // A slow line is none that drips.
        let mut patience = IdleTimeout::new(Duration::from_mins(1));
        for _ in 0..1_000 {
            patience.record(Duration::from_secs(50), ENOUGH);
        }
        assert_eq!(patience.remaining(), Duration::from_mins(1));
    }
}
