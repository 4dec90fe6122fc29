//! The list of all repositories: whom it is for, and whether the registry says so.

use portpass_protocol::{Action, Actions, Resource, challenge::Peer};
use reqwest::{StatusCode, Url};

use super::caller::{self, challenged, is_denied, told};
use crate::{
    Check, Finding, Needs,
    case::Case,
    facts::Demand,
    probe::{Ask, Authorization, Seen, Silence},
};

/// OPS-09: F107.
pub(super) async fn run(case: &mut Case) {
    let Some(mut url) = case.url("/v2/_catalog") else { return };
    url.set_query(Some("n=1"));
    let Some(demand) = case.facts.demand.clone() else {
        return case.skip(&[Check::Ops09], &Needs::Check(Check::Ping04));
    };
    let ask = Ask::get(url.clone());
    let answer = case.probe.ask(&ask).await;
    let finding = match &answer {
        Ok(seen) => judge(case, &url, seen, &demand).await,
        Err(_) => Finding::skip(Check::Ops09, Needs::Nothing("the catalog is not answered")),
    };
    case.found(finding.seen(told(&ask, &answer)));
}

async fn judge(case: &Case, url: &Url, seen: &Seen, demand: &Demand) -> Finding {
    let check = Check::Ops09;
    match seen.status {
        StatusCode::OK if *demand == Demand::Nothing => {
            Finding::pass(check, "the catalog is there for everybody, as all else is")
        }
        StatusCode::OK => Finding::warn(
            check,
            "everybody can read the names of all repositories, without credentials",
        )
        .fix("let `/v2/_catalog` ask for credentials too: no rule of a proxy may answer it from a cache, or let it through without a token"),
        StatusCode::UNAUTHORIZED => match challenged(seen) {
            Some(challenge) => by_token(case, url, challenge.scope().unwrap_or_default()).await,
            None => Finding::pass(check, "the catalog asks for the password"),
        },
        status => Finding::pass(check, format!("there is no catalog for us: {status}")),
    }
}

async fn by_token(case: &Case, url: &Url, scope: &str) -> Finding {
    let check = Check::Ops09;
    if !scope.split(' ').any(|scope| scope == SCOPE) {
        return Finding::warn(
            check,
            format!("the catalog asks for the scope {scope:?}, not for `{SCOPE}`"),
        )
        .breaks(&[Peer::Crane, Peer::Oras, Peer::Regclient])
        .fix(format!(
            "clients ask for what the challenge names: it has to be `{SCOPE}`, to the letter"
        ))
        .rows(&["F107"]);
    }
    let asks = Finding::pass(check, format!("the catalog asks for `{SCOPE}`"));
    let answers = [Check::Tok01, Check::Tok02, Check::Tok03, Check::Resp03, Check::Use02];
    let works = !answers.iter().any(|check| case.failed(*check));
    let Some(token) = (if works { caller::token(case, SCOPE).await } else { None }) else {
        return asks;
    };
    let granted = caller::granted(&token, case.clock.now());
    let catalog = Resource { resource_type: "registry".into(), name: "catalog".into() };
    let granted =
        granted.map(|access| access.actions_on(&catalog).cloned().unwrap_or(Actions::none()));
    let ask = Ask::get(url.clone()).with(Authorization::Bearer(token));
    let answer = case.probe.ask(&ask).await;
    tried(granted, &ask, &answer).unwrap_or(asks)
}

/// What came of a token for the catalog.
fn tried(granted: Option<Actions>, ask: &Ask, answer: &Result<Seen, Silence>) -> Option<Finding> {
    let check = Check::Ops09;
    let seen = answer.as_ref().ok()?;
    if seen.status == StatusCode::OK {
        return Some(Finding::pass(
            check,
            format!("the catalog asks for `{SCOPE}`, and is served with it"),
        ));
    }
    let granted = granted?;
    if !is_denied(seen) {
        return None;
    }
    if granted.is_empty() {
        return Some(Finding::pass(
            check,
            format!("the catalog asks for `{SCOPE}`, which this account is not granted"),
        ));
    }
    let summary = if granted.contains(&Action::Any) {
        format!("the token grants `{SCOPE}`, and the catalog is denied all the same")
    } else {
        format!("the token grants `registry:catalog:{granted}`; the catalog needs the action `*`")
    };
    let finding = Finding::fail(check, summary)
        .seen(told(ask, answer))
        .breaks(&[Peer::Crane, Peer::Oras, Peer::Regclient])
        .fix("have the token service put `{\"type\": \"registry\", \"name\": \"catalog\", \"actions\": [\"*\"]}` into `access` for those who may list. In a shell, quote a URL with `&` and `*`")
        .rows(&["F107"]);
    Some(finding)
}

const SCOPE: &str = "registry:catalog:*";
