//! The servers that are measured, and what lies in them.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use portpass_protocol::Digest;
use portpass_testkit::{Distribution, Nginx, Portpass, Process, SeededRng, TrustedTokens, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wire::Connection;

/// One server, as a load sees it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub name: &'static str,
    pub address: SocketAddr,
    pub process: Process,
    /// What a request for the content needs.
    pub authorization: Option<String>,
}

impl Server {
    /// A connection for requests on the content.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address, self.authorization.as_deref())
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct World {
    pub scratch: TempDir,
    pub portpass: Portpass,
    /// Its rules are a thousand.
    pub ruled: Portpass,
    /// Asks for tokens.
    pub distribution: Distribution,
    /// Asks nobody for anything.
    pub open_distribution: Distribution,
    pub nginx: Nginx,
}

/// Where everything lies.
pub(crate) const REPOSITORY: &str = "admin/app";
/// How many small blobs there are.
pub(crate) const SMALL_BLOBS: u64 = 1000;
/// How many tags the one manifest has.
pub(crate) const TAGS: usize = 1000;
/// Bytes of the large blob.
pub(crate) const LARGE: usize = 100 * 1024 * 1024;

impl World {
    pub(crate) fn new(program: &Path) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let portpass = serve(program, CONFIGURATION);
        let rules: Vec<String> = (0..1000).map(rule).collect();
        let with_rules = serve(program, &format!("{CONFIGURATION}{}\n", rules.join("\n")));
        let root = portpass.command(&["signing-key", "export", "--data", "{folder}/data"], "");
        let bundle = scratch.path().join("root.crt");
        fs::write(&bundle, root.expect_success().stdout.as_bytes()).unwrap();
        let realm = format!("{}/token", portpass.url());
        let tokens =
            TrustedTokens { realm: &realm, service: SERVICE, issuer: ISSUER, bundle: &bundle };
        let distribution = Distribution::start(&tokens);
        let nginx = Nginx::with_workers(2, NGINX);
        Self {
            scratch,
            portpass,
            ruled: with_rules,
            distribution,
            open_distribution: Distribution::open(),
            nginx,
        }
    }

    /// Ours, with a token for the content that is checked at every request.
    pub(crate) fn ours(&self) -> Server {
        let token = token(&self.portpass, &format!("repository:{REPOSITORY}:pull,push,delete"));
        Server {
            name: "portpass",
            address: self.portpass.address(),
            process: Process(self.portpass.process_id()),
            authorization: Some(format!("Bearer {token}")),
        }
    }

    pub(crate) fn open_distribution(&self) -> Server {
        Server {
            name: "distribution, open",
            address: self.open_distribution.address(),
            process: Process(self.open_distribution.process_id()),
            authorization: None,
        }
    }

    pub(crate) fn distribution(&self) -> Server {
        Server {
            name: "distribution",
            address: self.distribution.address(),
            process: Process(self.distribution.process_id()),
            authorization: None,
        }
    }

    pub(crate) fn nginx(&self) -> Server {
        Server {
            name: "nginx",
            address: self.nginx.address(),
            process: Process(self.nginx.process_id()),
            authorization: None,
        }
    }

    /// The same content in all of them.
    pub(crate) fn fill(&self) -> Content {
        let content = Content::new();
        for server in [self.ours(), self.open_distribution()] {
            content.push(&mut server.connect());
        }
        content.write(self.nginx.folder());
        content
    }
}

