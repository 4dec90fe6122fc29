//! `server` and `token`: where it is served, what it signs with.

use super::file::{DockerAuthFile, ServerSection};
use crate::{
    Address,
    translation::{Writer, quoted, yaml11},
};

/// What is set for the whole process.
pub(super) fn http(server: &ServerSection, writer: &mut Writer) {
    let hsts = flag("server.hsts", server.hsts.as_deref(), writer);
    let header = server.real_ip_header.as_deref().filter(|header| !header.is_empty());
    if let Some(header) = header {
        if !header.eq_ignore_ascii_case("x-forwarded-for") {
            writer.doubt(format!(
                "`server.real_ip_header` is {header}; portpass takes the client's address from X-Forwarded-For alone: have your proxy set that header"
            ));
        }
        writer.doubt("`server.real_ip_header` counts whoever sends it; here it counts from the proxies that `http.trusted_proxies` lists: write the networks of yours");
    }
    if header.is_none() && !hsts {
        return;
    }
    writer.line("http:");
    if header.is_some() {
        writer.line("  trusted_proxies: [127.0.0.0/8, \"::1\"]");
    }
    if hsts {
        writer.line(
            "  headers: { Strict-Transport-Security: [\"max-age=63072000; includeSubDomains\"] }",
        );
    }
}

/// Address, path and TLS.
pub(super) fn listen(server: &ServerSection, by_address: bool, writer: &mut Writer) {
    address(server, writer);
    if let Some(pos) = server.real_ip_pos.as_deref().filter(|_| server.real_ip_header.is_some()) {
        writer.doubt(format!(
            "`server.real_ip_pos` is {pos}; portpass takes the last address that is none of `http.trusted_proxies`"
        ));
    }
    let first = server
        .real_ip_pos
        .as_deref()
        .is_none_or(|pos| yaml11::integer(pos).is_some_and(|pos| pos.value == 0));
    if by_address && first && server.real_ip_header.is_some() {
        writer.doubt("the ACL has rules with `ip:`, and position 0 of the header is whatever the client sends: with docker_auth anybody can take any address");
    }
    let prefix = server.path_prefix.as_deref().unwrap_or_default().trim_end_matches('/');
    writer.line("  # docker_auth answers at this path and at the same with /token behind it; take the one of your registries' realm.");
    writer.value(1, "path", &format!("{prefix}/auth"));
    tls(server, writer);
}

fn address(server: &ServerSection, writer: &mut Writer) {
    let typed = server.addr.as_deref().unwrap_or_default();
    let is_socket = server.net.as_deref() == Some("unix");
    if is_socket {
        writer.doubt(format!("`server.net` is unix ({typed}); portpass listens on TCP alone"));
    } else if typed.is_empty() {
        writer.doubt("`server.addr` is missing; docker_auth needs it");
    } else if typed.parse::<Address>().is_err() {
        writer.doubt(format!("`server.addr` is {typed}; portpass takes an IP address and a port"));
    } else {
        return writer.value(1, "addr", typed);
    }
    let port = typed.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    writer.value(1, "addr", &format!("127.0.0.1:{}", port.filter(|_| !is_socket).unwrap_or(5001)));
}

fn tls(server: &ServerSection, writer: &mut Writer) {
    let settings = [
        ("tls_min_version", server.tls_min_version.is_some()),
        ("tls_curve_preferences", server.tls_curve_preferences.is_some()),
        ("tls_cipher_suites", server.tls_cipher_suites.is_some()),
    ];
    for (key, _) in settings.iter().filter(|(_, is_there)| *is_there) {
        writer.doubt(format!("`server.{key}` has no counterpart: portpass speaks TLS 1.2 and 1.3 with the suites and curves of rustls"));
    }
    let pair = pair("server", server.certificate.as_deref(), server.key.as_deref(), writer);
    if let Some(letsencrypt) = &server.letsencrypt {
        let active = letsencrypt.email.as_deref().is_some_and(|email| !email.is_empty());
        if active && pair.is_none() {
            let host = letsencrypt.host.as_deref().unwrap_or("your host");
            let kept = letsencrypt.cache_dir.as_deref().unwrap_or("its cache");
            writer.doubt(format!(
                "`server.letsencrypt` cannot be carried over, and docker_auth 1.14 serves plain HTTP with it: have a proxy or certbot get the certificate of {host} and set `token_service.tls` (the certificates in {kept} stay there)"
            ));
        } else {
            writer.doubt("`server.letsencrypt` is set and not used by docker_auth");
        }
    }
    if let Some((certificate, key)) = pair {
        writer.line(format!(
            "  tls: {{ certificate: {}, key: {} }}",
            quoted(certificate),
            quoted(key)
        ));
    }
}

