//! `auth`: distribution's own block, which is ours as well.

use std::path::Path;

use super::section::Section;
use crate::translation::{Writer, quoted};

pub(super) fn write(file: &mut Section<'_>, source: &Path, writer: &mut Writer) {
    let mut section = file.section("auth", writer);
    let controllers: Vec<&str> = section.keys().collect();
    if let [_, _, ..] = controllers[..] {
        writer.doubt(format!(
            "`auth` has {}; distribution takes one of them: leave the one that you mean",
            controllers.join(" and ")
        ));
    }
    match controllers.first().copied() {
        Some("htpasswd") => htpasswd(&mut section, source, writer),
        Some("token") => token(&mut section, source, writer),
        Some("silly") => silly(&mut section, writer),
        None | Some("none") => {
            section.value("none");
            writer
                .doubt("there is no `auth`, so everybody may do everything, as with distribution");
            writer.line("  auth: { none: {} }");
        }
        Some(other) => {
            section.value(other);
            writer.doubt(format!(
                "`auth.{other}` cannot be carried over; nobody gets in until you write an `auth` here: htpasswd, token, silly or none"
            ));
            // A registry that lets everybody in would be worse than one that lets nobody in.
            writer.line("  auth: { token: { realm: \"https://auth.invalid/token\", service: registry, issuer: nobody, jwks: /etc/portpass/jwks.json } }");
        }
    }
}

fn htpasswd(section: &mut Section<'_>, source: &Path, writer: &mut Writer) {
    let mut htpasswd = section.section("htpasswd", writer);
    let realm = htpasswd.text("realm", writer).unwrap_or_default();
    let path = htpasswd.path("path", source, writer).unwrap_or_default();
    if path.is_empty() {
        writer.doubt("`auth.htpasswd.path` is missing; distribution does not start without it");
    } else if Path::new(&path).is_file() {
        writer.line("  # Users of the file may do everything, as with distribution; rules: docs/moving-in.md.");
    } else {
        writer.doubt(format!(
            "{path} is no file here: distribution makes one with a password at its first start, and portpass needs one (`htpasswd -B`)"
        ));
    }
    htpasswd.rest(writer);
    writer.line("  auth:");
    writer.line(format!("    htpasswd: {{ realm: {}, path: {} }}", quoted(&realm), quoted(&path)));
}

fn token(section: &mut Section<'_>, source: &Path, writer: &mut Writer) {
    let mut token = section.section("token", writer);
    let mut lines = Vec::new();
    for key in ["realm", "service", "issuer"] {
        match token.text(key, writer) {
            Some(value) => lines.push(format!("      {key}: {}", quoted(&value))),
            None => writer.doubt(format!(
                "`auth.token.{key}` is missing; distribution does not start without it"
            )),
        }
    }
    for key in ["rootcertbundle", "jwks"] {
        if let Some(path) = token.path(key, source, writer) {
            lines.push(format!("      {key}: {}", quoted(&path)));
        }
    }
    let algorithms = token.list("signingalgorithms", writer);
    if !algorithms.is_empty() {
        if algorithms.iter().any(|name| name.starts_with("HS")) {
            writer.doubt("`auth.token.signingalgorithms` has HS…, which nobody should sign registry tokens with; it is left out here");
        }
        let kept = algorithms.iter().filter(|name| !name.starts_with("HS"));
        let kept: Vec<String> = kept.map(|name| quoted(name)).collect();
        if !kept.is_empty() {
            lines.push(format!("      signingalgorithms: [{}]", kept.join(", ")));
        }
    }
    if let Some(redirect) = token.flag("autoredirect", writer) {
        lines.push(format!("      autoredirect: {redirect}"));
    }
    if let Some(path) = token.text("autoredirectpath", writer) {
        lines.push(format!("      autoredirectpath: {}", quoted(&path)));
    }
    token.rest(writer);
    writer.line("  auth:");
    writer.line("    token:");
    writer.lines(lines);
}

fn silly(section: &mut Section<'_>, writer: &mut Writer) {
    let mut silly = section.section("silly", writer);
    let mut value = |key| silly.text(key, writer).unwrap_or_default();
    let (realm, service) = (value("realm"), value("service"));
    silly.rest(writer);
    writer.doubt("`auth.silly` lets in whoever sends any `Authorization` header: it is for tests");
    writer.line(format!(
        "  auth: {{ silly: {{ realm: {}, service: {} }} }}",
        quoted(&realm),
        quoted(&service)
    ));
}
