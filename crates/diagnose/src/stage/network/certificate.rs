//! NET-04 and NET-05: which clients trust a certificate, and what is missing if they do not.

use portpass_client::trust::{self, CertificateFault, Fallback, PresentedChain, TrustReport};
use portpass_protocol::challenge::KnownClient;
use reqwest::Url;

use crate::{
    Check, Finding,
    network::{self, CertificateSummary, Handshake},
    run::Run,
};

/// Judges the registry's. What clients' folders hold for it counts as it does for them.
pub(super) fn of_the_registry(run: &mut Run, url: &Url, handshake: &Handshake) -> bool {
    let host = run.target.host.to_string();
    let mut judged = judge(run, url, handshake);
    let mut summary = format!("the certificate of {host} is trusted");
    if judged.go.is_err()
        && let Some(file) = trusted_by_a_folder(run, url, handshake)
    {
        judged = judge(run, url, handshake);
        summary = format!("{summary} by {file}");
    }
    let goes_on = goes_on(run, &judged);
    let Err(distrust) = judged.go.clone() else {
        let finding = taken(Check::Net04, summary, &host, &judged);
        run.record(shown(finding, run, handshake));
        return goes_on;
    };
    let proxied = run.probe.connection().proxies.of_url(url).is_some();
    let where_to = format!(
        "/etc/docker/certs.d/{host}/ca.crt for docker, /etc/containers/certs.d/{host}/ca.crt for podman, `ca` in /etc/containerd/certs.d/{host}/hosts.toml for containerd, the system's store for the others, --ca FILE here"
    );
    let mut finding = refused(Check::Net04, &host, &distrust, &judged)
        .fix(distrust.fix(&where_to))
        .rows(&rows(&distrust, proxied));
    let untrusted = matches!(
        distrust,
        CertificateFault::SelfSigned | CertificateFault::Unknown | CertificateFault::Incomplete(_)
    );
    if untrusted && run.warned(Check::Cfg05) {
        // Somebody meant to have it trusted, and the attempt counts for nothing.
        misplaced(run, &host);
        finding.follows_from = Some(Check::Cfg05);
    }
    run.record(shown(finding, run, handshake));
    goes_on
}

/// Judges the token service's, by the registry's authorities: clients know no others for it.
pub(super) fn of_the_realm(run: &mut Run, realm: &Url, handshake: &Handshake) -> bool {
    let name = realm.host_str().unwrap_or_default().to_owned();
    let judged = judge(run, realm, handshake);
    let goes_on = goes_on(run, &judged);
    let Err(distrust) = judged.go.clone() else {
        let summary = format!("the token service's certificate is trusted, for {name}");
        let finding = taken(Check::Net05, summary, &name, &judged);
        run.record(shown(finding, run, handshake));
        return goes_on;
    };
    let rows: &[&'static str] = match distrust {
        CertificateFault::SelfSigned | CertificateFault::Unknown => &["F08", "F09"],
        CertificateFault::Incomplete(_) => &["F09", "F08"],
        _ => &["F10"],
    };
    let host = &run.target.host;
    let where_to = format!(
        "beside the registry's own, because clients use the registry's certificates for the token service too: /etc/docker/certs.d/{host}/, /etc/containers/certs.d/{host}/, `ca` in containerd's hosts.toml of {host}; --ca FILE here"
    );
    let finding = refused(Check::Net05, &name, &distrust, &judged);
    let finding = finding.fix(distrust.fix(&where_to)).rows(rows);
    run.record(shown(finding, run, handshake));
    goes_on
}

fn judge(run: &Run, url: &Url, handshake: &Handshake) -> TrustReport {
    let Some(name) = network::server_name(url) else {
        return TrustReport::refused_by_all(&CertificateFault::NameMismatch);
    };
    let way = run.probe.connection();
    let all: Vec<_> = way.system.iter().chain(&way.authorities).cloned().collect();
    trust::evaluate(
        &PresentedChain { chain: &handshake.chain, name: &name, now: run.clock.now() },
        &all,
    )
}

/// Whether there is a connection to go on over: one that is verified by the rules of who takes it. Whoever refuses
/// it stays away; what they would meet behind it is worth knowing all the same.
fn goes_on(run: &mut Run, judged: &TrustReport) -> bool {
    match (&judged.rustls, &judged.go, &judged.verifiable) {
        (Ok(()), ..) => true,
        (Err(_), Ok(()), Ok(())) => {
            run.probe.change_connection(|connection| connection.fallback = Fallback::Go);
            true
        }
        _ => false,
    }
}

