//! Composition: configuration in, running listeners out. The only crate that sees all parts.

mod admin;
pub mod config;
mod data_directory;
mod http;
mod install;
pub mod log;
pub mod manage;
pub mod metrics;
mod parts;
mod publish;
pub mod run;
mod shutdown;
mod system;
#[cfg(test)]
mod testing;

pub use data_directory::{DataDirectory, DataError};
pub use install::{Administrator, InstallError};
pub use parts::{Parts, StartError};
pub use run::{Addresses, Handle, Server, ServerSettings};
pub use shutdown::{Shutdown, Stop};
pub use system::{System, raise_open_files};
