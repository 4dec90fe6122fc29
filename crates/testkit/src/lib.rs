//! What the end-to-end tests stand on: a running `portpass`, a docker daemon, images made from
//! nothing. Real programs throughout; a program that is missing fails the test that needs it.
//!
//! ```text
//! Portpass ── serve ──> 127.0.0.1:PORT <── docker, skopeo, reqwest
//!    |                                       ^
//!    └─ log()  what it said                  └─ Dockerd, Layout
//! ```

pub mod certificates;
pub mod dockerd;
pub mod foreign;
pub mod image;
pub mod program;
pub mod served;

pub use certificates::Certificates;
pub use dockerd::Dockerd;
pub use foreign::ForeignTokenService;
pub use image::Layout;
pub use program::{Ran, run};
pub use served::Portpass;
