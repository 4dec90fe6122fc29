//! The service behind an nginx that asks for a certificate.

use std::fs;

use portpass_testkit::{Certificates, Nginx};

use crate::{
    service::Service,
    world::{PASSWORD, TEAM, World},
};

/// As `docs/http-accounts.md` has it.
fn nginx(certificates: &Certificates, service: &Service) -> Nginx {
    Nginx::start(&format!(
        "server {{
            listen {{address}} ssl;
            ssl_certificate {};
            ssl_certificate_key {};
            ssl_client_certificate {};
            ssl_verify_client on;
            location / {{ proxy_pass {}; }}
        }}",
        certificates.certificate().display(),
        certificates.key().display(),
        certificates.ca().display(),
        service.url(),
    ))
}

#[tokio::test]
async fn a_service_behind_tls_is_asked_with_a_certificate_and_without_one_says_nothing() {
    let (service, certificates) = (Service::start(), Certificates::new());
    let nginx = nginx(&certificates, &service);
    let url =
        format!("        url: https://{}/\n        bearer_token_file: token\n", nginx.address());
    let ca = format!("        ca: {}\n", certificates.ca().display());
    let client = format!(
        "        client: {{ certificate: {}, key: {} }}\n",
        certificates.client_certificate().display(),
        certificates.client_key().display()
    );
    let world = World::with(&format!("{url}{ca}{client}"));
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);

    let without = World::with(&format!("{url}{ca}"));
    let unavailable = without.token("ann", PASSWORD, TEAM).await;
    without.explains(unavailable.is_unavailable(), &["answered 400 Bad Request"]);
}

#[tokio::test]
async fn a_service_that_another_authority_signed_for_gets_no_password() {
    let (service, theirs, ours) = (Service::start(), Certificates::new(), Certificates::new());
    let nginx = nginx(&theirs, &service);
    let url = format!("        url: https://{}/\n", nginx.address());
    for ca in [String::new(), format!("        ca: {}\n", ours.ca().display())] {
        let world = World::with(&format!("{url}{ca}"));
        let answer = world.token("ann", PASSWORD, TEAM).await;
        let hint = "`ca` has to name the authority that signed the certificate";
        world.explains(answer.is_unavailable(), &[hint]);
    }
    assert_eq!(nginx.access_log(), "");
    let tokens = fs::read_to_string(nginx.folder().join("error.log")).unwrap_or_default();
    assert!(!tokens.contains(PASSWORD));
}
