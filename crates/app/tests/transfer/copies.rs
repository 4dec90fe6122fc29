//! Copies between registries, killed on the way and repeated: every digest is what it was, and nothing
//! is sent twice.

use std::{collections::BTreeMap, net::SocketAddr};

use portpass_testkit::{Client as _, Layout, Portpass, Skopeo, StallingProxy, wait_until};
use serde_json::Value;

use crate::world::{Mover, Theirs, lines, logged_in, ours};

/// What the index has: two configs, one layer for both, four more for each.
const BLOBS: u64 = 11;
const LAYER: usize = 300_000;

/// Blobs that have arrived whole at a registry, by its log.
type Arrived<'a> = &'a dyn Fn() -> usize;

/// From one registry to another: killed when the target has taken some, and run again.
fn killed_and_repeated(
    mover: &Mover,
    (from, repository): (SocketAddr, &str),
    to: &str,
    arrived: Arrived<'_>,
) -> Value {
    // Two layers and a half can pass; then the line is dead, and what has arrived is known.
    let line = StallingProxy::before(from, LAYER as u64 * 5 / 2 + 20_000);
    mover.login(line.address());
    let through = format!("{}/{repository}", line.address());
    let mut copy = mover.start(&["copy", &through, to, "--jobs", "1"]);
    line.wait();
    assert!(wait_until(|| arrived() >= 3), "the target has not taken three blobs");
    copy.kill().unwrap();
    copy.wait().unwrap();
    let before = arrived();
    assert!(before < usize::try_from(BLOBS).unwrap(), "the copy was over before it was killed");
    let done = mover.done(&["copy", &format!("{from}/{repository}"), to]);
    let sent = done["blobs"]["transferred"].as_u64().unwrap();
    assert_eq!(sent + before as u64, BLOBS, "{done}");
    assert_eq!(arrived() as u64, BLOBS, "something was sent twice");
    done
}

/// `PUT` ends an upload; a manifest is another path.
fn uploads_of_ours(portpass: &Portpass, repository: &str) -> usize {
    let path = format!("path=\"/v2/{repository}/blobs/uploads/");
    lines(&portpass.log(), &["PUT", &path, "status=201"]).count()
}

fn uploads_of_theirs(theirs: &Theirs, repository: &str) -> usize {
    let line = format!("\"PUT /v2/{repository}/blobs/uploads/");
    lines(&theirs.registry.log(), &[&line, "\" 201 "]).count()
}

/// How often each blob of a repository was asked for at distribution.
fn fetched_from_theirs(theirs: &Theirs, repository: &str) -> BTreeMap<String, usize> {
    let line = format!("\"GET /v2/{repository}/blobs/");
    let log = theirs.registry.log();
    let mut fetched = BTreeMap::new();
    for line in lines(&log, &[&line, "\" 200 "]) {
        let digest = line.split("/blobs/").nth(1).unwrap().split(' ').next().unwrap();
        *fetched.entry(digest.to_owned()).or_default() += 1;
    }
    fetched
}

#[test]
fn an_index_goes_there_and_back_though_it_is_killed_on_both_ways() {
    let (ours, theirs) = (ours(), Theirs::start());
    let (here, there) = (ours.address(), theirs.registry.address());
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large_multi_arch(scratch.path(), &["amd64", "arm64"], 5, LAYER);
    let digest = Layout::digest_of_tag(layout.folder()).to_string();
    let (skopeo, place) = logged_in::<Skopeo>(there);
    skopeo.push(&layout, &place.image("ann/app:v1")).expect_success();
    let mover = Mover::at(&[here, there]);

    let to = format!("{here}/ann/app:v1");
    let arrived = || uploads_of_ours(&ours, "ann/app");
    let done = killed_and_repeated(&mover, (there, "ann/app:v1"), &to, &arrived);
    assert_eq!(done["digest"], digest.as_str());
    let fetched = fetched_from_theirs(&theirs, "ann/app");
    // The one that the kill broke off was asked for twice.
    let twice = fetched.values().filter(|count| **count > 1).count();
    assert!(twice <= 1 && fetched.len() as u64 == BLOBS, "{fetched:?}");

    let to = format!("{there}/ann/back:v1");
    let arrived = || uploads_of_theirs(&theirs, "ann/back");
    let done = killed_and_repeated(&mover, (here, "ann/app:v1"), &to, &arrived);
    assert_eq!(done["digest"], digest.as_str());
    let pulled = skopeo.pull(&place.image("ann/back:v1"));
    pulled.ran.expect_success();
    assert_eq!(pulled.digest, digest);
}

/// What a registry has in one repository is not sent to it for another.
#[test]
fn blobs_are_mounted_within_one_registry() {
    let (ours, theirs) = (ours(), Theirs::start());
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large_multi_arch(scratch.path(), &["amd64", "arm64"], 5, 10_000);
    for (registry, mounted) in
        [(ours.address(), "status=201"), (theirs.registry.address(), "\" 201 ")]
    {
        let mover = Mover::at(&[registry]);
        let (first, second) =
            (format!("{registry}/ann/first:v1"), format!("{registry}/ann/second:v1"));
        let pushed = mover.done(&["push", &layout.reference(), &first]);
        let copied = mover.done(&["copy", &first, &second]);
        assert_eq!(copied["digest"], pushed["digest"]);
        assert_eq!(copied["blobs"]["mounted"], BLOBS, "{copied}");
        assert_eq!((&copied["blobs"]["transferred"], &copied["bytes"]), (&0.into(), &0.into()));
        let log = if registry == ours.address() { ours.log() } else { theirs.registry.log() };
        let posts = lines(&log, &["POST", "/v2/ann/second/blobs/uploads/", mounted]).count();
        assert_eq!(posts as u64, BLOBS, "{log}");
        let again = mover.done(&["copy", &first, &second]);
        assert_eq!((&again["blobs"]["mounted"], &again["changed"]), (&0.into(), &false.into()));
    }
}
