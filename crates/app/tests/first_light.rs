//! The embedded default with real clients: log in, push, pull, run, restart, pull again.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path};

use portpass_protocol::Digest;
use portpass_testkit::{Client as _, Dockerd, Layout, Portpass, RegistryAddress, Skopeo};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

fn serve() -> Portpass {
    Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"])
}

/// The password that the first start made.
fn admin_password(portpass: &Portpass) -> String {
    let file = portpass.folder().join("data/admin-password");
    fs::read_to_string(file).unwrap().trim().to_owned()
}

/// skopeo, logged in as the administrator.
fn skopeo(portpass: &Portpass) -> Skopeo {
    let mut skopeo = Skopeo::default();
    let login = skopeo.login(&place(portpass), "admin", &admin_password(portpass));
    login.unwrap().expect_success();
    skopeo
}

fn place(portpass: &Portpass) -> RegistryAddress {
    RegistryAddress::plain(portpass.address())
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
    let layout = Layout::runnable(scratch.path(), "first light");
    docker.load(&layout, "amd64", "hello:loaded");

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
    let skopeo = skopeo(&portpass);
    let scratch = tempfile::tempdir().unwrap();
    let into = scratch.path().join("in");
    let layout = Layout::multi_arch(&into, &["amd64", "arm64", "s390x"]);
    let image = place(&portpass).image("team/app:v1");
    skopeo.push(&layout, &image).expect_success();
    let out = scratch.path().join("out");
    let (from, to) = (format!("docker://{image}"), format!("oci:{}:v1", out.display()));
    skopeo.run(&["copy", "--all", "--src-tls-verify=false", &from, &to]).expect_success();

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
    let owner = skopeo(&portpass);
    let stranger = Skopeo::default();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
    let (public, private) = ("public/app:v1", "private/app:v1");
    let [public, private] = [public, private].map(|name| place(&portpass).image(name));
    for image in [&public, &private] {
        owner.push(&layout, image).expect_success();
    }
    stranger.pull(&public).ran.expect_success();
    stranger.pull(&private).ran.expect_failure();
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
    third.wait_for_log(&["the password of `admin` is in", "other/admin-password"]);
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
