//! What a process holds, each second.

use std::time::Duration;

use portpass_testkit::Process;
use tokio::time::interval;

/// In MiB, in the order of time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    pub(crate) resident: Vec<f64>,
    pub(crate) peak: f64,
}

impl Samples {
    /// The most that was held in a part of the run, from and to as parts of the whole.
    pub(crate) fn most(&self, from: f64, to: f64) -> f64 {
        self.part(from, to).iter().copied().fold(0.0, f64::max)
    }

    /// The median of a part of the run.
    pub(crate) fn median(&self, from: f64, to: f64) -> f64 {
        let mut part = self.part(from, to).to_vec();
        part.sort_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or_default()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "parts of a few hundred samples"
    )]
    fn part(&self, from: f64, to: f64) -> &[f64] {
        let at = |part: f64| (self.resident.len() as f64 * part) as usize;
        &self.resident[at(from)..at(to)]
    }
}

/// Looks until it is dropped in favour of what ends first.
pub(crate) async fn sample(process: Process, samples: &mut Samples) {
    let mut timer = interval(Duration::from_secs(1));
    loop {
        timer.tick().await;
        samples.resident.push(mebibytes(process.memory()));
        samples.peak = mebibytes(process.peak());
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
