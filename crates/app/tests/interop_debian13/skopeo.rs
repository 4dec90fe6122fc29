//! skopeo 1.18: what older ones cannot say.

use portpass_testkit::{Client as _, Image, Skopeo};
use serde_json::Value;

use crate::{page, world::World};

#[tokio::test]
async fn layers_are_compressed_anew_with_zstd() {
    let world = World::new();
    let (first, second) = (world.skopeo(), world.skopeo());
    let (gzip, same) = (world.image("gzip:1.0.0"), world.image("same:1.0.0"));
    first.push(&world.layout("hello"), &gzip).expect_success();
    // The one that pushed the layer knows where it lies, and has it mounted as it is.
    copy_to_zstd(&first, &gzip, &same);
    assert_eq!(world.digest(&same).await, world.digest(&gzip).await);
    assert!(world.mounted(&same), "{}", world.portpass.log());

    let zstd = world.image("zstd:1.0.0");
    copy_to_zstd(&second, &gzip, &zstd);
    let manifest = world.auditor.manifest(&zstd).await.expect("the copy is there");
    let layer = &manifest.content["layers"][0]["mediaType"];
    assert_eq!(layer, "application/vnd.oci.image.layer.v1.tar+zstd");
    World::saw("skopeo", "`copy --dest-compress-format zstd`");

    let name = format!("docker://{zstd}");
    let inspected = second.run(&["inspect", "--tls-verify=false", &name]);
    let inspected: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
    assert_eq!(inspected["Digest"], manifest.digest.to_string());
    World::saw("skopeo", "`inspect`");
    page::tell_versions(&["skopeo"]);
}

fn copy_to_zstd(skopeo: &Skopeo, from: &Image, to: &Image) {
    let copy = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
    let names = [format!("docker://{from}"), format!("docker://{to}")];
    let to_zstd = ["--dest-compress-format", "zstd", &names[0], &names[1]];
    skopeo.run(&[&copy[..], &to_zstd].concat()).expect_success();
}
