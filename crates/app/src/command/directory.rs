//! Whether the directories of a configuration work: `diagnose --ldap`.

use portpass_admin::{DirectoryExamination, DirectoryStep};
use portpass_client::{Clock as _, SystemClock};
use portpass_config::Sources;
use secrecy::SecretString;

use super::{Context, config::load, refused};
use crate::{failure::Failure, outcome::Outcome, printer::Printer};

/// Tries each step of a login with each server.
pub(super) async fn examine(
    account: Option<(&str, Option<SecretString>)>,
    sources: &Sources,
    context: &Context,
) -> Result<Vec<DirectoryExamination>, Failure> {
    let config = load(sources, &context.environment).await?;
    portpass_admin::examine_directories(&config, account, SystemClock.now()).await.map_err(refused)
}

/// Whether all steps work.
pub(super) fn outcome(examinations: &[DirectoryExamination]) -> Outcome {
    let mut steps = examinations.iter().flat_map(|examination| &examination.steps);
    if steps.all(|step| step.works) { Outcome::Success } else { Outcome::Problem }
}

/// A table for each server.
pub(super) fn show(printer: &Printer, examinations: &[DirectoryExamination]) {
    for DirectoryExamination { source, server, steps } in examinations {
        let rows: Vec<[String; 4]> = steps.iter().map(row).collect();
        printer.table([&format!("{source}: {server}"), "", "MS", ""], &rows);
    }
}

fn row(step: &DirectoryStep) -> [String; 4] {
    let DirectoryStep { step, works, milliseconds, result } = step;
    let works = if *works { "works" } else { "fails" };
    [step.clone(), works.to_owned(), format!("{milliseconds:.0}"), result.clone()]
}
