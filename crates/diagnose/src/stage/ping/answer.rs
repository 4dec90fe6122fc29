//! PING-03: whether it is a registry that answers.

use portpass_protocol::challenge::KnownClient;
use reqwest::{StatusCode, header::WWW_AUTHENTICATE};

use crate::{
    Check, Finding, Needs,
    exchange::{Request, Response},
    redact,
    run::Run,
};

/// Where registries are put by those who put them below a path.
const USUAL_PREFIXES: [&str; 2] = ["registry", "docker"];

pub(super) async fn identify_server(run: &mut Run) {
    let Some(ping) = run.observed.ping.clone() else { return };
    let finding = match ping.status {
        StatusCode::OK if ping.is_html() => elsewhere(run, &ping).await,
        StatusCode::OK | StatusCode::UNAUTHORIZED => at_home(&ping),
        status if status.is_redirection() => {
            Finding::skip(Check::Ping03, Needs::Check(Check::Ping02))
        }
        StatusCode::MISDIRECTED_REQUEST if run.failed(Check::Net06) => {
            Finding::skip(Check::Ping03, Needs::Check(Check::Net06))
        }
        StatusCode::TOO_MANY_REQUESTS => blocked(
            &ping,
            "/v2/ is answered with 429: too many requests came from here",
            "wait as long as Retry-After says, then diagnose again: all users behind one NAT or proxy count as one address",
            &[],
        ),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => blocked(
            &ping,
            "a proxy wants a name and a password of its own",
            "put them into the proxy's variable (http://NAME:PASSWORD@…) of the program that pulls, or the registry into NO_PROXY",
            &["F06"],
        ),
        StatusCode::FORBIDDEN => blocked(
            &ping,
            "/v2/ is forbidden",
            "somebody in front of the registry refuses: a proxy, a firewall for applications, a list of addresses. Let /v2/ through, since a registry itself answers 401",
            &["F06"],
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => elsewhere(run, &ping).await,
        status => blocked(
            &ping,
            &format!("/v2/ is answered with {status}"),
            "see the log of the registry and of the proxy in front of it: the one is gone, or the other does not reach it",
            &["F126", "F06"],
        ),
    };
    run.record(finding);
}

/// An answer with a status that registries have.
fn at_home(ping: &Response) -> Finding {
    let version = ping.headers.contains_key("docker-distribution-api-version");
    let json = serde_json::from_slice::<serde_json::Value>(&ping.body).is_ok();
    let open = ping.status == StatusCode::OK && ping.body.is_empty();
    let challenged = ping.headers.contains_key(WWW_AUTHENTICATE);
    if version || json || open {
        let header = if version { "with" } else { "without" };
        let summary = "/v2/ is answered as a registry does".to_owned();
        return Finding::pass(Check::Ping03, summary)
            .evidence(format!("{header} Docker-Distribution-Api-Version"));
    }
    // Without a challenge another check names it.
    if ping.status == StatusCode::UNAUTHORIZED && !challenged {
        return Finding::skip(Check::Ping03, Needs::Check(Check::Ping04));
    }
    Finding::warn(Check::Ping03, "/v2/ is answered by something in front of the registry")
        .evidence(whose(ping))
        .evidence(format!("body: {}", redact::excerpt(ping)))
        .breaks(&[KnownClient::Docker])
        .fix("if a proxy asks for the password, that is its affair; if the registry has a token service, let /v2/ through to it untouched. Errors should be JSON with `Docker-Distribution-Api-Version: registry/2.0`, or docker says \"invalid character '<'\"")
        .rows(&["F25", "F06"])
}

fn blocked(ping: &Response, summary: &str, fix: &str, rows: &[&'static str]) -> Finding {
    Finding::fail(Check::Ping03, summary)
        .evidence(whose(ping))
        .evidence(format!("body: {}", redact::excerpt(ping)))
        .breaks(&KnownClient::ALL)
        .fix(fix)
        .rows(rows)
}

/// Nothing is at `/v2/`: looks below the paths where it might be.
async fn elsewhere(run: &Run, ping: &Response) -> Finding {
    let own = run.target.repository.as_ref().map(ToString::to_string);
    let own = own.as_deref().and_then(|name| name.split_once('/')).map(|(first, _)| first);
    let mut prefixes: Vec<&str> = own.into_iter().collect();
    prefixes.extend(USUAL_PREFIXES.iter().filter(|usual| Some(**usual) != own));
    for prefix in prefixes {
        let Some(url) = run.url(&format!("/{prefix}/v2/")) else { continue };
        let Ok(response) = run.probe.send(&Request::get(url)).await else { continue };
        let registry = response.headers.contains_key("docker-distribution-api-version")
            || (response.status == StatusCode::UNAUTHORIZED
                && response.headers.contains_key(WWW_AUTHENTICATE));
        if registry {
            return Finding::fail(
                Check::Ping03,
                format!("/v2/ is {}, and a registry is at /{prefix}/v2/", ping.status.as_u16()),
            )
            .breaks(&KnownClient::ALL)
            .fix(format!("clients ask for /v2/ at the root alone: have the proxy hand /v2/ to the registry, or give it a name of its own. If repositories are meant to be called {prefix}/…, the proxy must not take {prefix} for a path of its own"))
            .rows(&["F21"]);
        }
    }
    let what = if ping.is_html() { "a page for people" } else { "no registry's answer" };
    let rows: &[&'static str] =
        if ping.is_html() { &["F22", "F21", "F06"] } else { &["F21", "F22"] };
    blocked(
        ping,
        &format!("/v2/ is answered with {} and {what}", ping.status.as_u16()),
        "have the proxy hand /v2/ to the registry (nginx: `location /v2/ { proxy_pass http://REGISTRY; }`), not to a web interface or a page of errors. See that host and port are the registry's",
        rows,
    )
}

/// Who says so.
pub(super) fn whose(response: &Response) -> String {
    let words = ["server", "via", "x-cache", "content-type"]
        .iter()
        .filter_map(|name| response.header(name).map(|value| format!("{name}: {value}")));
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return format!("{}, without a word of who says so", response.status);
    }
    redact::text(&format!("{}, {}", response.status, words.join(", ")))
}
