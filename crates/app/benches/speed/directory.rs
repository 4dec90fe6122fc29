//! Tokens of local accounts while a directory accepts connections and says nothing.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use base64::prelude::*;
use portpass_testkit::{Process, SilentServer};

use crate::{
    PROGRAM,
    load::Load,
    report::{Row, Unit},
    take_turns,
    wire::Connection,
    world::{REPOSITORY, SERVICE, Server, World, basic, serve_with_directory},
};

/// The same server, alone and while names of the directory log in. Its p99 is what counts.
pub(crate) fn local_token(world: &World, work: &str) -> Row {
    let silent = SilentServer::start();
    let portpass = serve_with_directory(Path::new(PROGRAM), silent.address());
    let server = |name| Server {
        name,
        address: portpass.address(),
        process: Process(portpass.process_id()),
        authorization: Some(basic(&portpass)),
    };
    let paths = [format!("/token?service={SERVICE}&scope=repository:{REPOSITORY}:pull")];
    let load = Load { paths: &paths, status: 200, connections: 32, seconds: 4 };
    let servers = [server(HANGS), server("portpass, alone")];
    let runs = take_turns(
        &servers,
        |server| server.name,
        |server, _| {
            let crowd = (server.name == HANGS).then(|| Crowd::before(server.address));
            let sample = load.run(server, world.scratch.path());
            drop(crowd);
            sample
        },
    );
    assert!(silent.accepted() > 0, "nobody asked the directory");
    Row::new(work, Unit::Requests, "p99 2 × alone", runs)
}

/// Clients with names that only the directory can know. Each waits for its answer, and comes again after a while.
struct Crowd {
    gone: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn before(address: SocketAddr) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let client = |number| {
            let gone = Arc::clone(&gone);
            thread::spawn(move || {
                let pair = BASE64_STANDARD.encode(format!("user{number}:correct horse"));
                let mut connection = Connection::open(address, Some(&format!("Basic {pair}")));
                let target = format!("/token?service={SERVICE}");
                while !gone.load(Ordering::Relaxed) {
                    connection.expect(503, ("GET", &target), &[], b"");
                    thread::sleep(PAUSE);
                }
            })
        };
        Self { clients: (0..CLIENTS).map(client).collect(), gone }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
    }
}

const HANGS: &str = "portpass, the directory hangs";
/// As many as log in at once where a working day begins.
const CLIENTS: usize = 200;
/// 400 logins in a second, when they are answered at once.
const PAUSE: Duration = Duration::from_millis(500);
