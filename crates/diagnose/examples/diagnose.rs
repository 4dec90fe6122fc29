//! Finds out what is wrong with a pull from a registry:
//!
//! ```text
//! cargo run -p portpass-diagnose --example diagnose -- registry.example.com/team/app:v1
//! ```
//!
//! The exit status is 1 if something is broken.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, process::ExitCode, sync::Arc};

use portpass_diagnose::{Inputs, LocalInputs, SystemClock, Verdict, diagnose};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("usage: diagnose HOST[:PORT][/REPOSITORY[:TAG]]")?;

    // The credentials, proxies and certificates that docker and podman would use on this machine. The
    // other inputs are optional: more of them answer more checks.
    let local = LocalInputs::from_environment(|name| std::env::var_os(name)?.into_string().ok());
    let report = diagnose(target.parse()?, Inputs::none(local), Arc::new(SystemClock)).await;

    println!("{}: {}", report.target, report.verdict());
    for finding in &report.findings {
        if matches!(finding.verdict, Verdict::Fail | Verdict::Warn) {
            println!("{} {} {}", finding.verdict.sign(), finding.check, finding.summary);
        }
    }
    // Most failures follow from another one. This is where to begin.
    if let Some(cause) = report.cause() {
        println!("cause: {}", cause.summary);
        if let Some(fix) = &cause.fix {
            println!("fix: {fix}");
        }
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
