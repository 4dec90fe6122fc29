//! A disk that is full: blobs, database and all.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use portpass_testkit::SeededRng;

use crate::{
    goods::Goods,
    purge::purge,
    trouble::{do_again, try_errands},
    world::World,
};

/// Pushes are refused while there is no room, pulls go on; what was acknowledged stays, and what was
/// refused is done as soon as there is room again, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_pushes_and_loses_nothing() {
    let seed = SeededRng::seed_from_env("PORTPASS_CRASH_SEED");
    println!("a failure is repeated by PORTPASS_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let world = World::start_on_disk(96);
    let goods = Goods::draw(&mut rng);
    let mut pusher = world.pusher("pusher").await;
    for _ in 0..3 {
        assert!(try_errands(&mut pusher, &goods, &mut rng, 40).await.is_empty());
        let ballast = fill(&world.disk.as_ref().unwrap().from_outside());
        let refused = try_errands(&mut pusher, &goods, &mut rng, 60).await;
        println!("{} of 60 errands were refused", refused.len());
        assert!(refused.len() > 10, "{refused:?}");
        world.auditor(&pusher.token).pull().await;
        fs::remove_file(ballast).unwrap();
        do_again(&mut pusher, &refused).await;
        world.auditor(&pusher.token).audit(&mut rng).await;
    }
    // It comes back without room too, to whoever pulls.
    let ballast = fill(&world.disk.as_ref().unwrap().from_outside());
    world.victim.server().kill();
    world.victim.server().start_again("+2m");
    world.auditor(&pusher.token).pull().await;
    fs::remove_file(ballast).unwrap();
    assert!(try_errands(&mut pusher, &goods, &mut rng, 40).await.is_empty());
    let last = world.auditor(&pusher.token).audit(&mut rng).await;
    purge(&mut world.victim.server(), &world.blobs(), &last.live());
    last.outlive_the_rest(&world.journal);
    world.new_auditor().await.unwrap().audit(&mut rng).await;
}

/// Takes all the room that there is.
fn fill(disk: &Path) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    for length in [1 << 20, 1 << 12] {
        let zeros = vec![0; length];
        let error = loop {
            if let Err(error) = file.write_all(&zeros) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
    ballast
}
