//! Sockets: bind all, then accept until told to stop.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{connection, door::Door, origin::Peer, tls::Tls};
use crate::parts::blocking;
use portpass_protocol::origin::Scheme;

/// A socket that is bound, and what is served on it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    door: Arc<Door>,
}

/// What all listeners share: how many connections there may be, and the end of it all.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    drain: CancellationToken,
    abort: CancellationToken,
}

/// A port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {source}")]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self.source.kind() {
            io::ErrorKind::AddrInUse => format!(
                "another process listens there; stop it, or choose another address by `--addr` or `{}`",
                self.key
            ),
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address; 0.0.0.0 stands for all that it has".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are for root, or for those with CAP_NET_BIND_SERVICE".to_owned()
            }
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

impl Listener {
    /// Binds; port 0 is the kernel's choice. `key` is the setting that names the address.
    pub(crate) async fn bind(
        key: &'static str,
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
        door: Arc<Door>,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { key, address, source };
        let socket = blocking(move || bind(address)).await;
        let socket = socket.and_then(TcpListener::from_std).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, tls, door })
    }

    /// Where it really listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How clients' connections to it begin.
    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::Https } else { Scheme::Http }
    }

    /// Accepts until the drain begins. The socket is closed when this returns.
    pub(crate) async fn accept(self, connections: Connections) {
        loop {
            // Above the limit new connections wait in the kernel's queue.
            let Some(place) = connections.place().await else { return };
            let Some((stream, remote)) = self.next(&connections).await else { return };
            let local = stream.local_addr().unwrap_or(self.address);
            let peer = Peer { remote, local, scheme: self.scheme() };
            let (door, tls) = (self.door.clone(), self.tls.clone());
            let (drain, abort) = (connections.drain.clone(), connections.abort.clone());
            connections.tracker.spawn(async move {
                let _open = door.metrics().connection_opened(door.name());
                tokio::select! {
                    () = connection::serve(stream, peer, tls.as_deref(), door, drain) => {}
                    () = abort.cancelled() => {}
                }
                drop(place);
            });
        }
    }

    async fn next(&self, connections: &Connections) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = connections.drain.cancelled() => return None,
            };
            match accepted {
                Ok((stream, remote)) => {
                    // Without it a header and its body in two writes cost 40 ms.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%remote, "TCP_NODELAY cannot be set: {error}");
                    }
                    return Some((stream, remote));
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    tracing::error!(address = %self.address, "no connection can be accepted at the moment: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Binds and listens. All addresses of IPv6 are those of IPv4 too, whatever the system's `bindv6only` says; where there
/// is no IPv6, they are those of IPv4 alone.
fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let all = address.is_ipv6() && address.ip().is_unspecified();
    let bound = match Socket::new(Domain::for_address(address), Type::STREAM, None) {
        Ok(socket) => bind_to(&socket, address, all).map(|()| socket),
        Err(error) => Err(error),
    };
    let socket = match bound {
        Err(error) if all && is_without_ipv6(&error) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            bind_to(&socket, address, false)?;
            socket
        }
        bound => bound?,
    };
    Ok(socket.into())
}

fn bind_to(socket: &Socket, address: SocketAddr, all: bool) -> io::Result<()> {
    if all {
        socket.set_only_v6(false)?;
    }
    // As tokio does: a port whose last connections are still closing can be had again.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)
}

/// The kernel has no IPv6, or it is switched off by `disable_ipv6`.
fn is_without_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|missing| error.raw_os_error() == Some(missing.raw_os_error()))
}

/// As the standard library has it, cut by the system to its `somaxconn`.
const BACKLOG: i32 = 1024;

impl Connections {
    /// At most `limit` at once, over all listeners.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit)),
            tracker: TaskTracker::new(),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Closes the sockets, lets requests end, and cuts off what is still there after `patience`, or when `now`
    /// resolves. Says how many were cut off.
    pub(crate) async fn drain(&self, patience: Duration, now: impl Future<Output = ()>) -> usize {
        self.drain.cancel();
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => return 0,
            () = tokio::time::sleep(patience) => {}
            () = now => {}
        }
        let left = self.tracker.len();
        self.abort.cancel();
        self.tracker.wait().await;
        left
    }

    async fn place(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        tokio::select! {
            place = self.places.clone().acquire_owned() => place.ok(),
            () = self.drain.cancelled() => None,
        }
    }
}

/// The connection died before it was accepted: nothing of ours is wrong.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

/// Out of file descriptors: they come back, but not by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go does with `:5000`.
    #[tokio::test]
    async fn all_addresses_are_those_of_both_kinds() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for to in ["127.0.0.1", "[::1]"] {
            let address: SocketAddr = format!("{to}:{port}").parse().unwrap();
            TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{to}: {error}"));
        }
        let one = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(one.local_addr().unwrap().is_ipv4());
        let taken = bind(one.local_addr().unwrap()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn without_ipv6_there_is_ipv4() {
        let error = |code: Errno| io::Error::from_raw_os_error(code.raw_os_error());
        assert!(is_without_ipv6(&error(Errno::AFNOSUPPORT)));
        assert!(is_without_ipv6(&error(Errno::ADDRNOTAVAIL)));
        assert!(!is_without_ipv6(&error(Errno::ADDRINUSE)));
    }
}
