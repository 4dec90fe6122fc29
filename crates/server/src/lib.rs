//! Composition: configuration in, running listeners out. The only crate that sees all services.
//!
//! ```text
//! file, environment, flags ─► Config      typed, then understood: keys parsed, rules compiled
//!                               │
//!                          Components     data directory, database, registry, token service
//!                               │ bind
//!                             Server ──── listeners: registry, token service, health and metrics
//!                               │ run     origin, request id, access log, metrics, panics
//!                             drain       requests end, jobs stop, the audit trail is written
//! ```
//!
//! ```no_run
//! use portpass_config::{Config, Environment, Sources};
//! use portpass_server::{Components, Server, ServerSettings, Shutdown, System};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let sources = Sources { addr: Some("127.0.0.1:0".parse()?), ..Sources::default() };
//! let environment = Environment::of_process();
//! let config = Config::load(&sources, &environment)?;
//! let components = Components::build(config, &environment, System::real()).await?;
//! let server = Server::bind(components, ServerSettings::default()).await?;
//! println!("{:?}", server.addresses());
//! server.run(Shutdown::on_signals()?).await;
//! # Ok(())
//! # }
//! ```

mod components;
mod http;
mod key_files;
mod listeners;
pub mod log;
pub mod metrics;
pub mod refusals;
mod request;
mod revocations;
mod rule_file;
pub mod run;
mod shutdown;
mod system;
#[cfg(test)]
mod testing;

pub use components::{Components, StartError, StorageError};
pub use run::{Addresses, ReloadHandle, Server, ServerSettings};
pub use shutdown::{Shutdown, Stop};
pub use system::{FileBudget, System, raise_open_files};
