//! Folders and archives against each other, and against what an interrupted run leaves.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use portpass_protocol::{Digest, MediaType, manifest::Descriptor};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::transfer::{
    BlobOffer, Content, Error, LayoutError, NameChange, Presence, Source as _, Target as _,
    VerifiedManifest,
};

const LAYER: &[u8] = b"a layer, as far as anybody cares";

fn described(content: &[u8]) -> Descriptor {
    Descriptor {
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        digest: Digest::sha256(content),
        size: content.len() as u64,
    }
}

/// Pieces of seven bytes.
fn content(bytes: &'static [u8]) -> Content {
    stream::iter(bytes.chunks(7).map(|piece| Ok(Bytes::from_static(piece)))).boxed()
}

fn broken_after(bytes: &'static [u8], count: usize) -> Content {
    let pieces = vec![Ok(Bytes::from_static(&bytes[..count])), Err(io::Error::other("gone"))];
    stream::iter(pieces).boxed()
}

fn config() -> Vec<u8> {
    let rootfs = json!({ "type": "layers", "diff_ids": [Digest::sha256(LAYER)] });
    json!({ "os": "linux", "architecture": "amd64", "rootfs": rootfs }).to_string().into_bytes()
}

fn image() -> VerifiedManifest {
    let config = Descriptor {
        media_type: "application/vnd.oci.image.config.v1+json".to_owned(),
        ..described(&config())
    };
    let text = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": index::described(&config),
        "layers": [index::described(&described(LAYER))],
    });
    VerifiedManifest::read(Bytes::from(text.to_string()), MediaType::OciManifest, None).unwrap()
}

fn name(text: &str) -> RefName {
    text.parse().unwrap()
}

async fn filled(target: &impl crate::transfer::Target, blob: &[u8]) {
    let bytes = Bytes::copy_from_slice(blob);
    if let BlobOffer::Missing(writer) = target.offer(&described(blob)).await.unwrap() {
        writer.write_all(stream::iter([Ok(bytes)]).boxed()).await.unwrap();
    }
}

async fn with_image(target: &impl crate::transfer::Target) {
    filled(target, LAYER).await;
    filled(target, &config()).await;
    target.name(&image()).await.unwrap();
}

async fn bytes_of(source: &impl crate::transfer::Source, blob: &Descriptor) -> io::Result<Vec<u8>> {
    let mut content = source.blob(blob, 0).await.map_err(io::Error::other)?;
    let mut all = Vec::new();
    while let Some(piece) = content.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

fn blob_path(folder: &Path, content: &[u8]) -> PathBuf {
    folder.join("blobs/sha256").join(Digest::sha256(content).hex())
}

fn writer(offered: BlobOffer) -> Box<dyn crate::transfer::BlobWriter> {
    match offered {
        BlobOffer::Missing(writer) => writer,
        other => panic!("{other:?}"),
    }
}

fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn what_a_folder_was_given_is_read_from_it() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), Some(name("v1"))).unwrap();
    with_image(&folder).await;
    let read = Folder::open(scratch.path(), Some(name("v1"))).unwrap();
    assert_eq!(read.root().await.unwrap(), image());
    assert_eq!(bytes_of(&read, &described(LAYER)).await.unwrap(), LAYER);
    assert_eq!(folder.presence(&image().descriptor()).await.unwrap(), Presence::ManifestOnly);
    assert!(matches!(folder.offer(&described(LAYER)).await.unwrap(), BlobOffer::Present));
    assert_eq!(folder.name(&image()).await.unwrap(), NameChange::Unchanged);
    let others: Vec<_> = fs::read_dir(scratch.path()).unwrap().flatten().collect();
    assert_eq!(others.len(), 3, "{others:?}");
}

#[tokio::test]
async fn a_blob_that_broke_off_is_gone_on_from() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), None).unwrap();
    let first = writer(folder.offer(&described(LAYER)).await.unwrap());
    assert_eq!(first.offset(), 0);
    let error = first.write_all(broken_after(LAYER, 10)).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    assert!(!blob_path(scratch.path(), LAYER).exists(), "half a blob is seen");
    // Another run, which knows only what is on disk.
    let folder = Folder::create(scratch.path(), None).unwrap();
    let second = writer(folder.offer(&described(LAYER)).await.unwrap());
    assert_eq!(second.offset(), 10);
    second.write_all(content(&LAYER[10..])).await.unwrap();
    assert_eq!(fs::read(blob_path(scratch.path(), LAYER)).unwrap(), LAYER);
}

#[tokio::test]
async fn a_stream_that_ends_early_has_broken_off() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), None).unwrap();
    let first = writer(folder.offer(&described(LAYER)).await.unwrap());
    let error = first.write_all(content(&LAYER[..20])).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(writer(folder.offer(&described(LAYER)).await.unwrap()).offset(), 20);
}

