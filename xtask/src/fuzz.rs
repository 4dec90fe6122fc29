//! Fuzzes every parser of foreign bytes, one on each processor at a time, and writes into the documentation
//! what was seen.
//!
//! What the fuzzer finds on its way stays in `target/fuzz`: of it, only what broke something belongs
//! into `fuzz/corpus`, where each `cargo xtask test` replays it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
};

use crate::{Failure, cargo, page, run, say};

/// Fuzzes for so many minutes in all, an equal share for each target; with two processors that takes half of
/// them.
pub(crate) fn fuzz(minutes: &str) -> Result<(), Failure> {
    let minutes: u64 =
        minutes.parse().map_err(|_| Failure(format!("{minutes:?} is no number of minutes")))?;
    install()?;
    let targets = targets()?;
    run(&mut cargo_fuzz("build"))?;
    let seconds = (minutes * 60 / targets.len() as u64).max(1);
    let seen = fuzz_all(&targets, seconds)?;
    page::write(page::HARDENING, "fuzz", &report(&seen)?)?;
    let broken: Vec<&str> =
        seen.iter().filter(|seen| seen.finding.is_some()).map(|seen| &*seen.target).collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("something was found by {}; see fuzz/artifacts", broken.join(", "))))
}

/// Each processor takes the next target when it has done with one.
fn fuzz_all(targets: &[String], seconds: u64) -> Result<Vec<TargetReport>, Failure> {
    let left = Mutex::new(targets.iter());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let some = || {
        let seen: Result<Vec<TargetReport>, Failure> =
            std::iter::from_fn(next).map(|target| TargetReport::of(target, seconds)).collect();
        if seen.is_err() {
            // What one could not do the others need not begin.
            std::iter::from_fn(next).for_each(drop);
        }
        seen
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(some)).collect();
        for worker in workers {
            let some = worker.join().map_err(|_| Failure("a thread has panicked".to_owned()))?;
            seen.extend(some?);
        }
        Ok::<_, Failure>(())
    })?;
    seen.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(seen)
}

fn install() -> Result<(), Failure> {
    let installed = Command::new("cargo").args(["fuzz", "--version"]).output();
    if installed.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    cargo(&["install", "--locked", "cargo-fuzz"])
}

/// The names of `fuzz/fuzz_targets/NAME.rs`.
fn targets() -> Result<Vec<String>, Failure> {
    let files = fs::read_dir("fuzz/fuzz_targets")
        .map_err(|error| Failure(format!("fuzz/fuzz_targets: {error}")))?;
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// All that is fuzzed forbids unsafe code, so what a sanitizer would see of memory is not there to be
/// seen; without one it runs twice as often. The compiler's switches are those of a nightly.
fn cargo_fuzz(action: &str) -> Command {
    let mut command = Command::new("cargo");
    command.args(["fuzz", action, "--sanitizer", "none"]).env("RUSTC_BOOTSTRAP", "1");
    command
}

/// What a target's turn has shown.
struct TargetReport {
    target: String,
    executions: u64,
    seconds: u64,
    /// How many places of the code were reached.
    coverage: u64,
    finding: Option<PathBuf>,
}

impl TargetReport {
    fn of(target: &str, seconds: u64) -> Result<Self, Failure> {
        let found = format!("target/fuzz/{target}");
        let artifacts = format!("fuzz/artifacts/{target}/");
        let failed = |error: std::io::Error| Failure(format!("{target}: {error}"));
        for folder in [&found, &artifacts] {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let log = PathBuf::from(format!("{found}.log"));
        say(&format!("fuzzing {target} for {seconds} s; {} has what it says", log.display()));
        let mut command = cargo_fuzz("run");
        // The first folder takes what is new.
        command.args([target, &found, &format!("fuzz/corpus/{target}"), "--"]);
        command.args(LIMITS).arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={artifacts}"));
        let status = command
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).map_err(failed)?)
            .status()
            .map_err(failed)?;
        let said = fs::read_to_string(&log).map_err(failed)?;
        let seen = Self::read(target, &said);
        if !status.success() && seen.finding.is_none() {
            return Err(Failure(format!("{target} could not be fuzzed; see {}", log.display())));
        }
        Ok(seen)
    }

    /// Reads what libFuzzer says.
    fn read(target: &str, said: &str) -> Self {
        let number = |text: Option<&str>| {
            text.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        let after = |mark: &str| said.rsplit_once(mark).map(|(_, rest)| rest);
        let finding = after("Test unit written to ").and_then(|rest| rest.lines().next());
        Self {
            target: target.to_owned(),
            executions: number(after("stat::number_of_executed_units:")),
            seconds: number(after(" runs in ")),
            coverage: number(after(" cov: ")),
            finding: finding.map(PathBuf::from),
        }
    }
}

impl fmt::Display for TargetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, executions, seconds, coverage, finding } = self;
        let finding = match finding.as_deref().and_then(Path::file_name) {
            Some(name) => format!("`{}`", name.to_string_lossy()),
            None => "none".to_owned(),
        };
        write!(f, "| {target} | {executions} | {seconds} | {coverage} | {finding} |")
    }
}

fn report(seen: &[TargetReport]) -> Result<String, Failure> {
    let [executions, seconds] =
        [|seen: &TargetReport| seen.executions, |seen: &TargetReport| seen.seconds]
            .map(|of| seen.iter().map(of).sum::<u64>());
    let found = seen.iter().filter(|seen| seen.finding.is_some()).count();
    let rows: Vec<String> = seen.iter().map(ToString::to_string).collect();
    Ok(format!(
        "Run on {}, {} targets, {seconds} s in all, {executions} executions, {found} findings.\n\n\
         | target | executions | seconds | code reached | findings |\n\
         | --- | --- | --- | --- | --- |\n{}\n",
        page::today()?,
        seen.len(),
        rows.join("\n"),
    ))
}

/// Longer inputs than any seed, memory that a small server has, and no input that takes seconds.
const LIMITS: [&str; 4] =
    ["-max_len=16384", "-rss_limit_mb=1024", "-timeout=10", "-print_final_stats=1"];

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
#2	INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb
#1048576	pulse  cov: 418 ft: 1210 corp: 98/1531b lim: 1610 exec/s: 174762 rss: 52Mb
#1310720	DONE   cov: 420 ft: 1214 corp: 101/1602b lim: 2001 exec/s: 214872 rss: 55Mb
Done 1310720 runs in 61 second(s)
stat::number_of_executed_units: 1310720
stat::average_exec_per_sec:     214872
";

    #[test]
    fn a_quiet_turn_is_told_by_its_numbers() {
        let seen = TargetReport::read("scope", QUIET);
        assert_eq!(seen.to_string(), "| scope | 1310720 | 61 | 420 | none |");
    }

    #[test]
    fn a_finding_is_named() {
        let said = format!(
            "{QUIET}artifact_prefix='fuzz/artifacts/scope/'; Test unit written to fuzz/artifacts/scope/crash-0f\nBase64: AA==\n"
        );
        let seen = TargetReport::read("scope", &said);
        assert_eq!(seen.finding.as_deref(), Some(Path::new("fuzz/artifacts/scope/crash-0f")));
        assert!(seen.to_string().ends_with("| `crash-0f` |"));
    }
}
