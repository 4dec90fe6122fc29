//! Where blobs are fetched that the registry does not serve itself.
//!
//! No credential goes there. The place may be no nearer to this machine than the registry, or a registry
//! could have us ask our own network.

use std::net::IpAddr;

use portpass_client::transport::NetworkZone;
use portpass_protocol::challenge::KnownClient;
use reqwest::Url;

use super::answer::{broken_answer, out_of_requests};
use crate::{
    Check, Finding,
    exchange::{Authorization, Request, Response},
    redact,
    run::Run,
};

/// OPS-02, of an answer that is a redirect: F125.
pub(super) async fn judge(run: &Run, from: &Url, response: &Response) -> Finding {
    let check = Check::Ops02;
    let location = response.header("location").unwrap_or_default();
    let Ok(target) = from.join(location) else {
        return Finding::fail(check, "the redirect of a blob has no valid URL")
            .breaks(&KnownClient::ALL)
            .fix("correct the URL of the registry's storage");
    };
    let shown = redact::url(&target);
    let host = target.host_str().unwrap_or_default().to_owned();
    if !within_reach(run, response, &target).await {
        return Finding::fail(check, format!("blobs are redirected to {host}, which is on a nearer network than the registry; `diagnose` sent nothing there"))
            .evidence(format!("Location: {shown}"))
            .breaks(&KnownClient::ALL)
            .fix("redirect to an address of the storage that clients can reach, or turn redirects off (distribution: `storage: redirect: disable: true`)");
    }
    let there = match run.probe.send(&Request::get(target.clone())).await {
        Ok(there) => there,
        Err(error) => {
            return match out_of_requests(&error) {
                Some(needs) => Finding::skip(check, needs),
                None => Finding::fail(check, format!("blobs are redirected to {host}, which does not respond: {error}"))
                    .evidence(format!("Location: {shown}"))
                    .breaks(&KnownClient::ALL)
                    .fix("clients must be able to reach the storage too: allow the connection, or turn redirects off (distribution: `storage: redirect: disable: true`)"),
            };
        }
    };
    if !there.status.is_success() {
        return broken_answer(check, &format!("a blob at {host}, the target of the redirect,"), &there)
            .evidence(format!("Location: {shown}"))
            .fix("the signed URL must work without an Authorization header; check the storage's keys and clock");
    }
    // What a client would send along, without its secret.
    let along = Authorization::Literal("Bearer garbage".to_owned());
    let minds = if goes_along(from, &target) {
        run.probe.send(&Request::get(target.clone()).with(along)).await.ok()
    } else {
        None
    };
    let minds = minds.filter(|response| !response.status.is_success());
    forwarded(from, &target, minds.as_ref()).evidence(format!("Location: {shown}"))
}

/// Whether Go's HTTP client sends `Authorization` along: to the same host, and to what is below it.
fn goes_along(from: &Url, to: &Url) -> bool {
    let host = to.host_str().unwrap_or_default();
    let home = from.host_str().unwrap_or_default();
    host == home || host.ends_with(&format!(".{home}"))
}

/// `minds` is the answer of a storage that refuses who shows it an `Authorization` too.
fn forwarded(from: &Url, to: &Url, minds: Option<&Response>) -> Finding {
    let check = Check::Ops02;
    let host = to.host_str().unwrap_or_default();
    let home = from.host_str().unwrap_or_default();
    if from.scheme() == "https" && to.scheme() == "http" {
        return Finding::warn(
            check,
            format!("blobs are redirected from HTTPS to plain HTTP at {host}"),
        )
        .breaks(&[KnownClient::Regclient])
        .fix("give the storage a certificate, and give the registry its `https` URL");
    }
    if !goes_along(from, to) {
        return Finding::pass(check, format!("blobs are fetched from {host}"));
    }
    let fix = format!(
        "give the storage a name that is not {home} or below it, or turn redirects off (distribution: `storage: redirect: disable: true`)"
    );
    let finding = if let Some(minds) = minds {
        Finding::fail(
            check,
            format!("blobs are redirected to {host}, and clients send the registry's token there, because it is in the registry's domain"),
        )
        .evidence(format!("with an Authorization header it responds with {}; S3 says \"Only one auth mechanism allowed\"", minds.status))
        .breaks(&[KnownClient::Docker])
        .rows(&["F125"])
    } else {
        Finding::warn(
            check,
            format!("blobs are redirected to {host}, which gets the registry's token too, because it is in the registry's domain"),
        )
        .rows(&["F125"])
    };
    finding.evidence("without the header it works").fix(fix)
}

/// Whether every address of the place is as far away as the registry.
async fn within_reach(run: &Run, response: &Response, target: &Url) -> bool {
    let own =
        run.observed.addresses.first().copied().or(response.address).map(|address| address.ip());
    let reach = own.map_or(NetworkZone::Public, NetworkZone::of);
    if !matches!(target.scheme(), "http" | "https") || !reach.allows_host(target) {
        return false;
    }
    let Some(url::Host::Domain(name)) = target.host() else { return true };
    match tokio::net::lookup_host((name, 0)).await {
        Ok(addresses) => addresses.map(|address| address.ip()).all(|at: IpAddr| reach.allows(at)),
        // The request will say that the name is not known.
        Err(_) => true,
    }
}
