//! Memory, and the time to the first answer, of servers that have some content.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use portpass_testkit::nginx::free_address;

use crate::{
    PROGRAM, ROUNDS,
    world::{Content, Server, World},
};

/// Memory idle, of connections at rest, and while blobs of 100 MiB pass, and how long a start takes.
pub(crate) fn table(world: World, content: &Content) -> Vec<String> {
    let servers = [world.ours(), world.open_distribution()];
    let memory = servers.map(|server| {
        let idle = server.process.memory();
        let connection = memory_of_a_connection(&server);
        server.process.reset_peak();
        stream(&server, content);
        (server.name, idle, connection, server.process.peak())
    });
    let starts = starts(world);
    let mut lines = vec![
        "| server | memory | a connection at rest | peak, in 4 pulls of 100 MiB | start to first response |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    for ((name, idle, connection, peak), start) in memory.into_iter().zip(starts) {
        let [idle, peak] = [idle, peak].map(|bytes| bytes / 1024 / 1024);
        lines.push(format!(
            "| {name} | {idle} MiB | {connection:.1} KiB | {peak} MiB | {start:.0} ms |"
        ));
    }
    lines
}

/// Of one that had an answer and waits, in KiB.
fn memory_of_a_connection(server: &Server) -> f64 {
    let open = |number: usize| -> Vec<_> {
        let connections = (0..number).map(|_| {
            let mut connection = server.connect();
            connection.expect(200, ("GET", "/v2/"), &[], b"");
            connection
        });
        let connections = connections.collect();
        thread::sleep(AT_REST);
        connections
    };
    // What the first ones bring with them is not theirs.
    let _first = open(100);
    let before = server.process.memory();
    let _held = open(CONNECTIONS);
    let more = server.process.memory().saturating_sub(before);
    more as f64 / 1024.0 / CONNECTIONS as f64
}

fn stream(server: &Server, content: &Content) {
    let path = content.large_blob();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..5 {
                    connection.drain(&path);
                }
            });
        }
    });
}

/// Of ours and theirs, milliseconds, with the content that the two have.
fn starts(world: World) -> [f64; 2] {
    let address = free_address();
    let theirs = world.scratch.path().join("config.yml");
    let blobs = world.open_distribution.folder().join("blobs");
    let configuration = format!(
        "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: {address} }}\n",
        blobs.display()
    );
    fs::write(&theirs, configuration).unwrap();
    let mut distribution = Command::new("docker-registry");
    distribution.arg("serve").arg(&theirs);
    let theirs = median_of_starts(&mut distribution, address);
    // One server at a time has our data.
    let folder = world.portpass.stop();
    let mut portpass = Command::new(PROGRAM);
    portpass.args(["serve", "--config"]).arg(folder.path().join("portpass.yml"));
    portpass.arg("--data").arg(folder.path().join("data")).args(["--addr", &address.to_string()]);
    [median_of_starts(&mut portpass, address), theirs]
}

fn median_of_starts(command: &mut Command, address: SocketAddr) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut starts: Vec<f64> = (0..ROUNDS).map(|_| first_answer(command, address)).collect();
    starts.sort_by(f64::total_cmp);
    starts[ROUNDS / 2]
}

/// From the start of a process to the first byte of an answer of its.
fn first_answer(command: &mut Command, address: SocketAddr) -> f64 {
    let began = Instant::now();
    let mut process = command.spawn().unwrap();
    while !answers(address) {
        assert!(process.try_wait().unwrap().is_none(), "{command:?} has ended");
        thread::yield_now();
    }
    let took = began.elapsed();
    process.kill().unwrap();
    process.wait().unwrap();
    took.as_secs_f64() * 1000.0
}

/// Connections whose memory is measured.
const CONNECTIONS: usize = 2_000;
/// As long as nothing is asked on them. What a server lets go of after a while is let go of by then.
const AT_REST: Duration = Duration::from_secs(15);

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    stream.read(&mut [0; 1]).is_ok_and(|read| read == 1)
}
