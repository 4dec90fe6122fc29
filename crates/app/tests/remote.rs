//! `tags`, `catalog` and `delete` against a running server, with the rights to it and without.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path, sync::Arc};

use futures_util::{StreamExt as _, stream};
use portpass_client::{
    Descriptor, Manifest, Mounted, Registry, Repository, Session, SystemClock,
    credentials::{CredentialFiles, CredentialPaths},
    repository::Error,
};
use portpass_protocol::Digest;
use portpass_testkit::{Portpass, program::CommandOutput};
use tokio::runtime::Runtime;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

const CONFIGURATION: &str = "\
data: {folder}/data
http: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  services: [ { name: registry } ]
  accounts: [ local: {} ]
  anonymous: true
  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push], repository: \"public/**\", to: \"user:ann\" }
    - { allow: [pull, push], repository: \"ann/**\", to: \"user:ann\" }
    - { allow: [\"*\"], repository: \"**\", to: \"user:root\" }
    - { allow: [\"*\"], registry: catalog, to: \"user:root\" }
";
const PASSWORD: &str = "correct horse battery staple";
const CONTENT: &[u8] = b"{}";
const OCI: &str = "application/vnd.oci.image";

/// A server with two accounts.
fn serve() -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portpass.yml");
    let here = folder.path().to_str().unwrap().to_owned();
    fs::write(&file, CONFIGURATION.replace("{folder}", &here)).unwrap();
    let arguments = ["--config", "{folder}/portpass.yml"];
    let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
    for name in ["root", "ann"] {
        let add = ["user", "add", name, "--password-stdin", "--config", "{folder}/portpass.yml"];
        portpass.command(&add, PASSWORD).expect_success();
    }
    portpass
}

/// Runs a command; `HOST` stands for the server.
fn run(portpass: &Portpass, words: &str, input: &str) -> CommandOutput {
    let host = portpass.address().to_string();
    let words: Vec<String> = words.split(' ').map(|word| word.replace("HOST", &host)).collect();
    portpass.command(&words.iter().map(String::as_str).collect::<Vec<_>>(), input)
}

fn log_in(portpass: &Portpass, name: &str) {
    run(portpass, &format!("login -u {name} --password-stdin HOST"), PASSWORD).expect_success();
}

/// A session with the credentials that the commands have kept.
fn session(portpass: &Portpass) -> Arc<Session> {
    let config = portpass.folder().join(".docker/config.json");
    let places = CredentialPaths { docker: Some(config), ..CredentialPaths::default() };
    let host = portpass.address().to_string().parse().unwrap();
    let files = Arc::new(CredentialFiles::new(places));
    let registry = Registry::new(host, Arc::default(), files, Arc::new(SystemClock));
    Arc::new(Session::new(registry))
}

fn remote(session: &Arc<Session>, name: &str) -> Repository {
    Repository::new(Arc::clone(session), name.parse().unwrap())
}

fn blob() -> Descriptor {
    let media_type = format!("{OCI}.config.v1+json");
    Descriptor { media_type, digest: Digest::sha256(CONTENT), size: 2 }
}

/// An image without layers.
fn image() -> Manifest {
    let Descriptor { media_type, digest, size } = blob();
    let config = format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#);
    let kind = format!("{OCI}.manifest.v1+json");
    let text =
        format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{config},"layers":[]}}"#);
    Manifest::new(kind, text)
}

async fn push(remote: &Repository, tags: &[&str]) -> Result<(), Error> {
    if !remote.has_blob(&blob().digest).await? {
        let body = stream::iter([Ok(CONTENT.into())]).boxed();
        remote.put_blob(&blob(), body).await?;
    }
    for tag in tags {
        remote.put_manifest(&tag.parse().unwrap(), &image()).await?;
    }
    Ok(())
}

#[test]
fn content_goes_up_and_comes_down_as_it_was() {
    let portpass = serve();
    log_in(&portpass, "ann");
    let session = session(&portpass);
    Runtime::new().unwrap().block_on(async {
        let app = remote(&session, "ann/app");
        let tag = "v1".parse().unwrap();
        assert_eq!(app.head_manifest(&tag).await.unwrap(), None);
        push(&app, &["v1"]).await.unwrap();
        assert_eq!(app.manifest(&tag).await.unwrap(), image());
        assert_eq!(app.head_manifest(&tag).await.unwrap(), Some(image().descriptor()));
        for (from, expected) in [(0, "{}"), (1, "}")] {
            let pieces: Vec<_> = app.blob(&blob(), from).await.unwrap().collect().await;
            let read: Vec<u8> = pieces.into_iter().flat_map(Result::unwrap).collect();
            assert_eq!(read, expected.as_bytes());
        }
        let source = "ann/app".parse().unwrap();
        let digest = blob().digest;
        let copy = remote(&session, "ann/copy");
        assert_eq!(copy.mount_blob(&digest, &source).await.unwrap(), Mounted::Yes);
        assert!(copy.has_blob(&digest).await.unwrap());
        // Where it is not, or may not be taken from, it has to be sent.
        let other = remote(&session, "ann/other");
        let nowhere = "ann/nowhere".parse().unwrap();
        assert_eq!(other.mount_blob(&digest, &nowhere).await.unwrap(), Mounted::No);
        let hidden = "root/hidden".parse().unwrap();
        assert_eq!(other.mount_blob(&digest, &hidden).await.unwrap(), Mounted::No);
        let error = push(&remote(&session, "root/app"), &["v1"]).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
    });
}

#[test]
fn tags_and_repositories_are_listed_and_deleted_by_those_who_may() {
    let portpass = serve();
    log_in(&portpass, "ann");
    let ann = session(&portpass);
    Runtime::new().unwrap().block_on(async {
        for name in ["ann/app", "public/app"] {
            push(&remote(&ann, name), &["v1", "v2", "v3"]).await.unwrap();
        }
    });
    let listed = run(&portpass, "tags HOST/ann/app", "");
    assert_eq!(listed.expect_success().stdout, "v1\nv2\nv3\n");
    assert_eq!(listed.stderr, "");
    // It is loud each time.
    let unchecked = run(&portpass, "tags HOST/ann/app --tls-verify=false", "");
    assert!(unchecked.expect_success().stderr.contains("is not checked"), "{unchecked}");
    let json = run(&portpass, "tags HOST/public/app --json", "");
    let json: serde_json::Value = serde_json::from_str(&json.expect_success().stdout).unwrap();
    assert_eq!(json["tags"], serde_json::json!(["v1", "v2", "v3"]));

    for refused in ["catalog HOST", "delete HOST/ann/app:v1"] {
        let ran = run(&portpass, refused, "");
        ran.expect_failure();
        assert!(ran.stderr.contains("is not granted to ann"), "{ran}");
        assert!(ran.stderr.contains("hint: log in as a user with that right"), "{ran}");
    }
    run(&portpass, "logout HOST", "").expect_success();
    assert_eq!(run(&portpass, "tags HOST/public/app", "").expect_success().stdout, "v1\nv2\nv3\n");
    let ran = run(&portpass, "tags HOST/ann/app", "");
    ran.expect_failure();
    assert!(ran.stderr.contains("not granted to anonymous users"), "{ran}");

    log_in(&portpass, "root");
    assert_eq!(run(&portpass, "catalog HOST", "").expect_success().stdout, "ann/app\npublic/app\n");
    run(&portpass, "delete HOST/ann/app:v1", "").expect_success();
    assert_eq!(run(&portpass, "tags HOST/ann/app", "").stdout, "v2\nv3\n");
    let digest = image().digest;
    run(&portpass, &format!("delete HOST/ann/app@{digest}"), "").expect_success();
    let ran = run(&portpass, &format!("delete HOST/ann/app@{digest}"), "");
    ran.expect_failure();
    assert!(ran.stderr.contains("404"), "{ran}");
}

#[test]
fn what_is_not_named_is_not_deleted() {
    let portpass = serve();
    let digest = image().digest;
    for unclear in ["HOST/ann/app".to_owned(), format!("HOST/ann/app:v1@{digest}")] {
        let ran = run(&portpass, &format!("delete {unclear}"), "");
        assert_eq!(ran.status, Some(2), "{ran}");
    }
    assert_eq!(run(&portpass, "tags HOST/ann/app:v1", "").status, Some(2));
}
