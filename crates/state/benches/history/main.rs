//! Whether what happened before makes a database slower: `cargo xtask history`. Prints a section of
//! `docs/performance.md`, and fails if anything takes twice as long beside a hundred times the rows.
//!
//! ```text
//! a database with 1 000 rows of each kind   ─┐ the same work, in turns
//! a database with 100 000                   ─┘
//! ```
//! The databases are where a sync costs nothing, if there is such a place: a disk would hide what is
//! measured here.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for whoever measures")]

mod rows;
mod work;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use portpass_state::Db;

use crate::work::{WORK, Work};

const FEW: u32 = 1_000;
const MANY: u32 = 100_000;

/// Of each work in each database, one after the other; what counts is the median of the quietest round.
const CALLS: usize = 200;
const ROUNDS: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let few = Place::with(FEW).await;
    let many = Place::with(MANY).await;
    println!(
        "| operation | existing rows | 1 000, ms | 100 000, ms | ratio |\n| --- | --- | --- | --- | --- |"
    );
    let mut slow = Vec::new();
    for work in WORK {
        let (mut least, mut most) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            least = least.min(few.median(work).await);
            most = most.min(many.median(work).await);
        }
        let ratio = most.as_secs_f64() / least.as_secs_f64();
        let [least, most] = [least, most].map(|time| time.as_secs_f64() * 1_000.0);
        println!("| {} | {} | {least:.3} | {most:.3} | {ratio:.2} |", work.name, work.beside);
        if ratio > 2.0 {
            slow.push(work.name);
        }
    }
    assert!(slow.is_empty(), "these grow with what happened before: {slow:?}");
}

/// A database with its file.
struct Place {
    db: Db,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn with(rows: u32) -> Self {
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let path = folder.path().join("state.db");
        Db::open(&path).await.unwrap().close().await;
        rows::fill(&path, rows).await;
        let db = Db::open(&path).await.unwrap();
        // What an older version left behind is cleared away a little at each login, and at the first sweep.
        for _ in 0..rows / 100 {
            work::log_in(&db).await;
        }
        work::sweep(&db).await;
        Self { db, _folder: folder }
    }

    #[expect(clippy::disallowed_methods, reason = "to look at the clock is what this is for")]
    async fn median(&self, work: &Work) -> Duration {
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let begun = Instant::now();
            (work.run)(&self.db).await;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        times[CALLS / 2]
    }
}
