//! A pull secret as `robot add --output docker-config` prints it, put where each client looks for it.

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use portpass_testkit::{Buildah, Client, Containerd, Dockerd, Helm, Layout, Podman, Skopeo};
use reqwest::StatusCode;
use serde_json::Value;

use crate::world::World;

/// The secret's file, and the world that it is for.
fn docker_config() -> (World, String) {
    let world = World::new();
    let ran = world.manage(&[
        "robot",
        "add",
        "ci",
        "--allow",
        "pull,push",
        "--repository",
        "team/app-*",
        "--output",
        "docker-config",
        "--registry",
        &world.place.host,
    ]);
    (world, ran.stdout)
}

/// `NAME:SECRET` in the file.
fn pair(world: &World, config: &str) -> (String, String) {
    let config: Value = serde_json::from_str(config).unwrap();
    let auth = config["auths"][&world.place.host]["auth"].as_str().unwrap();
    let pair = String::from_utf8(BASE64_STANDARD.decode(auth).unwrap()).unwrap();
    let (name, secret) = pair.split_once(':').unwrap();
    (name.to_owned(), secret.to_owned())
}

fn put(config: &str, file: &Path) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, config).unwrap();
}

/// Pushes to a repository of the robot, pulls it back, and is refused beside it.
fn push_and_pull(client: &dyn Client, world: &World) {
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    let image = world.image("team/app-1");
    client.push(&layout, &image).expect_success();
    client.pull(&image).ran.expect_success();
    client.push(&layout, &world.image("team/other")).expect_failure();
    let log = world.portpass.log();
    assert!(log.contains("robot-ci"), "{log}");
    assert!(!log.contains("ppb_"), "a secret is in the log");
}

#[test]
fn docker_works_with_it_and_keeps_it() {
    let (world, config) = docker_config();
    let docker = Dockerd::start();
    put(&config, &docker.configuration_file());
    push_and_pull(&docker, &world);
    assert_eq!(docker.client_configuration(), config);
}

/// docker asks for a refresh token at a login. It gets none, so it keeps name and secret for all other programs.
#[test]
fn docker_login_leaves_what_skopeo_reads() {
    let (world, config) = docker_config();
    let (name, secret) = pair(&world, &config);
    let docker = Dockerd::start();
    docker.login(&world.place.host, &name, &secret).expect_success();
    let kept = docker.client_configuration();
    assert!(!kept.contains("identitytoken"), "{kept}");
    assert_eq!(pair(&world, &kept), (name, secret));
    let skopeo = Skopeo::default();
    put(&kept, &skopeo.home().auth_file());
    push_and_pull(&skopeo, &world);
}

#[test]
fn skopeo_works_with_it() {
    let (world, config) = docker_config();
    let skopeo = Skopeo::default();
    put(&config, &skopeo.home().auth_file());
    push_and_pull(&skopeo, &world);
}

#[test]
fn podman_works_with_it() {
    let (world, config) = docker_config();
    let podman = Podman::default();
    put(&config, &podman.home().auth_file());
    push_and_pull(&podman, &world);
}

#[test]
fn buildah_works_with_it() {
    let (world, config) = docker_config();
    let buildah = Buildah::default();
    put(&config, &buildah.home().auth_file());
    push_and_pull(&buildah, &world);
}

#[test]
fn helm_works_with_it() {
    let (world, config) = docker_config();
    let helm = Helm::default();
    put(&config, &helm.home().docker_folder().join("config.json"));
    push_and_pull(&helm, &world);
}

/// `ctr` reads no file: it takes name and secret with each command, and POSTs them.
#[test]
fn containerd_works_with_it() {
    let (world, config) = docker_config();
    let (name, secret) = pair(&world, &config);
    let mut containerd = Containerd::start();
    assert!(containerd.login(&world.place, &name, &secret).is_none());
    push_and_pull(&containerd, &world);
}

/// Our own client reads docker's file too.
#[test]
fn portpass_works_with_it() {
    let (world, config) = docker_config();
    let (name, secret) = pair(&world, &config);
    let login = ["login", "--username", &name, "--password-stdin", &world.place.host];
    world.portpass.command(&login, &secret).expect_success();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    let folder = format!("oci:{}", layout.folder().display());
    let image = world.image("team/app-1").to_string();
    world.portpass.command(&["push", &folder, &image], "").expect_success();
}

/// crane asks the registry, then the realm by GET with Basic and one scope, whatever the registry says later.
#[tokio::test]
async fn crane_like_clients_work_with_it() {
    let (world, config) = docker_config();
    let (name, secret) = pair(&world, &config);
    let answer = world.token(&name, &secret, "repository:team/app-1:push,pull").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body.get("refresh_token"), None);
    let tags = "/v2/team/app-1/tags/list";
    assert_eq!(world.ask(tags, answer.token()).await, StatusCode::NOT_FOUND, "it may look");
    let outside = world.token(&name, &secret, "repository:team/other:pull").await;
    let tags = "/v2/team/other/tags/list";
    assert_eq!(world.ask(tags, outside.token()).await, StatusCode::UNAUTHORIZED);
}

/// The other two forms carry the same name and secret.
#[test]
fn a_kubernetes_secret_and_variables_carry_the_same() {
    let world = World::new();
    let host = world.place.host.clone();
    let add = |name: &str, form: &str| {
        let words = ["robot", "add", name, "--allow", "pull", "--repository", "team/**"];
        let words = [&words[..], &["--output", form, "--registry", &host]].concat();
        world.manage(&words).stdout
    };
    let secret = add("k8s", "kubernetes");
    let data = secret.lines().find_map(|line| line.trim().strip_prefix(".dockerconfigjson: "));
    let config = BASE64_STANDARD.decode(data.unwrap()).unwrap();
    let (name, _) = pair(&world, &String::from_utf8(config).unwrap());
    assert_eq!(name, "robot-k8s");
    assert!(secret.contains("type: kubernetes.io/dockerconfigjson"), "{secret}");
    let variables = add("env", "env");
    let lines: Vec<&str> = variables.lines().collect();
    assert_eq!(lines[..2], [&*format!("REGISTRY={host}"), "REGISTRY_USERNAME=robot-env"]);
    assert!(lines[2].starts_with("REGISTRY_PASSWORD=ppb_"), "{variables}");
    let words = ["robot", "add", "x", "--allow", "pull", "--repository", "a", "--output"];
    let ran = world.run(&[&words[..], &["kubernetes"]].concat());
    assert_eq!(ran.status, Some(2), "{ran}");
    assert!(ran.stderr.contains("--registry"), "{ran}");
}
