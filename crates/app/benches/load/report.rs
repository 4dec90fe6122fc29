//! The table, and its place in the documentation.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{run::Outcome, world::Mix};

/// Rows are figures, columns are runs.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let mut row = |name: &str, cell: &dyn Fn(&Outcome) -> String| {
        let cells: Vec<String> = outcomes.iter().map(cell).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    row("blobs of", &|outcome| outcome.mix.name().to_owned());
    row("---", &|_| "---".to_owned());
    row("seconds", &|outcome| outcome.seconds.to_string());
    row("pushes", &|outcome| {
        let counts = &outcome.world.counts;
        counted(&counts.pushes, &counts.pushed_bytes)
    });
    row("pulls, every byte checked", &|outcome| {
        let counts = &outcome.world.counts;
        counted(&counts.pulls, &counts.pulled_bytes)
    });
    row("errors", &|outcome| outcome.errors.len().to_string());
    row("memory in the first fifth, MiB (median, peak)", &|outcome| part(outcome, 0.0, 0.2));
    row("memory in the last fifth, MiB (median, peak)", &|outcome| part(outcome, 0.8, 1.0));
    row("peak memory, MiB", &|outcome| format!("{:.1}", outcome.memory.peak));
    row("wrong passwords: hashed, 429, 503", &|outcome| {
        let guesses = &outcome.world.guesses;
        let [hashed, limited, busy] =
            [&guesses.hashed, &guesses.limited, &guesses.busy].map(|n| n.load(Ordering::Relaxed));
        format!("{hashed}, {limited}, {busy}")
    });
    row("token for a known password, ms (p50, p99, max)", &|outcome| {
        latencies(&outcome.world.cached.lock().unwrap())
    });
    row("token for a refresh token, ms (p50, p99, max)", &|outcome| {
        latencies(&outcome.world.refreshed.lock().unwrap())
    });
    text + &verdict(outcomes)
}

fn verdict(outcomes: &[Outcome]) -> String {
    let of = |mix| &outcomes.iter().find(|outcome| outcome.mix == mix).unwrap().memory;
    let grown = outcomes.iter().map(|outcome| {
        let memory = &outcome.memory;
        format!("{:+.1}", memory.most(0.8, 1.0) - memory.most(0.0, 0.2))
    });
    let wider = of(Mix::Large).median(0.2, 1.0) - of(Mix::Small).median(0.2, 1.0);
    format!(
        "\nFrom the first fifth of each run to the last, the peak memory changed by {} MiB. The run of large blobs \
         used {wider:+.1} MiB compared with the run of small ones.\n",
        grown.collect::<Vec<_>>().join(", ")
    )
}

fn part(outcome: &Outcome, from: f64, to: f64) -> String {
    format!("{:.1}, {:.1}", outcome.memory.median(from, to), outcome.memory.most(from, to))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn counted(number: &AtomicU64, bytes: &AtomicU64) -> String {
    let gigabytes = bytes.load(Ordering::Relaxed) as f64 / 1e9;
    format!("{} ({gigabytes:.1} GB)", number.load(Ordering::Relaxed))
}

fn latencies(taken: &[Duration]) -> String {
    let mut taken = taken.to_vec();
    taken.sort();
    let at = |percent: usize| taken.get(taken.len() * percent / 100);
    let shown = [at(50), at(99), taken.last()]
        .map(|took| took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e3));
    format!("{:.1}, {:.1}, {:.0}", shown[0], shown[1], shown[2])
}
