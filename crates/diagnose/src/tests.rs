//! Diagnoses of set-ups that are healthy, and of those with one fault each.

mod page;
mod secrets;
pub(crate) mod tokens;
pub(crate) mod words;
