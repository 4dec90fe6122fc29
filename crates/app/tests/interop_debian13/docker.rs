//! docker 26 with buildx: the builder asks for tokens itself, with what `docker login` has kept.

use std::fs;

use portpass_testkit::{Client as _, Dockerd, Home};
use serde_json::Value;

use crate::{
    page,
    stage::{ACCOUNT, PASSWORD},
    world::{Tool, World},
};

#[tokio::test]
async fn buildx_builds_and_pushes_with_the_identity_token_of_the_login() {
    let world = World::new();
    let docker = Dockerd::start_at_home(Home::in_debian13());
    docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
    let configuration: Value = serde_json::from_str(&docker.client_configuration()).unwrap();
    let kept = &configuration["auths"][&world.place.host];
    assert!(kept["identitytoken"].is_string());
    assert_eq!(kept["auth"], "YW5uOg==", "`ann:`, without the password");
    let (base, built) = (world.image("base:1.0.0"), world.image("built:1.0.0"));
    world.skopeo().push(&world.layout("hello"), &base).expect_success();
    build(&docker, &base.to_string(), &built.to_string());
    assert!(world.auditor.manifest(&built).await.is_some());
    // Nobody here has a password any more: the refresh token is shown, by POST (RFC 6749, section 6).
    let asked = world.token_requests(&["docker", "buildkit"]);
    let [login, later @ ..] = &asked[..] else { panic!("{}", world.portpass.log()) };
    assert_eq!(login, "GET");
    assert!(!later.is_empty() && later.iter().all(|method| method == "POST"), "{later:?}");
    World::saw("docker", "`buildx build --push`");

    docker.pull(&built).ran.expect_success();
    let ran = docker.run(&["run", "--rm", "--network", "none", &built.to_string()]);
    assert_eq!(ran.expect_success().stdout, "hello, and more\n");
    World::saw("docker", "`run`");
    let inspect = ["manifest", "inspect", "--insecure", "--verbose", &built.to_string()];
    let inspected = docker.run(&inspect);
    let digest = world.digest(&built).await.to_string();
    assert!(inspected.expect_success().stdout.contains(&digest), "{digest}: {inspected}");
    World::saw("docker", "`manifest inspect`");
    page::tell_versions(&["docker-buildx"]);
}

/// What docker keeps is read by others, who have not even heard of the account.
#[tokio::test]
async fn the_identity_token_of_the_login_serves_other_programs() {
    let world = World::new();
    let docker = Dockerd::start_at_home(Home::in_debian13());
    docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
    let image = world.image("app:1.0.0");
    docker.push(&world.layout("hello"), &image).expect_success();
    let digest = world.digest(&image).await.to_string();

    let [oras, cosign] = ["oras", "cosign"].map(Tool::new);
    for tool in [&oras, &cosign] {
        fs::create_dir(tool.home.docker_folder()).unwrap();
        let file = tool.home.docker_folder().join("config.json");
        fs::copy(docker.configuration_file(), file).unwrap();
    }
    let reference = image.to_string();
    let resolved = oras.run(&["resolve", "--plain-http", &reference]);
    assert_eq!(resolved.expect_success().stdout.trim(), digest);
    assert_eq!(world.token_requests(&["oras"]), ["POST"]);
    World::saw("oras", "`resolve`, with docker's login");
    let copy = world.image("copy:1.0.0");
    let copied = ["copy", "--allow-http-registry", &reference, &copy.to_string()];
    cosign.run(&copied).expect_success();
    assert_eq!(world.digest(&copy).await.to_string(), digest);
    let asked = world.token_requests(&["cosign"]);
    assert!(!asked.is_empty() && asked.iter().all(|method| method == "POST"), "{asked:?}");
    World::saw("cosign", "`copy`, with docker's login");
}

fn build(docker: &Dockerd, base: &str, tag: &str) {
    let context = tempfile::tempdir().unwrap();
    let file = format!(
        "FROM {base}\nRUN echo \"$(cat /greeting), and more\" > /more\nCMD [\"/bin/sh\", \"-c\", \"cat /more\"]\n"
    );
    fs::write(context.path().join("Dockerfile"), file).unwrap();
    // The daemon has no bridge, and the one command of the build needs none.
    let build = ["buildx", "build", "--push", "--network", "none", "--tag", tag];
    docker.run(&[&build[..], &[&context.path().to_string_lossy()]].concat()).expect_success();
}
