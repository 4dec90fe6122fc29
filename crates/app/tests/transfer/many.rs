//! All tags, all repositories, and what is about them: what is there is not sent again, what breaks off
//! goes on, and one bad image does not keep the others.

use std::{fs, net::SocketAddr};

use portpass_testkit::{Layout, Portpass};
use serde_json::{Value, json};

use crate::{
    names::sign,
    world::{Mover, Theirs, lines, ours, serve},
};

const LAYERS: u64 = 3;

/// An image of its own for each number.
fn image(mover: &Mover, number: u64) -> String {
    let folder = mover.home().join(format!("image-{number}"));
    if folder.exists() {
        return format!("oci:{}:v1", folder.display());
    }
    Layout::large(&folder, LAYERS, 1000 * usize::try_from(number).unwrap()).reference()
}

fn push(mover: &Mover, number: u64, to: &str) -> String {
    let pushed = mover.done(&["push", &image(mover, number), to]);
    pushed["digest"].as_str().unwrap().to_owned()
}

fn digest(mover: &Mover, image: &str) -> String {
    mover.run(&["digest", image]).expect_success().stdout.trim().to_owned()
}

fn uploads(portpass: &Portpass) -> usize {
    let path = ["PUT", "/blobs/uploads/", "status=201"];
    lines(&portpass.log(), &path).count()
}

#[test]
fn all_tags_of_a_repository_go_to_another_registry_once() {
    let (ours, theirs) = (ours(), Theirs::start());
    let (here, there) = (ours.address(), theirs.registry.address());
    let mover = Mover::at(&[here, there]);
    let (from, to) = (format!("{there}/ann/app"), format!("{here}/ann/mirror"));
    for (tag, number) in [("v1", 1), ("v2", 2), ("latest", 2), ("test", 3)] {
        push(&mover, number, &format!("{from}:{tag}"));
    }
    let words = ["copy", "--all-tags", &from, &to, "--exclude-tags", "te*"];
    let planned = mover.done(&[&words[..], &["--dry-run"]].concat());
    assert_eq!((&planned["copied"], &planned["bytes"]), (&3.into(), &0.into()));
    assert!(mover.run(&["tags", &to]).expect_failure().stderr.contains("404"));

    let done = mover.done(&words);
    assert_eq!(
        (&done["tags"], &done["copied"], &done["problems"]),
        (&3.into(), &3.into(), &json!([]))
    );
    // `v2` and `latest` are one image; each image has its layers and a config.
    assert_eq!(uploads(&ours) as u64, 2 * (LAYERS + 1));
    for tag in ["v1", "v2", "latest"] {
        let (one, other) = (format!("{from}:{tag}"), format!("{to}:{tag}"));
        assert_eq!(digest(&mover, &one), digest(&mover, &other), "{tag}");
    }
    assert!(mover.run(&["digest", &format!("{to}:test")]).status == Some(1));

    // Only what has changed is looked at again.
    push(&mover, 4, &format!("{from}:v2"));
    let again = mover.done(&words);
    assert_eq!((&again["copied"], &again["unchanged"]), (&1.into(), &2.into()), "{again}");
    assert_eq!(again["changed"], json!([format!("{to}:v2")]));

    // Into a folder and from there.
    let folder = mover.done(&["copy", "--all-tags", &to, "oci:all"]);
    assert_eq!(folder["copied"], 3, "{folder}");
    let back = mover.done(&["copy", "--all-tags", "oci:all", &format!("{there}/ann/back")]);
    assert_eq!(back["copied"], 3, "{back}");
    assert_eq!(
        digest(&mover, &format!("{there}/ann/back:v1")),
        digest(&mover, &format!("{from}:v1"))
    );
}

#[test]
fn a_whole_registry_goes_below_a_name_and_goes_on_after_a_failure() {
    // Who copies all needs the right to the catalog.
    let ours = serve(concat!(
        "registry: {}\ntoken_service:\n  policy:\n",
        "    - { allow: [\"*\"], registry: catalog, to: \"user:ann\" }\n",
        "    - { allow: [pull, push], repository: \"ann/**\", to: \"user:ann\" }\n",
    ));
    let theirs = Theirs::start();
    let (here, there) = (ours.address(), theirs.registry.address());
    let mover = Mover::at(&[here, there]);
    let name = |registry: SocketAddr, rest: &str| format!("{registry}/{rest}");
    for (repository, number) in [("ann/a", 1), ("ann/b", 1), ("ann/deep/c", 2), ("ann/left", 3)] {
        push(&mover, number, &name(here, &format!("{repository}:v1")));
    }
    // The account may not write there.
    let (from, to) = (name(here, "ann/"), name(there, "bob/"));
    let refused = mover.run(&["copy", &from, &to, "--json"]);
    let said: Value = serde_json::from_str(&refused.expect_failure().stdout).unwrap();
    let problems = said["problems"].as_array().unwrap();
    assert_eq!((problems.len(), &problems[0]["side"]), (4, &"target".into()), "{said}");
    assert_eq!(problems[0]["to"], format!("{there}/bob/a:v1"));
    assert!(problems[0]["error"].as_str().unwrap().contains("repository:bob/a"), "{said}");

    let to = name(there, "ann/mirror/");
    let words = ["copy", &from, &to, "--exclude", "ann/left"];
    let done = mover.done(&words);
    assert_eq!((&done["repositories"], &done["copied"]), (&3.into(), &3.into()), "{done}");
    // The second repository has what the first has: it is mounted, not sent.
    assert_eq!(done["blobs"]["mounted"], LAYERS + 1, "{done}");
    assert_eq!(done["blobs"]["transferred"], 2 * (LAYERS + 1), "{done}");
    for (one, other) in [("ann/a:v1", "ann/mirror/a:v1"), ("ann/deep/c:v1", "ann/mirror/deep/c:v1")]
    {
        assert_eq!(digest(&mover, &name(here, one)), digest(&mover, &name(there, other)));
    }
    let again = mover.done(&words);
    assert_eq!((&again["copied"], &again["unchanged"]), (&0.into(), &3.into()), "{again}");
    // What an earlier run has brought is mounted as well.
    push(&mover, 1, &name(here, "ann/later:v1"));
    let later = mover.done(&words);
    assert_eq!((&later["copied"], &later["blobs"]["mounted"]), (&1.into(), &(LAYERS + 1).into()));
    assert_eq!(later["blobs"]["transferred"], 0, "{later}");
    let gone = mover.run(&["digest", &name(there, "ann/mirror/left:v1")]);
    assert_eq!(gone.status, Some(1));
}

