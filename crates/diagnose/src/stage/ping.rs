//! The registry's answers to requests without credentials.

use portpass_protocol::{Reference, challenge::KnownClient};
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderValue, LOCATION, WWW_AUTHENTICATE},
};

use super::network::compare_versions;
use crate::{
    Check, Finding, Needs,
    exchange::{Request, Response},
    probe::RequestError,
    redact,
    run::Run,
};

mod answer;

/// Connections that are compared, beside the first.
const CONNECTIONS: usize = 3;

pub(crate) async fn check(run: &mut Run) {
    let Some(url) = run.url("/v2/") else { return };
    match run.probe.send(&Request::get(url.clone())).await {
        Ok(response) => run.observed.ping = Some(response),
        Err(error) => return unanswered(run, &error),
    }
    compare_versions(run).await;
    run.observed.ping_head = run.probe.send(&Request::new(Method::HEAD, url.clone())).await.ok();
    repository(run).await;
    redirects(run).await;
    answer::identify_server(run).await;
    asks(run);
    header(run);
    connections(run, &url).await;
}

/// What is there, and answers nothing.
fn unanswered(run: &mut Run, error: &RequestError) {
    let host = &run.target.host;
    let finding = Finding::fail(Check::Ping03, format!("{host} accepts the connection, but sends no response for /v2/"))
        .evidence(error.to_string())
        .breaks(&KnownClient::ALL)
        .fix("check the log of the server there: a registry responds to `GET /v2/` within a second. A proxy in front may wait for a dead backend")
        .rows(&["F05", "F06"]);
    run.record(finding);
    let unasked = [Check::Net06, Check::Ping01, Check::Ping02, Check::Ping04, Check::Ping05];
    run.skip(&unasked, &Needs::Check(Check::Ping03));
}

/// Requests the repository without credentials.
async fn repository(run: &mut Run) {
    let Some(name) = &run.target.repository else { return };
    let wanted = run.target.reference.as_ref().map(Reference::to_string);
    let path = match &wanted {
        Some(reference) => format!("/v2/{name}/manifests/{reference}"),
        None => format!("/v2/{name}/tags/list"),
    };
    // HEAD is for manifests; which one makes no difference to what is asked for.
    let head = format!("/v2/{name}/manifests/{}", wanted.as_deref().unwrap_or("latest"));
    if let Some(url) = run.url(&path) {
        run.observed.repository = run.probe.send(&Request::get(url)).await.ok();
    }
    if let Some(url) = run.url(&head) {
        let request = Request::new(Method::HEAD, url);
        run.observed.repository_head = run.probe.send(&request).await.ok();
    }
}

/// PING-02
async fn redirects(run: &mut Run) {
    let bare = match run.url("/v2") {
        Some(url) => run.probe.send(&Request::get(url)).await.ok(),
        None => None,
    };
    let to = |response: &Option<Response>| {
        let response = response.as_ref().filter(|response| response.status.is_redirection())?;
        Some((response.status, location(run, response)))
    };
    let asked = [("GET", to(&run.observed.ping)), ("HEAD", to(&run.observed.ping_head))];
    let lines: Vec<String> = asked
        .iter()
        .filter_map(|(method, to)| {
            to.as_ref().map(|(status, to)| format!("{method} /v2/: {status} to {to}"))
        })
        .chain(to(&bare).map(|(status, to)| format!("GET /v2: {status} to {to}")))
        .collect();
    let finding = if asked.iter().any(|(_, to)| to.is_some()) {
        Finding::fail(Check::Ping02, format!("/v2/ is redirected: {}", lines[0]))
            .breaks(&[KnownClient::Docker, KnownClient::Podman, KnownClient::Crane])
            .fix("route /v2/ to the registry unchanged. No rule may remove or add the last slash, redirect this name from HTTP to HTTPS, or redirect to a login page. If the registry has a new name, use that in clients")
            .rows(&["F20"])
    } else {
        Finding::pass(Check::Ping02, "/v2/ is not redirected")
    };
    run.record(lines.into_iter().fold(finding, Finding::evidence));
}

