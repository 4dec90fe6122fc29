//! System calls that fail, one kind after another.
//!
//! libfiu's preload makes calls of the C library fail in the running server. Writing fails by a limit
//! on the size of files instead: by libfiu, writing to sockets and waking threads would fail too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portpass_testkit::{SeededRng, run, wait_until};
use reqwest::Method;

use crate::{
    errand::Errand,
    goods::{Content, Goods, REPOSITORIES},
    purge::purge,
    pusher::Pusher,
    trouble::{do_again, try_errands},
    wire::Lost,
    world::World,
};

/// A kind of call, how it is made to fail, and what needs it that errands may not do. SQLite reads with
/// `pread` and syncs with `fsync`.
const CALLS: &[(&str, Fault, Also)] = &[
    ("fsync", Fault::Call("posix/io/sync/fsync"), Also::Nothing),
    ("fdatasync", Fault::Call("posix/io/sync/fdatasync"), Also::Refuses(large_blob)),
    ("write", Fault::FileSize, Also::Nothing),
    ("open", Fault::Call("posix/io/oc/open"), Also::Nothing),
    ("pread", Fault::Call("posix/io/rw/pread"), Also::Nothing),
    ("unlink", Fault::Call("posix/io/dir/unlink"), Also::Refuses(cancelled_upload)),
    ("rename", Fault::Call("posix/io/dir/rename"), Also::Rotation),
];

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// libfiu's name of it.
    Call(&'static str),
    /// No file may have a byte.
    FileSize,
}

#[derive(Debug, Clone, Copy)]
enum Also {
    Nothing,
    /// Cannot be done.
    Refuses(fn(&mut SeededRng) -> Errand),
    /// Another signing key, which is published in files.
    Rotation,
}

/// What fails is refused and can be repeated later; what is acknowledged was done. The server lives,
/// and what is left over goes.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_fail_are_never_taken_for_success() {
    let seed = SeededRng::seed_from_env("PORTPASS_CRASH_SEED");
    println!("a failure is repeated by PORTPASS_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let world = World::start_by(preloaded);
    let faults = Faults::of(&world);
    let goods = Goods::draw(&mut rng);
    let mut pusher = world.pusher("pusher").await;
    for (call, fault, also) in CALLS {
        assert!(try_errands(&mut pusher, &goods, &mut rng, 10).await.is_empty());
        faults.begin(*fault);
        let mut refused = try_errands(&mut pusher, &goods, &mut rng, 50).await;
        match also {
            Also::Nothing => {}
            Also::Refuses(errand) => {
                let errand = errand(&mut rng);
                let lost = pusher.perform(&errand).await.unwrap_err();
                assert!(matches!(lost, Lost::Refused(_)), "{lost:?}");
                refused.push(errand);
            }
            Also::Rotation => rotate(&world),
        }
        faults.end(*fault);
        println!("{call}: {} errands were refused", refused.len());
        // Renaming is not for what clients do.
        assert!(!refused.is_empty() || matches!(also, Also::Rotation), "{call} did not fail");
        assert!(world.victim.server().lives());
        do_again(&mut pusher, &refused).await;
        if matches!(also, Also::Rotation) {
            is_published(&world, &pusher).await;
        }
        world.auditor(&pusher.token).audit(&mut rng).await;
    }
    world.victim.server().kill();
    world.victim.server().set_starter(&[]);
    world.victim.server().start_again("+2m");
    let last = world.auditor(&pusher.token).audit(&mut rng).await;
    purge(&mut world.victim.server(), &world.blobs(), &last.live());
    last.outlive_the_rest(&world.journal);
    world.new_auditor().await.unwrap().audit(&mut rng).await;
}

/// So large that it goes to the disk while it arrives.
fn large_blob(rng: &mut SeededRng) -> Errand {
    let content = Content::draw(rng, 20_000_000..20_000_001);
    Errand::Whole { repository: REPOSITORIES[0], content }
}

fn cancelled_upload(rng: &mut SeededRng) -> Errand {
    Errand::Cancel { repository: REPOSITORIES[0], content: Content::draw(rng, 1..1000) }
}

/// Makes another key sign, and waits until the server has seen that it cannot publish it.
fn rotate(world: &World) {
    let server = world.victim.server();
    let rotate = ["signing-key", "rotate", "--config", "{folder}/portpass.yml"];
    server.command(&rotate, "").expect_success();
    server.wait_for_log(&["ERROR", "root.crt"]);
}

/// The file for other registries has the keys that the server has.
async fn is_published(world: &World, pusher: &Pusher) {
    let request = pusher.wire.request(Method::GET, "/.well-known/jwks.json");
    let served = pusher.wire.send(request).await.unwrap().body;
    let file = world.victim.server().folder().join("data/jwks.json");
    assert!(wait_until(|| fs::read(&file).is_ok_and(|bytes| bytes == served)), "{served:?}");
}

/// The words that start a server with libfiu in it, and with no signal where a file would be too large.
fn preloaded(folder: &Path) -> Vec<String> {
    let libraries = ["fiu_run_preload.so", "fiu_posix_preload.so"]
        .map(|library| format!("{LIBRARIES}/{library}"))
        .join(" ");
    let (preload, pipes) =
        (format!("LD_PRELOAD={libraries}"), format!("FIU_CTRL_FIFO={}", pipes(folder).display()));
    ["env", "--ignore-signal=XFSZ", &preload, &pipes].map(str::to_owned).to_vec()
}

fn pipes(folder: &Path) -> PathBuf {
    folder.join("fiu")
}

/// Makes the calls of one process fail.
#[derive(Debug)]
struct Faults {
    process: String,
    pipes: String,
}

impl Faults {
    fn of(world: &World) -> Self {
        let server = world.victim.server();
        let pipes = pipes(server.folder()).display().to_string();
        Self { process: server.process_id().to_string(), pipes }
    }

    fn begin(&self, fault: Fault) {
        match fault {
            // 5 is EIO.
            Fault::Call(name) => self.tell(&format!("enable name={name},failinfo=5")),
            Fault::FileSize => self.limit("--fsize=0:unlimited"),
        }
    }

    fn end(&self, fault: Fault) {
        match fault {
            Fault::Call(name) => self.tell(&format!("disable name={name}")),
            Fault::FileSize => self.limit("--fsize=unlimited:unlimited"),
        }
    }

    fn tell(&self, command: &str) {
        let mut control = Command::new("fiu-ctrl");
        let told = run(control.args(["-f", &self.pipes, "-c", command, &self.process]), "");
        // It succeeds even if it was not understood, and then says so.
        assert_eq!(told.expect_success().output(), "", "{told}");
    }

    fn limit(&self, limit: &str) {
        run(Command::new("prlimit").args(["--pid", &self.process, limit]), "").expect_success();
    }
}

/// Where Debian has them, whatever the architecture.
const LIBRARIES: &str = "/usr/lib/fiu";
