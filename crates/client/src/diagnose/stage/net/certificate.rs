//! NET-04 and NET-05: whose certificates are trusted, and what is missing where they are not.

use portpass_protocol::challenge::Peer;
use reqwest::Url;

use crate::diagnose::{
    Check, Finding,
    case::Case,
    look::{self, Distrust, Handshake, Subject, Trust},
};

/// Judges the registry's. What clients' folders hold for it counts as it does for them.
pub(super) fn of_the_registry(case: &mut Case, url: &Url, seen: &Handshake) -> bool {
    let host = case.target.host.to_string();
    let Err(distrust) = judge(case, url, seen) else {
        let finding = Finding::pass(Check::Net04, format!("the certificate of {host} is trusted"));
        case.found(shown(finding, seen));
        return true;
    };
    if let Some(file) = trusted_by_a_folder(case, url, seen) {
        let summary = format!("the certificate of {host} is trusted by {file}");
        case.found(shown(Finding::pass(Check::Net04, summary), seen));
        return true;
    }
    let proxied = case.probe.way().proxies.of_url(url).is_some();
    let mut finding = finding(Check::Net04, &host, &distrust);
    finding.rows.extend(rows(&distrust, proxied));
    let where_to = format!(
        "/etc/docker/certs.d/{host}/ca.crt for docker, /etc/containers/certs.d/{host}/ca.crt for podman, `ca` in /etc/containerd/certs.d/{host}/hosts.toml for containerd, the system's store for the others, --ca FILE here"
    );
    let mut finding = shown(finding.fix(fix(&distrust, &where_to)), seen);
    let untrusted =
        matches!(distrust, Distrust::SelfSigned | Distrust::Unknown | Distrust::Incomplete(_));
    if untrusted && case.warned(Check::Cfg05) {
        // Somebody meant to have it trusted, and the attempt counts for nothing.
        misplaced(case, &host);
        finding.follows_from = Some(Check::Cfg05);
    }
    case.found(finding);
    false
}

/// Judges the token service's, by the registry's authorities: clients know no others for it.
pub(super) fn of_the_realm(case: &mut Case, realm: &Url, seen: &Handshake) -> bool {
    let name = realm.host_str().unwrap_or_default().to_owned();
    let Err(distrust) = judge(case, realm, seen) else {
        let summary = format!("the token service's certificate is trusted, for {name}");
        case.found(shown(Finding::pass(Check::Net05, summary), seen));
        return true;
    };
    let rows: &[&'static str] = match distrust {
        Distrust::SelfSigned | Distrust::Unknown => &["F08", "F09"],
        Distrust::Incomplete(_) => &["F09", "F08"],
        _ => &["F10"],
    };
    let host = &case.target.host;
    let where_to = format!(
        "beside the registry's own, since clients go to the token service with what they trust for the registry: /etc/docker/certs.d/{host}/, /etc/containers/certs.d/{host}/, `ca` in containerd's hosts.toml of {host}; --ca FILE here"
    );
    let finding = finding(Check::Net05, &name, &distrust).fix(fix(&distrust, &where_to)).rows(rows);
    case.found(shown(finding, seen));
    false
}

fn judge(case: &Case, url: &Url, seen: &Handshake) -> Result<(), Distrust> {
    let Some(name) = look::server_name(url) else { return Err(Distrust::Name) };
    let way = case.probe.way();
    let trust = Trust::new(&way.system, &way.authorities);
    trust.judge(&seen.chain, &name, case.clock.now())
}

/// Whether a client's folder has the authority; it is then trusted here as well.
fn trusted_by_a_folder(case: &mut Case, url: &Url, seen: &Handshake) -> Option<String> {
    let kept = &case.facts.certificates.authorities;
    let name = look::server_name(url)?;
    let found = kept.iter().find(|(authority, _)| {
        Trust::new(&[], std::slice::from_ref(authority))
            .judge(&seen.chain, &name, case.clock.now())
            .is_ok()
    });
    let file = found?.1.clone();
    let all: Vec<_> = kept.iter().map(|(authority, _)| authority.clone()).collect();
    let without = case.facts.certificates.without.clone();
    if let Some(first) = without.first() {
        let summary = format!(
            "{} trusts the registry, and {} has nothing for it",
            file.display(),
            first.display()
        );
        let fix = format!(
            "each client reads its own folder: put the authority into {}/{}/ too, if its client is used here",
            first.display(),
            case.target.host
        );
        let finding = Finding::warn(Check::Cfg05, summary).fix(fix).rows(&["F12"]);
        case.found(without.iter().skip(1).fold(finding, |finding, folder| {
            finding.seen(format!("nothing in {} either", folder.display()))
        }));
    }
    case.probe.change_way(|way| way.authorities.extend(all));
    Some(file.display().to_string())
}

