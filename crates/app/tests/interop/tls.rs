//! Whoever does not know the authority speaks with nobody: what is checked is the certificate.

use portpass_testkit::{Certificates, Client, CommandOutput, RegistryAddress};

use crate::{
    clients,
    stage::{ACCOUNT, PASSWORD, Stage},
};

/// Tries with the authority of somebody else.
fn stranger(client: &mut dyn Client) {
    let stage = Stage::portpass_over_tls();
    let elsewhere = Certificates::new();
    let place = RegistryAddress::tls(&stage.place.host, elsewhere.folder());
    let refused = |ran: &CommandOutput| {
        ran.expect_failure();
        assert!(ran.stderr.contains("x509: certificate signed by unknown authority"), "{ran}");
    };
    match client.login(&place, ACCOUNT, PASSWORD) {
        Some(ran) => refused(&ran),
        None => refused(&client.pull(&place.image("ann/app:1")).ran),
    }
    assert!(!stage.log().contains("/token"), "no password was sent: {}", stage.log());
}

/// docker is not here: on loopback it checks no certificates.
macro_rules! strangers {
    ($($client:ident)*) => { $(#[test]
    fn $client() {
        stranger(&mut clients::$client());
    })* };
}

strangers! { skopeo buildah podman containerd helm }
