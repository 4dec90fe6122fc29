//! What a configuration makes of a workload's token: `diagnose --workload`, `token inspect --config`.

use std::{
    fs::File,
    io::{Read as _, stdin},
    path::Path,
};

use portpass_admin::{WorkloadCondition, WorkloadEntry, WorkloadExamination};
use portpass_client::{Clock as _, SystemClock};
use portpass_config::Sources;
use portpass_diagnose::inspect::token_in;

use super::{Context, config::load, refused};
use crate::{failure::Failure, outcome::Outcome, printer::Printer};

/// Checks a token as a login with it would be.
pub(super) async fn examine(
    token: &str,
    sources: &Sources,
    context: &Context,
) -> Result<WorkloadExamination, Failure> {
    let config = load(sources, &context.environment).await?;
    let now = SystemClock.now();
    portpass_admin::examine_workload(&config, token, now).await.map_err(refused)
}

/// Whether the token is somebody's.
pub(super) fn outcome(examination: &WorkloadExamination) -> Outcome {
    match examination.refusal {
        Some(_) => Outcome::Problem,
        None => Outcome::Success,
    }
}

/// Every condition, and what came of it.
pub(super) fn show(printer: &Printer, examination: &WorkloadExamination) {
    let WorkloadExamination { source, issuer, account, refusal, entries } = examination;
    let mut rows = vec![row("source", source), row("issuer", issuer)];
    if let Some(account) = account {
        rows.push(row("account", &account.name));
        rows.push(row("groups", &listed(&account.groups)));
        rows.push(row("labels", &listed(&account.labels)));
        rows.push(row("until", &account.until));
    }
    if let Some(refusal) = refusal {
        rows.push(row("refusal", &refusal.id));
        rows.push(row("reason", &refusal.reason));
        rows.extend(refusal.what_to_do.map(|advice| row("what to do", advice)));
    }
    printer.table(["workload", ""], &rows);
    for WorkloadEntry { name, conditions } in entries {
        let rows: Vec<[String; 4]> = conditions.iter().map(condition).collect();
        printer.table([&format!("entry {name}"), "the token has", "expected", ""], &rows);
    }
}

fn condition(condition: &WorkloadCondition) -> [String; 4] {
    let holds = if condition.holds { "matches" } else { "does not match" };
    let expected = condition.expected.join(" or ");
    [condition.claim.clone(), condition.found.clone(), expected, holds.to_owned()]
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn row(name: &str, value: &str) -> [String; 2] {
    [name.to_owned(), value.to_owned()]
}

/// The token in a file, on stdin (`-`), or as it was typed.
pub(super) fn token_from(given: &Path) -> Result<String, Failure> {
    let typed = given.to_str().filter(|text| text.starts_with("eyJ"));
    let text = match typed {
        Some(token) => token.to_owned(),
        None => read(given)?,
    };
    let token = token_in(&text)?;
    if token.is_empty() {
        return Err(Failure::usage("there is no token in the file of --workload"));
    }
    Ok(token)
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        stdin().take(MAX_TOKEN).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|opened| opened.take(MAX_TOKEN).read_to_string(&mut text))
    };
    // Whoever mistypes a token must not find it in an error, and then in a log: no name here.
    read.map_err(|error| {
        Failure::new(format!("the file of --workload cannot be read: {error}"))
            .hint("give the token in a file, or `-` for stdin")
    })?;
    Ok(text)
}

/// The configuration that a token is held against.
pub(super) fn sources(config: &Path) -> Sources {
    Sources { config: Some(config.to_owned()), ..Sources::default() }
}

/// More than any token that is looked at.
const MAX_TOKEN: u64 = 1024 * 1024;
