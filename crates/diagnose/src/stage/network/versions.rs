//! NET-06: whether HTTP/1.1 and HTTP/2 get the same answer.

use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;

use crate::{
    Check, Finding, Needs,
    exchange::{HttpVersion, Request},
    run::Run,
};

/// Asks `/v2/` in HTTP/1.1, where it was asked in HTTP/2.
pub(crate) async fn compare_versions(run: &mut Run) {
    let Some((ping, url)) = run.observed.ping.as_ref().zip(run.url("/v2/")) else { return };
    if url.scheme() != "https" {
        run.skip(&[Check::Net06], &Needs::Nothing("clients use HTTP/2 only over TLS"));
        return;
    }
    if !ping.http2 {
        let finding = Finding::pass(Check::Net06, "the registry speaks only HTTP/1.1");
        run.record(finding);
        return;
    }
    let two = ping.status;
    let request = Request { version: HttpVersion::Http1, ..Request::get(url) };
    let finding = match run.probe.send(&request).await {
        Ok(one) if one.status == two => {
            Finding::pass(Check::Net06, format!("HTTP/1.1 and HTTP/2 both get {two}"))
        }
        Ok(one) if one.status == StatusCode::TOO_MANY_REQUESTS => {
            Finding::skip(Check::Net06, Needs::Nothing("there were too many requests from here; wait"))
        }
        Ok(one) => Finding::fail(
            Check::Net06,
            format!("HTTP/2 gets {two} for /v2/, but HTTP/1.1 gets {}", one.status),
        )
        .breaks(&KnownClient::ALL)
        .fix("switch HTTP/2 off for this host in the proxy (nginx: `http2 off;`), or give hosts that share an address their own certificates. With one certificate for several names, clients send one host's requests over another's connection (421)")
        .rows(&["F14"]),
        Err(error) => Finding::fail(
            Check::Net06,
            format!("HTTP/2 gets {two} for /v2/, but HTTP/1.1 gets no response: {error}"),
        )
        .breaks(&[KnownClient::Podman, KnownClient::Regclient])
        .fix("enable HTTP/1.1 in the proxy too; not every client speaks HTTP/2")
        .rows(&["F14"]),
    };
    run.record(finding);
}
