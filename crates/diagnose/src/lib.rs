//! Walks the whole flow of a login and a pull, and says what is wrong, by what it was seen, and how
//! to mend it: for any registry and any token service.
//!
//! ```text
//! Target, Inputs ──> Case ── stage ── stage ── … ──> Report
//!                     |  Facts: what was seen, once        findings in flow order,
//!                     └  Probe: one way out, written down   the first failure is the cause
//! ```
//!
//! Nothing is followed, trusted or written that a careful client would not; credentials go where
//! [`Realm::check`](portpass_client::realm::Realm::check) lets them.

use std::sync::Arc;

mod base_point;
mod case;
mod cause;
mod check;
mod complaint;
mod desk;
mod facts;
mod finding;
mod inputs;
pub mod inspect;
mod look;
mod probe;
mod proxy;
mod redact;
mod reply;
mod report;
mod rows;
mod settings;
mod stage;
mod stop;
#[cfg(test)]
mod tests;
pub mod time;

use self::{case::Case, facts::Facts};
pub use self::{
    check::{Check, Stage},
    finding::{Finding, Needs, Verdict},
    inputs::{Given, Inputs, Local, Patience, Target},
    probe::Exchange,
    report::{Detail, Made, Report, Tone},
};

/// Asks all that can be asked with what was given.
pub async fn diagnose(target: Target, inputs: Inputs, clock: Arc<dyn Patience>) -> Report {
    let mut case = Case::new(target, inputs, clock);
    stage::cfg::run(&mut case).await;
    stage::net::run(&mut case).await;
    stage::ping::run(&mut case).await;
    stage::chal::run(&mut case).await;
    stage::net::run_for_realm(&mut case).await;
    stage::tok::run(&mut case).await;
    stage::resp::run(&mut case);
    // What the registry says to tokens tells which verifier it has, which checks of the token need.
    stage::uses::ask(&mut case).await;
    stage::jwt::run(&mut case);
    stage::clm::run(&mut case);
    stage::key::run(&mut case);
    stage::acc::run(&mut case);
    stage::uses::run(&mut case);
    stage::ops::run(&mut case).await;
    // Waits, where that was asked for, so that the next one finds the token expired.
    stage::uses::expire(&mut case).await;
    stage::exp::run(&mut case).await;
    stage::net::compare_clocks(&mut case);
    stop::judge(&mut case);
    case.conclude()
}
