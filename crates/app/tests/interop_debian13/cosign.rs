//! cosign: signatures and attestations beside what they are about. Offline: no log, no certificates.

use portpass_testkit::{Client as _, Image};

use crate::{
    page,
    stage::{ACCOUNT, PASSWORD},
    world::{Tool, World},
};

#[tokio::test]
async fn signatures_and_attestations_lie_beside_the_image() {
    let world = World::new();
    let (legacy, referred) = (world.image("legacy:1.0.0"), world.image("referred:1.0.0"));
    for (image, greeting) in [(&legacy, "one"), (&referred, "two")] {
        world.skopeo().push(&world.layout(greeting), image).expect_success();
    }
    let cosign = Tool::new("cosign");
    login(&world, &cosign);
    generate_keys(&cosign);
    sign(&world, &cosign, &legacy).await;
    attest(&world, &cosign, &legacy).await;
    sign_with_referrers(&world, &cosign, &referred).await;
    page::tell_versions(&["cosign"]);
}

fn login(world: &World, cosign: &Tool) {
    let login = ["login", "--username", ACCOUNT, "--password-stdin", &world.place.host];
    cosign.run_with_input(&login, PASSWORD).expect_success();
    World::saw("cosign", "`login`");
}

fn generate_keys(cosign: &Tool) {
    cosign.run_with_input(&["generate-key-pair"], KEY_PASSWORD).expect_success();
    assert!(cosign.at("cosign.key").exists() && cosign.at("cosign.pub").exists());
    World::saw("cosign", "`generate-key-pair`");
}

/// A tag made of the image's digest points at the signature.
async fn sign(world: &World, cosign: &Tool, image: &Image) {
    let name = by_digest(world, image).await;
    verify(cosign, &name, &[]).expect_failure();
    cosign
        .run_with_input(&[&["sign"], &SIGNING[..], &[&name]].concat(), KEY_PASSWORD)
        .expect_success();
    let signature = beside(world, image, "sig").await;
    assert!(world.auditor.manifest(&signature).await.is_some());
    World::saw("cosign", "`sign`");
    let verified = verify(cosign, &name, &[]);
    assert!(verified.expect_success().stdout.contains(digest_in(&name)), "{verified}");
    World::saw("cosign", "`verify`");
}

async fn attest(world: &World, cosign: &Tool, image: &Image) {
    cosign.write("predicate.json", r#"{ "reviewed": true }"#);
    let name = by_digest(world, image).await;
    let of = ["--type", "custom", "--predicate", "predicate.json", &name];
    cosign
        .run_with_input(&[&["attest"], &SIGNING[..], &of].concat(), KEY_PASSWORD)
        .expect_success();
    let attestation = beside(world, image, "att").await;
    assert!(world.auditor.manifest(&attestation).await.is_some());
    World::saw("cosign", "`attest`");
    let words = [&["verify-attestation"], &VERIFYING[..], &["--type", "custom", &name]].concat();
    cosign.run(&words).expect_success();
    World::saw("cosign", "`verify-attestation`");
}

/// No tag: the registry itself lists the signature (distribution specification, "Listing Referrers").
async fn sign_with_referrers(world: &World, cosign: &Tool, image: &Image) {
    let name = by_digest(world, image).await;
    let mode = ["--registry-referrers-mode=oci-1-1", &name];
    let words = [&["sign"], &SIGNING[..], &mode].concat();
    let mut command = cosign.home.command("cosign");
    command.args(words).env("COSIGN_EXPERIMENTAL", "1");
    portpass_testkit::run(&mut command, KEY_PASSWORD).expect_success();
    let referrers = world.referrers(image).await;
    let [signature] = &referrers[..] else { panic!("{referrers:?}") };
    assert_eq!(signature.kind, "application/vnd.dev.cosign.artifact.sig.v1+json");
    let tag = beside(world, image, "sig").await;
    assert!(world.auditor.manifest(&tag).await.is_none(), "a tag would do without referrers");
    World::saw("cosign", "`sign --registry-referrers-mode=oci-1-1`");
    let verified = verify(cosign, &name, &["--experimental-oci11"]);
    assert!(verified.expect_success().stdout.contains(digest_in(&name)), "{verified}");
    World::saw("cosign", "`verify --experimental-oci11`");
}

fn verify(cosign: &Tool, name: &str, flags: &[&str]) -> portpass_testkit::CommandOutput {
    cosign.run(&[&["verify"], &VERIFYING[..], flags, &[name]].concat())
}

/// `HOST:PORT/REPOSITORY@DIGEST`: what is signed is the content.
async fn by_digest(world: &World, image: &Image) -> String {
    let digest = world.digest(image).await;
    format!("{}/{}@{digest}", image.place.host, image.repository())
}

fn digest_in(name: &str) -> &str {
    name.split_once('@').unwrap().1
}

/// `REPOSITORY:sha256-HEX.KIND`
async fn beside(world: &World, image: &Image, kind: &str) -> Image {
    let digest = world.digest(image).await;
    world.place.image(&format!("{}:sha256-{}.{kind}", image.repository(), digest.hex()))
}

/// Of the private key.
const KEY_PASSWORD: &str = "for this key alone";
const SIGNING: [&str; 6] = [
    "--key",
    "cosign.key",
    "--yes",
    "--tlog-upload=false",
    "--allow-http-registry",
    "--allow-insecure-registry",
];
const VERIFYING: [&str; 5] = [
    "--key",
    "cosign.pub",
    "--insecure-ignore-tlog",
    "--allow-http-registry",
    "--allow-insecure-registry",
];