/// A registry without the list of referrers gets it under a tag, one with it keeps it itself.
#[test]
fn signatures_go_with_their_image_between_registries_of_both_kinds() {
    let (ours, theirs) = (ours(), Theirs::start());
    let (here, there) = (ours.address(), theirs.registry.address());
    let mover = Mover::at(&[here, there]);
    let layout = Layout::multi_arch(&mover.home().join("multi"), &["amd64", "arm64"]);
    let image = format!("{here}/ann/app:v1");
    mover.run(&["push", &layout.reference(), &image]).expect_success();
    let first = sign(&mover, &image, "first");
    sign(&mover, &image, "second");
    let arm = mover.done(&["digest", &image, "--platform", "linux/arm64"]);
    let arm = arm["digest"].as_str().unwrap();
    // Of one image of the index, and of a signature.
    for (tag, about) in [("arm", arm), ("first", first["digest"].as_str().unwrap())] {
        mover.run(&["tag", &format!("{here}/ann/app@{about}"), tag]).expect_success();
        sign(&mover, &format!("{here}/ann/app:{tag}"), tag);
    }
    // As cosign names a signature.
    let index = Layout::digest_of_tag(layout.folder()).hex();
    mover.run(&["tag", &format!("{here}/ann/app:unsigned"), &format!("sha256-{index}.sig")]);

    let ways = [
        (image.clone(), format!("{there}/ann/copied:v1")),
        (format!("{there}/ann/copied:v1"), format!("{here}/ann/back:v1")),
        (image.clone(), "oci:folder:v1".to_owned()),
        ("oci:folder:v1".to_owned(), format!("{there}/ann/unfolded:v1")),
    ];
    for (from, to) in &ways {
        let plain = mover.done(&["copy", from, to]);
        let done = mover.done(&["copy", from, to, "--referrers"]);
        assert_eq!((&done["changed"], &plain["digest"]), (&false.into(), &done["digest"]), "{to}");
        assert_eq!(done["manifests"], 5, "{to}: {done}");
        let again = mover.done(&["copy", from, to, "--referrers"]);
        assert_eq!(again["manifests"], 0, "{to}: {again}");
        if to.starts_with("oci:") {
            continue;
        }
        let repository = to.rsplit_once(':').unwrap().0;
        let listed = |about: &str| {
            let list = mover.done(&["referrers", about])["referrers"].clone();
            list.as_array().unwrap().len()
        };
        assert_eq!(listed(to), 2, "{to}");
        for about in [arm, first["digest"].as_str().unwrap()] {
            assert_eq!(listed(&format!("{repository}@{about}")), 1, "{to} {about}");
        }
        let cosign = format!("{repository}:sha256-{index}.sig");
        assert_eq!(digest(&mover, &cosign), digest(&mover, &format!("{here}/ann/app:unsigned")));
    }
}

#[test]
fn a_failure_names_the_side_and_the_image_of_the_index() {
    let (ours, theirs) = (ours(), Theirs::start());
    let (here, there) = (ours.address(), theirs.registry.address());
    let mover = Mover::at(&[here, there]);
    let scratch = mover.home().join("multi");
    let layout = Layout::multi_arch(&scratch, &["amd64", "arm64"]);
    let image = format!("{here}/ann/app:v1");
    mover.run(&["push", &layout.reference(), &image]).expect_success();
    let refused = mover.run(&["copy", &image, &format!("{there}/bob/app:v1")]);
    let said = format!("target {there}/bob/app:v1 (linux/a");
    assert!(refused.expect_failure().stderr.contains(&said), "{refused}");
    let missing = mover.run(&["copy", &format!("{here}/ann/no:v1"), &format!("{there}/ann/x:v1")]);
    let said = format!("error: source {here}/ann/no:v1: ");
    assert!(missing.expect_failure().stderr.contains(&said), "{missing}");

    // A blob of one image is gone from the folder.
    let arm = mover.run(&["manifest", "get", &image, "--platform", "linux/arm64"]);
    let arm: Value = serde_json::from_str(&arm.stdout).unwrap();
    let layer = arm["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    fs::remove_file(layout.folder().join("blobs/sha256").join(layer)).unwrap();
    let broken = mover.run(&["copy", &layout.reference(), &format!("{there}/ann/x:v1")]);
    let said = format!("source {} (linux/arm64): ", layout.reference());
    assert!(broken.expect_failure().stderr.contains(&said), "{broken}");
}
