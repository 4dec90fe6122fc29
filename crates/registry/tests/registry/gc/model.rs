//! Clients that push, mount, retag, pull by digest and delete, and collections beside them: nothing that a client was
//! told of is missing, and in the end nothing is left that nobody needs.
//!
//! ```text
//! client     a repository of its own, of which it knows what must be there; blobs are shared by all
//! collector  moves the clock by a fraction of the grace, and collects; every other seed as another process, and in
//!            half of the rounds it is broken off somewhere, as if it were killed
//! ```
//! A client that takes longer than the grace from a HEAD to its manifest may be told that a blob is unknown, and
//! nobody else may.

mod client;

use std::{
    collections::BTreeSet,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use portpass_protocol::Digest;
use portpass_registry::gc::{Collected, Collector, Speed};
use portpass_state::Db;
use portpass_testkit::SeededRng;
use tokio::{sync::oneshot, task::JoinSet};

use self::client::{Client, Tally};
use super::{ALL, DAY, HOUR, MILLISECOND};
use crate::harness::Harness;

/// Twenty, or as many as `PORTPASS_GC_SEEDS` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_collected_and_everything_else_is() {
    let seeds = std::env::var_os("PORTPASS_GC_SEEDS");
    let seeds: u64 = seeds.map_or(20, |seeds| seeds.to_str().unwrap().parse().unwrap());
    let first = SeededRng::seed_from_env("PORTPASS_GC_SEED");
    println!("PORTPASS_GC_SEED={first} PORTPASS_GC_SEEDS={seeds} gives the same again");
    let (mut tally, mut gone) = (Tally::default(), Collected::default());
    for seed in first..first + seeds {
        println!("seed {seed}");
        let (seen, collected) = run(seed).await;
        tally.add(seen);
        gone.manifests += collected.manifests;
        gone.objects += collected.objects;
    }
    println!("{tally:?} {gone:?}");
    // What was never tried was not tested.
    assert!(tally.is_varied(), "{tally:?}");
    assert!(gone.manifests > 0 && gone.objects > 0, "{gone:?}");
}

async fn run(seed: u64) -> (Tally, Collected) {
    let mut rng = SeededRng::new(seed);
    let registry = Harness::with_its_database_on_disk_and_in_memory().await;
    registry.db.serving_since(registry.now()).await.unwrap();
    let registry = Arc::new(registry);
    let (store, events) = (registry.store.clone(), registry.seen.clone());
    let db = match seed % 2 {
        0 => registry.db.clone(),
        _ => registry.opened_again().await,
    };
    let collector = Collector::new(&db, store, events, ALL).with_speed(Speed::Full);
    let mut clients = JoinSet::new();
    let working = Arc::new(AtomicUsize::new(CLIENTS));
    for number in 0..CLIENTS {
        let (mut rng, working) = (rng.fork(), working.clone());
        let mut client = Client::new(registry.clone(), number, CLIENTS);
        clients.spawn(async move {
            for _ in 0..ERRANDS {
                client.errand(&mut rng).await;
            }
            working.fetch_sub(1, Ordering::Release);
            client
        });
    }
    let (stop, stopped) = oneshot::channel();
    let collecting = collect_until(stopped, registry.clone(), (db, collector.clone()), rng);
    let collecting = tokio::spawn(collecting);
    let mut clients = clients.join_all().await;
    drop(stop);
    let mut gone = collecting.await.unwrap();
    add(&mut gone, settle(&registry, &collector).await);
    let (mut tally, mut live) = (Tally::default(), BTreeSet::new());
    for client in &mut clients {
        client.audit_all().await;
        tally.add(client.tally);
        live.extend(client.live());
    }
    nothing_else_is_there(&registry, &live).await;
    (tally, gone)
}

/// Time passes, and whenever it does a collection comes by.
async fn collect_until(
    mut stopped: oneshot::Receiver<()>,
    registry: Arc<Harness>,
    (db, collector): (Db, Collector),
    mut rng: SeededRng,
) -> Collected {
    let (mut gone, mut rounds) = (Collected::default(), 0);
    while matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
        // Days now and then, so that manifests go: whoever is in the middle of something is too late then.
        let part = ALL.mark_age() / 3;
        registry.clock.advance(if rng.below(6) == 0 { DAY } else { part });
        registry.db.forget_foreign_writes().await.unwrap();
        let round = collector.collect(registry.now());
        if rng.below(2) == 0 {
            add(&mut gone, round.await.unwrap());
        } else if let Some(collected) = some_of(round, rng.below(60)).await {
            add(&mut gone, collected.unwrap());
        }
        // What it was committing when it was dropped is there, or never will be.
        db.forget_foreign_writes().await.unwrap();
        registry.db.forget_foreign_writes().await.unwrap();
        rounds += 1;
    }
    println!("{rounds} collections beside clients: {gone:?}");
    gone
}

/// What comes of it if it is polled so often at most, and then dropped.
async fn some_of<F: Future>(round: F, mut polls: usize) -> Option<F::Output> {
    let mut round = pin!(round);
    poll_fn(|context| match round.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Until everything has gone that goes: a subject, what refers to it, what refers to that, and their blobs.
async fn settle(registry: &Harness, collector: &Collector) -> Collected {
    let mut gone = Collected::default();
    for _ in 0..40 {
        registry.clock.advance(DAY + HOUR + MILLISECOND);
        add(&mut gone, collector.collect(registry.now()).await.unwrap());
        registry.db.forget_foreign_writes().await.unwrap();
    }
    gone
}

/// One object for each blob that a manifest links to, and no other; no manifest that nothing keeps.
async fn nothing_else_is_there(registry: &Harness, live: &BTreeSet<(Digest, u64)>) {
    let expected: u64 = live.iter().map(|(_, size)| size).sum();
    assert_eq!(registry.objects().await.len(), live.len());
    assert_eq!(registry.stored().await, expected);
    assert_eq!(registry.db.orphans().await.unwrap(), []);
    assert_eq!(registry.db.unlinked_blobs().await.unwrap(), []);
    assert_eq!(registry.db.all_garbage().await.unwrap(), []);
}

fn add(sum: &mut Collected, more: Collected) {
    sum.manifests += more.manifests;
    sum.objects += more.objects;
}

const CLIENTS: usize = 4;
const ERRANDS: usize = 50;
