//! What the client reads: names that are typed, files of credentials, images on disk.

use std::path::Path;

use futures_util::StreamExt as _;
use portpass_client::{
    Host, ImageReference, Location,
    credentials::{CredentialFiles, CredentialPaths, CredentialStore as _},
    layout::{Archive, Folder},
    transfer::{Source, VerifiedManifest},
};
use portpass_protocol::Digest;
use secrecy::SecretString;

use crate::{assert_one_line, scratch};

/// A name of an image, a registry or a place is written as it was read.
pub fn image_reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<ImageReference>() {
        Ok(image) => {
            assert_eq!(image.to_string().parse().as_ref(), Ok(&image));
            assert!(!image.repository().as_str().contains(".."));
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    match text.parse::<Host>() {
        Ok(host) => {
            assert_eq!(host.to_string().parse().as_ref(), Ok(&host));
            assert!(host.is_meant_by(host.credential_key()));
            assert!(!host.api().contains(['/', '@', '?', '#', '\\']), "{host}");
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    match text.parse::<Location>() {
        Ok(place) => assert_eq!(place.to_string().parse().as_ref(), Ok(&place)),
        Err(error) => assert_one_line(&error.to_string()),
    }
}

/// Docker's and podman's files of credentials: found or refused, and never a word of a secret in the
/// refusal.
pub fn credentials(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let folder = scratch::folder(&[("auth.json", bytes)]);
    let file = folder.path().join("auth.json");
    let given = Some(SecretString::from(text));
    for places in [
        CredentialPaths { docker_auth_config: given, ..CredentialPaths::default() },
        CredentialPaths { podman: vec![file.clone()], ..CredentialPaths::default() },
        CredentialPaths { docker: Some(file), ..CredentialPaths::default() },
    ] {
        let files = CredentialFiles::new(places);
        for name in ["r.example:5000", "docker.io", "localhost"] {
            let host: Host = name.parse().expect("a host");
            for repository in [None, Some("team/app")] {
                if let Err(error) = scratch::wait(files.get(&host, repository)) {
                    assert_one_line(&error.to_string());
                }
            }
        }
    }
}

/// An archive of `docker save`: whatever it gives is what its digests say, and lies in the file.
pub fn archive(bytes: &[u8]) {
    let folder = scratch::folder(&[("image.tar", bytes)]);
    let path = folder.path().join("image.tar");
    for name in [None, Some("team/app:v1")] {
        match scratch::wait(Archive::open(&path, name)) {
            Ok(archive) => scratch::wait(read_all(&archive, bytes.len())),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// `index.json` of an OCI image layout, beside one manifest: what it leads to is that one.
pub fn layout(bytes: &[u8]) {
    let blob = format!("blobs/sha256/{}", Digest::sha256(MANIFEST).hex());
    let folder = scratch::folder(&[
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", bytes),
        (&blob, MANIFEST),
    ]);
    for name in [None, Some("v1".parse().expect("a name"))] {
        let opened = Folder::open(folder.path(), name).expect("it is a layout");
        match scratch::wait(opened.root()) {
            Ok(root) => assert_eq!(root.bytes(), MANIFEST),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let marker = scratch::folder(&[("oci-layout", bytes)]);
    let _ = Folder::open(marker.path(), None);
    let _ = Folder::open(Path::new("/nonexistent"), None);
}

/// Everything that an image leads to.
async fn read_all(source: &impl Source, most: usize) {
    let Ok(root) = source.root().await else { return };
    assert_digest(&root);
    for manifest in &root.links().manifests {
        if let Ok(manifest) = source.manifest(manifest).await {
            assert_digest(&manifest);
        }
    }
    for blob in root.links().blobs() {
        let Ok(mut content) = source.blob(blob, 0).await else { continue };
        let mut length = 0;
        while let Some(Ok(piece)) = content.next().await {
            length += piece.len();
        }
        assert!(length <= most, "{length} bytes out of {most}");
        assert_eq!(length as u64, blob.size);
    }
}

fn assert_digest(manifest: &VerifiedManifest) {
    let digest = manifest.digest();
    assert_eq!(Digest::of(digest.algorithm(), manifest.bytes()), *digest);
}

/// The manifest that the layouts here have.
const MANIFEST: &[u8] = include_bytes!("../../../fuzz/corpus/manifest/image");
