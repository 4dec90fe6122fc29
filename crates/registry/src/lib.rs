//! The registry: the OCI distribution specification over a database and a blob store, and the
//! controllers that decide who may do what.
//!
//! ```text
//! request ─> Route::parse ─────────────────────────────────────> 400, 404, 405
//!               │ Route::access: what it needs
//!            Caller::of: from where, and what it presents
//!               │
//!            access::authorize ── AccessController::authorize ─> Grant | Denial
//!               │                   grant ⊇ needs?
//!               │                 └ no: AccessController::challenge ──> 401, 429, 503
//!            Authorized ── one handler per Route ──> Response | Error
//!                                                      └ respond: the one table ──> 4xx, 5xx
//! ```
//!
//! [`Registry::handle`] is that picture in code. Every answer that refuses carries a
//! [`RequestOutcome`](portpass_protocol::RequestOutcome) with the whole reason in its extensions; the client is
//! told less.
//!
//! ```
//! use portpass_registry::Route;
//!
//! let route = Route::parse(&http::Method::PUT, &"/v2/team/app/manifests/v1".parse()?)?;
//! assert_eq!(route.access()[0].to_string(), "repository:team/app:pull,push");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod access;
pub mod controller;
pub mod credentials;
mod error;
pub mod event;
pub mod fsck;
pub mod gc;
pub mod grant;
pub mod groups;
mod handler;
pub mod immutable;
mod location;
mod manifest_budget;
pub mod notification;
pub mod pulls;
mod read_only;
mod registry;
mod respond;
pub mod retention;
pub mod route;
mod rules;
mod service;
pub mod upkeep;

pub use controller::{AccessController, Guard};
pub use credentials::{Caller, Credentials};
pub use event::EventSink;
pub use grant::Grant;
pub use notification::Notifications;
pub use pulls::PullNotes;
pub use read_only::ReadOnly;
pub use registry::{ApiSettings, Deletes, Registry, RegistryParts, UploadUrls};
pub use route::{Route, RouteError};
pub use rules::{Retention, RetentionRule, Rules};
