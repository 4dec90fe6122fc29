//! A server that says what no HTTP library would let it say.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What comes after what was written.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// The end of the connection.
    Close,
    /// The same over and over, until nobody listens any more.
    Repeat(&'static str),
    /// Nothing, with the connection open.
    Silence,
}

/// Answers every connection once, by the path of its request.
#[derive(Debug)]
pub struct Raw {
    /// Where it listens.
    pub address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Raw {
    /// A server that gives these answers by path, on a port that the kernel picks.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn start(answer: impl Fn(&str) -> (String, Then) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer)));
            }
        });
        Self { address, task }
    }

    /// A registry that asks for nothing, and answers everything but the ping like this.
    pub async fn registry(text: impl Into<String>, then: Then) -> Self {
        let text = text.into();
        let ping = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        Self::start(move |path| {
            if path == "/v2/" { (ping.to_owned(), Then::Close) } else { (text.clone(), then) }
        })
        .await
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<impl Fn(&str) -> (String, Then)>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (text, then) = answer(head.split(' ').nth(1).unwrap_or_default());
    if stream.write_all(text.as_bytes()).await.is_err() {
        return;
    }
    match then {
        Then::Close => drop(stream.shutdown().await),
        Then::Repeat(more) => {
            let more = more.repeat(1 + 64 * 1024 / more.len());
            while stream.write_all(more.as_bytes()).await.is_ok() {}
        }
        Then::Silence => drop(stream.read_to_end(&mut Vec::new()).await),
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.task.abort();
    }
}
