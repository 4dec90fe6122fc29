//! Whoever does not know the authority speaks with nobody: what is checked is the certificate.

use portpass_testkit::{
    Buildah, Certificates, Client, Containerd, Helm, Place, Podman, Ran, Skopeo,
};

use crate::stage::{ACCOUNT, PASSWORD, Stage};

/// Tries with the authority of somebody else.
fn stranger(client: &mut dyn Client) {
    let stage = Stage::portpass_over_tls();
    let elsewhere = Certificates::new();
    let place = Place::tls(&stage.place.host, elsewhere.folder());
    let refused = |ran: &Ran| {
        ran.expect_failure();
        assert!(ran.stderr.contains("x509: certificate signed by unknown authority"), "{ran}");
    };
    match client.login(&place, ACCOUNT, PASSWORD) {
        Some(ran) => refused(&ran),
        None => refused(&client.pull(&place.image("ann/app:1")).ran),
    }
    assert!(!stage.log().contains("/token"), "no password was sent: {}", stage.log());
}

#[test]
fn skopeo() {
    stranger(&mut Skopeo::default());
}

#[test]
fn buildah() {
    stranger(&mut Buildah::default());
}

#[test]
fn podman() {
    stranger(&mut Podman::default());
}

#[test]
fn containerd() {
    stranger(&mut Containerd::start());
}

#[test]
fn helm() {
    stranger(&mut Helm::default());
}
