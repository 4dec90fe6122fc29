//! Those who pull the parts of a layer that they do not have.

use std::{fs, process::Command};

use portpass_testkit::{Home, Image, Layout, Skopeo, run};

use crate::world::World;

/// Of `zstd:chunked` layers, podman asks for the table of contents, and then for the files that no layer of its store has:
/// several ranges in one request.
#[test]
fn podman_gets_the_changed_files_of_a_layer_and_little_more() {
    let world = World::with("{}");
    let skopeo = world.skopeo();
    set_up_a_store(skopeo.home());
    let (before, after) = (world.image("app", "v1"), world.image("app", "v2"));
    push(&skopeo, 0..FILES, &before);
    push(
        &skopeo,
        (0..FILES).map(|file| if CHANGED.contains(&file) { file + 1000 } else { file }),
        &after,
    );

    let full = pulled(&world, skopeo.home(), &before);
    let all = FILES * FILE as u64;
    assert!(full[..].iter().sum::<u64>() >= all, "{full:?}");
    let partial = pulled(&world, skopeo.home(), &after);
    let wanted = CHANGED.len() as u64 * FILE as u64;
    let got = partial.iter().sum::<u64>();
    assert!((wanted..wanted * 11 / 10).contains(&got), "{partial:?} of {wanted}");
}

fn set_up_a_store(home: &Home) {
    let at = |name: &str| home.path().join(name).display().to_string();
    let text = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n\
         [storage.options]\npull_options = {{ enable_partial_images = \"true\" }}\n",
        at("store"),
        at("run"),
    );
    fs::write(at("storage.conf"), text).unwrap();
}

fn push(skopeo: &Skopeo, seeds: impl IntoIterator<Item = u64>, to: &Image) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::of_files(folder.path(), seeds, FILE);
    let (from, to) = (layout.reference(), format!("docker://{to}"));
    let format = ["--dest-compress-format", "zstd:chunked"];
    let copy = ["copy", "--dest-tls-verify=false"];
    skopeo.run(&[&copy[..], &format, &[&from, &to]].concat()).expect_success();
}

/// The bytes of each answer with a part of a blob, as the log has them.
fn pulled(world: &World, home: &Home, image: &Image) -> Vec<u64> {
    let parts = |log: &str| -> Vec<u64> {
        let lines = log.lines().filter(|line| line.contains("status=206"));
        lines
            .map(|line| {
                assert!(!line.contains("broken"), "{line}");
                let bytes = line.split("bytes=").nth(1).and_then(|rest| rest.split(' ').next());
                bytes.and_then(|bytes| bytes.parse().ok()).unwrap()
            })
            .collect()
    };
    let before = parts(&world.0.log()).len();
    let mut podman: Command = home.command("podman");
    podman.env("CONTAINERS_STORAGE_CONF", home.path().join("storage.conf"));
    podman.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
    podman.args(["pull", "--quiet", "--tls-verify=false", &image.to_string()]);
    run(&mut podman, "").expect_success();
    parts(&world.0.log()).split_off(before)
}

/// Files of an image.
const FILES: u64 = 40;
/// Bytes of each.
const FILE: usize = 100_000;
/// Files that another version has otherwise, with others between them.
const CHANGED: [u64; 4] = [3, 11, 12, 30];