/// Where a redirect leads, without a query.
fn location(run: &Run, response: &Response) -> String {
    let text =
        response.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let text = text.unwrap_or_default();
    let target = run.url("/v2/").and_then(|url: Url| url.join(&text).ok());
    target.map_or_else(
        || "nowhere".to_owned(),
        |target| format!("{}{}", target.origin().ascii_serialization(), target.path()),
    )
}

/// PING-01
fn asks(run: &mut Run) {
    let Some(ping) = &run.observed.ping else { return };
    let status = ping.status;
    let named = run.observed.repository.as_ref().map(|response| response.status);
    let finding = match status {
        StatusCode::UNAUTHORIZED => {
            Finding::pass(Check::Ping01, "/v2/ returns 401 without credentials")
        }
        StatusCode::OK if named == Some(StatusCode::UNAUTHORIZED) => Finding::fail(
            Check::Ping01,
            "/v2/ returns 200, but the repository returns 401",
        )
        .breaks(&[KnownClient::Docker, KnownClient::Podman, KnownClient::Crane])
        .fix("respond to `GET /v2/` without a token with 401 and the challenge, even if some repositories are public. These clients learn only from it where the token service is. Remove a proxy rule that responds to /v2/ itself")
        .rows(&["F23"]),
        // What is served to everybody needs no login, and many registries are so.
        StatusCode::OK if ping.is_html() => Finding::skip(Check::Ping01, Needs::Check(Check::Ping03)),
        StatusCode::OK => Finding::warn(
            Check::Ping01,
            "/v2/ returns 200: the registry requires no login",
        )
        .evidence(match named {
            Some(status) => format!("the repository returns {status}"),
            None => "give a repository to check whether that requires a token".to_owned(),
        })
        .breaks(&[KnownClient::Docker, KnownClient::Podman, KnownClient::Crane])
        .fix("nothing, if the registry is meant to be open. If some repositories require a token, respond to `GET /v2/` with 401 and the challenge. Otherwise `docker login` succeeds with any password and pulls fail")
        .rows(&["F23"]),
        status if status.is_redirection() => Finding::skip(Check::Ping01, Needs::Check(Check::Ping02)),
        StatusCode::MISDIRECTED_REQUEST if run.failed(Check::Net06) => {
            Finding::skip(Check::Ping01, Needs::Check(Check::Net06))
        }
        _ => Finding::skip(Check::Ping01, Needs::Check(Check::Ping03)),
    };
    run.record(finding);
}

/// PING-04
fn header(run: &mut Run) {
    let has = |response: &Response| response.headers.contains_key(WWW_AUTHENTICATE);
    let unauthorized = |response: &&Response| response.status == StatusCode::UNAUTHORIZED;
    let Some(ping) = run.observed.ping.as_ref().filter(unauthorized) else {
        let needs = match run.observed.ping.as_ref().map(|response| response.status) {
            Some(StatusCode::OK) => Needs::Nothing("no credentials are required"),
            Some(status) if status.is_redirection() => Needs::Check(Check::Ping02),
            _ => Needs::Check(Check::Ping03),
        };
        run.skip(&[Check::Ping04], &needs);
        return;
    };
    let heads = [&run.observed.ping_head, &run.observed.repository_head];
    let bare_head = heads.into_iter().flatten().filter(unauthorized).any(|response| !has(response));
    let finding = if !has(ping) {
        Finding::fail(Check::Ping04, "the 401 for GET /v2/ has no WWW-Authenticate")
            .evidence(answer::whose(ping))
            .breaks(&KnownClient::ALL)
            .fix("let the header through: a proxy may hide it (nginx: `proxy_hide_header`, `proxy_intercept_errors on`, an `error_page 401`), or respond itself. Send the request to the registry's own port to see whether it sends the header")
            .rows(&["F24", "F06"])
    } else if bare_head {
        Finding::warn(Check::Ping04, "the 401 has a challenge for GET, but none for HEAD")
            .breaks(&[KnownClient::Containerd, KnownClient::Oras, KnownClient::Regclient])
            .fix("send WWW-Authenticate with every 401, also for HEAD: these clients start with HEAD, and use its challenge")
            .rows(&["F24"])
    } else {
        Finding::pass(Check::Ping04, "the 401 has a challenge, for GET and HEAD")
    };
    run.record(finding);
}

