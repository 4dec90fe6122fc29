//! What the end-to-end tests stand on: a running `portpass`, the clients that people use, images made
//! from nothing. Real programs throughout; a program that is missing fails the test that needs it.
//!
//! ```text
//! Portpass ── serve ──> 127.0.0.1:PORT <── Client: Dockerd, Skopeo, Podman, …
//!    |                                       ^
//!    └─ log()  what it said                  └─ Layout, an image on disk
//! ```

pub mod certificates;
pub mod client;
pub mod credential_helper;
pub mod disk;
pub mod distribution;
pub mod faketime;
pub mod home;
pub mod http;
pub mod image;
pub mod nginx;
pub mod openid_provider;
pub mod page;
pub mod process;
pub mod program;
pub mod rank;
pub mod registry_address;
pub mod samba;
pub mod seeded_rng;
pub mod server;
pub mod silent_server;
pub mod slapd;
pub mod stalling_proxy;
pub mod token_service;
pub mod workload_issuer;

pub mod intercepting_proxy;
mod root;

pub use certificates::Certificates;
pub use client::{Buildah, Client, Containerd, Dockerd, Helm, Podman, Pulled, Skopeo};
pub use disk::Disk;
pub use distribution::{Distribution, TrustedTokens};
pub use home::Home;
pub use image::Layout;
pub use intercepting_proxy::{Action, Gate, InterceptingProxy};
pub use nginx::Nginx;
pub use openid_provider::OpenIdProvider;
pub use process::Process;
pub use program::{CommandOutput, run};
pub use registry_address::{Image, RegistryAddress};
pub use samba::Samba;
pub use seeded_rng::SeededRng;
pub use server::{Portpass, wait_until};
pub use silent_server::SilentServer;
pub use slapd::Slapd;
pub use stalling_proxy::StallingProxy;
pub use token_service::{FixedTokenService, PythonTokenService};
pub use workload_issuer::WorkloadIssuer;
