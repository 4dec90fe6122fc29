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
    file.doubt_each(OTHERS, writer);
}

/// Sections that do nothing here, and why that may be no loss.
const OTHERS: &[(&str, &str)] = &[
    ("catalog", "a page of the catalog has at most 1000 names"),
    ("compatibility", "schema 1 is not supported"),
    ("health", "`/readyz` of `admin.addr` checks the database and the blobs"),
    ("middleware", "the registry has no middleware"),
    ("notifications", "the registry sends no notifications"),
    ("policy", "repository classes are not supported"),
    ("redis", "the registry does not use Redis"),
    ("reporting", "portpass sends no reports to other services"),
    ("validation", "the registry always checks manifests"),
];
