//! Token services that are not ours: what operators write themselves.

mod python;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

pub use self::python::PythonTokenService;

/// A token service that answers as it is told: every request with the same body, as `200 application/json`.
#[derive(Debug)]
pub struct FixedTokenService {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FixedTokenService {
    /// Starts it on a port that the kernel picks.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn answering(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stopped = Arc::clone(&stopped);
            let body = body.to_owned();
            move || {
                for stream in listener.incoming().flatten() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that hangs up early has its answer or does not want it.
                    let _ = answer(stream, &body);
                }
            }
        });
        Self { address, stopped, thread: Some(thread) }
    }

    /// The URL of its token endpoint.
    pub fn realm(&self) -> String {
        format!("http://{}/registry/v1/token", self.address)
    }
}

impl Drop for FixedTokenService {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread out of `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    // What is not read resets the connection, and the answer is lost with it.
    std::io::copy(&mut (&mut stream).take(length(&head)), &mut std::io::sink())?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// How long the body is that follows this head.
fn length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