/// `admin`'s, for this scope.
fn token(portpass: &Portpass, scope: &str) -> String {
    let mut connection = Connection::open(portpass.address(), Some(&basic(portpass)));
    let target = format!("/token?service={SERVICE}&scope={scope}");
    let answer = connection.expect(200, ("GET", &target), &[], b"");
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

/// `Basic …` of the account that every portpass makes for itself.
pub(crate) fn basic(portpass: &Portpass) -> String {
    use base64::Engine as _;
    let password = fs::read_to_string(portpass.folder().join("data/admin-password")).unwrap();
    let pair = format!("admin:{}", password.trim());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// `Basic …` of what a command makes: a robot, or an API key.
pub(crate) fn issued(portpass: &Portpass, words: &[&str]) -> String {
    use base64::Engine as _;
    let words = [words, &["--json", "--data", "{folder}/data"]].concat();
    let made = portpass.command(&words, "").expect_success().stdout.clone();
    let made: Value = serde_json::from_str(&made).unwrap();
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let pair = format!("{}:{}", text("username"), text("secret"));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// `Basic …` of an account in a password file of bcrypt with 1 024 rounds.
pub(crate) fn htpasswd() -> String {
    // ann:correct horse
    "Basic YW5uOmNvcnJlY3QgaG9yc2U=".to_owned()
}

/// What there is in every server.
#[derive(Debug)]
pub(crate) struct Content {
    small: Vec<Vec<u8>>,
    large: Vec<u8>,
    manifest: Vec<u8>,
}

impl Content {
    fn new() -> Self {
        let small: Vec<Vec<u8>> = (0..SMALL_BLOBS).map(|seed| noise(seed, 4096)).collect();
        let manifest = manifest(&small[..8]);
        Self { small, large: noise(SMALL_BLOBS, LARGE), manifest }
    }

    pub(crate) fn small_blobs(&self) -> Vec<String> {
        self.small.iter().map(|blob| blob_path(blob)).collect()
    }

    pub(crate) fn large_blob(&self) -> String {
        blob_path(&self.large)
    }

    pub(crate) fn by_tag() -> String {
        format!("/v2/{REPOSITORY}/manifests/{}", tag(0))
    }

    fn push(&self, connection: &mut Connection) {
        for blob in self.small.iter().chain([&self.large]) {
            push_blob(connection, &Digest::sha256(blob), blob);
        }
        for number in 0..TAGS {
            put_manifest(connection, &tag(number), &self.manifest);
        }
    }

    /// nginx has the same paths, as files.
    fn write(&self, folder: &Path) {
        let blobs = folder.join(format!("v2/{REPOSITORY}/blobs"));
        let manifests = folder.join(format!("v2/{REPOSITORY}/manifests"));
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&manifests).unwrap();
        for blob in self.small.iter().chain([&self.large]) {
            fs::write(blobs.join(Digest::sha256(blob).to_string()), blob).unwrap();
        }
        fs::write(manifests.join(tag(0)), &self.manifest).unwrap();
    }
}

/// In one body (OC12).
pub(crate) fn push_blob(connection: &mut Connection, digest: &Digest, blob: &[u8]) {
    let location = begin(connection);
    let target = finishing(&location, digest);
    connection.expect(201, ("PUT", &target), BYTES, blob);
}

/// In pieces of this many bytes (OC11).
pub(crate) fn push_blob_in_patches(
    connection: &mut Connection,
    digest: &Digest,
    blob: &[u8],
    piece: usize,
) {
    let mut location = begin(connection);
    let mut at = 0;
    for piece in blob.chunks(piece) {
        let range = format!("{at}-{}", at + piece.len() - 1);
        let headers = [BYTES[0], ("Content-Range", range.as_str())];
        let answer = connection.expect(202, ("PATCH", &location), &headers, piece);
        location = path_of(answer.header("location").unwrap());
        at += piece.len();
    }
    connection.expect(201, ("PUT", &finishing(&location, digest)), &[], b"");
}

fn begin(connection: &mut Connection) -> String {
    let target = format!("/v2/{REPOSITORY}/blobs/uploads/");
    let answer = connection.expect(202, ("POST", &target), &[], b"");
    path_of(answer.header("location").unwrap())
}

fn finishing(location: &str, digest: &Digest) -> String {
    let joint = if location.contains('?') { '&' } else { '?' };
    format!("{location}{joint}digest={digest}")
}

fn path_of(location: &str) -> String {
    let path = location
        .split_once("://")
        .map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    path.to_owned()
}

pub(crate) fn put_manifest(connection: &mut Connection, reference: &str, manifest: &[u8]) {
    let target = format!("/v2/{REPOSITORY}/manifests/{reference}");
    let headers = [("Content-Type", "application/vnd.oci.image.manifest.v1+json")];
    connection.expect(201, ("PUT", &target), &headers, manifest);
}

/// An image of these layers, the first of which is also its config; some 1.8 KB, as most are.
pub(crate) fn manifest(layers: &[Vec<u8>]) -> Vec<u8> {
    let descriptor = |media_type: &str, blob: &Vec<u8>| json!({ "mediaType": media_type, "digest": Digest::sha256(blob), "size": blob.len() });
    let layer = |blob| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob);
    let value = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &layers[0]),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    value.to_string().into_bytes()
}

