//! `oci-archive:`, `dir:` and sparse indexes, with skopeo on the other side: it reads what we write, we read what it
//! writes, and every digest stays.

use std::{fs, path::Path};

use portpass_protocol::Digest;
use portpass_testkit::{CommandOutput, Layout, run};
use serde_json::Value;

use crate::world::{Mover, Theirs, ours, serve};

fn skopeo(words: &[&str]) -> CommandOutput {
    run(std::process::Command::new("skopeo").args(words), "")
}

/// The digest of what a place holds, as skopeo sees it.
fn digest_by_skopeo(place: &str) -> String {
    let raw = skopeo(&["inspect", "--raw", place]).expect_success().stdout.clone();
    Digest::sha256(raw.as_bytes()).to_string()
}

fn index() -> (tempfile::TempDir, Layout, String) {
    let scratch = tempfile::tempdir().unwrap();
    let layout =
        Layout::large_multi_arch(&scratch.path().join("layout"), &["amd64", "arm64"], 3, 9000);
    let digest = Layout::digest_of_tag(layout.folder()).to_string();
    (scratch, layout, digest)
}

#[test]
fn skopeo_and_portpass_read_each_others_archives_and_folders() {
    let (scratch, layout, digest) = index();
    let mover = Mover::default();
    let at = |name: &str| scratch.path().join(name).display().to_string();
    for (kind, name, tag) in [("oci-archive", "ours.tar", ":v1"), ("dir", "ours", "")] {
        let (one, other) = (format!("{kind}:{}{tag}", at(name)), format!("oci:{}:v1", at(kind)));
        let done = mover.done(&["copy", &layout.reference(), &one]);
        assert_eq!((&done["digest"], &done["changed"]), (&digest.as_str().into(), &true.into()));
        // skopeo reads all of what we wrote,
        skopeo(&["copy", "--all", &one, &other]).expect_success();
        assert_eq!(digest_by_skopeo(&other), digest);
        // and we what skopeo writes.
        let theirs = format!("{kind}:{}{tag}", at(&format!("theirs-{name}")));
        skopeo(&["copy", "--all", &layout.reference(), &theirs]).expect_success();
        let read = mover.done(&["copy", &theirs, &format!("oci:{}:back", at(kind))]);
        assert_eq!(read["digest"], digest.as_str(), "{theirs}");
        // Into a registry and back, image by image.
        let said = mover.run(&["digest", &theirs, "--platform", "linux/arm64"]);
        let ours = mover.run(&["digest", &one, "--platform", "linux/arm64"]);
        assert_eq!(said.expect_success().stdout, ours.expect_success().stdout);
    }
    // Twice makes the same archive, and the same folder stays as it is.
    let first = fs::read(at("ours.tar")).unwrap();
    mover.done(&["copy", &layout.reference(), &format!("oci-archive:{}:v1", at("ours.tar"))]);
    assert_eq!(fs::read(at("ours.tar")).unwrap(), first);
    let again = mover.done(&["copy", &layout.reference(), &format!("dir:{}", at("ours"))]);
    assert_eq!((&again["changed"], &again["bytes"]), (&false.into(), &0.into()));
    let beside: Vec<_> = fs::read_dir(scratch.path()).unwrap().collect();
    let left = beside
        .iter()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "{beside:?}");
}

/// skopeo writes one image there, without a media type in its manifest.
#[test]
fn one_image_goes_by_every_kind_of_place() {
    let ours = ours();
    let mover = Mover::at(&[ours.address()]);
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(&scratch.path().join("layout"), 2, 5000);
    let digest = Layout::digest_of_tag(layout.folder()).to_string();
    let at = |name: &str| scratch.path().join(name).display().to_string();
    skopeo(&["copy", &layout.reference(), &format!("dir:{}", at("one"))]).expect_success();
    let image = format!("{}/ann/app:v1", ours.address());
    let mut from = format!("dir:{}", at("one"));
    for to in [
        image.clone(),
        format!("oci-archive:{}", at("one.tar")),
        format!("dir:{}", at("two")),
        format!("docker-archive:{}:team/app:v1", at("docker.tar")),
        format!("oci:{}:v1", at("folder")),
    ] {
        let done = mover.done(&["copy", &from, &to]);
        assert_eq!(done["digest"], digest.as_str(), "{from} {to}");
        from = to;
    }
    // skopeo takes docker's archive too, with layers that are compressed.
    let unpacked = format!("oci:{}:v1", at("unpacked"));
    let archive = format!("docker-archive:{}:team/app:v1", at("docker.tar"));
    skopeo(&["copy", &archive, &unpacked]).expect_success();
    let config = |place: &str| {
        let said = skopeo(&["inspect", "--config", place]).expect_success().stdout.clone();
        serde_json::from_str::<Value>(&said).unwrap()["rootfs"].clone()
    };
    assert_eq!(config(&unpacked), config(&layout.reference()));
}

