//! Figures, and the page that they stand on.

use std::{fs, process::Command};

/// What one run of one server gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Requests, or bytes, in a second.
    pub rate: f64,
    /// Processor time of the server for a request, milliseconds.
    pub cpu: Option<f64>,
    /// Milliseconds.
    pub p50: Option<f64>,
    /// Milliseconds.
    pub p99: Option<f64>,
}

/// In what a rate is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Requests,
    Bytes,
}

/// One kind of work, as several servers did it.
#[derive(Debug)]
pub(crate) struct Row {
    pub work: String,
    pub unit: Unit,
    /// What was to be reached.
    pub goal: &'static str,
    /// Ours first; each with the median of its runs.
    pub servers: Vec<(&'static str, Sample)>,
}

impl Row {
    /// The median of each figure by itself.
    pub(crate) fn new(
        work: impl Into<String>,
        unit: Unit,
        goal: &'static str,
        runs: Vec<(&'static str, Vec<Sample>)>,
    ) -> Self {
        let servers = runs.into_iter().map(|(name, runs)| (name, median(&runs))).collect();
        Self { work: work.into(), unit, goal, servers }
    }

    /// As lines of a table.
    pub(crate) fn lines(&self) -> Vec<String> {
        let ours = self.servers.first().map_or(f64::NAN, |(_, sample)| sample.rate);
        let mut lines = Vec::new();
        for (number, (server, sample)) in self.servers.iter().enumerate() {
            let (work, goal, ratio) = match number {
                0 => (self.work.as_str(), self.goal, String::new()),
                _ => ("", "", format!("{:.1} ×", ours / sample.rate)),
            };
            let figure = |value: Option<f64>| value.map_or(String::new(), short);
            lines.push(format!(
                "| {work} | {server} | {} | {ratio} | {} | {} | {} | {goal} |",
                self.unit.show(sample.rate),
                figure(sample.cpu),
                figure(sample.p50),
                figure(sample.p99),
            ));
        }
        lines
    }
}

impl Unit {
    fn show(self, rate: f64) -> String {
        match self {
            Self::Requests if rate >= 100.0 => format!("{}/s", grouped(rate)),
            Self::Requests => format!("{}/s", short(rate)),
            Self::Bytes if rate >= 1e9 => format!("{:.2} GB/s", rate / 1e9),
            Self::Bytes => format!("{:.0} MB/s", rate / 1e6),
        }
    }
}

fn median(runs: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> Option<f64>| {
        let mut values: Vec<f64> = runs.iter().filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Sample {
        rate: of(|run| Some(run.rate)).unwrap(),
        cpu: of(|run| run.cpu),
        p50: of(|run| run.p50),
        p99: of(|run| run.p99),
    }
}

/// Three significant digits.
fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// `12 345`, rounded to three digits.
fn grouped(value: f64) -> String {
    let step = 10f64.powf(value.log10().floor() - 2.0);
    let digits = format!("{:.0}", (value / step).round() * step);
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    groups.join(" ")
}

/// Of the table of rows.
pub(crate) const HEAD: [&str; 2] = [
    "| work | server | rate | portpass vs. server | CPU, ms | p50, ms | p99, ms | goal |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
];

/// The machine, and the versions of who was measured.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = first_line(Command::new("uname").arg("-sr"));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes: u64 =
        memory.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    let bound = std::env::var("PORTPASS_BENCH_MEMORY")
        .map(|gib| format!(", {gib} of them for the measured servers"))
        .unwrap_or_default();
    format!(
        "{cores} cores of {}, {} GiB{bound}, {kernel}; {}; {}; {}",
        model.unwrap_or("an unnamed processor"),
        kibibytes.div_ceil(1024 * 1024),
        first_line(Command::new("docker-registry").arg("--version")),
        first_line(Command::new("/usr/sbin/nginx").arg("-v")),
        first_line(Command::new("skopeo").arg("--version")),
    )
}

/// Some programs tell their version as an error.
fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| [output.stdout, output.stderr].concat());
    let text = String::from_utf8_lossy(&output.unwrap_or_default()).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}
