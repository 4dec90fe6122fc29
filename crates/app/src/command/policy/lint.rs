//! `policy lint`: what of the rules cannot be meant, or is more than was meant.

use portpass_admin::{Rulebook, Severity};

use super::{Context, Failure, Outcome, refused};

/// Prints the findings; the status is 1 where a rule does nothing at all, 3 where there is something to look at.
pub(super) async fn run(
    rulebook: &Rulebook,
    json: bool,
    context: &Context,
) -> Result<Outcome, Failure> {
    let findings = rulebook.lint().await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(&findings)?);
    } else {
        for finding in &findings {
            context.printer.line(finding);
        }
    }
    if !rulebook.is_installed() {
        context
            .printer
            .note("there is no database here: names of accounts and groups were not looked up");
    }
    Ok(match findings.iter().map(|finding| finding.severity).max() {
        None => {
            context.printer.note("nothing was found");
            Outcome::Success
        }
        Some(Severity::Warning) => Outcome::Warning,
        Some(Severity::Error) => Outcome::Problem,
    })
}
