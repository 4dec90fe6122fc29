//! The controllers `htpasswd` and `silly` with real clients (docs/protocol.md §9).

use std::{fs, path::PathBuf};

use portpass_testkit::{Client as _, Dockerd, Layout, Portpass, RegistryAddress, Skopeo};
use reqwest::StatusCode;

use crate::{
    audit::Auditor,
    stage::{ACCOUNT, PASSWORD, htpasswd, serve, serve_in},
};

const NEWCOMER: &str = "bob";

struct Passwords {
    portpass: Portpass,
    place: RegistryAddress,
    file: PathBuf,
}

impl Passwords {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.htpasswd");
        htpasswd(&file, ACCOUNT, PASSWORD);
        let auth = format!(
            "registry:\n  auth:\n    htpasswd: {{ realm: the file, path: {} }}\n",
            file.display()
        );
        let portpass = serve_in(folder, &auth);
        let place = RegistryAddress::plain(portpass.address());
        Self { portpass, place, file }
    }

    async fn status(&self, account: &'static str) -> StatusCode {
        Auditor::named(account, &self.place).get(&self.place, "/v2/").await.status()
    }

    /// Asks until the answer is this one. A change of the file counts within two seconds.
    async fn until(&self, account: &'static str, status: StatusCode) {
        while self.status(account).await != status {
            tokio::task::yield_now().await;
        }
    }
}

/// HT2, CH14: nothing and nonsense are told the same.
#[tokio::test]
async fn docker_logs_in_with_basic_and_the_challenge_is_distributions() {
    let passwords = Passwords::new();
    let docker = Dockerd::start();
    docker.login(&passwords.place.host, ACCOUNT, "wrong").expect_failure();
    docker.login(&passwords.place.host, ACCOUNT, PASSWORD).expect_success();
    // There is no token, so docker keeps the password itself.
    assert!(!docker.client_configuration().contains("identitytoken"));
    let answer = reqwest::get(format!("{}/v2/", passwords.place.url())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"the file\"");
}

/// HT6: while images are pulled, users come and go, and a slip of the editor locks nobody out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_come_and_go_while_images_are_pulled() {
    let passwords = Passwords::new();
    let mut skopeo = Skopeo::default();
    skopeo.login(&passwords.place, ACCOUNT, PASSWORD).unwrap().expect_success();
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
    let image = passwords.place.image("team/app:1");
    skopeo.push(&layout, &image).expect_success();

    let (edited, mut watch) = tokio::sync::oneshot::channel::<()>();
    let puller = tokio::task::spawn_blocking(move || {
        let mut pulls = 0;
        while watch.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
            skopeo.pull(&image).ran.expect_success();
            pulls += 1;
        }
        pulls
    });

    assert_eq!(passwords.status(NEWCOMER).await, StatusCode::UNAUTHORIZED);
    htpasswd(&passwords.file, NEWCOMER, PASSWORD);
    passwords.until(NEWCOMER, StatusCode::OK).await;

    // A broken edit: the last good lines stay in force, and the log says which one is bad.
    let good = fs::read_to_string(&passwords.file).unwrap();
    fs::write(&passwords.file, format!("a line without its colon\n{good}")).unwrap();
    passwords.portpass.wait_for_log(&["last good entries stay in use", "line 1 has no"]);
    assert_eq!(passwords.status(ACCOUNT).await, StatusCode::OK);
    assert_eq!(passwords.status(NEWCOMER).await, StatusCode::OK);

    let without: Vec<&str> = good.lines().filter(|line| !line.starts_with(NEWCOMER)).collect();
    fs::write(&passwords.file, without.join("\n")).unwrap();
    passwords.until(NEWCOMER, StatusCode::UNAUTHORIZED).await;
    assert_eq!(passwords.status(ACCOUNT).await, StatusCode::OK);
    edited.send(()).unwrap();
    assert!(puller.await.unwrap() > 0, "no image was pulled meanwhile");
}

/// SI1, CH14: a challenge with a scope for each action, and whoever says anything comes in.
#[tokio::test]
async fn silly_lets_in_whoever_says_anything() {
    let portpass = serve(
        "registry:\n  auth:\n    silly: { realm: \"http://127.0.0.1:9/silly\", service: silly-service }\n",
    );
    let place = RegistryAddress::plain(portpass.address());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v2/team/app/blobs/uploads/", place.url());
    let answer = http.post(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.headers()["www-authenticate"],
        "Bearer realm=\"http://127.0.0.1:9/silly\",service=\"silly-service\",scope=\"repository:team/app:pull repository:team/app:push\""
    );

    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]).reference();
    let image = format!("docker://{}", place.image("team/app:1"));
    let skopeo = Skopeo::default();
    let flags = ["--dest-tls-verify=false", "--dest-registry-token", "anything"];
    let copy = [&["copy", "--all"][..], &flags, &[&layout, &image]].concat();
    skopeo.run(&copy).expect_success();
    let inspect = ["inspect", "--raw", "--tls-verify=false", "--registry-token", "else", &image];
    skopeo.run(&inspect).expect_success();
}