/// A machine that lost power may keep a file's length and not its bytes.
#[tokio::test]
async fn a_damaged_beginning_is_thrown_away_and_fetched_anew() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), None).unwrap();
    for damaged in [&[0; 10][..], &[0; 32], &[0; 100]] {
        let blob = described(LAYER);
        let partial = scratch.path().join(".portpass-incoming");
        fs::create_dir_all(&partial).unwrap();
        fs::write(partial.join(format!("sha256-{}", blob.digest.hex())), damaged).unwrap();
        let mut slot_now = writer(folder.offer(&blob).await.unwrap());
        if slot_now.offset() > 0 {
            let rest = &LAYER[usize::try_from(slot_now.offset()).unwrap()..];
            let error = slot_now.write_all(content(rest)).await.unwrap_err();
            assert!(matches!(error, Error::Stale { .. }), "{error}");
            slot_now = writer(folder.offer(&blob).await.unwrap());
        }
        assert_eq!(slot_now.offset(), 0);
        slot_now.write_all(content(LAYER)).await.unwrap();
        fs::remove_file(blob_path(scratch.path(), LAYER)).unwrap();
    }
}

#[tokio::test]
async fn other_bytes_than_were_promised_are_not_kept() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), None).unwrap();
    let wrong: &[u8] = b"b layer, as far as anybody cares";
    let error = writer(folder.offer(&described(LAYER)).await.unwrap());
    let error = error.write_all(content(wrong)).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    let long: &[u8] = b"a layer, as far as anybody cares, and more";
    let error = writer(folder.offer(&described(LAYER)).await.unwrap());
    assert_eq!(error.offset(), 0);
    let error = error.write_all(content(long)).await.unwrap_err();
    assert!(matches!(error, Error::Length { .. }), "{error}");
    assert!(!blob_path(scratch.path(), LAYER).exists());
}

#[tokio::test]
async fn two_runs_at_one_blob_do_not_disturb_each_other() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), None).unwrap();
    let first = writer(folder.offer(&described(LAYER)).await.unwrap());
    let second = writer(folder.offer(&described(LAYER)).await.unwrap());
    second.write_all(content(LAYER)).await.unwrap();
    first.write_all(content(LAYER)).await.unwrap();
    assert_eq!(fs::read(blob_path(scratch.path(), LAYER)).unwrap(), LAYER);
    let left: Vec<_> = fs::read_dir(scratch.path().join(".portpass-incoming")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A pipeline pulls several images into one new folder at once.
#[test]
fn a_folder_is_made_by_many_at_once_and_none_loses_its_name() {
    for _ in 0..8 {
        let scratch = scratch();
        let path = scratch.path().join("layout");
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for run in 0..8 {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    start.wait();
                    let folder = Folder::create(path, Some(name(&format!("v{run}")))).unwrap();
                    runtime.block_on(with_image(&folder));
                });
            }
        });
        for run in 0..8 {
            let folder = Folder::open(&path, Some(name(&format!("v{run}")))).unwrap();
            assert_eq!(folder.named_manifest().unwrap(), image().descriptor());
        }
    }
}

#[test]
fn a_folder_that_a_killed_run_has_begun_is_gone_on_with() {
    let scratch = scratch();
    fs::write(scratch.path().join(".portpass-x7Yz"), "{").unwrap();
    Folder::create(scratch.path(), None).unwrap();
    fs::remove_file(scratch.path().join("index.json")).unwrap();
    let folder = Folder::create(scratch.path(), None).unwrap();
    assert!(scratch.path().join("index.json").exists());
    assert!(matches!(folder.named_manifest(), Err(LayoutError::Missing { .. })));
}

#[tokio::test]
async fn a_blob_that_is_a_link_is_not_followed() {
    let scratch = scratch();
    let folder = Folder::create(&scratch.path().join("layout"), Some(name("v1"))).unwrap();
    with_image(&folder).await;
    let blob = blob_path(&scratch.path().join("layout"), LAYER);
    fs::rename(&blob, scratch.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(scratch.path().join("elsewhere"), &blob).unwrap();
    let error = folder.blob(&described(LAYER), 0).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Layout(LayoutError::NotRegular { .. })), "{error}");
}

