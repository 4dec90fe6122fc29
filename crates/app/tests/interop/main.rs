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
mod clients;
mod controllers;
mod deeds;
mod distribution;
mod ledger;
mod mounts;
mod stage;
mod tls;
mod traps;
mod troubles;

use self::{deeds::perform_all, stage::Stage};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// One test for each client on each stage, so that a cell that breaks has a name.
macro_rules! stages {
    ($($stage:ident: $($client:ident)*;)*) => { $(mod $stage {
        $(#[tokio::test]
        async fn $client() {
            crate::perform_all(&mut crate::clients::$client(), &crate::Stage::$stage()).await;
        })*
    })* };
}

stages! {
    portpass: docker skopeo buildah podman containerd helm;
    portpass_over_tls: docker skopeo buildah podman containerd helm;
    distribution_with_x5c: docker skopeo buildah podman containerd helm;
    distribution_with_libtrust: docker skopeo buildah podman containerd helm;
    portpass_with_foreign_tokens: docker skopeo buildah podman containerd helm;
    portpass_with_htpasswd: docker skopeo buildah podman containerd helm;
}
