//! `storage`: where the images are, and where they are to be.

use std::path::Path;

use super::section::Section;
use crate::translation::Writer;

pub(super) fn write(file: &mut Section<'_>, writer: &mut Writer) {
    let mut storage = file.section("storage", writer);
    writer.line("  storage:");
    filesystem(&mut storage, writer);
    let mut delete = storage.section("delete", writer);
    let deletes = delete.flag("enabled", writer).unwrap_or(false);
    delete.rest(writer);
    writer.line(format!("    delete: {{ enabled: {deletes} }}"));
    let mut maintenance = storage.section("maintenance", writer);
    let mut readonly = maintenance.section("readonly", writer);
    if readonly.flag("enabled", writer) == Some(true) {
        writer.line("    maintenance: { readonly: { enabled: true } }");
    }
    readonly.rest(writer);
    if maintenance.has("uploadpurging") {
        writer.doubt("`storage.maintenance.uploadpurging` sets nothing here: uploads that nobody goes on with are removed after a day");
    }
    maintenance.rest(writer);
    let mut redirect = storage.section("redirect", writer);
    if redirect.flag("disable", writer) == Some(false) {
        writer.doubt("`storage.redirect` sets nothing here: the registry serves blobs itself");
    }
    redirect.rest(writer);
    storage.doubt_each(
        &[
            ("cache", "the registry has its own cache, without settings"),
            ("tag", "the registry lists tags from its database"),
        ],
        writer,
    );
    for key in OTHER_DRIVERS {
        if storage.has(key) {
            writer.doubt(format!("`storage.{key}` cannot be carried over: portpass keeps blobs in a directory; copy the images with `portpass copy` or `skopeo sync`"));
        }
    }
    storage.rest(writer);
}

/// Beside the old tree, on its file system, where files can be linked.
fn filesystem(storage: &mut Section<'_>, writer: &mut Writer) {
    let is_there = storage.has("filesystem");
    let mut filesystem = storage.section("filesystem", writer);
    let root = filesystem.text("rootdirectory", writer);
    filesystem.doubt_each(
        &[("maxthreads", "the number of open files follows the limit of the system")],
        writer,
    );
    filesystem.rest(writer);
    if !is_there {
        return;
    }
    let root = root.unwrap_or_else(|| DEFAULT_ROOT.to_owned());
    if !Path::new(&root).is_absolute() {
        writer.doubt(format!("`storage.filesystem.rootdirectory` is {root}, a path from where distribution was started; the blobs go to `blobs` in the data directory here"));
        return;
    }
    let beside = format!("{}/portpass", root.trim_end_matches('/'));
    writer.doubt(format!("the blobs lie in {beside}, in a format of their own, since the old tree in {root} stays as it is: bring its images in by `portpass import storage {root} --config` and this file"));
    writer.line("    filesystem:");
    writer.value(3, "rootdirectory", &beside);
}

const OTHER_DRIVERS: &[&str] = &["inmemory", "s3", "s3aws", "gcs", "azure", "swift", "oss"];

/// What distribution takes if nothing is said.
const DEFAULT_ROOT: &str = "/var/lib/registry";
