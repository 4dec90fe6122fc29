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
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::Connection,
    connection_slots::{ConnectionSlots, Slot, SlotOwner},
    listener_service::ListenerService,
    peer::Peer,
    tls::Tls,
};
use portpass_admin::blocking;
use portpass_protocol::origin::Scheme;

/// A socket that is bound, and what is served on it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    service: Arc<ListenerService>,
}

/// What all listeners share: how many connections there may be, and the end of it all.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    slots: Arc<ConnectionSlots>,
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
                "this machine does not have this address; 0.0.0.0 means all of its addresses"
                    .to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "only root and processes with CAP_NET_BIND_SERVICE can use ports below 1024"
                    .to_owned()
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
        service: Arc<ListenerService>,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { key, address, source };
        let socket = blocking(move || bind(address)).await;
        let socket = socket.and_then(TcpListener::from_std).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address, tls, service })
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
        let mut waiting = PendingQueue::default();
        let mut look_again = interval(LOOK_AGAIN);
        look_again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let nobody = waiting.is_empty();
            let admitted = tokio::select! {
                arrived = self.accept_next(&connections, waiting.pause()) => {
                    let Some((stream, remote)) = arrived else { return };
                    let pending = self.pending(stream, remote);
                    if let Some(slot) = connections.slots.acquire(pending.owner) {
                        Some((pending, slot))
                    } else {
                        waiting.push(pending);
                        None
                    }
                }
                () = connections.slots.freed(), if !nobody => {
                    waiting.admit(|owner| connections.slots.acquire_free(owner))
                }
                // That others have become idle is told to nobody.
                _ = look_again.tick(), if !nobody => {
                    waiting.admit(|owner| connections.slots.acquire(owner))
                }
            };
            if let Some((pending, slot)) = admitted {
                self.serve(pending, slot, &connections);
            }
        }
    }

    fn pending(&self, stream: TcpStream, remote: SocketAddr) -> PendingConnection {
        let local = stream.local_addr().unwrap_or(self.address);
        let peer = Peer { remote, local, scheme: self.scheme() };
        let owner =
            if self.service.trusts(&peer) { SlotOwner::Proxy } else { SlotOwner::of(remote.ip()) };
        PendingConnection { stream, peer, owner }
    }

    fn serve(&self, pending: PendingConnection, slot: Slot, connections: &Connections) {
        let PendingConnection { stream, peer, owner: _ } = pending;
        let (tls, abort) = (self.tls.clone(), connections.abort.clone());
        let connection = Connection {
            peer,
            service: self.service.clone(),
            activity: slot.activity().clone(),
            drain: connections.drain.clone(),
        };
        let service = self.service.clone();
        connections.tracker.spawn(async move {
            let _open = service.metrics().connection_opened(service.name());
            tokio::select! {
                () = connection.serve(stream, tls.as_deref()) => {}
                () = abort.cancelled() => {}
                () = slot.evicted() => {
                    service.metrics().connection_cut(service.name());
                    tracing::debug!(client = %peer.remote, "the connection was closed to make room for another");
                }
            }
        });
    }

    async fn accept_next(
        &self,
        connections: &Connections,
        pause: Duration,
    ) -> Option<(TcpStream, SocketAddr)> {
        if !pause.is_zero() {
            sleep(pause).await;
        }
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
                Err(error) if is_peer_error(&error) => {}
                Err(error) => {
                    tracing::error!(address = %self.address, "no connection can be accepted at the moment: {error}");
                    sleep(ACCEPT_PAUSE).await;
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
            slots: Arc::new(ConnectionSlots::new(limit)),
            tracker: TaskTracker::new(),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
        }
    }

    /// Closes the sockets, lets requests end, and cuts off what is still there after `drain_timeout`, or when `now`
    /// resolves. Says how many were cut off.
    pub(crate) async fn drain(
        &self,
        drain_timeout: Duration,
        now: impl Future<Output = ()>,
    ) -> usize {
        self.drain.cancel();
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => return 0,
            () = sleep(drain_timeout) => {}
            () = now => {}
        }
        let left = self.tracker.len();
        self.abort.cancel();
        self.tracker.wait().await;
        left
    }
}

/// Somebody who has connected and has no slot yet.
#[derive(Debug)]
struct PendingConnection {
    stream: TcpStream,
    peer: Peer,
    owner: SlotOwner,
}

/// Those who wait, in the order in which they came.
#[derive(Debug, Default)]
struct PendingQueue(Vec<PendingConnection>);

impl PendingQueue {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Before the next is taken from the kernel's queue. Where too many wait, each of them costs another's waiting, so
    /// they wait there as long as that keeps nobody else from being seen.
    fn pause(&self) -> Duration {
        if self.0.len() < WAITING { Duration::ZERO } else { FULL_QUEUE_PAUSE }
    }

    /// Where too many wait, the last of those who are most leaves: others behind them have to be seen.
    fn push(&mut self, pending: PendingConnection) {
        self.0.push(pending);
        if self.0.len() > WAITING {
            let count = |owner| self.0.iter().filter(|one| one.owner == owner).count();
            let most = self.0.iter().enumerate().max_by_key(|(at, one)| (count(one.owner), *at));
            if let Some((at, _)) = most {
                let PendingConnection { peer, .. } = self.0.remove(at);
                tracing::debug!(client = %peer.remote, "there is no room, and too many connections wait");
            }
        }
    }

    /// The first for whom there is a slot.
    fn admit(
        &mut self,
        slot: impl Fn(SlotOwner) -> Option<Slot>,
    ) -> Option<(PendingConnection, Slot)> {
        let (at, slot) =
            self.0.iter().enumerate().find_map(|(at, one)| Some((at, slot(one.owner)?)))?;
        Some((self.0.remove(at), slot))
    }
}

/// The connection died before it was accepted: nothing of ours is wrong.
fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

/// Out of file descriptors: they come back, but not by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many wait for a slot at each address; more would be files that nobody uses.
const WAITING: usize = 16;

/// Somebody behind a full queue of the kernel (1024) is seen after five seconds at the latest.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

const LOOK_AGAIN: Duration = Duration::from_millis(250);

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