/// Whether a client's folder has the authority; it is then trusted here as well.
fn trusted_by_a_folder(run: &mut Run, url: &Url, handshake: &Handshake) -> Option<String> {
    let kept = &run.observed.certificates.authorities;
    let name = network::server_name(url)?;
    let presented = PresentedChain { chain: &handshake.chain, name: &name, now: run.clock.now() };
    let found = kept.iter().find(|(authority, _)| {
        trust::evaluate(&presented, std::slice::from_ref(authority)).go.is_ok()
    });
    let file = found?.1.clone();
    let all: Vec<_> = kept.iter().map(|(authority, _)| authority.clone()).collect();
    let without = run.observed.certificates.without.clone();
    if let Some(first) = without.first() {
        let summary = format!(
            "{} trusts the registry, but {} has nothing for it",
            file.display(),
            first.display()
        );
        let fix = format!(
            "each client reads its own folder: put the authority into {}/{}/ too, if you use that client here",
            first.display(),
            run.target.host
        );
        let finding = Finding::warn(Check::Cfg05, summary).fix(fix).rows(&["F12"]);
        run.record(without.iter().skip(1).fold(finding, |finding, folder| {
            finding.evidence(format!("there is nothing in {} either", folder.display()))
        }));
    }
    run.probe.change_connection(|connection| connection.authorities.extend(all));
    Some(file.display().to_string())
}

fn misplaced(run: &mut Run, host: &str) {
    let Some(warned) = run.finding(Check::Cfg05).cloned() else { return };
    let mut finding = Finding::fail(Check::Cfg05, warned.summary)
        .evidence(format!(
            "{host} is not trusted (NET-04), although a certificate is stored for it"
        ))
        .breaks(&[KnownClient::Docker, KnownClient::Podman, KnownClient::Containerd])
        .rows(&warned.rows);
    finding.fix = warned.fix;
    run.record(warned.evidence.into_iter().fold(finding, Finding::evidence));
}

/// What clients in Go trust, and so every client that is named here; others may not.
fn taken(check: Check, summary: String, host: &str, judged: &TrustReport) -> Finding {
    let Some((_, distrust)) = judged.refusals().next() else {
        return Finding::pass(check, summary);
    };
    let caller: Vec<&str> = judged.refusals().map(|(family, _)| family.name()).collect();
    let summary = format!(
        "clients in Go trust the certificate of {host}, but clients that use {} do not: {distrust}",
        caller.join(" and ")
    );
    let finding = match &judged.verifiable {
        Ok(()) => Finding::warn(check, summary),
        Err(_) => Finding::fail(check, summary).evidence(
            "this program cannot verify a connection with it, so `diagnose` sends no request",
        ),
    };
    let fix = match distrust {
        CertificateFault::SelfSigned
        | CertificateFault::Unknown
        | CertificateFault::Incomplete(_) => {
            "give the root above it to clients that require one; the others need nothing".to_owned()
        }
        other => other.fix(""),
    };
    by_each(finding, judged).fix(fix).rows(&["F10"])
}

fn refused(check: Check, host: &str, distrust: &CertificateFault, judged: &TrustReport) -> Finding {
    let summary = match distrust {
        CertificateFault::SelfSigned => {
            format!("the certificate of {host} is self-signed and not trusted")
        }
        CertificateFault::Unknown => {
            format!("the certificate of {host} was issued by an authority that is not trusted")
        }
        CertificateFault::Incomplete(_) => {
            format!("{host} does not send the certificate of its issuer")
        }
        CertificateFault::NameMismatch => format!("the certificate is not for {host}"),
        CertificateFault::Expired => format!("the certificate of {host} has expired"),
        CertificateFault::NotYetValid => format!("the certificate of {host} is not valid yet"),
        other => format!("clients in Go refuse the certificate of {host}: {other}"),
    };
    let finding = Finding::fail(check, summary).breaks(&KnownClient::ALL);
    if judged.refusals().count() == judged.each().len() {
        finding
    } else {
        by_each(finding, judged)
    }
}

/// Adds which clients connect and which do not.
fn by_each(finding: Finding, judged: &TrustReport) -> Finding {
    judged.each().iter().fold(finding, |finding, (family, verdict)| {
        finding.evidence(match verdict {
            Ok(()) => format!("{family}: connects"),
            Err(distrust) => format!("{family}: does not connect, {distrust}"),
        })
    })
}

fn rows(distrust: &CertificateFault, proxied: bool) -> Vec<&'static str> {
    let mut rows = match distrust {
        CertificateFault::SelfSigned => vec!["F07"],
        CertificateFault::Unknown => vec!["F07", "F09"],
        CertificateFault::Incomplete(_) => vec!["F09", "F07"],
        _ => vec!["F10"],
    };
    // A proxy that looks into TLS shows certificates of its own.
    if proxied && rows[0] != "F10" {
        rows.push("F06");
    }
    rows
}

/// Adds each certificate of the chain, and what was given and could not be used.
fn shown(finding: Finding, run: &Run, handshake: &Handshake) -> Finding {
    let lines = handshake.chain.iter().take(6).map(|der| match CertificateSummary::read(der) {
        Some(subject) => subject.shown(),
        None => "a certificate that cannot be read".to_owned(),
    });
    let finding = lines.fold(finding, Finding::evidence);
    let passed_over = if finding.failed() { run.inputs.passed_over.as_slice() } else { &[] };
    passed_over.iter().fold(finding, |finding, fault| finding.evidence(format!("--ca {fault}")))
}
