//! Where refusals are asked for: a unix socket in the data directory, which only its owner may use.
//!
//! A socket and no address of the network: whoever may read the data directory may know all of this, and
//! nobody else; there is no port to choose, and no password to keep.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::PermissionsExt as _,
        net::{SocketAddr, UnixListener as StdListener},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portpass_admin::blocking;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{Query, QueryResult, ring::RefusalLog};

/// The socket, bound. Its file is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct RefusalSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl RefusalSocket {
    /// Binds the socket. The data directory's lock is ours, so what lies there was left by a server that
    /// is no more.
    pub(crate) async fn open(data: &Path) -> Result<Self, SocketError> {
        let path = data.join(SOCKET);
        if !fits(&path) {
            return Err(SocketError::TooLong(too_long(path)));
        }
        let socket = path.clone();
        let listener = blocking(move || bind(&socket)).await;
        let listener = listener.and_then(UnixListener::from_std);
        match listener {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(SocketError::Bind { path, source }),
        }
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve(self, refusals: Arc<RefusalLog>) {
        let mut open = JoinSet::new();
        loop {
            while open.try_join_next().is_some() {}
            if open.len() >= AT_ONCE {
                open.join_next().await;
            }
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let refusals = refusals.clone();
                    open.spawn(
                        async move { timeout(QUERY_TIMEOUT, answer(stream, &refusals)).await },
                    );
                }
                Err(error) => {
                    tracing::warn!("cannot serve `portpass explain` at the moment: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for RefusalSocket {
    fn drop(&mut self) {
        // Whoever comes then is told that no server runs; a socket that stays says the same.
        let _ = fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<StdListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = StdListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn answer(stream: UnixStream, refusals: &RefusalLog) -> io::Result<()> {
    // Between `bind` and `chmod` anybody could knock who can enter the directory.
    if !is_ours(&stream)? {
        return Ok(());
    }
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(MAX_QUESTION).read_line(&mut line).await?;
    let query: Query = serde_json::from_str(&line)?;
    let mut told = refusals.answer(&query);
    told.push('\n');
    stream.write_all(told.as_bytes()).await?;
    stream.shutdown().await
}

/// Our own user, or root.
fn is_ours(stream: &UnixStream) -> io::Result<bool> {
    let other = stream.peer_cred()?.uid();
    Ok(other == rustix::process::geteuid().as_raw() || other == ROOT)
}

/// Asks the server that runs on a data directory.
pub async fn query(data: &Path, query: &Query) -> Result<QueryResult, QueryError> {
    let path = data.join(SOCKET);
    if !fits(&path) {
        return Err(too_long(path).into());
    }
    let stream = UnixStream::connect(&path).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            QueryError::NotRunning { data: data.to_path_buf() }
        }
        io::ErrorKind::PermissionDenied => QueryError::Inaccessible { path },
        _ => QueryError::Io { source },
    })?;
    let broken = |source| QueryError::Io { source };
    let text = timeout(QUERY_TIMEOUT, exchange(stream, query)).await;
    let text = text.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(broken)?;
    serde_json::from_str(&text).map_err(|_| QueryError::OtherVersion)
}

async fn exchange(mut stream: UnixStream, query: &Query) -> io::Result<String> {
    let mut line = serde_json::to_string(query)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Whether the system takes a path of this length for a socket.
fn fits(path: &Path) -> bool {
    SocketAddr::from_pathname(path).is_ok()
}

fn too_long(path: PathBuf) -> TooLong {
    TooLong { length: path.as_os_str().len(), path }
}

/// A path that no socket can have.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot create a socket at {}: the path has {length} bytes, and the system allows about 100; use a data directory with a shorter path",
    path.display()
)]
pub struct TooLong {
    path: PathBuf,
    length: usize,
}

/// Why nobody can ask for refusals.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    #[error("{} cannot be made: {source}", path.display())]
    Bind { path: PathBuf, source: io::Error },
    #[error(transparent)]
    TooLong(TooLong),
}

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The conversation broke off.
    #[error("the server does not answer: {source}")]
    Io {
        /// What the system said.
        source: io::Error,
    },
    /// The socket is somebody else's.
    #[error("this user cannot open {}; run this as the user that `portpass serve` runs as", path.display())]
    Inaccessible {
        /// The socket.
        path: PathBuf,
    },
    /// Nobody listens there.
    #[error(
        "no server runs on {}: it is stopped, or runs with another data directory: name that one with --data or --config",
        data.display()
    )]
    NotRunning {
        /// The data directory.
        data: PathBuf,
    },
    /// What it says makes no sense here.
    #[error(
        "the server's answer cannot be read: it is from another version; use the server's own `portpass`"
    )]
    OtherVersion,
    /// The server could not open it either.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

const SOCKET: &str = "explain.sock";
const ROOT: u32 = 0;
/// A request id has 128 characters at most.
const MAX_QUESTION: u64 = 1024;
const AT_ONCE: usize = 32;
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
