//! One connection: TLS, then HTTP/1.1 or HTTP/2 until it ends or the drain begins.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::body::Bytes;
use http::Version;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    access_log::LoggedBody,
    activity::Activity,
    listener_service::ListenerService,
    peer::Peer,
    stall_timeout::StallTimeoutStream,
    streams::{self, StreamExecutor},
    tls::{HTTP_2, Tls},
};

/// One connection: who is at its other end, and what answers there.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// Both ends.
    pub(crate) peer: Peer,
    /// Answers its requests.
    pub(crate) service: Arc<ListenerService>,
    /// What happens on it.
    pub(crate) activity: Arc<Activity>,
    /// The requests under way are its last, once this begins.
    pub(crate) drain: CancellationToken,
}

impl Connection {
    /// Serves it to its end. What goes wrong with it is the peer's affair, or was logged inside.
    pub(crate) async fn serve(self, stream: TcpStream, tls: Option<&Tls>) {
        // Each in a piece of memory of its own: one that has no TLS would take as much as the largest.
        let Some(tls) = tls else { return Box::pin(self.serve_http1(stream)).await };
        let client = self.peer.remote;
        match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(HTTP_2) => {
                Box::pin(self.serve_http2(stream)).await;
            }
            Ok(Ok(stream)) => Box::pin(self.serve_http1(stream)).await,
            Ok(Err(error)) => {
                self.service.metrics().handshake_failed();
                tracing::debug!(%client, "no TLS connection: {error}");
            }
            Err(_) => {
                self.service.metrics().handshake_failed();
                tracing::debug!(%client, "no TLS connection within {} s", HANDSHAKE.as_secs());
            }
        }
    }

    /// Serves requests, and waits for the next ones with nothing but the stream in memory: most connections are at rest
    /// most of the time, and hyper's buffers are the larger part of one.
    async fn serve_http1<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = StallTimeoutStream::new(stream, self.activity.clone());
        while let Some((resting, read)) = Box::pin(self.serve_requests(stream)).await {
            stream = resting;
            if stream.unread(&read) || self.next_request(&mut stream).await {
                continue;
            }
            if let Err(error) = stream.shutdown().await {
                tracing::debug!(client = %self.peer.remote, "the connection ended early: {error}");
            }
            return;
        }
    }

    /// Serves requests until there has been none for a while; then the stream is returned, with what was read of the next
    /// one. `None` is the connection's end.
    async fn serve_requests<S>(
        &self,
        stream: StallTimeoutStream<S>,
    ) -> Option<(StallTimeoutStream<S>, Bytes)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let this = self.clone();
        // Boxed: hyper keeps room for what is under way, and most of the time nothing is.
        let answer = service_fn(move |request| {
            let this = this.clone();
            Box::pin(async move { Ok::<_, Infallible>(this.answer(request).await) })
        });
        let mut connection = http1::Builder::new()
            // Both are watched where the connection is run: hyper has one limit for silence and for slow headers.
            .header_read_timeout(None)
            .max_header_size(MAX_HEADERS as usize)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), answer);
        match self.drive(Pin::new(&mut connection), Version::HTTP_11).await {
            Driven::Ended => None,
            Driven::Resting => {
                // No request is under way, and hyper writes what is left of an answer before it lets go of the stream.
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|context| connection.poll_without_shutdown(context)).await.ok()?;
                let http1::Parts { io, read_buf, .. } = connection.into_parts();
                Some((io.into_inner(), read_buf))
            }
        }
    }

    /// Waits for the first byte of a request. `false` is the time to close: it never came, or others are not wanted any
    /// more.
    async fn next_request<S>(&self, stream: &mut StallTimeoutStream<S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let end = self.activity.last_progress() + self.service.idle_timeout();
        tokio::select! {
            is_there = stream.wait_for_bytes() => is_there,
            () = sleep_until(end) => false,
            () = self.drain.cancelled() => false,
        }
    }

    async fn serve_http2<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = StallTimeoutStream::new(stream, self.activity.clone());
        let this = self.clone();
        let answer = service_fn(move |request| {
            let this = this.clone();
            async move {
                let response = this.answer(request).await;
                streams::response_started();
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http2::Builder::new(StreamExecutor)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_header_list_size(MAX_HEADERS)
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .serve_connection(TokioIo::new(stream), answer);
        self.drive(pin!(connection), Version::HTTP_2).await;
    }

    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<LoggedBody> {
        let under_way = self.activity.begin();
        let response = self.service.handle(request, self.peer, &self.activity).await;
        response.map(|body| body.holding(under_way))
    }

    /// Runs it. When it has been idle for long enough, or the drain begins, the requests under way are its last.
    async fn drive<C>(&self, mut connection: Pin<&mut C>, version: Version) -> Driven
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let result = tokio::select! {
            result = connection.as_mut() => result,
            end = self.timed_out(version) => match end {
                ConnectionTimeout::Rest => return Driven::Resting,
                ConnectionTimeout::Idle => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
                ConnectionTimeout::SlowHead => {
                    let limit = HEAD.as_secs();
                    tracing::debug!(client = %self.peer.remote, "no request came within {limit} s");
                    return Driven::Ended;
                }
            },
            () = self.drain.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(client = %self.peer.remote, "the connection ended early: {error}");
        }
        Driven::Ended
    }
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driven {
    /// It is over.
    Ended,
    /// Nothing is under way on it.
    Resting,
}

/// What it is time for on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionTimeout {
    /// Nothing was asked for a while, and of HTTP/1 nothing needs to be in memory.
    Rest,
    /// Nothing was asked for a long time.
    Idle,
    /// A request was begun, and its headers did not end.
    SlowHead,
}

