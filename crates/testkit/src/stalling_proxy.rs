//! A line that goes dead at a certain byte, so that what hangs on it can be ended at a known point.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crate::server::wait_until;

/// Passes everything on to a server, and no more than so many bytes back. Then it is silent, and
/// hangs nobody up.
#[derive(Debug)]
pub struct StallingProxy {
    address: SocketAddr,
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Line {
    server: SocketAddr,
    left: AtomicU64,
    ended: AtomicBool,
}

impl StallingProxy {
    /// In front of a server, on a port that the kernel picks.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn before(server: SocketAddr, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let line =
            Arc::new(Line { server, left: AtomicU64::new(bytes), ended: AtomicBool::new(false) });
        let thread = std::thread::spawn({
            let line = Arc::clone(&line);
            move || {
                for client in listener.incoming().flatten() {
                    if line.ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let line = Arc::clone(&line);
                    std::thread::spawn(move || line.serve(&client));
                }
            }
        });
        Self { address, line, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the line is dead.
    ///
    /// # Panics
    /// If it is not within a minute.
    pub fn wait(&self) {
        assert!(wait_until(|| self.line.left.load(Ordering::SeqCst) == 0), "the line is not dead");
    }
}

impl Drop for StallingProxy {
    fn drop(&mut self) {
        self.line.ended.store(true, Ordering::SeqCst);
        // Wakes the thread out of `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Line {
    /// One connection: both ways until one of them ends. Whoever hangs up ends both.
    fn serve(&self, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else { return };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut from, mut to) = (client, &server);
                let _ = std::io::copy(&mut from, &mut to);
                let _ = server.shutdown(Shutdown::Both);
            });
            let _ = self.pass_back(&server, client);
            let _ = client.shutdown(Shutdown::Both);
        });
    }

    fn pass_back(&self, mut server: &TcpStream, mut client: &TcpStream) -> std::io::Result<()> {
        let mut piece = vec![0; 16 * 1024];
        loop {
            let read = server.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            let passing = self.take(read);
            client.write_all(&piece[..passing])?;
            if passing < read {
                // The client hears nothing any more until it goes away; the other thread sees that
                // and ends the server's side.
                while server.read(&mut piece)? > 0 {}
                return Ok(());
            }
        }
    }

    /// How many of so many bytes may still pass.
    fn take(&self, wanted: usize) -> usize {
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        let take = |left: u64| Some(left.saturating_sub(wanted));
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        usize::try_from(left.unwrap_or(0).min(wanted)).unwrap_or(usize::MAX)
    }
}
