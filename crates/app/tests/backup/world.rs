//! An installation, its backups, and a client that believes nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

use portpass_protocol::Digest;
use portpass_testkit::{CommandOutput, Portpass, run};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::PROGRAM;

/// A server that has been started once.
pub(crate) fn installation() -> Portpass {
    Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"])
}

/// A server on a copy of a backup, as an operator tries whether it is any good.
pub(crate) fn restored(backup: &Path) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    run(Command::new("cp").arg("--archive").arg(backup).arg(&data), "").expect_success();
    let arguments = ["--data", "{folder}/data", "--addr", "127.0.0.1:0"];
    Portpass::serve_in(Path::new(PROGRAM), &arguments, folder)
}

pub(crate) fn back_up(portpass: &Portpass, to: &str) -> CommandOutput {
    portpass.command(&["backup", to, "--data", "{folder}/data"], "")
}

/// What a backup says it did.
pub(crate) fn backed_up(portpass: &Portpass) -> Value {
    let ran = portpass.command(&["backup", BACKUP, "--data", "{folder}/data", "--json"], "");
    serde_json::from_str(&ran.expect_success().stdout).unwrap()
}

/// Starts a backup, to be killed by whoever called.
pub(crate) fn start_backup(portpass: &Portpass) -> Child {
    let data = portpass.folder().join("data");
    let mut command = Command::new(PROGRAM);
    command.arg("backup").arg(backup_of(portpass)).arg("--data").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

pub(crate) fn backup_of(portpass: &Portpass) -> PathBuf {
    portpass.folder().join("backup")
}

/// All files below a folder with their modes, directories too.
pub(crate) fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = vec![(folder.to_path_buf(), mode(folder))];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(modes(&path));
        } else {
            found.push((path.clone(), mode(&path)));
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The files of blobs below a data directory or a backup.
pub(crate) fn objects(folder: &Path) -> Vec<PathBuf> {
    let all = modes(&folder.join("blobs"));
    let mut files: Vec<PathBuf> =
        all.into_iter().map(|(path, _)| path).filter(|path| is_object(path)).collect();
    files.sort();
    files
}

/// Objects have 32 digits for a name; other files of a store have words.
pub(crate) fn is_object(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.is_file() && name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An image that was pushed, and acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Pushed {
    pub(crate) repository: &'static str,
    pub(crate) tag: String,
    pub(crate) layer: Digest,
}

/// Pushes and pulls with one account.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    account: String,
    password: String,
}

impl Client {
    /// As the administrator.
    pub(crate) fn of(portpass: &Portpass) -> Self {
        let password = fs::read_to_string(portpass.folder().join("data/admin-password")).unwrap();
        Self::with(portpass, "admin", password.trim())
    }

    pub(crate) fn with(portpass: &Portpass, account: &str, password: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (account, password) = (account.to_owned(), password.to_owned());
        Self { http, url: portpass.url(), account, password }
    }

    /// What the token service says to a password: the answer has a refresh token too.
    pub(crate) async fn log_in(&self, repository: &str) -> Value {
        let scope = format!("repository:{repository}:pull,push,delete");
        let query = [
            ("service", "registry"),
            ("offline_token", "true"),
            ("client_id", "test"),
            ("scope", scope.as_str()),
        ];
        let request = self.http.get(format!("{}/token", self.url)).query(&query);
        let request = request.basic_auth(&self.account, Some(&self.password));
        expect(request.send().await.unwrap(), StatusCode::OK).await.json().await.unwrap()
    }

    /// What it says to a refresh token.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> StatusCode {
        let form = [
            ("grant_type", "refresh_token"),
            ("service", "registry"),
            ("client_id", "test"),
            ("refresh_token", refresh_token),
        ];
        let request = self.http.post(format!("{}/token", self.url)).form(&form);
        request.send().await.unwrap().status()
    }

    pub(crate) async fn token(&self, repository: &str) -> String {
        self.log_in(repository).await["token"].as_str().unwrap().to_owned()
    }

    /// Pushes an image that nobody has pushed before.
    pub(crate) async fn push(&self, token: &str, repository: &'static str) -> Pushed {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let layer = format!("layer {number}").repeat(100 + number % 7 * 1000);
        self.push_layer(token, repository, layer.into_bytes(), number).await
    }

    /// The same, with this layer.
    pub(crate) async fn push_layer(
        &self,
        token: &str,
        repository: &'static str,
        layer: Vec<u8>,
        number: usize,
    ) -> Pushed {
        let configuration = format!(r#"{{"number":{number}}}"#).into_bytes();
        let mut descriptors = Vec::new();
        for (content, media_type) in [
            (configuration, "application/vnd.oci.image.config.v1+json"),
            (layer.clone(), "application/vnd.oci.image.layer.v1.tar"),
        ] {
            let digest = Digest::sha256(&content).to_string();
            descriptors
                .push(json!({ "mediaType": media_type, "digest": digest, "size": content.len() }));
            let path = format!("{repository}/blobs/uploads/?digest={digest}");
            self.send(Method::POST, token, &path, content, StatusCode::CREATED).await;
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptors[0], "layers": [descriptors[1]],
        });
        let tag = format!("v{number}");
        let path = format!("{repository}/manifests/{tag}");
        self.send(
            Method::PUT,
            token,
            &path,
            manifest.to_string().into_bytes(),
            StatusCode::CREATED,
        )
        .await;
        Pushed { repository, tag, layer: Digest::sha256(&layer) }
    }

    /// Pulls an image whole, and checks every digest.
    pub(crate) async fn pull(&self, token: &str, repository: &str, tag: &str) {
        let path = format!("{repository}/manifests/{tag}");
        let manifest = self.send(Method::GET, token, &path, Vec::new(), StatusCode::OK).await;
        let named = manifest.headers()["docker-content-digest"].to_str().unwrap().to_owned();
        let bytes = manifest.bytes().await.unwrap();
        assert_eq!(Digest::sha256(&bytes).to_string(), named, "{path}");
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        for descriptor in [&manifest["config"], &manifest["layers"][0]] {
            let digest = descriptor["digest"].as_str().unwrap();
            let path = format!("{repository}/blobs/{digest}");
            let blob = self.send(Method::GET, token, &path, Vec::new(), StatusCode::OK).await;
            let bytes = blob.bytes().await.unwrap();
            assert_eq!(Digest::sha256(&bytes).to_string(), digest, "{path}");
        }
    }

    pub(crate) async fn tags(&self, token: &str, repository: &str) -> Vec<String> {
        let path = format!("{repository}/tags/list");
        let answer = self.send(Method::GET, token, &path, Vec::new(), StatusCode::OK).await;
        let answer: Value = answer.json().await.unwrap();
        let tags = answer["tags"].as_array().unwrap().iter();
        tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    /// Takes a blob from its repository.
    pub(crate) async fn delete_layer(&self, token: &str, pushed: &Pushed) {
        let path = format!("{}/blobs/{}", pushed.repository, pushed.layer);
        self.send(Method::DELETE, token, &path, Vec::new(), StatusCode::ACCEPTED).await;
    }

    async fn send(
        &self,
        method: Method,
        token: &str,
        path: &str,
        body: Vec<u8>,
        expected: StatusCode,
    ) -> Response {
        let request: RequestBuilder = self.http.request(method, format!("{}/v2/{path}", self.url));
        let request = request.bearer_auth(token).header("content-type", MANIFEST).body(body);
        expect(request.send().await.unwrap(), expected).await
    }
}

async fn expect(response: Response, expected: StatusCode) -> Response {
    if response.status() == expected {
        return response;
    }
    let (status, url) = (response.status(), response.url().clone());
    panic!("{url}: {status}, not {expected}: {}", response.text().await.unwrap());
}

/// Beside the data directory.
pub(crate) const BACKUP: &str = "{folder}/backup";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
