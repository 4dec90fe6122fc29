//! The registry's answers to those who show nothing.

use portpass_protocol::{Reference, challenge::Peer};
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderValue, LOCATION, WWW_AUTHENTICATE},
};

use super::net::compare_versions;
use crate::{
    Check, Finding, Needs,
    case::Case,
    probe::{Ask, Seen, Silence},
    redact,
};

mod answer;

/// Connections that are compared, beside the first.
const CONNECTIONS: usize = 3;

pub(crate) async fn run(case: &mut Case) {
    let Some(url) = case.url("/v2/") else { return };
    match case.probe.ask(&Ask::get(url.clone())).await {
        Ok(seen) => case.facts.ping = Some(seen),
        Err(silence) => return unanswered(case, &silence),
    }
    compare_versions(case).await;
    case.facts.ping_head = case.probe.ask(&Ask::new(Method::HEAD, url.clone())).await.ok();
    repository(case).await;
    redirects(case).await;
    answer::speaker(case).await;
    asks(case);
    header(case);
    connections(case, &url).await;
}

/// What is there, and answers nothing.
fn unanswered(case: &mut Case, silence: &Silence) {
    let host = &case.target.host;
    let finding = Finding::fail(Check::Ping03, format!("{host} takes the connection, and answers /v2/ with nothing"))
        .seen(silence.to_string())
        .breaks(&Peer::ALL)
        .fix("see the log of what listens there: a registry answers `GET /v2/` within a second. A proxy in front may wait for one that is gone")
        .rows(&["F05", "F06"]);
    case.found(finding);
    let unasked = [Check::Net06, Check::Ping01, Check::Ping02, Check::Ping04, Check::Ping05];
    case.skip(&unasked, &Needs::Check(Check::Ping03));
}

/// Asks for the repository as somebody who shows nothing.
async fn repository(case: &mut Case) {
    let Some(name) = &case.target.repository else { return };
    let wanted = case.target.reference.as_ref().map(Reference::to_string);
    let path = match &wanted {
        Some(reference) => format!("/v2/{name}/manifests/{reference}"),
        None => format!("/v2/{name}/tags/list"),
    };
    // HEAD is for manifests; which one makes no difference to what is asked for.
    let head = format!("/v2/{name}/manifests/{}", wanted.as_deref().unwrap_or("latest"));
    if let Some(url) = case.url(&path) {
        case.facts.repository = case.probe.ask(&Ask::get(url)).await.ok();
    }
    if let Some(url) = case.url(&head) {
        let ask = Ask::new(Method::HEAD, url);
        case.facts.repository_head = case.probe.ask(&ask).await.ok();
    }
}

/// PING-02
async fn redirects(case: &mut Case) {
    let bare = match case.url("/v2") {
        Some(url) => case.probe.ask(&Ask::get(url)).await.ok(),
        None => None,
    };
    let to = |seen: &Option<Seen>| {
        let seen = seen.as_ref().filter(|seen| seen.status.is_redirection())?;
        Some((seen.status, location(case, seen)))
    };
    let asked = [("GET", to(&case.facts.ping)), ("HEAD", to(&case.facts.ping_head))];
    let lines: Vec<String> = asked
        .iter()
        .filter_map(|(method, to)| {
            to.as_ref().map(|(status, to)| format!("{method} /v2/: {status} to {to}"))
        })
        .chain(to(&bare).map(|(status, to)| format!("GET /v2: {status} to {to}")))
        .collect();
    let finding = if asked.iter().any(|(_, to)| to.is_some()) {
        Finding::fail(Check::Ping02, format!("/v2/ is redirected: {}", lines[0]))
            .breaks(&[Peer::Docker, Peer::Podman, Peer::Crane])
            .fix("route /v2/ to the registry untouched. No rule that cuts or adds the last slash, none from HTTP to HTTPS on this name, none to a login page. Clients that know the new name should be told it instead")
            .rows(&["F20"])
    } else {
        Finding::pass(Check::Ping02, "/v2/ is answered where it was asked")
    };
    case.found(lines.into_iter().fold(finding, Finding::seen));
}

/// Where a redirect leads, without a query.
fn location(case: &Case, seen: &Seen) -> String {
    let text = seen.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let text = text.unwrap_or_default();
    let target = case.url("/v2/").and_then(|url: Url| url.join(&text).ok());
    target.map_or_else(
        || "nowhere".to_owned(),
        |target| format!("{}{}", target.origin().ascii_serialization(), target.path()),
    )
}

