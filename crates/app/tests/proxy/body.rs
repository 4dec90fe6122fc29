//! Layers on their way through a proxy that measures or keeps them.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portpass_testkit::{Nginx, run};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::json;

use super::{World, documented, swap, without};

/// An archive of 8 MB that no compression makes smaller, as skopeo names it.
fn large_layer(folder: &Path) -> String {
    let mut noise = Vec::new();
    File::open("/dev/urandom").unwrap().take(8 * 1024 * 1024).read_to_end(&mut noise).unwrap();
    std::fs::write(folder.join("noise"), noise).unwrap();
    let archive = folder.join("layer.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(folder).arg("noise");
    run(&mut tar, "").expect_success();
    format!("tarball:{}", archive.display())
}

#[test]
fn a_layer_above_the_proxys_limit_is_refused_by_the_proxy_and_the_log_says_where_to_look() {
    let server = swap(&documented("nginx"), "client_max_body_size 0", "client_max_body_size 1m");
    let mut world = World::new(&documented("yaml"), &server);
    world.login_as_admin().expect_success();
    let scratch = tempfile::tempdir().unwrap();
    let refused = world.push(&large_layer(scratch.path()), "admin/app:v1");
    assert!(refused.expect_failure().stderr.contains("413"), "{refused}");
    world.nginx.wait_for_error("too large chunked body");
    // It had sent the first megabyte on.
    world.portpass.wait_for_log(&["PATCH", "body-broken", "client_max_body_size"]);
}

#[test]
fn a_proxy_that_buffers_keeps_a_layer_above_its_limit_to_itself() {
    let server = swap(&documented("nginx"), "client_max_body_size 0", "client_max_body_size 1m");
    let mut world = World::new(&documented("yaml"), &without(&server, "proxy_request_buffering"));
    world.login_as_admin().expect_success();
    let scratch = tempfile::tempdir().unwrap();
    let refused = world.push(&large_layer(scratch.path()), "admin/app:v1");
    assert!(refused.expect_failure().stderr.contains("413"), "{refused}");
    world.nginx.wait_for_error("too large chunked body");
    assert_eq!(world.lines_with("PATCH"), 0);
}

#[test]
fn the_documented_proxy_takes_a_large_layer_whether_or_not_it_buffers() {
    let scratch = tempfile::tempdir().unwrap();
    let layer = large_layer(scratch.path());
    for server in [documented("nginx"), without(&documented("nginx"), "proxy_request_buffering")] {
        let mut world = World::new(&documented("yaml"), &server);
        world.login_as_admin().expect_success();
        world.push(&layer, "admin/app:v1").expect_success();
    }
}

/// R14: a token counts at the beginning of a request. A proxy that keeps the body back moves the
/// beginning behind the last byte, and a slow upload behind the token's end.
#[tokio::test]
async fn a_token_that_expires_during_an_upload_counts_unless_the_proxy_keeps_the_body_back() {
    let issuer = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let plain = swap(&without(&documented("nginx"), "ssl_"), "443 ssl", "443");
    let world = World::trusting(&issuer, &plain);
    let upstream = world.portpass.address().to_string();
    let buffering = without(&plain, "proxy_request_buffering");
    // Without HTTP/1.1 towards us, the line that forbids buffering does nothing.
    let outdated = without(&plain, "proxy_http_version");
    let other = |server: &str| {
        Nginx::start(&swap(&swap(server, "443", "{address}"), "127.0.0.1:5000", &upstream))
    };
    let (buffering, outdated) = (other(&buffering), other(&outdated));

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = token_of(&issuer, SECONDS_LEFT);
    let mut uploads = Vec::new();
    for (nginx, status) in [(&world.nginx, "202"), (&buffering, "401"), (&outdated, "401")] {
        let request = client.post(format!("http://{upstream}/v2/x/blobs/uploads/"));
        let begun = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(begun.status(), 202);
        let location = begun.headers()["location"].to_str().unwrap().to_owned();
        let mut stream = TcpStream::connect(nginx.address()).unwrap();
        write!(
            stream,
            "PATCH {location} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nlayer\r\n",
            nginx.address()
        )
        .unwrap();
        uploads.push((stream, location, status));
    }

    let tags = format!("http://{upstream}/v2/x/tags/list");
    while client.get(&tags).bearer_auth(&token).send().await.unwrap().status() != 401 {}

    for (mut stream, location, status) in uploads {
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let reason = if status == "401" { "token-expired" } else { "status=202" };
        world.portpass.wait_for_log(&["PATCH", &location, reason]);
    }
}

impl World {
    /// A registry alone, which takes tokens of this issuer.
    fn trusting(issuer: &KeyPair, server: &str) -> Self {
        let keys = tempfile::NamedTempFile::new().unwrap();
        let key = URL_SAFE_NO_PAD.encode(issuer.der_bytes());
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KEY, "x": key }] });
        std::fs::write(keys.path(), set.to_string()).unwrap();
        let configuration = format!(
            "registry:\n  auth:\n    token:\n      realm: http://127.0.0.1/token\n      \
             service: registry\n      issuer: {KEY}\n      jwks: {}\n",
            keys.path().display()
        );
        Self::new(&configuration, server)
    }
}

/// A token for the repository `x` that is taken for so many seconds more.
#[expect(clippy::disallowed_methods, reason = "a server in a process of its own has the true time")]
fn token_of(issuer: &KeyPair, seconds_left: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": KEY });
    let claims = json!({
        "iss": KEY,
        "aud": "registry",
        "sub": "ann",
        "exp": now + seconds_left - FORGIVEN,
        "access": [{ "type": "repository", "name": "x", "actions": ["pull", "push"] }],
    });
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// The issuer and its key.
const KEY: &str = "elsewhere";

/// Enough to begin three uploads on a busy machine; the test waits for its end.
const SECONDS_LEFT: u64 = 5;

/// T11: seconds after its end during which a registry still takes a token.
const FORGIVEN: u64 = 60;
