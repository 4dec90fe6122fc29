//! A busy registry for minutes, by hand: `cargo xtask load`. Writes its table into `docs/reliability.md`.
//!
//! ```text
//! 24 pushers, 100 pullers      every byte that is pulled is checked
//! 200 wrong passwords a second of as many accounts and addresses as it takes to be hashed, not refused
//! 8 callers with good tokens   how long a token takes beside all that
//! memory                       of the server, each second
//! ```
//! Three runs, each on a server of its own: small blobs alone, large ones alone, all sizes.
//!
//! `--seconds N`: how long the run of all sizes takes, 300 if not given; the others take a fifth of it.
//! `--write`: into the documentation too. `--program FILE`: another server than the one built beside this.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for whoever measures")]

mod blobs;
mod callers;
mod memory;
mod report;
mod run;
mod traffic;
mod world;

use std::path::PathBuf;

use portpass_testkit::page;

use crate::{
    run::{Outcome, Run},
    world::Mix,
};

fn main() {
    let settings = Settings::read(std::env::args().skip(1));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let fifth = (settings.seconds / 5).max(10);
    let outcomes: Vec<Outcome> =
        [(Mix::Small, fifth), (Mix::Large, fifth), (Mix::All, settings.seconds)]
            .into_iter()
            .map(|(mix, seconds)| {
                println!("{}: {seconds} s", mix.name());
                runtime.block_on(Run { mix, seconds, program: settings.program.clone() }.go())
            })
            .collect();
    let table = report::table(&outcomes);
    println!("{table}");
    if settings.write {
        page::write("reliability.md", "load", &table);
    }
    let errors: usize = outcomes.iter().map(|outcome| outcome.errors.len()).sum();
    assert_eq!(errors, 0, "requests failed; the first of each run stand above");
}

/// What was asked for.
struct Settings {
    seconds: u64,
    write: bool,
    program: PathBuf,
}

impl Settings {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_portpass"));
        let mut settings = Self { seconds: 300, write: false, program };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => settings.seconds = words.next().unwrap().parse().unwrap(),
                "--program" => settings.program = words.next().unwrap().into(),
                "--write" => settings.write = true,
                // What cargo adds.
                "--bench" => {}
                _ => panic!("{word} is none of --seconds N, --write, --program FILE"),
            }
        }
        settings
    }
}