#[test]
fn an_index_keeps_its_digest_though_images_are_left_out() {
    let (scratch, layout, digest) = index();
    let theirs = Theirs::start();
    let mover = Mover::at(&[theirs.registry.address()]);
    let sparse = format!("oci:{}:v1", scratch.path().join("sparse").display());
    let words = ["--platform", "linux/arm64", "--sparse"];
    let done = mover.done(&[&["copy", &layout.reference(), &sparse], &words[..]].concat());
    assert_eq!((&done["digest"], &done["manifests"]), (&digest.as_str().into(), &2.into()));
    // The index, and of the one image its manifest, config and layers.
    assert_eq!(Layout::blobs(&scratch.path().join("sparse")).len(), 2 + 4, "{done}");
    let archive = format!("oci-archive:{}:v1", scratch.path().join("sparse.tar").display());
    let again = mover.done(&[&["copy", &sparse, &archive], &words[..]].concat());
    assert_eq!(again["digest"], digest.as_str());
    let arm = mover.done(&["digest", &archive, "--platform", "linux/arm64"]);
    assert_eq!(
        arm["digest"],
        mover.done(&["digest", &layout.reference(), "--platform", "linux/arm64"])["digest"]
    );

    let image = format!("{}/ann/app:v1", theirs.registry.address());
    let refused = mover.run(&[&["copy", &sparse, &image], &words[..]].concat());
    let said = &refused.expect_failure().stderr;
    assert!(said.contains("does not take an index without all its images"), "{refused}");
    assert!(said.contains("leave out --sparse"), "{refused}");
    let two = ["--platform", "linux/arm64", "--platform", "linux/amd64"];
    let usage = mover.run(&[&["copy", &layout.reference(), &sparse], &two[..]].concat());
    assert_eq!(usage.status, Some(2), "{usage}");
    mover
        .run(&[&["copy", &layout.reference(), &image], &two[..], &["--sparse"]].concat())
        .expect_success();
}

#[test]
fn folders_that_lie_are_refused() {
    let (scratch, layout, _) = index();
    let mover = Mover::default();
    let folder = scratch.path().join("dir");
    let place = format!("dir:{}", folder.display());
    let to = |name: &str| format!("oci:{}:v1", scratch.path().join(name).display());
    let fails = |target: &str, said: &str| {
        let ran = mover.run(&["copy", &place, target]);
        assert!(ran.expect_failure().stderr.contains(said), "{ran}");
    };
    mover.done(&["copy", &layout.reference(), &place]);
    let blob = blob_of(&folder);
    let content = fs::read(&blob).unwrap();

    fs::write(&blob, [&content[..], b"more"].concat()).unwrap();
    fails(&to("long"), "bytes, but has");
    let mut other = content.clone();
    other[7] ^= 1;
    fs::write(&blob, &other).unwrap();
    fails(&to("other"), "digest");
    fs::remove_file(&blob).unwrap();
    fails(&to("gone"), "has no blob");
    std::os::unix::fs::symlink("/etc/passwd", &blob).unwrap();
    fails(&to("link"), "is not a regular file");
    fs::write(folder.join("version"), "Directory Transport Version: 9.0\n").unwrap();
    fails(&to("version"), "is not a folder of skopeo's `dir:`");

    // A folder of something else stays as it is.
    let thesis = scratch.path().join("thesis");
    fs::create_dir(&thesis).unwrap();
    fs::write(thesis.join("thesis.tex"), "years of work").unwrap();
    let kept = mover.run(&["copy", &layout.reference(), &format!("dir:{}", thesis.display())]);
    assert!(kept.expect_failure().stderr.contains("it is not empty"), "{kept}");
    assert_eq!(fs::read_dir(&thesis).unwrap().count(), 1);
}

/// A file that is a blob.
fn blob_of(folder: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap().len() == 64);
    files.sort_by_key(|file| fs::metadata(file).unwrap().len());
    files.pop().unwrap()
}

#[test]
fn places_that_cannot_be_are_refused_by_name() {
    let registry = serve("registry: {}\ntoken_service: {}\n");
    let image = format!("{}/ann/app:v1", registry.address());
    let mover = Mover::default();
    for (words, said) in [
        (&["copy", "containers-storage:app", &image][..], "`containers-storage:` is not an image"),
        (&["copy", &image, "docker-daemon:app:v1"], "`docker-daemon:` is not an image"),
        (&["copy", &image, "dir:x", "--referrers"], "has no place for what is about an image"),
        (
            &["copy", &image, "docker-archive:x", "--sparse", "--platform", "linux/amd64"],
            "no index",
        ),
        (&["copy", &image, "dir:x", "--all-tags"], "is one image"),
        (&["copy", &image, &image, "--dry-run"], "needs no filter"),
        (&["copy", "127.0.0.1:1/", &image], "is not a registry, nor a repository"),
        (&["copy", &image, &image, "--sparse"], "--platform"),
    ] {
        let ran = mover.run(words);
        assert_eq!(ran.status, Some(2), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
}