#[tokio::test]
async fn names_move_and_entries_of_others_stay() {
    let scratch = scratch();
    let folder = Folder::create(scratch.path(), Some(name("v1"))).unwrap();
    let theirs = json!({
        "mediaType": MediaType::OciManifest.as_str(), "digest": Digest::sha256(b"x"), "size": 1,
        "annotations": { "org.opencontainers.image.ref.name": "theirs", "org.example": "kept" },
    });
    let old = json!({
        "mediaType": MediaType::OciManifest.as_str(), "digest": Digest::sha256(b"y"), "size": 1,
        "annotations": { "org.opencontainers.image.ref.name": "v1" },
    });
    let index =
        json!({ "schemaVersion": 2, "manifests": [theirs, old], "annotations": { "a": "b" } });
    fs::write(scratch.path().join("index.json"), index.to_string()).unwrap();
    with_image(&folder).await;
    let written = fs::read(scratch.path().join("index.json")).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["manifests"][0], theirs);
    assert_eq!(written["manifests"][1]["digest"], json!(image().digest()));
    assert_eq!(written["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(written["annotations"]["a"], "b");
    let error = Folder::open(scratch.path(), None).unwrap().root().await.unwrap_err();
    let said = error.to_string().replace(scratch.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(said, @"FOLDER has 2 images; it has theirs, v1");
    let error = Folder::open(scratch.path(), Some(name("v2"))).unwrap().root().await.unwrap_err();
    let said = error.to_string().replace(scratch.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(said, @r#"FOLDER has no image "v2"; it has theirs, v1"#);
}

#[test]
fn folders_of_something_else_are_left_alone() {
    let scratch = scratch();
    fs::write(scratch.path().join("thesis.tex"), "years of work").unwrap();
    let said =
        |error: LayoutError| error.to_string().replace(scratch.path().to_str().unwrap(), "FOLDER");
    let error = Folder::create(scratch.path(), None).unwrap_err();
    insta::assert_snapshot!(said(error), @"FOLDER is not an OCI image layout: it is not empty, but has no `oci-layout`");
    fs::write(scratch.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    let error = Folder::open(scratch.path(), None).unwrap_err();
    insta::assert_snapshot!(said(error), @r#"FOLDER is not an OCI image layout: its version "2.0.0" is not 1.0.0"#);
}

#[tokio::test]
async fn an_archive_that_was_written_is_read_with_the_same_digests() {
    let scratch = scratch();
    let path = scratch.path().join("image.tar");
    let archive = ArchiveWriter::new(&path, Some("team/app:1".to_owned())).unwrap();
    with_image(&archive).await;
    for name in [None, Some("team/app:1"), Some("docker.io/team/app:1")] {
        let read = Archive::open(&path, name).await.unwrap();
        assert_eq!(read.root().await.unwrap(), image());
        assert_eq!(bytes_of(&read, &described(LAYER)).await.unwrap(), LAYER);
    }
    let error = Archive::open(&path, Some("team/app:2")).await.unwrap_err().to_string();
    assert!(error.contains("it has docker.io/team/app:1"), "{error}");
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn an_archive_is_written_by_one_run_at_a_time_and_never_over_a_folder() {
    let scratch = scratch();
    let said =
        |error: LayoutError| error.to_string().replace(scratch.path().to_str().unwrap(), "FOLDER");
    let path = scratch.path().join("image.tar");
    let archive = ArchiveWriter::new(&path, None).unwrap();
    let error = ArchiveWriter::new(&path, None).unwrap_err();
    insta::assert_snapshot!(said(error), @"another portpass is writing FOLDER/image.tar");
    filled(&archive, LAYER).await;
    drop(archive);
    // What has arrived is kept; where nothing has, nothing is left.
    let again = ArchiveWriter::new(&path, None).unwrap();
    assert!(matches!(again.offer(&described(LAYER)).await.unwrap(), BlobOffer::Present));
    drop(ArchiveWriter::new(&scratch.path().join("other.tar"), None).unwrap());
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let error = ArchiveWriter::new(scratch.path(), None).unwrap_err();
    insta::assert_snapshot!(said(error), @"FOLDER is not a regular file");
}

/// What docker wrote before version 25: no manifest, a link in place of a layer that is there twice.
#[tokio::test]
async fn an_older_archive_gets_a_manifest_and_keeps_its_layers() {
    let scratch = scratch();
    let path = scratch.path().join("image.tar");
    let rootfs = json!({ "diff_ids": [Digest::sha256(LAYER), Digest::sha256(LAYER)] });
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": rootfs }).to_string();
    let config_name = format!("{}.json", Digest::sha256(config.as_bytes()).hex());
    let saved = json!([{
        "Config": config_name, "RepoTags": ["app:1"], "Layers": ["one/layer.tar", "two/layer.tar"],
    }]);
    let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content).unwrap();
    };
    add(&config_name, config.as_bytes());
    add("one/layer.tar", LAYER);
    add("manifest.json", saved.to_string().as_bytes());
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "two/layer.tar", "../one/layer.tar").unwrap();
    builder.finish().unwrap();
    let read = Archive::open(&path, Some("app:1")).await.unwrap();
    let root = read.root().await.unwrap();
    assert_eq!(root.links().layers, [described(LAYER), described(LAYER)]);
    assert_eq!(bytes_of(&read, &described(LAYER)).await.unwrap(), LAYER);
    let config = root.links().config.clone().unwrap();
    assert_eq!(config.digest.hex() + ".json", config_name);
    let again = Archive::open(&path, None).await.unwrap().root().await.unwrap();
    assert_eq!(again, root, "the same archive has the same manifest each time");
}
