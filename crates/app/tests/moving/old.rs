//! The old registry, and what lies in its storage.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use portpass_protocol::{Digest, DigestAlgorithm};
use portpass_testkit::{CommandOutput, Distribution, Layout, run};
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Layouts to push from.
pub(crate) struct Images {
    _folder: TempDir,
    pub(crate) single: Layout,
    pub(crate) other: Layout,
    pub(crate) multi: Layout,
    pub(crate) large: Layout,
}

impl Images {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        Self {
            single: Layout::runnable(&at("single"), "hello"),
            other: Layout::runnable(&at("other"), "good day"),
            multi: Layout::multi_arch(&at("multi"), &["amd64", "arm64", "s390x"]),
            large: Layout::large(&at("large"), 2, 1_000_000),
            _folder: folder,
        }
    }
}

/// `skopeo copy`, of all platforms.
pub(crate) fn copy(from: &str, to: &str, more: &[&str]) -> CommandOutput {
    let mut command = Command::new("skopeo");
    command.args(["copy", "--quiet", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"]);
    run(command.args(more).args([from, to]), "")
}

pub(crate) fn push(old: &Distribution, layout: &Layout, image: &str) {
    let to = format!("docker://{}/{image}", old.address());
    copy(&layout.reference(), &to, &[]).expect_success();
}

/// Pushes by docker's own kind of manifest.
pub(crate) fn push_schema2(old: &Distribution, layout: &Layout, image: &str) {
    let to = format!("docker://{}/{image}", old.address());
    copy(&layout.reference(), &to, &["--format", "v2s2"]).expect_success();
}

/// What skopeo pulls: the files of its `dir:` with their digests.
pub(crate) fn pulled(registry: &str, image: &str) -> BTreeMap<String, Digest> {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("dir:{}", folder.path().display());
    copy(&format!("docker://{registry}/{image}"), &to, &[]).expect_success();
    files(folder.path())
}

/// All files below a folder, by name, with the digests of their bytes.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Digest> {
    let walked = walk(folder).into_iter().filter(|path| path.is_file());
    let named = walked.map(|path| {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        (name, Digest::sha256(&fs::read(path).unwrap()))
    });
    named.collect()
}

/// All that a storage is: kinds, modes, times, lengths and bytes.
pub(crate) fn state(folder: &Path) -> BTreeMap<PathBuf, String> {
    let entries = walk(folder).into_iter().map(|path| {
        let about = fs::symlink_metadata(&path).unwrap();
        let times = (about.mtime(), about.mtime_nsec());
        let bytes = about.is_file().then(|| Digest::sha256(&fs::read(&path).unwrap()));
        let all = (about.mode(), about.uid(), about.len(), times, bytes);
        (path, format!("{all:?}"))
    });
    entries.collect()
}

pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (vec![folder.to_owned()], vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

/// Speaks the protocol to a registry that lets everybody in.
pub(crate) struct Wire {
    http: Client,
    base: String,
}

impl Wire {
    pub(crate) fn to(registry: &str) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        Self { http, base: format!("http://{registry}/v2/") }
    }

    /// The digest and bytes of a manifest; the status if there is none.
    pub(crate) async fn manifest(
        &self,
        name: &str,
        reference: &str,
    ) -> Result<(String, Vec<u8>), StatusCode> {
        let url = format!("{}{name}/manifests/{reference}", self.base);
        let response = self.http.get(url).header(header::ACCEPT, ACCEPT).send().await.unwrap();
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        let digest = response.headers()["docker-content-digest"].to_str().unwrap().to_owned();
        Ok((digest, response.bytes().await.unwrap().to_vec()))
    }

    pub(crate) async fn blob(&self, name: &str, digest: &str) -> Result<Vec<u8>, StatusCode> {
        let url = format!("{}{name}/blobs/{digest}", self.base);
        let response = self.http.get(url).send().await.unwrap();
        if response.status() == StatusCode::OK {
            Ok(response.bytes().await.unwrap().to_vec())
        } else {
            Err(response.status())
        }
    }

    pub(crate) async fn tags(&self, name: &str) -> Vec<String> {
        let url = format!("{}{name}/tags/list", self.base);
        let answer: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let tags = answer["tags"].as_array().into_iter().flatten();
        let mut tags: Vec<String> = tags.map(|tag| tag.as_str().unwrap().to_owned()).collect();
        tags.sort();
        tags
    }

    pub(crate) async fn catalog(&self) -> Vec<String> {
        let url = format!("{}_catalog?n=1000", self.base);
        let answer: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let names = answer["repositories"].as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn delete(&self, name: &str, reference: &str) {
        let url = format!("{}{name}/manifests/{reference}", self.base);
        let response = self.http.delete(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{name} {reference}");
    }

    pub(crate) async fn put_blob(
        &self,
        name: &str,
        content: &[u8],
        algorithm: DigestAlgorithm,
    ) -> Digest {
        let digest = Digest::of(algorithm, content);
        let url = format!("{}{name}/blobs/uploads/", self.base);
        let begun = self.http.post(&url).send().await.unwrap();
        let location = begun.headers()[header::LOCATION].to_str().unwrap();
        let location = begun.url().join(location).unwrap();
        let request =
            self.http.request(Method::PUT, location).query(&[("digest", digest.to_string())]);
        let done = request.body(content.to_vec()).send().await.unwrap();
        assert_eq!(done.status(), StatusCode::CREATED);
        digest
    }

    /// Begins an upload, and goes away.
    pub(crate) async fn begin_upload(&self, name: &str) {
        let url = format!("{}{name}/blobs/uploads/", self.base);
        assert_eq!(self.http.post(url).send().await.unwrap().status(), StatusCode::ACCEPTED);
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        manifest: &Value,
    ) -> StatusCode {
        let url = format!("{}{name}/manifests/{reference}", self.base);
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST).to_owned();
        let request = self.http.put(url).header(header::CONTENT_TYPE, media_type);
        request.body(manifest.to_string()).send().await.unwrap().status()
    }

    /// An image of one layer that has no other, with a digest of this kind; gives the manifest.
    pub(crate) async fn put_image(
        &self,
        name: &str,
        tag: &str,
        content: &[u8],
        algorithm: DigestAlgorithm,
    ) -> Value {
        let config = self.put_blob(name, b"{}", DigestAlgorithm::Sha256).await;
        let layer = self.put_blob(name, content, algorithm).await;
        let manifest = image(&config, 2, &layer, content.len());
        assert_eq!(self.put_manifest(name, tag, &manifest).await, StatusCode::CREATED);
        manifest
    }
}

/// A manifest that says not of which kind it is, which OCI allows.
pub(crate) fn image(config: &Digest, config_size: usize, layer: &Digest, size: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.to_string(), "size": config_size },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.to_string(), "size": size }],
    })
}

/// Where the bytes of a digest lie in a storage.
pub(crate) fn data(storage: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    storage.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(&hex).join("data")
}

pub(crate) fn repository(storage: &Path, name: &str) -> PathBuf {
    storage.join("docker/registry/v2/repositories").join(name)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";
