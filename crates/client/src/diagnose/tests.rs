//! Diagnoses of set-ups that are healthy, and of those with one fault each.

mod page;
mod secrets;
pub(in crate::diagnose) mod tokens;
pub(in crate::diagnose) mod words;
