//! Mounts between repositories of different rights (R7: never 403, no rights gained).
//!
//! The account pulls what is shared and owns what is its own; the vault is closed to it.

use portpass_testkit::{Client, Dockerd, Image, Layout, Portpass, RegistryAddress, Skopeo};
use reqwest::StatusCode;

use crate::{
    audit::Auditor,
    stage::{ACCOUNT, PASSWORD, add_account, serve},
};

/// Owns everything.
const KEEPER: &str = "keeper";

struct World {
    portpass: Portpass,
    place: RegistryAddress,
    layout: Layout,
    _scratch: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let portpass = serve(
            "registry: {}\ntoken_service:\n  policy:
    - { allow: [pull, push, delete], repository: \"${account}/**\", to: signed-in }
    - { allow: [pull], repository: \"shared/**\", to: signed-in }
    - { allow: [\"*\"], repository: \"**\", to: \"user:keeper\" }\n",
        );
        add_account(&portpass, ACCOUNT);
        add_account(&portpass, KEEPER);
        let scratch = tempfile::tempdir().unwrap();
        let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
        let place = RegistryAddress::plain(portpass.address());
        Self { portpass, place, layout, _scratch: scratch }
    }

    fn login(&self, client: &mut dyn Client, account: &str) {
        client.login(&self.place, account, PASSWORD).unwrap().expect_success();
    }

    fn image(&self, name: &str) -> Image {
        self.place.image(name)
    }

    /// How the POSTs that began uploads to a repository ended.
    fn began(&self, image: &Image) -> Vec<String> {
        let uploads = format!("path=\"/v2/{}/blobs/uploads/\"", image.repository());
        let log = self.portpass.log();
        let posts = log.lines().filter(|line| line.contains("POST") && line.contains(&uploads));
        posts.map(|line| line.split("status=").nth(1).unwrap()[..3].to_owned()).collect()
    }

    fn never_forbidden(&self) {
        assert!(!self.portpass.log().contains("status=403"), "{}", self.portpass.log());
    }
}

#[test]
fn skopeo_mounts_what_it_may_pull() {
    let world = World::new();
    let mut skopeo = Skopeo::default();
    world.login(&mut skopeo, KEEPER);
    let (shared, own) = (world.image("shared/app:1"), world.image("ann/app:1"));
    skopeo.push(&world.layout, &shared).expect_success();
    world.login(&mut skopeo, ACCOUNT);
    skopeo.mount(&shared, &own).unwrap().expect_success();
    assert!(world.began(&own).contains(&"201".to_owned()), "{:?}", world.began(&own));
    skopeo.pull(&own).ran.expect_success();
    world.never_forbidden();
}

#[test]
fn docker_mounts_what_it_may_pull() {
    let world = World::new();
    let mut docker = Dockerd::start();
    world.login(&mut docker, KEEPER);
    let (shared, own) = (world.image("shared/app:1"), world.image("ann/app:1"));
    docker.push(&world.layout, &shared).expect_success();
    world.login(&mut docker, ACCOUNT);
    docker.pull(&shared).ran.expect_success();
    docker.mount(&shared, &own).unwrap().expect_success();
    assert!(world.began(&own).contains(&"201".to_owned()), "{:?}", world.began(&own));
    docker.pull(&own).ran.expect_success();
    world.never_forbidden();
}

/// The client remembers where the layers are, and asks to mount them from there; its new account may
/// not even pull them. It has the bytes, so it sends them (R7).
#[tokio::test]
async fn docker_uploads_what_it_may_not_mount() {
    let world = World::new();
    let mut docker = Dockerd::start();
    world.login(&mut docker, KEEPER);
    let (vault, own) = (world.image("vault/app:1"), world.image("ann/app:1"));
    docker.push(&world.layout, &vault).expect_success();
    world.login(&mut docker, ACCOUNT);
    docker.mount(&vault, &own).unwrap().expect_success();
    world.portpass.wait_for_log(&["blob is not mounted", "from=vault/app"]);
    nothing_was_mounted(&world, &own).await;
    docker.pull(&vault).ran.expect_failure();
}

/// skopeo looks first whether the layer is where it remembers it; refused there, it does not ask for more.
#[tokio::test]
async fn skopeo_uploads_what_it_may_not_mount() {
    let world = World::new();
    let mut skopeo = Skopeo::default();
    world.login(&mut skopeo, KEEPER);
    let (vault, own) = (world.image("vault/app:1"), world.image("ann/app:1"));
    skopeo.push(&world.layout, &vault).expect_success();
    world.login(&mut skopeo, ACCOUNT);
    skopeo.push(&world.layout, &own).expect_success();
    world.portpass.wait_for_log(&["HEAD", "path=\"/v2/vault/app/blobs", "insufficient-scope"]);
    nothing_was_mounted(&world, &own).await;
    skopeo.pull(&vault).ran.expect_failure();
}

/// Every upload began as one, and the vault is as closed as before.
async fn nothing_was_mounted(world: &World, own: &Image) {
    let began = world.began(own);
    assert!(!began.is_empty() && began.iter().all(|status| status == "202"), "{began:?}");
    world.never_forbidden();
    let auditor = Auditor::of(&world.place);
    let content = auditor.manifest(own).await.expect("what was pushed is there").content;
    let layer = content["manifests"][0]["digest"]
        .as_str()
        .unwrap_or_else(|| content["layers"][0]["digest"].as_str().expect("a manifest has layers"));
    for path in [format!("blobs/{layer}"), format!("manifests/{layer}"), "tags/list".to_owned()] {
        let answer = auditor.get(&world.place, &format!("/v2/vault/app/{path}")).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}
