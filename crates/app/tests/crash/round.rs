//! One round: a storm, a kill, and everything that has to be so afterwards.

use std::sync::Arc;

use portpass_testkit::SeededRng;
use tokio::task::JoinSet;

use crate::{
    errand::Errand, goods::Goods, purge::purge, pusher::Pusher, uploads::Resumed, wire::Lost,
    world::World,
};

/// What a round saw.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: usize,
    /// Changes that were acknowledged before the kill.
    pub(crate) acknowledged: usize,
    /// Changes of which nobody knew whether they were made.
    pub(crate) in_flight: usize,
    /// Errands that were done again.
    pub(crate) repeated: usize,
    /// Uploads that were gone on with where they were.
    pub(crate) resumed: usize,
    /// Things that were looked for after the kill, and those that were there.
    pub(crate) looked_at: usize,
    pub(crate) visible: usize,
    pub(crate) refresh_tokens: usize,
    pub(crate) dead_tokens: usize,
    /// Files of blobs before time passed, and after.
    pub(crate) files_before: usize,
    pub(crate) files_after: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, round: Self) {
        self.rounds += round.rounds;
        self.acknowledged += round.acknowledged;
        self.in_flight += round.in_flight;
        self.repeated += round.repeated;
        self.resumed += round.resumed;
        self.looked_at += round.looked_at;
        self.visible += round.visible;
        self.refresh_tokens += round.refresh_tokens;
        self.dead_tokens += round.dead_tokens;
        self.files_before += round.files_before;
        self.files_after += round.files_after;
    }
}

/// A pusher after the kill, and what it was at.
type Interrupted = (Pusher, Errand);

pub(crate) async fn round(seed: u64) -> Tally {
    let mut rng = SeededRng::new(seed);
    let world = World::start();
    let interrupted = storm(&world, &mut rng).await;
    let (acknowledged, in_flight) = world.journal.counts();
    // Leases of uploads last for a minute longer than who held them.
    world.victim.server().start_again("+2m");
    // With a token from before the crash.
    let auditor = world.auditor(&interrupted[0].0.token);
    let after_kill = auditor.audit(&mut rng).await;
    let (repeated, resumed) = repeat(interrupted, &mut rng).await;
    let repaired = auditor.audit(&mut rng).await;
    let purged = purge(&mut world.victim.server(), &world.blobs(), &repaired.live());
    repaired.outlive_the_rest(&world.journal);
    let last = world.new_auditor().await.unwrap().audit(&mut rng).await;
    assert_eq!(last.live(), repaired.live());
    Tally {
        rounds: 1,
        acknowledged,
        in_flight,
        repeated,
        resumed,
        looked_at: after_kill.looked_at,
        visible: after_kill.visible(),
        refresh_tokens: after_kill.refresh_tokens,
        dead_tokens: after_kill.dead_tokens,
        files_before: purged.before,
        files_after: purged.after,
    }
}

/// Fifty pushers, until the server is killed.
async fn storm(world: &World, rng: &mut SeededRng) -> Vec<Interrupted> {
    let goods = Arc::new(Goods::draw(rng));
    let mut pushers = Vec::new();
    for number in 0..PUSHERS {
        pushers.push(world.pusher(&format!("pusher-{number}")).await);
    }
    world.victim.condemn(rng);
    let mut running = JoinSet::new();
    for pusher in pushers {
        running.spawn(push(pusher, goods.clone(), rng.fork()));
    }
    let mut interrupted = Vec::new();
    while let Some(ended) = running.join_next().await {
        interrupted.push(ended.unwrap());
    }
    interrupted
}

async fn push(mut pusher: Pusher, goods: Arc<Goods>, mut rng: SeededRng) -> Interrupted {
    loop {
        let errand = Errand::draw(&mut rng, &goods, &pusher.held);
        match pusher.perform(&errand).await {
            Ok(()) => {}
            Err(Lost::NeverSent | Lost::Unanswered) => return (pusher, errand),
            Err(Lost::Refused(answer)) => panic!("{errand:?}: {answer:?}"),
        }
    }
}

/// Whatever was not acknowledged is done again. Some of the uploads are gone on with instead.
async fn repeat(interrupted: Vec<Interrupted>, rng: &mut SeededRng) -> (usize, usize) {
    let (mut repeated, mut resumed) = (0, 0);
    for (mut pusher, errand) in interrupted {
        if rng.below(3) > 0 {
            match pusher.resume().await.unwrap() {
                Some(Resumed::Finished) => resumed += 1,
                Some(Resumed::WasOver) | None => {}
            }
        }
        pusher.perform(&errand).await.unwrap_or_else(|lost| panic!("{errand:?}: {lost:?}"));
        repeated += 1;
    }
    (repeated, resumed)
}

const PUSHERS: usize = 50;
