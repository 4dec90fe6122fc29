//! `docs/reliability.md`: what a long run saw. Other runs only look whether there is such a report.

use std::process::Command;

use portpass_testkit::{page, run};

use crate::round::Tally;

/// Writes the report if `PORTPASS_WRITE_DOCS` is in the environment, else demands one.
pub(crate) fn confirm(seed: u64, tally: &Tally) {
    if std::env::var_os("PORTPASS_WRITE_DOCS").is_some() {
        page::write(PAGE, SECTION, &report_of(seed, tally));
    }
    assert!(page::read(PAGE, SECTION).contains("| rounds | "), "{HOW}");
}

fn report_of(seed: u64, tally: &Tally) -> String {
    let rows = [
        ("rounds", tally.rounds),
        ("changes acknowledged before a kill", tally.acknowledged),
        ("changes in flight at a kill", tally.in_flight),
        ("items checked after a kill", tally.looked_at),
        ("complete blobs, manifests and tags found", tally.visible),
        ("refresh tokens that still worked", tally.refresh_tokens),
        ("revoked refresh tokens that were refused", tally.dead_tokens),
        ("interrupted tasks repeated", tally.repeated),
        ("interrupted uploads continued", tally.resumed),
        ("files of blobs before the sweeps", tally.files_before),
        ("files of blobs after the sweeps, one for each live blob", tally.files_after),
    ];
    let rows = rows.map(|(what, number)| format!("| {what} | {number} |")).join("\n");
    let (date, system) = (said("date", &["--utc", "+%F"]), said("uname", &["-srm"]));
    let disk = said("stat", &["--file-system", "--format", "%T", &tempdir()]);
    let cores = std::thread::available_parallelism().unwrap();
    format!(
        "\nRun on {date}, {system}, {cores} cores, {disk}; first seed {seed}.\n\n\
         | what | how many |\n| --- | --- |\n{rows}\n\n"
    )
}

fn said(program: &str, arguments: &[&str]) -> String {
    run(Command::new(program).args(arguments), "").expect_success().stdout.trim().to_owned()
}

fn tempdir() -> String {
    std::env::temp_dir().display().to_string()
}

const PAGE: &str = "reliability.md";
const SECTION: &str = "crashes";
const HOW: &str = "the page has no report: run `cargo xtask crash`";
