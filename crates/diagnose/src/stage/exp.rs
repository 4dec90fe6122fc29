//! What happens later: how long a token lives, and how the next one is got.

use std::time::{Duration, SystemTime};

use portpass_protocol::challenge::Peer;
use reqwest::StatusCode;
use secrecy::SecretString;

use super::{resp, tok};
use crate::{
    Check, Finding, Needs,
    case::Case,
    desk::{Desk, Who, is_page, put, token_in, told},
    facts::{Demand, Token},
    probe::{Ask, Authorization, Seen},
};

mod refresh;
#[cfg(test)]
mod tests;

/// Nobody waits longer for a diagnosis.
const LONGEST: Duration = Duration::from_mins(31);
/// What registries allow beyond `exp`, and a second.
const LEEWAY: Duration = Duration::from_secs(61);

pub(crate) async fn run(case: &mut Case) {
    if let Some(Demand::Nothing | Demand::Basic) = &case.facts.demand {
        let all = [Check::Exp01, Check::Exp02, Check::Exp03, Check::Exp04];
        case.skip(&all, &Needs::Nothing("the registry asks for no token"));
        return;
    }
    life(case);
    let Some(desk) = Desk::of(case) else { return };
    refresh::run(case, &desk).await;
    if case.inputs.wait_expiry {
        after(case, &desk).await;
    } else {
        case.skip(&[Check::Exp04], &Needs::Input("--wait-expiry"));
    }
}

/// How long the token lives, by itself or else by what was said.
fn lives(case: &Case) -> Option<u64> {
    let token = case.facts.token.as_ref()?;
    let claims = token.opened.as_ref().map(|opened| &opened.claims);
    claims.and_then(|claims| resp::times::lifetime(claims, case.clock.now())).or(token.expires_in)
}

/// EXP-01 (F63)
fn life(case: &mut Case) {
    if case.facts.token.is_none() {
        return;
    }
    let Some(seconds) = lives(case) else {
        case.skip(
            &[Check::Exp01],
            &Needs::Nothing("neither the token nor its answer says how long it lives"),
        );
        return;
    };
    let summary = format!("the token lives {seconds} s");
    let finding = match seconds {
        300.. => Finding::pass(Check::Exp01, summary),
        60.. => {
            Finding::warn(Check::Exp01, format!("{summary}, which is short")).rows(&["F63", "F123"])
        }
        _ => Finding::fail(Check::Exp01, format!("{summary}; clients take less than 60 s for 60"))
            .breaks(&[Peer::Docker, Peer::Podman, Peer::Regclient])
            .rows(&["F63"]),
    };
    case.found(if finding.verdict.as_str() == "pass" {
        finding
    } else {
        finding.fix("let the token service's tokens live 300 s or more (docker_auth: `token.expiration`, GitLab: container_registry_token_expire_delay, portpass: `lifetime`): a large layer takes longer to push, and then the registry says \"unauthorized\"")
    });
}

/// EXP-04 (F127): waits until the token is dead for the registry too, unless USE-06 has waited.
async fn after(case: &mut Case, desk: &Desk) {
    let Some(old) = case.facts.token.clone() else { return };
    let Some(rest) = rest(case) else {
        case.skip(&[Check::Exp04], &Needs::Nothing("nothing says how long the token lives"));
        return;
    };
    if rest > LONGEST {
        let why = Needs::Nothing("the token lives longer than anybody waits");
        case.skip(&[Check::Exp04], &why);
        return;
    }
    case.clock.wait(rest).await;
    let Some(finding) = next(case, desk).await else { return };
    case.found(finding);
    if !case.has_passed(Check::Use06)
        && !case.failed(Check::Use06)
        && let Some(finding) = dead(case, &old).await
    {
        case.found(finding);
    }
}

/// How long it is until then.
fn rest(case: &Case) -> Option<Duration> {
    let token = case.facts.token.as_ref()?;
    let claims = token.opened.as_ref().map(|opened| &opened.claims);
    let expiry = claims.and_then(|claims| claims.get("exp")?.as_u64());
    let now = case.clock.now();
    let end = match expiry {
        Some(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?,
        // Got a little earlier, so this is no shorter.
        None => now.checked_add(Duration::from_secs(token.expires_in?))?,
    };
    Some(end.checked_add(LEEWAY)?.duration_since(now).unwrap_or_default())
}

/// Whether there is a new token when the old one has ended.
async fn next(case: &mut Case, desk: &Desk) -> Option<Finding> {
    let wanted = tok::wanted(case);
    let ask = match Who::of(case) {
        Who::Password { .. } if case.facts.answers.refused => return None,
        Who::Identity(token) => desk.refresh(&token, &wanted),
        who => desk.get(&who, &[], &wanted),
    };
    let seen = put(case, Check::Exp04, ask).await?;
    let line = told("asked again", &seen);
    Some(if token_in(&seen).is_some() && !is_page(&seen) {
        Finding::pass(Check::Exp04, "a new token comes, and the old one is refused as invalid")
    } else {
        Finding::fail(Check::Exp04, "there is no new token when the old one has expired")
            .seen(line)
            .breaks(&Peer::ALL)
            .fix("look into the token service's log: the same question was answered before")
    })
}

/// How the registry refuses the old one; `None` where that is as it should be.
async fn dead(case: &mut Case, old: &Token) -> Option<Finding> {
    let ask = Ask::get(case.url("/v2/")?).with(Authorization::Bearer(old.text.clone()));
    let seen = case.probe.ask(&ask).await.ok()?;
    let challenge = seen.header("www-authenticate").unwrap_or_default();
    let line = format!(
        "GET /v2/ with the expired token: {}, {}",
        seen.status,
        crate::desk::cut(challenge)
    );
    if seen.status == StatusCode::UNAUTHORIZED && challenge.contains("error=") {
        return None;
    }
    let summary = if seen.status == StatusCode::UNAUTHORIZED {
        "the registry refuses the expired token without saying that it is invalid"
    } else {
        "the registry does not refuse the expired token with 401"
    };
    Some(
        Finding::fail(Check::Exp04, summary)
            .seen(line)
            .breaks(&[Peer::Containerd])
            .rows(&["F127"])
            .fix("let the registry answer an expired token with 401 and error=\"invalid_token\" in WWW-Authenticate: containerd drops its token only then. Where a proxy rewrites the challenge, let it pass unchanged"),
    )
}
