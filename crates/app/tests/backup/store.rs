//! The blobs belong to one installation: whoever comes with another database leaves them as they are.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use portpass_testkit::{CommandOutput, Portpass, run};
use tempfile::TempDir;

use crate::{
    PROGRAM,
    world::{Client, Pushed, is_object, modes},
};

/// Data and blobs in folders of their own, as where a volume is mounted for the blobs.
const CONFIGURATION: &str = "
data: data
http: { addr: 127.0.0.1:0 }
registry: { storage: { filesystem: { rootdirectory: blobs } } }
token_service: {}
";

/// A stopped server with an image whose blobs are older than any grace.
struct Stopped {
    folder: TempDir,
    image: Pushed,
    blobs: Vec<PathBuf>,
}

impl Stopped {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("portpass.yaml"), CONFIGURATION).unwrap();
        let portpass = serve(folder, &[]);
        Self::after_a_push(portpass).await
    }

    /// Pushes an image, and stops the server.
    async fn after_a_push(portpass: Portpass) -> Self {
        let client = Client::of(&portpass);
        let image = client.push(&client.token("admin/app").await, "admin/app").await;
        let folder = portpass.stop();
        let blobs = blobs(folder.path());
        assert!(blobs.len() >= 2, "{blobs:?}");
        let old = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 50);
        for blob in &blobs {
            // What is a blob is read only; its owner may date it all the same.
            File::open(blob).unwrap().set_modified(old).unwrap();
        }
        Self { folder, image, blobs }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `portpass serve`, which is to be refused at once.
    fn refused(&self, words: &[&str]) -> CommandOutput {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(self.path().join("portpass.yaml"));
        command.args(words).current_dir(self.path()).env("HOME", self.path());
        let ran = run(&mut command, "");
        ran.expect_failure();
        assert_eq!(ran.status, Some(1), "{ran}");
        assert_eq!(blobs(self.path()), self.blobs, "every blob stays: {ran}");
        ran
    }

    /// The server as it was, with the image whole.
    async fn serves(self, words: &[&str]) -> Portpass {
        let portpass = serve(self.folder, words);
        let client = Client::of(&portpass);
        let token = client.token("admin/app").await;
        client.pull(&token, self.image.repository, &self.image.tag).await;
        portpass
    }
}

fn serve(folder: TempDir, words: &[&str]) -> Portpass {
    let words = [&["--config", "{folder}/portpass.yaml"], words].concat();
    Portpass::serve_in(Path::new(PROGRAM), &words, folder)
}

