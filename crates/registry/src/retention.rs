//! Retention: which tags a repository keeps, by rules, and which manifests go with those that it does not.
//!
//! ```text
//! tags ── the first rule that is about a tag ──> kept or dropped      decide.rs
//! kept tags, untagged manifests that stay ──> all that they keep:     inventory.rs
//!     what an index holds, what refers to a manifest, its `sha256-…` tags
//! the rest, in units that go together ──> removed, where nothing has changed since      run.rs
//! ```
//! Nothing goes that something live keeps: no manifest of a kept index, no referrer of a live subject. Whatever
//! goes takes with it what only it kept.

mod decide;
mod inventory;
mod owners;
mod removals;
mod run;
#[cfg(test)]
mod tests;

pub use self::{
    decide::{Decided, Fate, Reason, Verdict},
    run::{Decisions, Done, Everything, Plan, RetentionRun, Survey},
};
