//! What is done with a token that is good: manifests, blobs, the catalog; and, where something may be
//! written, uploads that are taken back.

mod answer;
mod caller;
mod catalog;
mod pulls;
mod redirect;
#[cfg(test)]
pub(crate) mod tests;
mod uploads;
mod writes;

use crate::{Check, Needs, run::Run};

/// OPS-01 to OPS-10.
pub(crate) async fn check(run: &mut Run) {
    if run.observed.origin.is_none() {
        return;
    }
    pulls::check(run).await;
    pulls::compare_with_anonymous(run).await;
    catalog::check(run).await;
    if run.inputs.write {
        writes::check(run).await;
    } else {
        run.skip(WRITING, &Needs::Input("--write"));
        run.skip(&[Check::Ops10], &Needs::Input("--write --wait-expiry"));
    }
}

/// What cannot be seen without sending something.
const WRITING: &[Check] = &[Check::Ops03, Check::Ops04, Check::Ops05, Check::Ops06, Check::Ops07];
