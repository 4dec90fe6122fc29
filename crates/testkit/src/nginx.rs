//! nginx, as operators put it in front: its own folder, its own port, nothing of the machine's set-up.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::server::{stop, wait_until};

/// A running nginx, stopped when dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx with these blocks inside of `http { … }`. `{address}` in them stands for an address on
    /// loopback to listen on.
    ///
    /// # Panics
    /// If it does not start; the panic has what it said.
    pub fn start(servers: &str) -> Self {
        Self::start_with(MAIN, servers)
    }

    /// As [`Nginx::start`], with so many processes that answer.
    ///
    /// # Panics
    /// As [`Nginx::start`].
    pub fn with_workers(workers: usize, servers: &str) -> Self {
        let main = MAIN.replace("master_process off", &format!("worker_processes {workers}"));
        // Workers of root would be nobody's, who may not read what the caller has written. Anybody
        // else's are the caller's, and this line counts for nothing.
        Self::start_with(&format!("user root;\n{main}"), servers)
    }

    fn start_with(main: &str, servers: &str) -> Self {
        for _ in 0..PORTS {
            match Self::try_start(main, servers, free_address()) {
                Ok(nginx) => return nginx,
                Err(said) if said.contains("bind() to") => {}
                Err(said) => panic!("nginx does not start:\n{said}"),
            }
        }
        panic!("nginx found {PORTS} free ports taken when it came to them");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of the process that the others, if there are any, are children of.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where relative names of its configuration begin.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One line for each request that it answered.
    pub fn access_log(&self) -> String {
        read(self.folder.path(), "access.log")
    }

    /// What it complained of.
    pub fn error_log(&self) -> String {
        read(self.folder.path(), "error.log")
    }

    /// Waits until a line of the error log has these words.
    ///
    /// # Panics
    /// If there is none within a minute.
    #[track_caller]
    pub fn wait_for_error(&self, words: &str) {
        let found = wait_until(|| self.error_log().contains(words));
        assert!(found, "nginx does not complain of {words:?}:\n{}", self.error_log());
    }

    /// `Err` is what it said before it ended.
    fn try_start(main: &str, servers: &str, address: SocketAddr) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let servers = servers.replace("{address}", &address.to_string());
        let configuration = format!("{main}http {{\n{HTTP}{servers}\n}}\n");
        fs::write(folder.path().join("nginx.conf"), configuration).expect("a configuration file");
        let process = Command::new(program())
            .arg("-p")
            .arg(folder.path())
            // The log that is compiled in belongs to the machine.
            .args(["-e", "error.log", "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts; `cargo xtask setup` installs it");
        let mut nginx = Self { process, folder, address };
        // It writes the file with its process id once it listens.
        let pid = nginx.folder.path().join("pid");
        let mut ended = false;
        let settled = wait_until(|| {
            ended = matches!(nginx.process.try_wait(), Ok(Some(_)));
            ended || fs::read_to_string(&pid).is_ok_and(|id| !id.is_empty())
        });
        if settled && !ended { Ok(nginx) } else { Err(nginx.error_log()) }
    }
}

impl Drop for Nginx {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the proxy said")]
    fn drop(&mut self) {
        stop(&mut self.process);
        if std::thread::panicking() {
            eprintln!("=== nginx\n{}{}", self.access_log(), self.error_log());
        }
    }
}

/// An address for a program that cannot listen on port 0, such as nginx. Somebody else may be faster.
///
/// # Panics
/// If the kernel has no port left.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

/// It lives in sbin, which is not on everybody's path.
fn program() -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin/nginx");
    if sbin.exists() { sbin } else { "nginx".into() }
}

/// How many ports are tried.
const PORTS: usize = 5;

/// One process in the foreground: there is one id to stop, and it may read what the test may.
const MAIN: &str = "\
daemon off;
master_process off;
pid pid;
error_log error.log info;
events {}
";

/// Names without a leading slash are below the folder that it is started with.
const HTTP: &str = "\
access_log access.log;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
";
