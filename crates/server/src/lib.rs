//! Composition: configuration in, running listeners out. The only crate that sees all parts.

pub mod config;
pub mod manage;
