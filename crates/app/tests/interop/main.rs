//! Every client through every pair of registry and token service: what works is what
//! `docs/interoperability.md` says.
//!
//! ```text
//! Stage    a registry, and who gives its tokens
//! deeds    login, push, pull, run, index, mount, delete, list: done by a client, checked by Auditor
//! ledger   what was seen, held against the page; PORTPASS_WRITE_DOCS=1 writes the page instead
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod audit;
mod controllers;
mod deeds;
mod distribution;
mod ledger;
mod mounts;
mod stage;
mod tls;
mod traps;
mod troubles;

use portpass_testkit::{Buildah, Containerd, Dockerd, Helm, Podman, Skopeo};

use self::{deeds::perform_all, stage::Stage};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// One test for each client on each stage, so that a cell that breaks has a name.
macro_rules! stages {
    ($($stage:ident)*) => { $(mod $stage {
        use super::*;

        #[tokio::test]
        async fn docker() {
            perform_all(&mut Dockerd::start(), &Stage::$stage()).await;
        }

        #[tokio::test]
        async fn skopeo() {
            perform_all(&mut Skopeo::default(), &Stage::$stage()).await;
        }

        #[tokio::test]
        async fn buildah() {
            perform_all(&mut Buildah::default(), &Stage::$stage()).await;
        }

        #[tokio::test]
        async fn podman() {
            perform_all(&mut Podman::default(), &Stage::$stage()).await;
        }

        #[tokio::test]
        async fn containerd() {
            perform_all(&mut Containerd::start(), &Stage::$stage()).await;
        }

        #[tokio::test]
        async fn helm() {
            perform_all(&mut Helm::default(), &Stage::$stage()).await;
        }
    })* };
}

stages! {
    portpass
    portpass_over_tls
    distribution_with_x5c
    distribution_with_libtrust
    portpass_with_foreign_tokens
    portpass_with_htpasswd
}
