//! Over TLS, where both sides agree on HTTP/2.

use std::fs;

use portpass_testkit::{Certificates, Layout, Portpass};

use crate::world::{Mover, serve};

/// Registry and token service of our own, behind a certificate of an authority that nobody knows.
fn over_tls(certificates: &Certificates) -> Portpass {
    serve(&format!(
        "  tls: {{ certificate: {}, key: {} }}\nregistry: {{}}\ntoken_service: {{}}\n",
        certificates.certificate().display(),
        certificates.key().display(),
    ))
}

#[test]
fn an_image_goes_and_comes_over_http2() {
    let certificates = Certificates::new();
    let registry = over_tls(&certificates);
    let mover = Mover::default();
    let ca = certificates.ca().to_string_lossy().into_owned();
    mover.login_with(registry.address(), &["--ca", &ca]);
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large_multi_arch(scratch.path(), &["amd64", "arm64"], 4, 2_000_000);
    let image = format!("{}/ann/app:v1", registry.address());
    let pushed = mover.done(&["push", &layout.reference(), &image, "--ca", &ca]);
    let pulled = mover.done(&["pull", &image, "oci:app", "--ca", &ca]);
    assert_eq!(pushed["digest"], pulled["digest"]);
    assert_eq!(Layout::blobs(&mover.home().join("app")), Layout::blobs(layout.folder()));
    let copied = format!("{}/ann/other:v1", registry.address());
    let words = ["copy", &image, &copied, "--from-ca", &ca, "--to-ca", &ca];
    let done = mover.done(&words);
    assert_eq!(done["bytes"], 0, "{done}");
}

#[test]
fn an_authority_that_nobody_named_is_not_trusted() {
    let certificates = Certificates::new();
    let registry = over_tls(&certificates);
    let mover = Mover::default();
    let image = format!("{}/ann/app:v1", registry.address());
    let ran = mover.run(&["pull", &image, "oci:app"]);
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(ran.stderr.contains("is not trusted"), "{ran}");
    assert!(ran.stderr.contains("clients look: --ca FILE, /etc/docker"), "{ran}");
    let ran =
        mover.run(&["tags", &format!("{}/ann/app", registry.address()), "--tls-verify=false"]);
    assert!(ran.stderr.contains("warning: the certificate of"), "{ran}");
    let left: Vec<_> = fs::read_dir(mover.home().join("docker")).into_iter().flatten().collect();
    assert!(left.is_empty(), "it is stored nowhere: {left:?}");
}
