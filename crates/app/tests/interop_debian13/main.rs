//! Newer clients than this machine has, and some that it has not: run by hand, by `cargo xtask interop`.
//!
//! ```text
//! World    registry and token service in one, and an account
//! deeds    what every client does, as in `interop`
//! oras, cosign, docker, skopeo    what only newer clients can say
//! page     when, and with which packages
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod cosign;
mod docker;
mod oras;
mod page;
mod skopeo;
mod world;

#[path = "../interop/audit.rs"]
mod audit;
#[path = "../interop/deeds.rs"]
mod deeds;
#[path = "../interop/ledger.rs"]
mod ledger;
#[expect(dead_code, reason = "older clients are tried on more stages")]
#[path = "../interop/stage.rs"]
mod stage;

use portpass_testkit::{Buildah, Client, Containerd, Dockerd, Home, Podman, Skopeo};

use self::stage::Stage;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// All that the clients of `interop` do, done by their successors.
async fn perform_all(client: &mut dyn Client, packages: &[&str]) {
    let mut stage = Stage::portpass();
    stage.title = "portpass, with the clients of Debian 13";
    deeds::perform_all(client, &stage).await;
    page::tell_versions(packages);
}

#[tokio::test]
async fn docker() {
    let mut docker = Dockerd::start_at_home(Home::in_debian13());
    perform_all(&mut docker, &["docker.io", "docker-cli"]).await;
}

#[tokio::test]
async fn skopeo() {
    perform_all(&mut Skopeo::at_home(Home::in_debian13()), &["skopeo"]).await;
}

#[tokio::test]
async fn buildah() {
    perform_all(&mut Buildah::at_home(Home::in_debian13()), &["buildah"]).await;
}

#[tokio::test]
async fn podman() {
    perform_all(&mut Podman::at_home(Home::in_debian13()), &["podman"]).await;
}

#[tokio::test]
async fn containerd() {
    let mut containerd = Containerd::start_at_home(Home::in_debian13());
    perform_all(&mut containerd, &["containerd"]).await;
}
