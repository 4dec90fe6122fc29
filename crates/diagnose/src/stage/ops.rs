//! What is done with a token that is good: manifests, blobs, the catalog; and, where something may be
//! written, uploads that are taken back.

mod caller;
mod catalog;
mod pulls;
mod redirect;
#[cfg(test)]
pub(crate) mod tests;
mod uploads;
mod writes;

use crate::{Check, Needs, case::Case};

/// OPS-01 to OPS-10.
pub(crate) async fn run(case: &mut Case) {
    if case.facts.origin.is_none() {
        return;
    }
    pulls::run(case).await;
    pulls::compare_with_nobody(case).await;
    catalog::run(case).await;
    if case.inputs.write {
        writes::run(case).await;
    } else {
        case.skip(WRITING, &Needs::Input("--write"));
        case.skip(&[Check::Ops10], &Needs::Input("--write --wait-expiry"));
    }
}

/// What cannot be seen without sending something.
const WRITING: &[Check] = &[Check::Ops03, Check::Ops04, Check::Ops05, Check::Ops06, Check::Ops07];