/// PING-05
async fn connections(run: &mut Run, url: &Url) {
    let Some(first) = run.observed.ping.clone() else { return };
    let (mut kinds, mut silent) = (vec![kind(&first)], Vec::new());
    for _ in 0..CONNECTIONS {
        match run.probe.send(&Request::get(url.clone()).fresh()).await {
            // Whoever asks too often is told so, which is no difference between machines.
            Ok(response) if response.status == StatusCode::TOO_MANY_REQUESTS => {}
            Ok(response) => kinds.push(kind(&response)),
            // The net, or a machine that is gone: no answer is not another answer.
            Err(error) => silent.push(format!("no response: {error}")),
        }
    }
    run.record(compared(kinds, &silent));
}

fn compared(mut kinds: Vec<String>, silent: &[String]) -> Finding {
    let asked = kinds.len() + silent.len();
    let answers = kinds.iter().chain(silent).enumerate();
    let lines: Vec<String> =
        answers.map(|(at, kind)| format!("connection {}: {kind}", at + 1)).collect();
    kinds.sort();
    kinds.dedup();
    let finding = match (kinds.as_slice(), silent.is_empty()) {
        ([_], true) => {
            let summary = format!("{asked} connections got the same response");
            return Finding::pass(Check::Ping05, summary);
        }
        ([_], false) => Finding::warn(
            Check::Ping05,
            format!("of {asked} connections {} got no response", silent.len()),
        )
        .fix("try again. If it happens again, one of several machines behind the name is down, or the network loses connections")
        .rows(&["F05"]),
        (several, _) if several.iter().any(|kind| kind.starts_with('5')) => Finding::fail(
            Check::Ping05,
            format!("{asked} connections got {} different responses, one of them a server error", several.len()),
        )
        .breaks(&KnownClient::ALL)
        .fix("one of several machines behind this name is faulty, or the proxy in front loses connections to them. Check its log, and check each machine by its own address")
        .rows(&["F31"]),
        (several, _) => Finding::fail(
            Check::Ping05,
            format!("{asked} connections got {} different responses", several.len()),
        )
        .breaks(&KnownClient::ALL)
        .fix("there are several machines behind this name. Give all the same `auth: token:` (realm, service, issuer, bundle), and restart the outdated ones. Check each by its own address")
        .rows(&["F31"]),
    };
    lines.into_iter().fold(finding, Finding::evidence)
}

/// What has to be the same: the status, and where a token is to be had.
fn kind(response: &Response) -> String {
    let lines = response.headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes);
    let challenges = portpass_protocol::challenge::parse(lines);
    let said: Vec<String> = challenges
        .iter()
        .map(|challenge| {
            let realm = challenge.realm().unwrap_or("none");
            let service = challenge.service().unwrap_or("none");
            redact::text(&format!("{}, realm {realm:?}, service {service:?}", challenge.scheme))
        })
        .collect();
    format!("{} {}", response.status.as_u16(), said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_not_another_answer() {
        let compared = |kinds: &[&str], silent: &[&str]| {
            let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let silent: Vec<String> = own(silent);
            compared(own(kinds), &silent)
        };
        assert_eq!(compared(&["401 a", "401 a"], &[]).verdict.as_str(), "pass");
        let lost = compared(&["401 a", "401 a"], &["no answer: reset"]);
        assert_eq!((lost.verdict.as_str(), lost.evidence.len()), ("warn", 3));
        let ill = compared(&["401 a", "503 "], &[]);
        assert!(ill.failed() && !ill.fix.unwrap().contains("auth: token"));
        assert!(compared(&["401 a", "401 b"], &["no answer: reset"]).failed());
    }
}