fn misplaced(case: &mut Case, host: &str) {
    let Some(warned) = case.finding(Check::Cfg05).cloned() else { return };
    let mut finding = Finding::fail(Check::Cfg05, warned.summary)
        .seen(format!("{host} is not trusted (NET-04), although somebody meant it to be"))
        .breaks(&[Peer::Docker, Peer::Podman, Peer::Containerd])
        .rows(&warned.rows);
    finding.fix = warned.fix;
    case.found(warned.evidence.into_iter().fold(finding, Finding::seen));
}

fn finding(check: Check, host: &str, distrust: &Distrust) -> Finding {
    let summary = match distrust {
        Distrust::SelfSigned => {
            format!("the certificate of {host} signed itself, and is not trusted")
        }
        Distrust::Unknown => {
            format!("the certificate of {host} comes from an authority that is not trusted")
        }
        Distrust::Incomplete(_) => format!("{host} leaves out the certificate of its issuer"),
        Distrust::Name => format!("the certificate is not for {host}"),
        Distrust::Expired => format!("the certificate of {host} has expired"),
        Distrust::NotYet => format!("the certificate of {host} is not valid yet"),
        Distrust::Authority => {
            return Finding::warn(
                check,
                format!(
                    "the certificate of {host} is an authority's own, which clients in Go take and others, as this one, do not"
                ),
            );
        }
        Distrust::Other(reason) => format!("the certificate of {host} is refused: {reason}"),
    };
    Finding::fail(check, summary).breaks(&Peer::ALL)
}

fn rows(distrust: &Distrust, proxied: bool) -> Vec<&'static str> {
    let mut rows = match distrust {
        Distrust::SelfSigned => vec!["F07"],
        Distrust::Unknown => vec!["F07", "F09"],
        Distrust::Incomplete(_) => vec!["F09", "F07"],
        _ => vec!["F10"],
    };
    // A proxy that looks into TLS shows certificates of its own.
    if proxied && rows[0] != "F10" {
        rows.push("F06");
    }
    rows
}

fn fix(distrust: &Distrust, where_to: &str) -> String {
    match distrust {
        Distrust::SelfSigned => format!("put this certificate where clients look: {where_to}"),
        Distrust::Unknown => format!(
            "put the authority's certificate where clients look: {where_to}; if its root is trusted there already, the server leaves out an intermediate one and has to serve the whole chain"
        ),
        Distrust::Incomplete(at) => format!(
            "serve the whole chain: append the issuer's certificate, which is at {at}, to the server's file (certbot: fullchain.pem, not cert.pem); browsers fetch it by themselves, clients of registries do not"
        ),
        Distrust::Name => "issue it for the name or address that clients use, as a subject alternative name (`DNS:…`, for addresses `IP:…`); a common name counts for nothing".to_owned(),
        Distrust::Expired => "renew it, and let the server read the new one; if it is in date, this machine's clock is wrong".to_owned(),
        Distrust::NotYet => "set the clock, of this machine or of the one that issued it".to_owned(),
        Distrust::Authority => "issue a certificate with CA:FALSE for the server; `openssl req -x509` makes one of an authority".to_owned(),
        Distrust::Other(_) => "issue it anew".to_owned(),
    }
}

/// Adds each certificate of the chain.
fn shown(finding: Finding, seen: &Handshake) -> Finding {
    let lines = seen.chain.iter().take(6).map(|der| match Subject::read(der) {
        Some(subject) => subject.shown(),
        None => "a certificate that cannot be read".to_owned(),
    });
    lines.fold(finding, Finding::seen)
}
