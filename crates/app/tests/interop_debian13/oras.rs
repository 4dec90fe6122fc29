//! oras: artifacts of any kind, and what refers to them.

use std::fs;

use portpass_protocol::Digest;
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    page,
    stage::{ACCOUNT, PASSWORD},
    world::{Referrer, Tool, World},
};

#[tokio::test]
async fn artifacts_come_and_go_with_what_refers_to_them() {
    let world = World::new();
    let oras = Tool::new("oras");
    login(&world, &oras);
    push_and_pull(&world, &oras).await;
    attach_and_discover(&world, &oras).await;
    list(&world, &oras);
    copy(&world, &oras).await;
    push_a_blob(&world, &oras).await;
    delete(&world, &oras).await;
    page::tell_versions(&["oras"]);
}

fn login(world: &World, oras: &Tool) {
    let login = ["login", "--plain-http", "--username", ACCOUNT, "--password-stdin"];
    let login = [&login[..], &[&world.place.host]].concat();
    oras.run_with_input(&login, "wrong").expect_failure();
    oras.run_with_input(&login, PASSWORD).expect_success();
    World::saw("oras", "`login`");
}

async fn push_and_pull(world: &World, oras: &Tool) {
    oras.write("notes.txt", "notes\n");
    let (image, reference) = notes(world);
    let push = ["push", "--plain-http", "--artifact-type", NOTES, &reference];
    oras.run(&[&push[..], &["notes.txt:text/plain"]].concat()).expect_success();
    let manifest = world.auditor.manifest(&image).await.expect("what was pushed is there");
    assert_eq!(manifest.content["artifactType"], NOTES);
    World::saw("oras", "`push`");
    oras.run(&["pull", "--plain-http", "--output", "pulled", &reference]).expect_success();
    assert_eq!(fs::read_to_string(oras.at("pulled/notes.txt")).unwrap(), "notes\n");
    World::saw("oras", "`pull`");
}

async fn attach_and_discover(world: &World, oras: &Tool) {
    oras.write("review.txt", "good\n");
    let (image, reference) = notes(world);
    let attach = ["attach", "--plain-http", "--artifact-type", REVIEW, &reference];
    oras.run(&[&attach[..], &["review.txt:text/plain"]].concat()).expect_success();
    let referrers = world.referrers(&image).await;
    let [review] = &referrers[..] else { panic!("{referrers:?}") };
    assert_eq!(review.kind, REVIEW);
    World::saw("oras", "`attach`");
    let discover = ["discover", "--plain-http", "--format", "json"];
    // Without this it would be content with a tag that stands for the list.
    let by_list = ["--distribution-spec", "v1.1-referrers-api", &reference];
    let found = oras.run(&[&discover[..], &by_list].concat());
    let found: Value = serde_json::from_str(&found.expect_success().stdout).unwrap();
    assert_eq!(found["manifests"][0]["digest"], review.digest.as_str(), "{found:#}");
    World::saw("oras", "`discover`");
}

fn list(world: &World, oras: &Tool) {
    let repositories = oras.run(&["repo", "ls", "--plain-http", &world.place.host]);
    assert_eq!(repositories.expect_success().stdout.trim(), format!("{ACCOUNT}/notes"));
    World::saw("oras", "`repo ls`");
    let repository = format!("{}/{ACCOUNT}/notes", world.place.host);
    let tags = oras.run(&["repo", "tags", "--plain-http", &repository]);
    assert_eq!(tags.expect_success().stdout.trim(), "1.0.0");
    World::saw("oras", "`repo tags`");
}

async fn copy(world: &World, oras: &Tool) {
    let (image, reference) = notes(world);
    let second = world.image("second:1.0.0");
    let copy = ["cp", "--recursive", "--from-plain-http", "--to-plain-http", &reference];
    oras.run(&[&copy[..], &[&second.to_string()]].concat()).expect_success();
    assert_eq!(world.digest(&second).await, world.digest(&image).await);
    let (there, here) = (world.referrers(&second).await, world.referrers(&image).await);
    assert_eq!(there, here, "the review went along");
    assert!(matches!(&there[..], [Referrer { .. }]));
    World::saw("oras", "`cp --recursive`");
}

async fn push_a_blob(world: &World, oras: &Tool) {
    let content = "a blob that no manifest names\n";
    oras.write("blob", content);
    let repository = format!("{}/{ACCOUNT}/notes", world.place.host);
    oras.run(&["blob", "push", "--plain-http", &repository, "blob"]).expect_success();
    let path = format!("/v2/{ACCOUNT}/notes/blobs/{}", Digest::sha256(content.as_bytes()));
    let answer = world.auditor.get(&world.place, &path).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.text().await.unwrap(), content);
    World::saw("oras", "`blob push`");
}

async fn delete(world: &World, oras: &Tool) {
    let (image, reference) = notes(world);
    oras.run(&["manifest", "delete", "--plain-http", "--force", &reference]).expect_success();
    assert!(world.auditor.manifest(&image).await.is_none(), "it is still there");
    World::saw("oras", "`manifest delete`");
}

fn notes(world: &World) -> (portpass_testkit::Image, String) {
    let image = world.image("notes:1.0.0");
    let reference = image.to_string();
    (image, reference)
}

const NOTES: &str = "application/vnd.example.notes.v1";
const REVIEW: &str = "application/vnd.example.review.v1";
