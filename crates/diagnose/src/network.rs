//! A server below HTTP: its name, its port, its TLS. Nothing is sent but a TLS handshake.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portpass_client::trust::{
    Protocols, RecordedChain, ServerVerification, client_config, describe,
};
use portpass_protocol::printable::is_unprintable;
use reqwest::Url;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};

use super::proxy::Proxy;

mod certificate_summary;

pub(super) use certificate_summary::CertificateSummary;

/// How long one step may take: a name, a connection, a greeting.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 8;
/// How much of what is no TLS is kept.
const MAX_HEAD: usize = 64;
/// The longest answer of a proxy to `CONNECT`.
const MAX_CONNECT: usize = 8 * 1024;

/// The addresses of a URL's host, or why they are not known.
pub(super) async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = endpoint(url).ok_or("the URL has no host")?;
    let lookup = tokio::net::lookup_host((host.as_str(), port));
    match tokio::time::timeout(PATIENCE, lookup).await {
        Err(_) => Err(format!("no response in {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// The host answers, and no process listens on that port.
    Refused,
    /// No answer in time.
    Timeout,
    /// There is no way from here, as with IPv6 on many machines.
    NoRoute(String),
    /// A proxy did not let us through: its status, or why it cannot be asked.
    Proxy(Option<u16>, String),
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Timeout => write!(f, "no response in {} s", PATIENCE.as_secs()),
            Self::NoRoute(reason) | Self::Proxy(_, reason) => f.write_str(reason),
        }
    }
}

/// Connects to one address.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, ConnectError> {
    match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
        Err(_) => Err(ConnectError::Timeout),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match error.kind() {
            io::ErrorKind::ConnectionRefused => ConnectError::Refused,
            io::ErrorKind::TimedOut => ConnectError::Timeout,
            _ => ConnectError::NoRoute(error.to_string()),
        }),
    }
}

/// Connects to the first of a name's addresses that lets us.
pub(super) async fn connect_any(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut closed = ConnectError::Timeout;
    for address in addresses {
        match connect(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => closed = error,
        }
    }
    Err(closed)
}

/// Connects through a proxy, as clients of HTTPS do: with `CONNECT`.
pub(super) async fn tunnel(proxy: &Proxy, url: &Url) -> Result<TcpStream, ConnectError> {
    let away = |reason: String| {
        ConnectError::Proxy(None, format!("the proxy {}: {reason}", proxy.shown()))
    };
    if proxy.url.scheme() != "http" {
        return Err(away("only HTTP proxies are supported".to_owned()));
    }
    let addresses = resolve(&proxy.url).await.map_err(away)?;
    let mut stream = connect_any(&addresses).await.map_err(|closed| away(closed.to_string()))?;
    let (host, port) = endpoint(url).ok_or_else(|| away("the URL has no host".to_owned()))?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let own = if proxy.url.username().is_empty() {
        String::new()
    } else {
        let (name, password) = proxy.login();
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}")))
    };
    let words = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{own}\r\n");
    let answer = async {
        stream.write_all(words.as_bytes()).await?;
        let mut answer = Vec::new();
        // Byte by byte: what follows belongs to the server behind it.
        while !answer.ends_with(b"\r\n\r\n") && answer.len() < MAX_CONNECT {
            answer.push(stream.read_u8().await?);
        }
        Ok::<_, io::Error>(answer)
    };
    let answer = match tokio::time::timeout(2 * PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(away(error.to_string())),
        Err(_) => return Err(away("no response to CONNECT".to_owned())),
    };
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    match line.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()) {
        Some(200..=299) => Ok(stream),
        status => {
            let said: String = line.chars().filter(|c| !is_unprintable(*c)).take(80).collect();
            let reason = format!("the proxy {} responds to CONNECT with {said:?}", proxy.shown());
            Err(ConnectError::Proxy(status, reason))
        }
    }
}

/// Host and port as a socket wants them.
fn endpoint(url: &Url) -> Option<(String, u16)> {
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some((host, url.port_or_known_default()?))
}

/// The answer to a TLS handshake.
#[derive(Debug)]
pub(super) enum TlsGreeting {
    /// TLS. Whether it is trusted is another question.
    Tls(Box<Handshake>),
    /// Something else: its first bytes, none if it just closed.
    NotTls(Vec<u8>),
    /// TLS, but no agreement.
    Failed(String),
    /// No answer in time.
    Timeout,
}

/// What a server showed of itself.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    /// Its certificates in their order, its own first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// `h2`, `http/1.1`, or nothing.
    pub(super) alpn: Option<String>,
}

/// Makes a TLS handshake and closes. The certificates are kept, and not judged.
pub(super) async fn tls_handshake(stream: TcpStream, url: &Url) -> TlsGreeting {
    let Some(name) = server_name(url) else {
        return TlsGreeting::Failed("the host is not a valid name for TLS".to_owned());
    };
    let head = Arc::new(Mutex::new(Vec::new()));
    let recorded = RecordedChain::default();
    let config = match client_config(
        ServerVerification::Recorded(recorded.clone()),
        None,
        Protocols::Both,
    ) {
        Ok(config) => config,
        Err(error) => {
            return TlsGreeting::Failed(describe(&error).unwrap_or_else(|| error.to_string()));
        }
    };
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let tapped = RecordingStream { inner: stream, head: Arc::clone(&head) };
    let connected = tokio::time::timeout(PATIENCE, connector.connect(name, tapped)).await;
    let error = match connected {
        Err(_) => return TlsGreeting::Timeout,
        Ok(Ok(stream)) => {
            let alpn = stream.get_ref().1.alpn_protocol();
            let alpn = alpn.map(|name| String::from_utf8_lossy(name).into_owned());
            return TlsGreeting::Tls(Box::new(Handshake { chain: recorded.take(), alpn }));
        }
        Ok(Err(error)) => error,
    };
    let chain = recorded.take();
    if !chain.is_empty() {
        // It asks for a certificate of ours, or broke off after it had shown its own.
        return TlsGreeting::Tls(Box::new(Handshake { chain, alpn: None }));
    }
    let head = head.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // A record of TLS begins with its type, an alert or a handshake, and a version.
    let is_tls = matches!(head.as_slice(), [0x15 | 0x16, 0x03, ..]);
    if is_tls {
        TlsGreeting::Failed(describe(&error).unwrap_or_else(|| error.to_string()))
    } else {
        TlsGreeting::NotTls(head)
    }
}

/// The host as certificates name it.
pub(super) fn server_name(url: &Url) -> Option<ServerName<'static>> {
    let (host, _) = endpoint(url)?;
    ServerName::try_from(host).ok()
}

/// Keeps the first bytes that are read.
struct RecordingStream {
    inner: TcpStream,
    head: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for RecordingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_HEAD - head.len();
        head.extend(buffer.filled()[before..].iter().take(room));
        drop(head);
        read
    }
}

impl AsyncWrite for RecordingStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
