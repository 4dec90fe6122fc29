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
pub mod dice;
pub mod disk;
pub mod distribution;
pub mod foreign;
pub mod home;
pub mod http;
pub mod image;
pub mod nginx;
pub mod page;
pub mod place;
pub mod process;
pub mod program;
pub mod rank;
pub mod served;
pub mod stalling;

mod root;
pub mod workshop;

pub use certificates::Certificates;
pub use client::{Buildah, Client, Containerd, Dockerd, Helm, Podman, Pulled, Skopeo};
pub use dice::Dice;
pub use disk::Disk;
pub use distribution::{Distribution, TrustedTokens};
pub use foreign::{ForeignTokenService, WrittenTokenService};
pub use home::Home;
pub use image::Layout;
pub use nginx::Nginx;
pub use place::{Image, Place};
pub use process::Process;
pub use program::{Ran, run};
pub use served::{Portpass, wait_until};
pub use stalling::Stalling;
pub use workshop::{Front, Gate, Way};
