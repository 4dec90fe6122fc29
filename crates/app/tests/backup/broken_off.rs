//! Whatever breaks off a backup, the one before is whole.

use std::{fs, path::PathBuf, process::Command};

use portpass_testkit::{Portpass, run, wait_until};
use serde_json::json;
use tokio::task::block_in_place;

use crate::{
    PROGRAM,
    world::{
        BACKUP, Client, Pushed, back_up, backed_up, backup_of, installation, objects, restored,
        start_backup,
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_killed_leaves_the_one_before() {
    let mut stage = Stage::new().await;
    let object = stage.push_one_more().await;
    // Whoever reads the new object waits for ever.
    let aside = object.with_extension("aside");
    fs::rename(&object, &aside).unwrap();
    run(Command::new("mkfifo").arg(&object), "").expect_success();
    let mut backup = start_backup(&stage.portpass);
    let half = backup_of(&stage.portpass).join("blobs");
    let began = || {
        let folder = object.parent().unwrap().file_name().unwrap();
        half.join(folder).exists() || backup_of(&stage.portpass).join("portpass.db.new").exists()
    };
    block_in_place(|| wait_until(began));
    block_in_place(|| {
        wait_until(|| {
            let second = back_up(&stage.portpass, BACKUP);
            second.expect_failure();
            second.stderr.contains(&format!("process {} uses", backup.id()))
        });
    });
    backup.kill().unwrap();
    backup.wait().unwrap();

    stage.expect_only(1).await;
    fs::rename(&aside, &object).unwrap();
    let done = backed_up(&stage.portpass);
    assert_eq!(done["already"].as_u64().unwrap() + done["copied"].as_u64().unwrap(), 4, "{done}");
    assert!(!backup_of(&stage.portpass).join("portpass.db.new").exists());
    stage.expect_only(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_leaves_the_backup_as_it_was() {
    let mut stage = Stage::new().await;
    let layer = vec![7; 4 * 1024 * 1024];
    stage.pushed.push(stage.client.push_layer(&stage.token, "admin/app", layer, 1_000_000).await);
    // A limit on the size of files is what a test can have of a disk that is full. The first is too small
    // for the database, the second for a layer.
    for (blocks, named) in [(8, "portpass.db.new"), (4096, "/blobs/")] {
        let script = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" "$@""#);
        let mut command = Command::new("sh");
        command.args(["-c", &script, PROGRAM, "backup"]).arg(backup_of(&stage.portpass));
        let ran = run(command.arg("--data").arg(stage.portpass.folder().join("data")), "");
        assert_eq!(ran.status, Some(1), "{ran}");
        assert!(ran.stderr.contains(named), "{ran}");
    }
    stage.expect_only(1).await;
    backed_up(&stage.portpass);
    stage.expect_only(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_is_lost_is_named_and_everything_else_can_be_backed_up_without_it() {
    let mut stage = Stage::new().await;
    let layer = stage.push_one_more().await;
    let content = fs::read(&layer).unwrap();
    for (bytes, state) in [(None, "missing"), (Some(&content[1..]), "damaged")] {
        match bytes {
            None => fs::remove_file(&layer).unwrap(),
            Some(bytes) => fs::write(&layer, bytes).unwrap(),
        }
        let ran = back_up(&stage.portpass, BACKUP);
        assert_eq!(ran.status, Some(1), "{ran}");
        let line = format!("{} is {state}; it is in admin/app", stage.pushed[1].layer);
        assert!(ran.stderr.contains(&line) && ran.stderr.contains("hint:"), "{line}: {ran}");
        stage.expect_only(1).await;
    }
    let lost = stage.pushed.pop().unwrap();
    stage.client.delete_layer(&stage.token, &lost).await;
    let done = backed_up(&stage.portpass);
    assert_eq!(done["already"], json!(3), "its configuration was copied before: {done}");
}

/// An installation with one image, in a backup already.
struct Stage {
    portpass: Portpass,
    client: Client,
    token: String,
    pushed: Vec<Pushed>,
}

impl Stage {
    async fn new() -> Self {
        let portpass = installation();
        let client = Client::of(&portpass);
        let token = client.token("admin/app").await;
        let pushed = vec![client.push(&token, "admin/app").await];
        backed_up(&portpass);
        Self { portpass, client, token, pushed }
    }

    /// Pushes another image; gives the file of its layer.
    async fn push_one_more(&mut self) -> PathBuf {
        let data = self.portpass.folder().join("data");
        let before = objects(&data);
        self.pushed.push(self.client.push(&self.token, "admin/app").await);
        let new = objects(&data).into_iter().filter(|object| !before.contains(object));
        new.max_by_key(|object| fs::metadata(object).unwrap().len()).unwrap()
    }

    /// A server on the backup has the first so many images, whole, and no more.
    async fn expect_only(&self, count: usize) {
        let copy = restored(&backup_of(&self.portpass));
        let client = Client::of(&copy);
        assert_eq!(client.tags(&self.token, "admin/app").await.len(), count);
        for image in &self.pushed[..count] {
            client.pull(&self.token, image.repository, &image.tag).await;
        }
    }
}
