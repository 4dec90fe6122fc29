//! What a contributor runs: `cargo xtask test` is everything that decides whether a change is good.
//!
//! It needs no crate, so that it starts at once on a fresh clone.

mod bounded;
mod debian13;
mod fuzz;
mod helm;
mod openid_provider;
mod packages;
mod page;

use std::{
    fmt,
    process::{Command, ExitCode, Stdio},
};

use self::bounded::Bounded;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test(),
        ["setup"] => setup(),
        ["interop"] => interop(),
        ["crash"] => crash(),
        ["bench"] => bench(),
        ["history"] => history(),
        ["fuzz"] => fuzz::fuzz("60"),
        ["fuzz", minutes] => fuzz::fuzz(minutes),
        ["timing"] => timing(),
        ["load", more @ ..] => load(more),
        ["deny"] => deny(),
        ["accept-api"] => accept_api(),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("xtask: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Installs what the tests need, then runs every check, cheapest first.
fn test() -> Result<(), Failure> {
    setup()?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // Unit, integration, end-to-end and documentation tests. All crates run before the first
    // failure ends it, so that one run shows all that is broken.
    cargo(&["test", "--workspace", "--no-fail-fast"])
}

/// Installs what the tests need.
fn setup() -> Result<(), Failure> {
    packages::install(packages::FOR_TESTS)?;
    helm::install()?;
    openid_provider::install()
}

/// Tries newer clients than this machine has, and writes what was seen into the documentation.
fn interop() -> Result<(), Failure> {
    packages::install(packages::FOR_INTEROP)?;
    debian13::install()?;
    let test = ["test", "-p", "portpass", "--test", "interop_debian13", "--no-fail-fast"];
    run(Command::new("cargo").args(test).env("PORTPASS_WRITE_DOCS", "1"))
}

/// Kills the server a hundred times, and writes what was seen into the documentation.
fn crash() -> Result<(), Failure> {
    packages::install(packages::FOR_TESTS)?;
    let test = ["test", "-p", "portpass", "--test", "crash", "--", "--nocapture", "by_a_crash"];
    run(Command::new("cargo")
        .args(test)
        .env("PORTPASS_CRASH_ROUNDS", "100")
        .env("PORTPASS_WRITE_DOCS", "1"))
}

/// Measures beside other servers and clients, and writes what was seen into the documentation.
fn bench() -> Result<(), Failure> {
    setup()?;
    packages::install(packages::FOR_BENCH)?;
    let bench = ["bench", "-p", "portpass", "--bench", "speed"];
    // The compiler needs more memory than what is measured.
    cargo(&[&bench[..], &["--no-run"]].concat())?;
    let bounded = Bounded::new();
    run(bounded.command("cargo").args(bench).env("PORTPASS_WRITE_DOCS", "1"))
}

/// Measures whether what happened before makes a database slower, and writes what was seen.
fn history() -> Result<(), Failure> {
    let report = printed_by(&["bench", "-p", "portpass-state", "--bench", "history"])?;
    page::write(page::PERFORMANCE, "history", &report)
}

/// Measures whether the time of a refusal tells who has an account, and writes what was seen.
fn timing() -> Result<(), Failure> {
    let table = printed_by(&["bench", "-p", "portpass", "--bench", "timing"])?;
    page::write(page::HARDENING, "timing", &format!("Run on {}.\n\n{table}", page::today()?))
}

/// What a benchmark prints, if it succeeds.
fn printed_by(bench: &[&str]) -> Result<String, Failure> {
    say(&format!("$ cargo {}", bench.join(" ")));
    let output = Command::new("cargo").args(bench).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Failure(format!("cargo: {error}")))?;
    if !output.status.success() {
        return Err(Failure("the measurement failed".to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A busy registry for minutes, and what it needs; writes the table of the documentation.
fn load(more: &[&str]) -> Result<(), Failure> {
    let bench = ["bench", "-p", "portpass", "--bench", "load", "--", "--write"];
    cargo(&[&bench, more].concat())
}

/// Licences, sources and banned crates. Advisories need a database from outside and are left out.
fn deny() -> Result<(), Failure> {
    let installed = Command::new("cargo").args(["deny", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        cargo(&["install", "--locked", "cargo-deny"])?;
    }
    cargo(&["deny", "check", "bans", "licenses", "sources"])
}

/// Writes the public API of the published crates into their snapshots.
fn accept_api() -> Result<(), Failure> {
    let test = ["test", "-p", "portpass-testkit", "--test", "public_api"];
    run(Command::new("cargo").args(test).env("PORTPASS_ACCEPT_API", "1"))
}

fn cargo(arguments: &[&str]) -> Result<(), Failure> {
    run(Command::new("cargo").args(arguments))
}

/// Runs a command with our own output, and demands that it succeeds.
fn run(command: &mut Command) -> Result<(), Failure> {
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned());
    let line = words.collect::<Vec<_>>().join(" ");
    say(&format!("$ {line}"));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(format!("`{line}` failed: {status}"))),
        Err(error) => Err(Failure(format!("`{line}` could not be started: {error}"))),
    }
}

#[expect(clippy::print_stderr, reason = "the one printer of this program")]
fn say(line: &str) {
    eprintln!("{line}");
}

struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const USAGE: &str = "usage: cargo xtask COMMAND

  test    install what the tests need, then fmt, clippy, unit, doc and end-to-end tests
  setup   only install what the tests need
  interop try the clients of Debian 13, and write docs/interoperability.md (by hand, as root)
  crash   kill the server a hundred times, and write docs/reliability.md (by hand)
  bench   measure beside other servers and clients, and write docs/performance.md (by hand, as root)
  history measure whether what happened before makes the database slower, and write docs/performance.md
          (by hand)
  fuzz [MINUTES]
          fuzz every parser, an hour in all, and write docs/hardening.md (by hand; installs
          cargo-fuzz on first use)
  timing  measure whether the time of a refusal tells who has an account, and write docs/hardening.md
          (by hand)
  load    24 pushers and 100 pullers for seven minutes; `--seconds N` for less (by hand; writes docs/reliability.md)
  deny    licences, sources and banned crates (installs cargo-deny on first use)
  accept-api
          write the public API of the published crates into crates/*/public-api.txt";