impl Connection {
    /// Resolves when it is time to end it, or to let it rest. What happens on it is looked at now and then, and not each
    /// time: a request has no timer of its own.
    async fn timed_out(&self, version: Version) -> ConnectionTimeout {
        let idle_timeout = self.service.idle_timeout();
        loop {
            let now = Instant::now();
            let rests = version < Version::HTTP_2;
            let no_sooner = now + if rests { REST } else { HEAD }.min(idle_timeout);
            // Of HTTP/2, bytes are no sign of a request.
            let head = self.activity.head_since().filter(|_| version < Version::HTTP_2);
            let look_again = match head {
                _ if !self.activity.is_idle() => no_sooner,
                Some(since) if now >= since + HEAD => return ConnectionTimeout::SlowHead,
                // Its answer may be out, and idleness begin, long before that.
                Some(since) => (since + HEAD).min(no_sooner),
                None => {
                    let since = self.activity.last_progress();
                    let end = since + idle_timeout;
                    if now >= end {
                        return ConnectionTimeout::Idle;
                    }
                    if rests && now >= since + REST {
                        return ConnectionTimeout::Rest;
                    }
                    end.min(no_sooner)
                }
            };
            sleep_until(look_again).await;
        }
    }
}

/// Bytes that are read at once, and that wait to be written: with 400 KiB, which is what hyper takes, a
/// hundred who pull hold as many times more.
const BUFFER: usize = 64 * 1024;
/// A TLS handshake is a few packets.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// From the first byte of a request's headers, or the beginning of the connection, to the last.
const HEAD: Duration = Duration::from_mins(1);

/// How often a silent HTTP/2 peer is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// How long a connection is kept as it is after a request: the next one of a client at work comes sooner.
const REST: Duration = Duration::from_secs(5);

/// Headers of a request, all together. T12: tokens are far smaller.
const MAX_HEADERS: u32 = 32 * 1024;

/// Requests at once on one HTTP/2 connection: more than a client has blobs to pull at a time, and few enough that
/// the files of blobs are not used up by a handful of connections.
const STREAMS: u32 = 64;

/// What may be on its way to us per request: the default of 64 KiB makes an upload wait for each round trip. One that
/// nobody reads leaves room for those beside it.
const STREAM_WINDOW: u32 = CONNECTION_WINDOW / 2;

/// What may be on its way to us per connection: h2 keeps all of it in memory until somebody reads it, and no budget
/// counts that. Go's servers allow as much.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// HTTP/2's largest frame that is worth its buffer.
const MAX_FRAME: u32 = 64 * 1024;
