//! A server on the backup has what the other had.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use portpass_testkit::{Portpass, wait_until};
use reqwest::StatusCode;
use serde_json::json;
use tokio::task::{JoinSet, block_in_place};

use crate::{
    PROGRAM,
    world::{
        BACKUP, Client, back_up, backed_up, backup_of, installation, modes, objects, restored,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_taken_under_load_serves_all_that_was_acknowledged_before() {
    let portpass = installation();
    let words = ["user", "add", "ann", "--password-stdin", "--data", "{folder}/data"];
    portpass.command(&words, "correct horse").expect_success();
    let client = Client::of(&portpass);
    let session = client.log_in("admin/before").await;
    let token = session["token"].as_str().unwrap();
    let mut before = Vec::new();
    for _ in 0..5 {
        before.push(client.push(token, "admin/before").await);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let load = client.token("admin/load").await;
    let mut pushers = JoinSet::new();
    for _ in 0..4 {
        let (client, load, stop) = (client.clone(), load.clone(), stop.clone());
        pushers.spawn(async move {
            let mut pushed = 0;
            while !stop.load(Ordering::Relaxed) {
                client.push(&load, "admin/load").await;
                pushed += 1;
            }
            pushed
        });
    }
    block_in_place(|| wait_until(|| objects(&portpass.folder().join("data")).len() > 30));
    block_in_place(|| back_up(&portpass, BACKUP).expect_success().success);
    stop.store(true, Ordering::Relaxed);
    let pushed: usize = pushers.join_all().await.into_iter().sum();

    let copy = restored(&backup_of(&portpass));
    let there = Client::of(&copy);
    // The token and the refresh token are those of the server before.
    for image in &before {
        there.pull(token, image.repository, &image.tag).await;
    }
    assert_eq!(there.refresh(session["refresh_token"].as_str().unwrap()).await, StatusCode::OK);
    // What came at the same time is there whole, or not at all.
    let tags = there.tags(&load, "admin/load").await;
    assert!(tags.len() > 5 && tags.len() <= pushed, "{} of {pushed}", tags.len());
    for tag in tags {
        there.pull(&load, "admin/load", &tag).await;
    }
    let ann = Client::with(&copy, "ann", "correct horse");
    let token = ann.token("ann/app").await;
    let pushed = ann.push(&token, "ann/app").await;
    ann.pull(&token, "ann/app", &pushed.tag).await;
    copy.wait_for_log(&["was a backup"]);
}

#[tokio::test]
async fn a_second_backup_copies_what_is_new_and_lets_go_of_what_is_gone() {
    let portpass = installation();
    let client = Client::of(&portpass);
    let token = client.token("admin/app").await;
    let first = client.push(&token, "admin/app").await;
    let done = backed_up(&portpass);
    assert_eq!((&done["copied"], &done["already"]), (&json!(2), &json!(0)), "{done}");
    for (path, mode) in modes(&backup_of(&portpass)) {
        let public = ["root.crt", "jwks.json"].iter().any(|name| path.ends_with(name));
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert!(mode == expected || public && mode == 0o644, "{mode:o} {}", path.display());
    }
    let second = client.push(&token, "admin/app").await;
    let done = backed_up(&portpass);
    assert_eq!((&done["copied"], &done["already"]), (&json!(2), &json!(2)), "{done}");
    let done = backed_up(&portpass);
    assert_eq!((&done["copied"], &done["already"]), (&json!(0), &json!(4)), "{done}");

    client.delete_layer(&token, &first).await;
    let done = backed_up(&portpass);
    assert_eq!((&done["already"], &done["removed"]), (&json!(3), &json!(1)), "{done}");
    assert_eq!(objects(&backup_of(&portpass)).len(), 3);
    let copy = restored(&backup_of(&portpass));
    Client::of(&copy).pull(&token, "admin/app", &second.tag).await;
}

#[tokio::test]
async fn blobs_that_lie_elsewhere_are_in_the_backup_too() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "data: data\nregistry:\n  storage: { filesystem: { rootdirectory: elsewhere } }\ntoken_service: {}\n";
    fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
    let arguments = ["--config", "{folder}/portpass.yml", "--addr", "127.0.0.1:0"];
    let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
    let client = Client::of(&portpass);
    let token = client.token("admin/app").await;
    let pushed = client.push(&token, "admin/app").await;
    let words = ["backup", BACKUP, "--config", "{folder}/portpass.yml"];
    let ran = portpass.command(&words, "");
    ran.expect_success();
    assert!(ran.stderr.contains("2 blobs copied") && ran.stderr.contains("note:"), "{ran}");

    let copy = restored(&backup_of(&portpass));
    Client::of(&copy).pull(&token, "admin/app", &pushed.tag).await;
}
