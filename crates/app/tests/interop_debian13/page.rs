//! When the clients were tried, and which: what no other run can hold against the page.

use std::process::Command;

use portpass_testkit::{Home, run};

use crate::ledger::{self, Page};

/// Holds the versions of Debian's packages against the page, and dates it if it is written.
pub(crate) fn tell_versions(packages: &[&str]) {
    let home = Home::in_debian13();
    for package in packages {
        let mut query = home.command("dpkg-query");
        let ran = run(query.args(["--show", "--showformat", "${Version}", package]), "");
        ledger::confirm_row("What was tried", &[package], &ran.expect_success().stdout);
    }
    if ledger::writes() {
        date();
    }
}

fn date() {
    let today = run(Command::new("date").args(["--utc", "+%F"]), "");
    let mut page = Page::open();
    let line = page.lines.iter_mut().find(|line| line.starts_with(RUN_ON));
    *line.expect("the page says when") =
        format!("{RUN_ON}{}.", today.expect_success().stdout.trim());
    page.save();
}

const RUN_ON: &str = "Run on ";
