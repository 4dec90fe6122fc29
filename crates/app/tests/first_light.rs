//! The embedded default with real clients: log in, push, pull, run, restart, pull again.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path, process::Command};

use portpass_protocol::Digest;
use portpass_testkit::{Dockerd, Layout, Portpass, Ran, run};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

fn serve() -> Portpass {
    Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"])
}

/// The password that the first start made.
fn admin_password(portpass: &Portpass) -> String {
    let file = portpass.folder().join("data/admin-password");
    fs::read_to_string(file).unwrap().trim().to_owned()
}

/// skopeo with a home of its own.
fn skopeo(home: &TempDir, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new("skopeo");
    command
        .args(arguments)
        .env("HOME", home.path())
        .env("XDG_RUNTIME_DIR", home.path())
        .env("REGISTRY_AUTH_FILE", home.path().join("auth.json"));
    run(&mut command, input)
}

#[test]
fn docker_logs_in_pushes_pulls_and_runs_and_its_identity_token_outlives_a_restart() {
    let mut portpass = serve();
    let docker = Dockerd::start();
    let registry = portpass.address().to_string();

    docker.login(&registry, "admin", "wrong").expect_failure();
    docker.login(&registry, "admin", &admin_password(&portpass)).expect_success();
    // TG7: docker keeps the refresh token and drops the password.
    assert!(docker.client_configuration().contains("identitytoken"));

    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("hello"), "first light");
    let archive = scratch.path().join("hello.tar");
    let archive = archive.to_str().unwrap();
    let home = tempfile::tempdir().unwrap();
    let to = format!("docker-archive:{archive}:hello:loaded");
    skopeo(&home, &["copy", &layout.reference(), &to], "").expect_success();
    docker.run(&["load", "--input", archive]).expect_success();

    let image = format!("{registry}/admin/hello:v1");
    docker.run(&["tag", "hello:loaded", &image]).expect_success();
    docker.run(&["push", &image]).expect_success();
    docker.run(&["rmi", &image, "hello:loaded"]).expect_success();
    docker.run(&["pull", &image]).expect_success();
    let greeting = docker.run(&["run", "--rm", "--network", "none", &image]);
    assert_eq!(greeting.expect_success().stdout.trim(), "first light");

    docker.run(&["rmi", &image]).expect_success();
    portpass.restart();
    assert_eq!(portpass.address().to_string(), registry);
    docker.run(&["pull", &image]).expect_success();
}

#[test]
fn skopeo_copies_a_multi_arch_index_in_and_out() {
    let portpass = serve();
    let registry = portpass.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let login =
        ["login", "--tls-verify=false", "--username", "admin", "--password-stdin", &registry];
    skopeo(&home, &login, &admin_password(&portpass)).expect_success();

    let scratch = tempfile::tempdir().unwrap();
    let into = scratch.path().join("in");
    let layout = Layout::multi_arch(&into, &["amd64", "arm64", "s390x"]);
    let image = format!("docker://{registry}/team/app:v1");
    skopeo(&home, &["copy", "--all", "--dest-tls-verify=false", &layout.reference(), &image], "")
        .expect_success();
    let out = scratch.path().join("out");
    let back = format!("oci:{}:v1", out.display());
    skopeo(&home, &["copy", "--all", "--src-tls-verify=false", &image, &back], "").expect_success();

    assert_eq!(Layout::digest_of_tag(&into), Layout::digest_of_tag(&out));
    assert_eq!(Layout::blobs(&into), Layout::blobs(&out));
    for blob in Layout::blobs(&out) {
        let content = fs::read(out.join("blobs/sha256").join(&blob)).unwrap();
        assert_eq!(Digest::sha256(&content).hex(), blob);
    }
}

#[test]
fn anyone_pulls_what_is_public_and_nobody_else_pulls_the_rest() {
    let portpass = serve();
    let registry = portpass.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let stranger = tempfile::tempdir().unwrap();
    let login =
        ["login", "--tls-verify=false", "--username", "admin", "--password-stdin", &registry];
    skopeo(&home, &login, &admin_password(&portpass)).expect_success();

    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(&scratch.path().join("in"), &["amd64"]);
    for repository in ["public/app", "private/app"] {
        let image = format!("docker://{registry}/{repository}:v1");
        skopeo(
            &home,
            &["copy", "--all", "--dest-tls-verify=false", &layout.reference(), &image],
            "",
        )
        .expect_success();
    }
    let inspect = |repository: &str| {
        let image = format!("docker://{registry}/{repository}:v1");
        skopeo(&stranger, &["inspect", "--raw", "--tls-verify=false", &image], "")
    };
    inspect("public/app").expect_success();
    inspect("private/app").expect_failure();
    portpass.wait_for_log(&["insufficient", "repository:private/app:pull"]);
}

#[test]
fn an_address_that_is_taken_is_said_to_be_with_what_to_do() {
    let portpass = serve();
    let address = portpass.address().to_string();
    let second = portpass.command(&["serve", "--data", "{folder}/other", "--addr", &address], "");
    second.expect_failure();
    assert!(second.stderr.contains(&format!("cannot listen on {address}")), "{second}");
    assert!(second.stderr.contains("hint: another process listens there"), "{second}");
    // What the start that failed has made is told by the one that succeeds.
    let third = Portpass::serve(
        Path::new(PROGRAM),
        &["--data", &format!("{}/other", portpass.folder().display()), "--addr", "127.0.0.1:0"],
    );
    third.wait_for_log(&["the password of `admin` stands in", "other/admin-password"]);
}

/// Two processes on one database would each believe that they are alone.
#[test]
fn a_second_server_on_the_same_data_is_refused_by_name() {
    let portpass = serve();
    let second =
        portpass.command(&["serve", "--data", "{folder}/data", "--addr", "127.0.0.1:0"], "");
    second.expect_failure();
    assert!(second.stderr.contains("data"), "{second}");
}
