//! Bodies that take room and do not come.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    wire::{connect, read, request},
    world::{KIND, World, manifest},
};

const MIB: usize = 1024 * 1024;

/// So much would be held if there were no budget: [`ALLOWED`] several times.
const BODIES: usize = 300;

/// What two thousand may cost, in bytes.
const ALLOWED: usize = 100 * MIB;

/// Manifests of 4 MiB that stop half way cost little, whoever sent them, and others push as ever.
#[test]
fn half_sent_manifests_cost_little_and_keep_nobody_out() {
    let world = World::new();
    world.push("bob", "bob/app", b"layer");
    let before = resident(&world);
    let token = world.token("ann", "repository:ann/app:pull,push");
    let head = format!(
        "PUT /v2/ann/app/manifests/v1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: {KIND}\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        4 * MIB
    );
    let half = vec![b' '; 2 * MIB];
    let mut bodies: Vec<TcpStream> = (0..BODIES).map(|_| connect(world.address())).collect();
    for stream in &mut bodies {
        stream.write_all(head.as_bytes()).unwrap();
    }
    let sending: Vec<_> = bodies
        .iter()
        .map(|stream| {
            let (mut stream, half) = (stream.try_clone().unwrap(), half.clone());
            // Those who wait are not read; they stop here until they are refused.
            std::thread::spawn(move || stream.write_all(&half))
        })
        .collect();

    world.portpass.wait_for_log(&["status=503", "manifests-busy"]);
    let small = pushed(&world, &manifest(b"layer"));
    assert!(small < PATIENCE, "{small:?}");
    let mut large = manifest(b"layer");
    large.resize(MIB, b' ');
    let large = pushed(&world, &large);
    assert!(large < PATIENCE, "{large:?}");

    // Three of ann's have room, whichever came first.
    let mut refused = 0;
    for stream in bodies.iter_mut().rev().take(20) {
        let answer = read(stream).expect("an answer");
        match answer.status {
            503 => assert_eq!(answer.header("retry-after"), Some("5"), "{answer:?}"),
            status => assert_eq!(status, 400, "{answer:?}"),
        }
        refused += usize::from(answer.status == 503);
    }
    assert!(refused >= 17, "{refused} of 20");
    let cost = resident(&world).saturating_sub(before);
    assert!(cost < ALLOWED, "{} MiB for {BODIES} bodies", cost / MIB);
    drop(bodies);
    for sender in sending {
        let _ = sender.join().unwrap();
    }
}

/// How long bob's push takes.
#[expect(clippy::disallowed_methods, reason = "what others wait for is the machine's time")]
fn pushed(world: &World, manifest: &[u8]) -> Duration {
    let token = world.token("bob", "repository:bob/app:pull,push");
    let (kind, bearer) =
        (format!("Content-Type: {KIND}"), format!("Authorization: Bearer {token}"));
    let began = Instant::now();
    let answer =
        world.send(&request("PUT", "/v2/bob/app/manifests/v1", &[&bearer, &kind], manifest));
    assert_eq!(answer.status, 201, "{answer:?}");
    began.elapsed()
}

/// The most memory that the server has had, in bytes.
fn resident(world: &World) -> usize {
    let status =
        fs::read_to_string(format!("/proc/{}/status", world.portpass.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// It takes milliseconds; without a budget it would be as long as the bodies live. A loaded machine has its time.
const PATIENCE: Duration = Duration::from_secs(20);
