//! PING-03: whether it is a registry that answers.

use portpass_protocol::challenge::KnownClient;
use reqwest::{StatusCode, header::WWW_AUTHENTICATE};

use crate::{
    Check, Finding, Needs,
    exchange::{Request, Response},
    redact,
    run::Run,
};

/// Usual paths of registries that are not at the root.
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
            "/v2/ fails with 429: there were too many requests from here",
            "wait as long as Retry-After says, then run the command again. All users behind one NAT or proxy count as one address",
            &[],
        ),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => blocked(
            &ping,
            "a proxy requires its own name and password",
            "put them into the proxy's variable (http://NAME:PASSWORD@…) of the program that pulls, or the registry into NO_PROXY",
            &["F06"],
        ),
        StatusCode::FORBIDDEN => blocked(
            &ping,
            "/v2/ is forbidden",
            "something in front of the registry refuses: a proxy, a web application firewall, a list of addresses. Let /v2/ through: a registry itself responds with 401",
            &["F06"],
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => elsewhere(run, &ping).await,
        status => blocked(
            &ping,
            &format!("/v2/ fails with {status}"),
            "check the logs of the registry and of the proxy in front of it: the registry is down, or the proxy cannot reach it",
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
        let summary = "the response to /v2/ is a registry's".to_owned();
        return Finding::pass(Check::Ping03, summary)
            .evidence(format!("{header} Docker-Distribution-Api-Version"));
    }
    // Without a challenge another check names it.
    if ping.status == StatusCode::UNAUTHORIZED && !challenged {
        return Finding::skip(Check::Ping03, Needs::Check(Check::Ping04));
    }
    Finding::warn(Check::Ping03, "the response to /v2/ comes from something in front of the registry")
        .evidence(whose(ping))
        .evidence(format!("body: {}", redact::excerpt(ping)))
        .breaks(&[KnownClient::Docker])
        .fix("a proxy may ask for the password. If the registry has a token service, pass /v2/ to it unchanged. Errors should be JSON with `Docker-Distribution-Api-Version: registry/2.0`; otherwise docker says \"invalid character '<'\"")
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
                format!("/v2/ returns {}, and there is a registry at /{prefix}/v2/", ping.status.as_u16()),
            )
            .breaks(&KnownClient::ALL)
            .fix(format!("clients use only /v2/ at the root. The proxy must pass /v2/ to the registry, or give the registry its own host name. If you want repositories named {prefix}/…, the proxy must not use {prefix} as its own path"))
            .rows(&["F21"]);
        }
    }
    let what = if ping.is_html() { "a web page" } else { "not a registry's response" };
    let rows: &[&'static str] =
        if ping.is_html() { &["F22", "F21", "F06"] } else { &["F21", "F22"] };
    blocked(
        ping,
        &format!("/v2/ returns {} and {what}", ping.status.as_u16()),
        "the proxy must pass /v2/ to the registry (nginx: `location /v2/ { proxy_pass http://REGISTRY; }`), not to a web interface or an error page. Check that host and port are the registry's",
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
        return format!(
            "{}, and nothing in the response says which server sent it",
            response.status
        );
    }
    redact::text(&format!("{}, {}", response.status, words.join(", ")))
}
