//! Composition: configuration in, running listeners out. The only crate that sees all parts.

mod admin;
pub mod config;
mod data_directory;
mod http;
mod install;
pub mod manage;
pub mod metrics;
mod shutdown;

pub use data_directory::{DataDirectory, DataError};
pub use install::{Administrator, InstallError};
pub use shutdown::{Shutdown, Stop};
