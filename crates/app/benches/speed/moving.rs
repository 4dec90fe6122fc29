//! From distribution to us: an import of its storage by hard links, beside `skopeo sync` between the two.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use portpass_protocol::Digest;
use portpass_testkit::{Distribution, Portpass, run};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{PROGRAM, wire::Connection};

const REPOSITORIES: usize = 20;
const TAGS: usize = 500;
/// Bytes of what each image has for itself, beside a configuration; one more layer all of them have.
const LAYER: usize = 1024;

/// How long each way takes, with the same storage; the median of three imports, and one `skopeo sync`.
pub(crate) fn table() -> Vec<String> {
    let storage = tempfile::tempdir().unwrap();
    let old = Distribution::open_on(storage.path());
    fill(old.address());
    let mut imports: Vec<Duration> = (0..crate::ROUNDS).map(|_| import(storage.path())).collect();
    imports.sort();
    let imported = imports[imports.len() / 2];
    let synced = sync(old.address());
    let row = |way: &str, took: Duration| {
        let seconds = took.as_secs_f64();
        let rate = (REPOSITORIES * TAGS) as f64 / seconds;
        let ratio = seconds / imported.as_secs_f64();
        format!("| {way} | {seconds:.2} s | {rate:.0} | {ratio:.1} × |")
    };
    vec![
        "| way | 10 000 manifests | manifests/s | time vs. import |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
        row("`import storage --link`", imported),
        row("`skopeo sync`", synced),
    ]
}

fn fill(old: SocketAddr) {
    let mut connection = Connection::open(old, None);
    let shared = vec![7; 64 * LAYER];
    for repository in 0..REPOSITORIES {
        let shared_layer = push(&mut connection, repository, &shared);
        for tag in 0..TAGS {
            let number = repository * TAGS + tag;
            let config = json!({ "architecture": "amd64", "os": "linux", "number": number });
            let config = push(&mut connection, repository, config.to_string().as_bytes());
            let mut layer = vec![0; LAYER];
            layer[..8].copy_from_slice(&(number as u64).to_be_bytes());
            let layer = push(&mut connection, repository, &layer);
            let descriptor = |kind: &str, (digest, size): &(Digest, usize)| json!({ "mediaType": kind, "digest": digest, "size": size });
            let kind = "application/vnd.oci.image.layer.v1.tar";
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
                "layers": [descriptor(kind, &shared_layer), descriptor(kind, &layer)],
            });
            let target = format!("/v2/team/app{repository}/manifests/v{tag}");
            let headers = [("Content-Type", MANIFEST)];
            connection.expect(201, ("PUT", &target), &headers, manifest.to_string().as_bytes());
        }
    }
}

fn push(connection: &mut Connection, repository: usize, blob: &[u8]) -> (Digest, usize) {
    let digest = Digest::sha256(blob);
    let target = format!("/v2/team/app{repository}/blobs/uploads/");
    let begun = connection.expect(202, ("POST", &target), &[], b"");
    let location = begun.header("location").unwrap();
    let path = location
        .split_once("://")
        .map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let joint = if path.contains('?') { '&' } else { '?' };
    let target = format!("{path}{joint}digest={digest}");
    let headers = [("Content-Type", "application/octet-stream")];
    connection.expect(201, ("PUT", &target), &headers, blob);
    (digest, blob.len())
}

/// Into a new installation; from the start of the command to its end.
fn import(storage: &Path) -> Duration {
    let folder = folder();
    let file = folder.path().join("portpass.yml");
    let mut command = Command::new(PROGRAM);
    command.args(["import", "storage"]).arg(storage).args(["--link", "--json"]);
    let begun = Instant::now();
    let ran = run(command.arg("--config").arg(file), "");
    let took = begun.elapsed();
    let done: Value = serde_json::from_str(&ran.expect_success().stdout).unwrap();
    assert_eq!(done["manifests"], REPOSITORIES * TAGS, "{done:#}");
    assert_eq!(done["tags"], REPOSITORIES * TAGS);
    took
}

/// Into a new server, repository by repository, since skopeo asks no catalog.
fn sync(old: SocketAddr) -> Duration {
    let arguments = ["--config", "{folder}/portpass.yml"];
    let server = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder());
    let begun = Instant::now();
    for repository in 0..REPOSITORIES {
        let mut command = Command::new("skopeo");
        command.args(["sync", "--src", "docker", "--dest", "docker", "--all"]);
        command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        command.arg(format!("{old}/team/app{repository}"));
        run(command.arg(format!("{}/team", server.address())), "").expect_success();
    }
    let took = begun.elapsed();
    let mut connection = Connection::open(server.address(), None);
    for repository in 0..REPOSITORIES {
        let target = format!("/v2/team/app{repository}/tags/list?n=1000");
        let answer = connection.expect(200, ("GET", &target), &[], b"");
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer["tags"].as_array().unwrap().len(), TAGS);
    }
    took
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "data: {}\nhttp: {{ addr: 127.0.0.1:0 }}\nregistry: {{ auth: {{ none: {{}} }} }}\n",
        folder.path().join("data").display()
    );
    fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
    folder
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
