//! `log`, and the sections that have no counterpart.

use super::section::Section;
use crate::translation::Writer;

pub(super) fn log(file: &mut Section<'_>, writer: &mut Writer) {
    let old = file.text("loglevel", writer);
    let mut log = file.section("log", writer);
    let level = log.text("level", writer).or(old);
    let format = log.text("formatter", writer);
    let mut access = log.section("accesslog", writer);
    if access.flag("disabled", writer) == Some(true) {
        writer.doubt("`log.accesslog.disabled` is set; the log has one line for each request at level info: `level: warn` leaves these out, and others");
    }
    access.rest(writer);
    log.doubt_each(
        &[
            ("fields", "you cannot add fields to log lines"),
            ("hooks", "the log goes to stderr"),
            ("reportcaller", "log lines name the module"),
        ],
        writer,
    );
    log.rest(writer);
    let level = level.map(|level| level.to_ascii_lowercase());
    let level = match level.as_deref() {
        None | Some("info") => None,
        Some(level @ ("error" | "warn" | "debug" | "trace")) => Some(level.to_owned()),
        Some("warning") => Some("warn".to_owned()),
        Some("fatal" | "panic") => Some("error".to_owned()),
        Some(other) => {
            writer.doubt(format!("`log.level` is {other}, which is no level; it is info here"));
            None
        }
    };
    let format = match format.as_deref() {
        None | Some("text") => None,
        Some("json") => Some("json"),
        Some("logstash") => {
            writer.doubt("`log.formatter` is logstash; here it is JSON with other names");
            Some("json")
        }
        Some(other) => {
            writer.doubt(format!("`log.formatter` is {other}; there are text and json"));
            None
        }
    };
    if level.is_some() || format.is_some() {
        writer.line("log:");
        writer.lines(level.map(|level| format!("  level: {level}")));
        writer.lines(format.map(|format| format!("  format: {format}")));
    }
}

pub(super) fn write(file: &mut Section<'_>, writer: &mut Writer) {
    if file.has("proxy") {
        writer.doubt("`proxy` cannot be carried over: this registry is no mirror of another; keep distribution for that");
    }
    catalog(file, writer);
    validation(file, writer);
    file.doubt_each(OTHERS, writer);
}

fn catalog(file: &mut Section<'_>, writer: &mut Writer) {
    let mut catalog = file.section("catalog", writer);
    let most = catalog.text("maxentries", writer);
    catalog.rest(writer);
    match most.as_deref().map(str::parse) {
        // distribution takes its default, which is ours.
        None | Some(Ok(..=0)) => {}
        Some(Ok(most @ 1..=10_000_i64)) => {
            writer.line(format!("  catalog: {{ maxentries: {most} }}"));
        }
        Some(Ok(_) | Err(_)) => {
            writer.doubt("`catalog.maxentries` is no number up to 10000; it is 1000 here");
        }
    }
}

/// Only what an index needs can be said here.
fn validation(file: &mut Section<'_>, writer: &mut Writer) {
    let mut validation = file.section("validation", writer);
    let disabled = validation.flag("disabled", writer);
    let enabled = validation.flag("enabled", writer);
    let mut manifests = validation.section("manifests", writer);
    let mut indexes = manifests.section("indexes", writer);
    let platforms = indexes.text("platforms", writer);
    indexes.doubt_each(
        &[("platformlist", "the manifests of all platforms have to be there, or those of none")],
        writer,
    );
    indexes.rest(writer);
    manifests.doubt_each(&[("urls", "URLs in manifests are not checked")], writer);
    manifests.rest(writer);
    validation.rest(writer);
    if disabled == Some(true) || enabled == Some(false) {
        writer.doubt("`validation` is off; the registry always checks manifests");
    }
    match platforms.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("all") => {}
        Some("none") => writer.line("  validation: { indexes: any }"),
        Some(other) => writer.doubt(format!(
            "`validation.manifests.indexes.platforms` is {other}; the manifests of all platforms have to be there"
        )),
    }
}

/// Sections that do nothing here, and why that may be no loss.
const OTHERS: &[(&str, &str)] = &[
    ("compatibility", "schema 1 is not supported"),
    ("health", "`/readyz` of `admin.addr` checks the database and the blobs"),
    ("middleware", "the registry has no middleware"),
    ("policy", "repository classes are not supported"),
    ("redis", "the registry does not use Redis"),
    ("reporting", "portpass sends no reports to other services"),
];
