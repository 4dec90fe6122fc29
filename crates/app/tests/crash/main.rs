//! Nothing that was acknowledged is lost, whatever happens to the server.
//!
//! ```text
//! World    a server and what is known of it: started, killed in the middle of its work (Victim)
//! Pusher   a client; each of its Errands is one or several requests
//! Journal  the model: what was begun and what was acknowledged, and so what may be seen
//! Auditor  looks at everything, and holds it against the journal
//! purge    time passes; what is left in the directory of blobs is one file for each live blob
//!
//! round    fifty pushers and a kill, after so many answers or in the middle of so many bytes
//! disk     a disk that is full
//! calls    system calls that fail
//! ledger   docs/reliability.md; written by `cargo xtask crash`
//! ```
//! All that is random comes from a seed, which is printed; `PORTPASS_CRASH_SEED` gives it again.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod audit;
mod calls;
mod disk;
mod errand;
mod goods;
mod journal;
mod ledger;
mod purge;
mod pusher;
mod round;
mod tokens;
mod trouble;
mod uploads;
mod wire;
mod world;

use portpass_testkit::SeededRng;

use self::round::{Tally, round};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// Five rounds, or as many as `PORTPASS_CRASH_ROUNDS` says.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_a_crash() {
    let rounds = std::env::var_os("PORTPASS_CRASH_ROUNDS");
    let rounds = rounds.map_or(5, |rounds| rounds.to_str().unwrap().parse().unwrap());
    let first = SeededRng::seed_from_env("PORTPASS_CRASH_SEED");
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        println!("a failure of this round is repeated by PORTPASS_CRASH_SEED={seed}");
        let this = round(seed).await;
        println!("{this:?}");
        tally.add(this);
    }
    ledger::confirm(first, &tally);
}