/// Certificate and key; both or neither.
fn pair<'a>(
    section: &str,
    certificate: Option<&'a str>,
    key: Option<&'a str>,
    writer: &mut Writer,
) -> Option<(&'a str, &'a str)> {
    let given = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
    let pair = match (given(certificate), given(key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            writer.doubt(format!("`{section}.certificate` and `{section}.key` belong together; one is missing, and docker_auth does not start so"));
            None
        }
    };
    let relative = pair
        .is_some_and(|(certificate, key)| !certificate.starts_with('/') || !key.starts_with('/'));
    if relative {
        writer.doubt(format!("the paths of `{section}` start at the folder that docker_auth was started in; here they start at the folder of this file"));
    }
    pair
}

/// What is signed, and with what.
pub(super) fn token(file: &DockerAuthFile, writer: &mut Writer) {
    let token = &file.token;
    match token.issuer.as_deref().filter(|issuer| !issuer.is_empty()) {
        Some(issuer) => writer.value(1, "issuer", issuer),
        None => writer.doubt("`token.issuer` is missing; docker_auth needs it"),
    }
    expiration(token.expiration.as_deref(), writer);
    let own = pair("token", token.certificate.as_deref(), token.key.as_deref(), writer);
    let of_server = || file.server.certificate.as_deref().zip(file.server.key.as_deref());
    match own.or_else(of_server) {
        Some((certificate, key)) => writer.line(format!(
            "  signing: {{ certificate: {}, key: {} }}",
            quoted(certificate),
            quoted(key)
        )),
        None => writer.doubt("docker_auth has no certificate to sign with and does not start; portpass makes keys of its own, and `signing-key export` prints what registries have to trust"),
    }
}

fn expiration(typed: Option<&str>, writer: &mut Writer) {
    let Some(typed) = typed else {
        return writer.doubt("`token.expiration` is missing; docker_auth needs it");
    };
    let Some(seconds) = yaml11::integer(typed) else {
        return writer
            .doubt(format!("`token.expiration` is {typed}, which is no whole number of seconds"));
    };
    if seconds.is_old {
        writer.doubt(format!(
            "`token.expiration` is {typed}, which docker_auth reads as {}",
            seconds.value
        ));
    }
    let possible = seconds.value.clamp(SHORTEST, LONGEST);
    if possible != seconds.value {
        writer.doubt(format!(
            "`token.expiration` is {} seconds; {SHORTEST} to {LONGEST} are possible",
            seconds.value
        ));
    }
    writer.line(format!("  expiration: {possible}"));
}

/// How tokens name their key.
pub(super) fn key_id(file: &DockerAuthFile, writer: &mut Writer) -> &'static str {
    let typed = file.token.disable_legacy_key_id.as_deref();
    if flag("token.disable_legacy_key_id", typed, writer) {
        writer.doubt("`token.disable_legacy_key_id` is set: with an elliptic-curve key docker_auth names the same key id for every key, which distribution 3.1 refuses; `x5c` sends the certificate, which all registries take");
        "x5c"
    } else {
        "libtrust"
    }
}

/// A switch; what is none leaves it off.
pub(super) fn flag(key: &str, typed: Option<&str>, writer: &mut Writer) -> bool {
    let Some(typed) = typed else { return false };
    let Some(flag) = yaml11::boolean(typed) else {
        writer.doubt(format!("`{key}` is {typed}, which is neither true nor false"));
        return false;
    };
    if flag.is_old {
        writer.doubt(format!("`{key}` is {typed}, which docker_auth reads as {}", flag.value));
    }
    flag.value
}

/// What a token's life can be here, in seconds.
const SHORTEST: i64 = 60;
const LONGEST: i64 = 86_400;
