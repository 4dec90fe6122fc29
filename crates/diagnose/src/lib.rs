#![doc = include_str!("../README.md")]

use std::sync::Arc;

mod base_point;
mod cause;
mod check;
mod complaint;
mod exchange;
mod finding;
mod incomplete;
mod inputs;
pub mod inspect;
mod known_failures;
mod network;
mod observations;
mod outcome;
mod probe;
mod proxy;
mod redact;
mod report;
mod run;
mod settings;
mod stage;
#[cfg(test)]
mod tests;
pub mod time;
mod token_endpoint;

pub use self::{
    check::{Check, Stage},
    exchange::Exchange,
    finding::{Finding, Needs, Verdict},
    inputs::{InputFile, Inputs, LocalInputs, Target, Timer},
    report::{Detail, Provenance, Report, Tone},
};
pub use portpass_client::{
    Host, SecretString, SystemClock,
    credentials::CredentialPaths,
    transport::{TransportError, danger::Verification},
};
pub use portpass_protocol::{Reference, RepositoryName, challenge::KnownClient};

use self::{observations::Observations, run::Run};

/// Answers every check that these inputs allow.
pub async fn diagnose(target: Target, inputs: Inputs, clock: Arc<dyn Timer>) -> Report {
    let mut run = Run::new(target, inputs, clock);
    stage::configuration::check(&mut run).await;
    stage::network::check(&mut run).await;
    stage::ping::check(&mut run).await;
    stage::challenge::check(&mut run).await;
    stage::network::check_realm(&mut run).await;
    stage::token_request::check(&mut run).await;
    stage::token_response::check(&mut run);
    // What the registry says to tokens tells which verifier it has, which checks of the token need.
    stage::requests::send_tokens(&mut run).await;
    stage::jwt::check(&mut run);
    stage::claims::check(&mut run);
    stage::keys::check(&mut run);
    stage::access::check(&mut run);
    stage::requests::check(&mut run);
    stage::operations::check(&mut run).await;
    // Waits, where that was asked for, so that the next one finds the token expired.
    stage::requests::expire(&mut run).await;
    stage::expiry::check(&mut run).await;
    stage::network::compare_clocks(&mut run);
    incomplete::judge(&mut run);
    run.into_report()
}
