//! `policy test`: what is expected of the rules.

use std::path::PathBuf;

use portpass_admin::Rulebook;

use super::{Context, Failure, Outcome, junit, refused};

/// Prints what differs; the status is 1 where anything does.
pub(super) async fn run(
    rulebook: &Rulebook,
    file: PathBuf,
    report: Option<PathBuf>,
    context: &Context,
) -> Result<Outcome, Failure> {
    let tested = rulebook.test(file.clone()).await.map_err(refused)?;
    let name = file.display().to_string();
    if let Some(report) = report {
        std::fs::write(&report, junit::report(&name, &tested))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", report.display())))?;
    }
    let mut failed = 0;
    for one in &tested {
        if let Some(failure) = &one.failure {
            failed += 1;
            context.printer.line(format_args!("{name}:{}: {}", one.line, one.name));
            for line in failure.lines() {
                context.printer.line(format_args!("  {line}"));
            }
        }
    }
    let count = tested.len();
    if failed == 0 {
        context.printer.note(format_args!("{count} of {count} expectations hold"));
        Ok(Outcome::Success)
    } else {
        context.printer.note(format_args!("{failed} of {count} expectations do not hold"));
        Ok(Outcome::Problem)
    }
}
