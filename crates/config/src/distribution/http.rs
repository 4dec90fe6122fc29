//! `http`: address, TLS, headers, and the debug server.

use std::path::Path;

use ::http::{HeaderName, HeaderValue};

use super::section::Section;
use crate::{
    Address, http,
    translation::{Writer, quoted},
};

pub(super) fn write(file: &mut Section<'_>, source: &Path, writer: &mut Writer) {
    let mut section = file.section("http", writer);
    writer.line("http:");
    address(&mut section, writer);
    host(&mut section, writer);
    tls(&mut section, source, writer);
    headers(&mut section, writer);
    if let Some(prefix) = section.text("prefix", writer)
        && !matches!(prefix.as_str(), "" | "/")
    {
        writer.doubt(format!(
            "`http.prefix` is {prefix}; clients find portpass at /v2/ alone: have a proxy take the prefix off"
        ));
    }
    section.doubt_each(
        &[
            ("relativeurls", "locations are relative in any case"),
            ("draintimeout", "a stop always waits for requests in progress"),
            ("h2c", "HTTP/2 is always on"),
            ("http2", "HTTP/2 is always on"),
        ],
        writer,
    );
    // Uploads are in the database; a secret would be of no use, and is not to be copied.
    section.value("secret");
    let mut debug = section.section("debug", writer);
    let admin = debug.text("addr", writer);
    let mut prometheus = debug.section("prometheus", writer);
    let metrics = prometheus.flag("enabled", writer);
    if let Some(path) = prometheus.text("path", writer)
        && path != "/metrics"
    {
        writer.doubt(format!("`http.debug.prometheus.path` is {path}; here it is /metrics"));
    }
    prometheus.rest(writer);
    debug.rest(writer);
    section.rest(writer);
    if let Some(address) = admin {
        debug_server(&address, metrics == Some(true), writer);
    }
}

fn address(section: &mut Section<'_>, writer: &mut Writer) {
    let typed = section.text("addr", writer).unwrap_or_default();
    if section.text("net", writer).as_deref() == Some("unix") {
        writer.doubt(format!("`http.net` is unix ({typed}); portpass listens on TCP alone"));
    } else if typed.parse::<Address>().is_ok() {
        return writer.value(1, "addr", &typed);
    } else if typed.is_empty() {
        writer.doubt("`http.addr` is missing; distribution takes a random port then");
    } else {
        writer.doubt(format!("`http.addr` is {typed}; portpass takes an IP address and a port"));
    }
    writer.value(1, "addr", "127.0.0.1:5000");
}

fn host(section: &mut Section<'_>, writer: &mut Writer) {
    let Some(host) = section.text("host", writer).filter(|host| !host.is_empty()) else { return };
    let text = host.strip_suffix('/').unwrap_or(&host);
    let is_origin = text.split_once("://").is_some_and(|(scheme, authority)| {
        scheme.parse::<portpass_protocol::origin::Scheme>().is_ok()
            && authority.parse::<portpass_protocol::Authority>().is_ok()
    });
    if is_origin {
        writer.value(1, "host", &host);
    } else {
        writer.doubt(format!(
            "`http.host` is {host}; here it is a scheme, a name and a port, as in https://registry.example.com"
        ));
    }
}

fn tls(section: &mut Section<'_>, source: &Path, writer: &mut Writer) {
    let mut tls = section.section("tls", writer);
    let pair = (tls.path("certificate", source, writer), tls.path("key", source, writer));
    match pair {
        (Some(certificate), Some(key)) => writer.line(format!(
            "  tls: {{ certificate: {}, key: {} }}",
            quoted(&certificate),
            quoted(&key)
        )),
        (None, None) => {}
        _ => writer.doubt(
            "`http.tls.certificate` and `http.tls.key` belong together; one is missing, so this serves plain HTTP",
        ),
    }
    tls.doubt_each(
        &[
            ("clientcas", "portpass asks no client for a certificate: have a proxy do so"),
            ("clientauth", "portpass asks no client for a certificate: have a proxy do so"),
            ("minimumtls", "portpass speaks TLS 1.2 and 1.3"),
            ("ciphersuites", "portpass has the suites of rustls"),
        ],
        writer,
    );
    if tls.has("letsencrypt") {
        writer.doubt("`http.tls.letsencrypt` cannot be carried over: have a proxy or certbot get the certificate, and set `http.tls`; without it this serves plain HTTP");
    }
    tls.rest(writer);
}

fn headers(section: &mut Section<'_>, writer: &mut Writer) {
    let mut headers = section.section("headers", writer);
    let names: Vec<&str> = headers.keys().collect();
    let mut lines = Vec::new();
    for name in names {
        let values = headers.list(name, writer);
        let legal = HeaderName::try_from(name).is_ok_and(|name| http::may_be_set(&name))
            && values.iter().all(|value| HeaderValue::try_from(value).is_ok());
        if legal {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            lines.push(format!("    {}: [{}]", quoted(name), values.join(", ")));
        } else {
            writer.doubt(format!("`http.headers` has {name}, which cannot be set here"));
        }
    }
    if !lines.is_empty() {
        writer.line("  headers:");
        writer.lines(lines);
    }
}

fn debug_server(address: &str, metrics: bool, writer: &mut Writer) {
    if address.parse::<Address>().is_err() {
        writer.doubt(format!(
            "`http.debug.addr` is {address}; portpass takes an IP address and a port"
        ));
        return;
    }
    if !metrics {
        writer.doubt(
            "`http.debug.addr` serves metrics here, at /metrics, and health; there is no pprof",
        );
    }
    writer.line("admin:");
    writer.value(1, "addr", address);
}
