//! NET-06: whether HTTP/1.1 and HTTP/2 get the same answer.

use portpass_protocol::challenge::Peer;
use reqwest::StatusCode;

use crate::{
    Check, Finding, Needs,
    case::Case,
    probe::{Ask, Version},
};

/// Asks `/v2/` in HTTP/1.1, where it was asked in HTTP/2.
pub(crate) async fn compare_versions(case: &mut Case) {
    let Some((ping, url)) = case.facts.ping.as_ref().zip(case.url("/v2/")) else { return };
    if url.scheme() != "https" {
        case.skip(&[Check::Net06], &Needs::Nothing("HTTP/2 is spoken over TLS alone"));
        return;
    }
    if !ping.http2 {
        let finding = Finding::pass(Check::Net06, "the registry speaks HTTP/1.1 alone");
        case.found(finding);
        return;
    }
    let two = ping.status;
    let ask = Ask { version: Version::Http1, ..Ask::get(url) };
    let finding = match case.probe.ask(&ask).await {
        Ok(one) if one.status == two => {
            Finding::pass(Check::Net06, format!("HTTP/1.1 and HTTP/2 both get {two}"))
        }
        Ok(one) if one.status == StatusCode::TOO_MANY_REQUESTS => {
            Finding::skip(Check::Net06, Needs::Nothing("too many requests came from here; wait"))
        }
        Ok(one) => Finding::fail(
            Check::Net06,
            format!("HTTP/2 gets {two} for /v2/, and HTTP/1.1 gets {}", one.status),
        )
        .breaks(&Peer::ALL)
        .fix("switch HTTP/2 off for this host in the proxy (nginx: `http2 off;`), or give hosts that share an address certificates of their own. With one for several names, clients send one host's requests over another's connection (421)")
        .rows(&["F14"]),
        Err(silence) => Finding::fail(
            Check::Net06,
            format!("HTTP/2 gets {two} for /v2/, and HTTP/1.1 no answer: {silence}"),
        )
        .breaks(&[Peer::Podman, Peer::Regclient])
        .fix("let the proxy speak HTTP/1.1 as well; not every client speaks HTTP/2")
        .rows(&["F14"]),
    };
    case.found(finding);
}
