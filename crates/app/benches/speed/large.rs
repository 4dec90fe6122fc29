//! Large bodies both ways, small blobs pushed, manifests deleted.

use std::{
    thread,
    time::{Duration, Instant},
};

use portpass_protocol::Digest;

use crate::{
    Measure,
    report::{Row, Sample, Unit},
    take_turns,
    world::{
        Content, LARGE, REPOSITORY, Server, World, manifest, noise, push_blob,
        push_blob_in_patches, put_manifest, tag,
    },
};

pub(crate) fn rows<'w>(world: &'w World, content: &'w Content) -> Vec<(&'static str, Measure<'w>)> {
    vec![
        ("blob of 100 MiB, 1 connection", {
            Box::new(|work| pulls(world, work, &content.large_blob(), 1, "2.2 GB/s"))
        }),
        ("blob of 100 MiB, 4 connections", {
            Box::new(|work| pulls(world, work, &content.large_blob(), 4, "2.9 GB/s"))
        }),
        ("push of 100 MiB in one body", Box::new(|work| pushes(world, work, LARGE))),
        ("push of 100 MiB in pieces of 10 MiB", Box::new(|work| pushes(world, work, LARGE / 10))),
        ("push of 4 KiB blobs, 4 connections", Box::new(|work| small_pushes(world, work))),
        ("delete by digest among 1 000 tags", Box::new(|work| deletes(world, work))),
    ]
}

/// Each connection fetches the same blob, again and again.
fn pulls(world: &World, work: &str, path: &str, connections: usize, goal: &'static str) -> Row {
    let servers = [world.ours(), world.open_distribution(), world.nginx()];
    let runs = take_turns(
        &servers,
        |server| server.name,
        |server, _| {
            let used = timed(server, connections, |_| {
                let mut connection = server.connect();
                for _ in 0..PULLS / connections {
                    assert_eq!(connection.drain(path), LARGE as u64);
                }
            });
            used.sample(PULLS, PULLS * LARGE)
        },
    );
    Row::new(work, Unit::Bytes, goal, runs)
}

/// Every push is of a blob that the server does not have.
fn pushes(world: &World, work: &str, piece: usize) -> Row {
    let servers = [world.ours(), world.open_distribution()];
    let runs = take_turns(
        &servers,
        |server| server.name,
        |server, round| {
            let seed = Digest::sha256(format!("{work} {round}").as_bytes()).to_string();
            let blobs: Vec<(Digest, Vec<u8>)> = (0..PUSHES)
                .map(|number| {
                    let mut blob = noise(number as u64, LARGE);
                    blob[..seed.len()].copy_from_slice(seed.as_bytes());
                    (Digest::sha256(&blob), blob)
                })
                .collect();
            let used = timed(server, 1, |_| {
                let mut connection = server.connect();
                for (digest, blob) in &blobs {
                    if piece == blob.len() {
                        push_blob(&mut connection, digest, blob);
                    } else {
                        push_blob_in_patches(&mut connection, digest, blob, piece);
                    }
                }
            });
            used.sample(PUSHES, PUSHES * LARGE)
        },
    );
    Row::new(work, Unit::Bytes, "900 MB/s", runs)
}

fn small_pushes(world: &World, work: &str) -> Row {
    let servers = [world.ours(), world.open_distribution()];
    let runs = take_turns(
        &servers,
        |server| server.name,
        |server, round| {
            let used = timed(server, CONNECTIONS, |connection| {
                let mut wire = server.connect();
                for number in 0..SMALL_PUSHES {
                    let seed =
                        [1 + round, connection, number].into_iter().fold(7, |a, b| a * 4096 + b);
                    let blob = noise(seed as u64, 4096);
                    push_blob(&mut wire, &Digest::sha256(&blob), &blob);
                }
            });
            used.sample(CONNECTIONS * SMALL_PUSHES, CONNECTIONS * SMALL_PUSHES)
        },
    );
    Row::new(work, Unit::Requests, "1 200/s", runs)
}

/// A manifest with a tag of its own, beside a thousand of another.
fn deletes(world: &World, work: &str) -> Row {
    let servers = [world.ours(), world.open_distribution()];
    let runs = take_turns(
        &servers,
        |server| server.name,
        |server, round| {
            let mut wire = server.connect();
            let mut samples = Vec::new();
            for number in 0..DELETES {
                let layer = noise(0, 4096);
                let mut bytes = manifest(&[layer]);
                // Space behind the text is another digest.
                bytes.extend(std::iter::repeat_n(b' ', 1 + round * DELETES + number));
                put_manifest(&mut wire, &tag(5000 + number), &bytes);
                let target = format!("/v2/{REPOSITORY}/manifests/{}", Digest::sha256(&bytes));
                let began = Instant::now();
                wire.expect(202, ("DELETE", &target), &[], b"");
                samples.push(began.elapsed());
            }
            samples.sort();
            let milliseconds = samples[DELETES / 2].as_secs_f64() * 1000.0;
            Sample { rate: 1000.0 / milliseconds, cpu: None, p50: Some(milliseconds), p99: None }
        },
    );
    Row::new(work, Unit::Requests, "5 ms", runs)
}

/// What some work took.
struct Used {
    wall: Duration,
    cpu: Duration,
}

/// Lets so many threads work at once.
fn timed(server: &Server, threads: usize, work: impl Fn(usize) + Sync) -> Used {
    let (cpu, began) = (server.process.cpu(), Instant::now());
    thread::scope(|scope| {
        for number in 0..threads {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
    Used { wall: began.elapsed(), cpu: server.process.cpu().saturating_sub(cpu) }
}

impl Used {
    /// For so many requests, and so many of what is counted.
    fn sample(&self, requests: usize, amount: usize) -> Sample {
        Sample {
            rate: amount as f64 / self.wall.as_secs_f64(),
            cpu: Some(self.cpu.as_secs_f64() * 1000.0 / requests as f64),
            p50: None,
            p99: None,
        }
    }
}

const PULLS: usize = 40;
const PUSHES: usize = 5;
const CONNECTIONS: usize = 4;
const SMALL_PUSHES: usize = 200;
const DELETES: usize = 9;
