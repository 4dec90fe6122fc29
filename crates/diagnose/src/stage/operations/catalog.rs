//! The list of all repositories: who may read it, and whether the registry says so.

use portpass_protocol::{Action, Actions, Resource, challenge::KnownClient};
use reqwest::{StatusCode, Url};

use super::{
    answer::{describe, is_denied},
    caller::{self, challenged},
};
use crate::{
    Check, Finding, Needs,
    exchange::{Authorization, Request, Response},
    observations::RequiredAuth,
    probe::RequestError,
    run::Run,
};

/// OPS-09: F107.
pub(super) async fn check(run: &mut Run) {
    let Some(mut url) = run.url("/v2/_catalog") else { return };
    url.set_query(Some("n=1"));
    let Some(demand) = run.observed.required_auth.clone() else {
        return run.skip(&[Check::Ops09], &Needs::Check(Check::Ping04));
    };
    let request = Request::get(url.clone());
    let answer = run.probe.send(&request).await;
    let finding = match &answer {
        Ok(response) => judge(run, &url, response, &demand).await,
        Err(_) => Finding::skip(Check::Ops09, Needs::Nothing("the catalog gets no response")),
    };
    run.record(finding.evidence(describe(&request, &answer)));
}

async fn judge(run: &Run, url: &Url, response: &Response, required_auth: &RequiredAuth) -> Finding {
    let check = Check::Ops09;
    match response.status {
        StatusCode::OK if *required_auth == RequiredAuth::Nothing => {
            Finding::pass(check, "everybody can read the catalog, as everything else here")
        }
        StatusCode::OK => Finding::warn(
            check,
            "everybody can read the names of all repositories, without credentials",
        )
        .fix("require credentials for `/v2/_catalog` too: no proxy rule may serve it from a cache, or let it through without a token"),
        StatusCode::UNAUTHORIZED => match challenged(response) {
            Some(challenge) => by_token(run, url, challenge.scope().unwrap_or_default()).await,
            None => Finding::pass(check, "the catalog requires the password"),
        },
        status => Finding::pass(check, format!("the registry has no catalog here: {status}")),
    }
}

async fn by_token(run: &Run, url: &Url, scope: &str) -> Finding {
    let check = Check::Ops09;
    if !scope.split(' ').any(|scope| scope == SCOPE) {
        return Finding::warn(
            check,
            format!("the catalog requires the scope {scope:?}, not `{SCOPE}`"),
        )
        .breaks(&[KnownClient::Crane, KnownClient::Oras, KnownClient::Regclient])
        .fix(format!(
            "clients request the scope that the challenge names: it must be exactly `{SCOPE}`"
        ))
        .rows(&["F107"]);
    }
    let asks = Finding::pass(check, format!("the catalog requires `{SCOPE}`"));
    let answers = [Check::Tok01, Check::Tok02, Check::Tok03, Check::Resp03, Check::Use02];
    let works = !answers.iter().any(|check| run.failed(*check));
    let Some(token) = (if works { caller::token(run, SCOPE).await } else { None }) else {
        return asks;
    };
    let granted = caller::granted(&token, run.clock.now());
    let catalog = Resource { resource_type: "registry".into(), name: "catalog".into() };
    let granted =
        granted.map(|access| access.actions_on(&catalog).cloned().unwrap_or(Actions::none()));
    let request = Request::get(url.clone()).with(Authorization::Bearer(token));
    let answer = run.probe.send(&request).await;
    tried(granted, &request, &answer).unwrap_or(asks)
}

/// What came of a token for the catalog.
fn tried(
    granted: Option<Actions>,
    request: &Request,
    answer: &Result<Response, RequestError>,
) -> Option<Finding> {
    let check = Check::Ops09;
    let response = answer.as_ref().ok()?;
    if response.status == StatusCode::OK {
        return Some(Finding::pass(
            check,
            format!("the catalog requires `{SCOPE}`, and the registry serves it with that"),
        ));
    }
    let granted = granted?;
    if !is_denied(response) {
        return None;
    }
    if granted.is_empty() {
        return Some(Finding::pass(
            check,
            format!("the catalog requires `{SCOPE}`, which this account is not granted"),
        ));
    }
    let summary = if granted.contains(&Action::Any) {
        format!("the token grants `{SCOPE}`, but the registry denies the catalog")
    } else {
        format!("the token grants `registry:catalog:{granted}`; the catalog needs the action `*`")
    };
    let finding = Finding::fail(check, summary)
        .evidence(describe(request, answer))
        .breaks(&[KnownClient::Crane, KnownClient::Oras, KnownClient::Regclient])
        .fix("the token service must put `{\"type\": \"registry\", \"name\": \"catalog\", \"actions\": [\"*\"]}` into `access` for users who may list. In a shell, quote a URL with `&` and `*`")
        .rows(&["F107"]);
    Some(finding)
}

const SCOPE: &str = "registry:catalog:*";