pub(crate) fn tag(number: usize) -> String {
    format!("v{number:04}")
}

fn blob_path(blob: &[u8]) -> String {
    format!("/v2/{REPOSITORY}/blobs/{}", Digest::sha256(blob))
}

/// Bytes that differ from seed to seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    SeededRng::new(seed).bytes(length)
}

/// With accounts of a directory behind the local ones.
pub(crate) fn serve_with_directory(program: &Path, directory: SocketAddr) -> Portpass {
    let source = format!(
        "    - ldap:
        servers: [\"ldap://{directory}\"]
        base: dc=example,dc=org
        filter: \"(uid=${{account}})\"
  anonymous:"
    );
    serve(program, &CONFIGURATION.replace("  anonymous:", &source))
}

fn serve(program: &Path, configuration: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let hashed = run(Command::new("htpasswd").args(["-nbBC", "10", "ann", "correct horse"]), "");
    fs::write(folder.path().join("users.htpasswd"), &hashed.expect_success().stdout).unwrap();
    fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
    let arguments =
        ["--config", "{folder}/portpass.yml", "--data", "{folder}/data", "--addr", "127.0.0.1:0"];
    Portpass::serve_in(program, &arguments, folder)
}

const BYTES: &[(&str, &str)] = &[("Content-Type", "application/octet-stream")];

/// One of ten kinds, in turn: all that a rule can say is said a hundred times.
fn rule(number: usize) -> String {
    let said = match number % 10 {
        0 => format!("allow: [pull], repository: \"home{number}/${{account}}/**\", to: signed-in"),
        1 => format!("allow: [pull], repository: \"team{number}/**\", to: \"user:person{number}\""),
        2 => format!("allow: [push], repository: \"team{number}/**\", to: \"robot:ci-*\""),
        3 => format!(
            "allow: [pull], repository: \"team{number}/**\", to: \"group:local/dev\", from: [10.0.0.0/8, 127.0.0.0/8]"
        ),
        4 => format!(
            "allow: [pull], repository: \"team{number}/**\", to: \"group:team{number}\", service: registry"
        ),
        5 => format!(
            "allow: [pull], repository: \"team{number}/**\", to: \"group:local/*\", between: {{ hours: \"00:00-24:00\", zone: Europe/Berlin }}, expiration: 86400"
        ),
        6 => format!(
            "allow: [pull], repository: \"${{label:team}}/{number}\", to: signed-in, except: \"user:mallory\""
        ),
        7 => format!("allow: [pull], repository: \"groups{number}/${{group}}/*\", to: \"group:*\""),
        8 => format!(
            "deny: [push], repository: \"*/frozen{number}\", to: signed-in, from: 203.0.113.0/24"
        ),
        _ => format!(
            "allow: [pull], repository: \"team{number}/**\", to: signed-in, from: 127.0.0.0/8, expiration: 86400"
        ),
    };
    format!("    - {{ {said} }}")
}

/// What registries and token services are called.
pub(crate) const SERVICE: &str = "registry";
const ISSUER: &str = "portpass";

/// The defaults, but with tokens that outlive the measuring.
const CONFIGURATION: &str = "\
registry: {}
token_service:
  expiration: 86400
  services:
    - { name: registry, key_id: x5c }
  accounts:
    - local: {}
    - htpasswd: { path: users.htpasswd }
  anonymous: true
  policy:
    - { allow: [\"*\"], repository: \"**\", to: \"user:local/admin\" }
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push, delete], repository: \"${account}/**\", to: signed-in }
";

/// As in production: with a log, and files that the kernel sends by itself.
const NGINX: &str = "
sendfile on;
tcp_nopush on;
keepalive_requests 1000000000;
server {
    listen {address};
    location / { root .; default_type application/octet-stream; }
}
";
