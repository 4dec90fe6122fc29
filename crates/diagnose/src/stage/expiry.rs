//! What happens later: how long a token lives, and how the next one is got.

use std::time::{Duration, SystemTime};

use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;
use secrecy::SecretString;

use super::{token_request, token_response};
use crate::{
    Check, Finding, Needs,
    exchange::{Authorization, Request, Response},
    observations::{RequiredAuth, Token},
    run::Run,
    token_endpoint::{Caller, TokenEndpoint, describe, is_page, send, token_in},
};

mod refresh;
#[cfg(test)]
mod tests;

/// Nobody waits longer for a diagnosis.
const LONGEST: Duration = Duration::from_mins(31);
/// What registries allow beyond `exp`, and a second.
const LEEWAY: Duration = Duration::from_secs(61);

pub(crate) async fn check(run: &mut Run) {
    if let Some(RequiredAuth::Nothing | RequiredAuth::Basic) = &run.observed.required_auth {
        let all = [Check::Exp01, Check::Exp02, Check::Exp03, Check::Exp04];
        run.skip(&all, &Needs::Nothing("the registry requires no token"));
        return;
    }
    life(run);
    let Some(endpoint) = TokenEndpoint::of(run) else { return };
    refresh::check(run, &endpoint).await;
    if run.inputs.wait_expiry {
        after(run, &endpoint).await;
    } else {
        run.skip(&[Check::Exp04], &Needs::Input("--wait-expiry"));
    }
}

/// How long the token lives, by itself or else by what was said.
fn lives(run: &Run) -> Option<u64> {
    let token = run.observed.token.as_ref()?;
    let claims = token.decoded.as_ref().map(|opened| &opened.claims);
    claims
        .and_then(|claims| token_response::times::lifetime(claims, run.clock.now()))
        .or(token.expires_in)
}

/// EXP-01 (F63)
fn life(run: &mut Run) {
    if run.observed.token.is_none() {
        return;
    }
    let Some(seconds) = lives(run) else {
        run.skip(
            &[Check::Exp01],
            &Needs::Nothing("neither the token nor the response says how long it lives"),
        );
        return;
    };
    let summary = format!("the token lives {seconds} s");
    let finding = match seconds {
        300.. => Finding::pass(Check::Exp01, summary),
        60.. => {
            Finding::warn(Check::Exp01, format!("{summary}, which is short")).rows(&["F63", "F123"])
        }
        _ => Finding::fail(Check::Exp01, format!("{summary}; clients treat less than 60 s as 60"))
            .breaks(&[KnownClient::Docker, KnownClient::Podman, KnownClient::Regclient])
            .rows(&["F63"]),
    };
    run.record(if finding.verdict.as_str() == "pass" {
        finding
    } else {
        finding.fix("set the lifetime of tokens to 300 s or more (docker_auth: `token.expiration`, GitLab: container_registry_token_expire_delay, portpass: `lifetime`). A large layer takes longer to push, and then the registry says \"unauthorized\"")
    });
}

/// EXP-04 (F127): waits until the token is dead for the registry too, unless USE-06 has waited.
async fn after(run: &mut Run, endpoint: &TokenEndpoint) {
    let Some(old) = run.observed.token.clone() else { return };
    let Some(rest) = rest(run) else {
        run.skip(&[Check::Exp04], &Needs::Nothing("the token's lifetime is not known"));
        return;
    };
    if rest > LONGEST {
        let why = Needs::Nothing("the token lives too long to wait for its end");
        run.skip(&[Check::Exp04], &why);
        return;
    }
    run.clock.wait(rest).await;
    let Some(finding) = next(run, endpoint).await else { return };
    run.record(finding);
    if !run.has_passed(Check::Use06)
        && !run.failed(Check::Use06)
        && let Some(finding) = dead(run, &old).await
    {
        run.record(finding);
    }
}

/// How long it is until then.
fn rest(run: &Run) -> Option<Duration> {
    let token = run.observed.token.as_ref()?;
    let claims = token.decoded.as_ref().map(|opened| &opened.claims);
    let expiry = claims.and_then(|claims| claims.get("exp")?.as_u64());
    let now = run.clock.now();
    let end = match expiry {
        Some(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?,
        // Got a little earlier, so this is no shorter.
        None => now.checked_add(Duration::from_secs(token.expires_in?))?,
    };
    Some(end.checked_add(LEEWAY)?.duration_since(now).unwrap_or_default())
}

/// Whether there is a new token when the old one has ended.
async fn next(run: &mut Run, endpoint: &TokenEndpoint) -> Option<Finding> {
    let wanted = token_request::wanted(run);
    let request = match Caller::of(run) {
        Caller::Password { .. } if run.observed.answers.refused => return None,
        Caller::RefreshToken(token) => endpoint.refresh(&token, &wanted),
        caller => endpoint.get(&caller, &[], &wanted),
    };
    let response = send(run, Check::Exp04, request).await?;
    let line = describe("second request", &response);
    Some(if token_in(&response).is_some() && !is_page(&response) {
        Finding::pass(Check::Exp04, "there is a new token, and the old one is refused as invalid")
    } else {
        Finding::fail(Check::Exp04, "there is no new token after the old one expired")
            .evidence(line)
            .breaks(&KnownClient::ALL)
            .fix("check the token service's log: it accepted the same request before")
    })
}

/// How the registry refuses the old one; `None` where that is as it should be.
async fn dead(run: &mut Run, old: &Token) -> Option<Finding> {
    let request = Request::get(run.url("/v2/")?).with(Authorization::Bearer(old.text.clone()));
    let response = run.probe.send(&request).await.ok()?;
    let challenge = response.header("www-authenticate").unwrap_or_default();
    let line = format!(
        "GET /v2/ with the expired token: {}, {}",
        response.status,
        crate::token_endpoint::cut(challenge)
    );
    if response.status == StatusCode::UNAUTHORIZED && challenge.contains("error=") {
        return None;
    }
    let summary = if response.status == StatusCode::UNAUTHORIZED {
        "the registry refuses the expired token, but does not call it invalid"
    } else {
        "the registry does not refuse the expired token with 401"
    };
    Some(
        Finding::fail(Check::Exp04, summary)
            .evidence(line)
            .breaks(&[KnownClient::Containerd])
            .rows(&["F127"])
            .fix("the registry must refuse an expired token with 401 and error=\"invalid_token\" in WWW-Authenticate: only then does containerd drop its token. If a proxy rewrites the challenge, let it pass unchanged"),
    )
}