fn blobs(folder: &Path) -> Vec<PathBuf> {
    let all = modes(&folder.join("blobs")).into_iter().map(|(path, _)| path);
    let mut files: Vec<PathBuf> = all.filter(|path| is_object(path)).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_is_refused_and_takes_nothing() {
    let stopped = Stopped::new().await;
    let ran = stopped.refused(&["--data", "other"]);
    assert!(ran.stderr.contains("belong to another installation"), "{ran}");
    assert!(ran.stderr.contains("--adopt-storage"), "{ran}");
    // Whoever insists has to have the rows.
    let ran = stopped.refused(&["--data", "other", "--adopt-storage"]);
    assert!(ran.stderr.contains("names none of them"), "{ran}");
    // Nor where nobody's name stands in the store, as before there were names.
    fs::remove_file(stopped.path().join("blobs/portpass.store")).unwrap();
    let ran = stopped.refused(&["--data", "third"]);
    assert!(ran.stderr.contains("names none of them"), "{ran}");
    stopped.serves(&[]).await.wait_for_log(&["they belong to this installation from now on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_tried_beside_the_blobs_without_harm() {
    let stopped = Stopped::new().await;
    let run = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        run(command.args(words).current_dir(stopped.path()), "").expect_success();
    };
    run(PROGRAM, &["backup", "backup", "--config", "portpass.yaml"]);
    run("cp", &["--archive", "backup", "copy"]);
    // The folder itself stays a backup, and is brought up to date as before.
    for data in ["copy", "backup", "copy"] {
        let ran = stopped.refused(&["--data", data]);
        assert!(ran.stderr.contains("belong to another installation"), "{ran}");
    }
    run(PROGRAM, &["backup", "backup", "--config", "portpass.yaml"]);
    // It has its own blobs, and is tried with them.
    let own = "data: copy\nhttp: { addr: 127.0.0.1:0 }\nregistry: {}\ntoken_service: {}\n";
    fs::write(stopped.path().join("try.yaml"), own).unwrap();
    let tried = Path::new(PROGRAM);
    let words = ["--config", stopped.path().join("try.yaml").to_str().unwrap()].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let tried = Portpass::serve(tried, &words);
    tried.wait_for_log(&["they belong to this installation from now on"]);
    drop(tried);
    // After a disaster it takes over the blobs that are left.
    stopped.serves(&["--data", "{folder}/copy", "--adopt-storage"]).await;
}

/// As a copy of the data directory has it that was made by hand, or a snapshot of its disk.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_database_is_refused_and_takes_nothing() {
    let stopped = Stopped::new().await;
    let mut copy = Command::new("cp");
    copy.args(["--archive", "data", "older"]).current_dir(stopped.path());
    run(&mut copy, "").expect_success();
    let stopped = Stopped::after_a_push(serve(stopped.folder, &[])).await;
    let ran = stopped.refused(&["--data", "older"]);
    assert!(ran.stderr.contains("another copy of the database"), "{ran}");
    assert!(ran.stderr.contains("--adopt-storage"), "{ran}");
    // The right one goes on as ever; whoever goes on with the older one has said so.
    let folder = serve(stopped.folder, &[]).stop();
    let older = serve(folder, &["--data", "{folder}/older", "--adopt-storage"]);
    older.wait_for_log(&["they belong to this installation from now on"]);
    let stopped = Stopped { folder: older.stop(), ..stopped };
    let ran = stopped.refused(&[]);
    assert!(ran.stderr.contains("another copy of the database"), "{ran}");
    stopped.serves(&["--adopt-storage"]).await;
}

/// What is not writable cannot be cleared away either: it is served.
#[tokio::test(flavor = "multi_thread")]
async fn blobs_on_a_read_only_disk_are_served() {
    let stopped = Stopped::new().await;
    for named in [true, false] {
        if !named {
            fs::remove_file(stopped.path().join("blobs/portpass.store")).unwrap();
        }
        let (folder, there) = (stopped.path().to_owned(), stopped.path().join("blobs"));
        let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
        let mut words = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
            .map(str::to_owned)
            .to_vec();
        words.push(there.to_str().unwrap().to_owned());
        let configuration = folder.join("portpass.yaml");
        let arguments = ["--config", configuration.to_str().unwrap()];
        let read_only = Portpass::serve_by(
            &words,
            Path::new(PROGRAM),
            &arguments,
            tempfile::tempdir().unwrap(),
        );
        read_only.wait_for_log(&["is not writable"]);
        let password = fs::read_to_string(folder.join("data/admin-password")).unwrap();
        let client = Client::with(&read_only, "admin", password.trim());
        let token = client.token("admin/app").await;
        client.pull(&token, stopped.image.repository, &stopped.image.tag).await;
        assert_eq!(blobs(&folder), stopped.blobs);
    }
    stopped.serves(&[]).await;
}

/// A version that wrote no name may have run beside the files of another registry.
#[tokio::test(flavor = "multi_thread")]
async fn blobs_beside_the_tree_of_another_registry_are_still_ours() {
    let stopped = Stopped::new().await;
    fs::create_dir_all(stopped.path().join("blobs/docker/registry/v2/blobs")).unwrap();
    fs::remove_file(stopped.path().join("blobs/portpass.store")).unwrap();
    let ran = stopped.refused(&["--data", "other"]);
    assert!(ran.stderr.contains("a distribution registry"), "{ran}");
    stopped.serves(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_not_mounted_is_no_new_store() {
    let stopped = Stopped::new().await;
    let (there, away) = (stopped.path().join("blobs"), stopped.path().join("away"));
    fs::rename(&there, &away).unwrap();
    fs::create_dir(&there).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg("--config").arg(stopped.path().join("portpass.yaml"));
    let ran = run(&mut command, "");
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(ran.stderr.contains("is the volume mounted"), "{ran}");
    assert_eq!(fs::read_dir(&there).unwrap().count(), 0, "nothing is written there");
    fs::remove_dir(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    stopped.serves(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_share_blobs() {
    let stopped = Stopped::new().await;
    fs::create_dir(stopped.path().join("other")).unwrap();
    let database = stopped.path().join("data/portpass.db");
    fs::copy(database, stopped.path().join("other/portpass.db")).unwrap();
    fs::copy(stopped.path().join("data/seal.key"), stopped.path().join("other/seal.key")).unwrap();
    let running = stopped.serves(&[]).await;
    let other = running.folder().join("other");
    let words = ["serve", "--config", "{folder}/portpass.yaml", "--data", other.to_str().unwrap()];
    let ran = running.command(&words, "");
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(ran.stderr.contains("another server uses the blobs"), "{ran}");
}

#[test]
fn the_tree_of_another_registry_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("blobs/docker/registry/v2/repositories")).unwrap();
    fs::write(folder.path().join("portpass.yaml"), CONFIGURATION).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg("--config").arg(folder.path().join("portpass.yaml"));
    let ran = run(command.arg("--adopt-storage"), "");
    assert_eq!(ran.status, Some(1), "{ran}");
    assert!(ran.stderr.contains("a distribution registry"), "{ran}");
    assert!(ran.stderr.contains("portpass import storage"), "{ran}");
    assert_eq!(fs::read_dir(folder.path().join("blobs")).unwrap().count(), 1);
}