/// PING-01
fn asks(case: &mut Case) {
    let Some(ping) = &case.facts.ping else { return };
    let status = ping.status;
    let named = case.facts.repository.as_ref().map(|seen| seen.status);
    let finding = match status {
        StatusCode::UNAUTHORIZED => {
            Finding::pass(Check::Ping01, "/v2/ is answered with 401 to those who show nothing")
        }
        StatusCode::OK if named == Some(StatusCode::UNAUTHORIZED) => Finding::fail(
            Check::Ping01,
            "/v2/ is answered with 200, and the repository with 401",
        )
        .breaks(&[Peer::Docker, Peer::Podman, Peer::Crane])
        .fix("answer `GET /v2/` with 401 and the challenge to everybody who shows no token, also where some repositories are public. These clients learn from it alone where tokens are. In a proxy, take out the rule that answers /v2/ by itself")
        .rows(&["F23"]),
        // What is served to everybody needs no login, and many registries are so.
        StatusCode::OK if ping.is_html() => Finding::skip(Check::Ping01, Needs::Check(Check::Ping03)),
        StatusCode::OK => Finding::warn(
            Check::Ping01,
            "/v2/ is answered with 200: the registry asks nobody who they are",
        )
        .seen(match named {
            Some(status) => format!("the repository is answered with {status}"),
            None => "name a repository to see whether that asks for a token".to_owned(),
        })
        .breaks(&[Peer::Docker, Peer::Podman, Peer::Crane])
        .fix("nothing, if it is meant to be open. If some repositories need a token, answer `GET /v2/` with 401 and the challenge, or `docker login` succeeds with any password and pulls fail")
        .rows(&["F23"]),
        status if status.is_redirection() => Finding::skip(Check::Ping01, Needs::Check(Check::Ping02)),
        StatusCode::MISDIRECTED_REQUEST if case.failed(Check::Net06) => {
            Finding::skip(Check::Ping01, Needs::Check(Check::Net06))
        }
        _ => Finding::skip(Check::Ping01, Needs::Check(Check::Ping03)),
    };
    case.found(finding);
}

/// PING-04
fn header(case: &mut Case) {
    let has = |seen: &Seen| seen.headers.contains_key(WWW_AUTHENTICATE);
    let unauthorized = |seen: &&Seen| seen.status == StatusCode::UNAUTHORIZED;
    let Some(ping) = case.facts.ping.as_ref().filter(unauthorized) else {
        let needs = match case.facts.ping.as_ref().map(|seen| seen.status) {
            Some(StatusCode::OK) => Needs::Nothing("nothing is asked for"),
            Some(status) if status.is_redirection() => Needs::Check(Check::Ping02),
            _ => Needs::Check(Check::Ping03),
        };
        case.skip(&[Check::Ping04], &needs);
        return;
    };
    let heads = [&case.facts.ping_head, &case.facts.repository_head];
    let bare_head = heads.into_iter().flatten().filter(unauthorized).any(|seen| !has(seen));
    let finding = if !has(ping) {
        Finding::fail(Check::Ping04, "the 401 to GET /v2/ has no WWW-Authenticate")
            .seen(answer::whose(ping))
            .breaks(&Peer::ALL)
            .fix("let the header through: a proxy may hide it (nginx: `proxy_hide_header`, `proxy_intercept_errors on`, an `error_page 401`), or answer by itself; ask the registry's own port to see whether it sends it")
            .rows(&["F24", "F06"])
    } else if bare_head {
        Finding::warn(Check::Ping04, "the 401 has a challenge for GET, and none for HEAD")
            .breaks(&[Peer::Containerd, Peer::Oras, Peer::Regclient])
            .fix("send WWW-Authenticate with every 401, also to HEAD: these clients begin with HEAD, and learn from its answer")
            .rows(&["F24"])
    } else {
        Finding::pass(Check::Ping04, "the 401 says how to come back, to GET and HEAD")
    };
    case.found(finding);
}

/// PING-05
async fn connections(case: &mut Case, url: &Url) {
    let Some(first) = case.facts.ping.clone() else { return };
    let (mut kinds, mut silent) = (vec![kind(&first)], Vec::new());
    for _ in 0..CONNECTIONS {
        match case.probe.ask(&Ask::get(url.clone()).fresh()).await {
            // Whoever asks too often is told so, which is no difference between machines.
            Ok(seen) if seen.status == StatusCode::TOO_MANY_REQUESTS => {}
            Ok(seen) => kinds.push(kind(&seen)),
            // The net, or a machine that is gone: no answer is not another answer.
            Err(silence) => silent.push(format!("no answer: {silence}")),
        }
    }
    case.found(compared(kinds, &silent));
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
            let summary = format!("{asked} connections got the same answer");
            return Finding::pass(Check::Ping05, summary);
        }
        ([_], false) => Finding::warn(
            Check::Ping05,
            format!("of {asked} connections {} got no answer", silent.len()),
        )
        .fix("try again: if it stays so, one of several machines behind the name is gone, or the way there loses connections")
        .rows(&["F05"]),
        (several, _) if several.iter().any(|kind| kind.starts_with('5')) => Finding::fail(
            Check::Ping05,
            format!("{asked} connections got {} different answers, one a fault of a server", several.len()),
        )
        .breaks(&Peer::ALL)
        .fix("one of several machines behind this name is ill, or the proxy before them loses them. Look into its log, and ask each by its own address")
        .rows(&["F31"]),
        (several, _) => Finding::fail(
            Check::Ping05,
            format!("{asked} connections got {} different answers", several.len()),
        )
        .breaks(&Peer::ALL)
        .fix("several machines answer by this name: give all the same `auth: token:` (realm, service, issuer, bundle), and restart the one that was left behind. Ask each by its own address")
        .rows(&["F31"]),
    };
    lines.into_iter().fold(finding, Finding::seen)
}

/// What has to be the same: the status, and where a token is to be had.
fn kind(seen: &Seen) -> String {
    let lines = seen.headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes);
    let challenges = portpass_protocol::challenge::parse(lines);
    let said: Vec<String> = challenges
        .iter()
        .map(|challenge| {
            let realm = challenge.realm().unwrap_or("none");
            let service = challenge.service().unwrap_or("none");
            redact::text(&format!("{}, realm {realm:?}, service {service:?}", challenge.scheme))
        })
        .collect();
    format!("{} {}", seen.status.as_u16(), said.join("; "))
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
