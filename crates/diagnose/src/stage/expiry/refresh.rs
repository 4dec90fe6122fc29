//! The refresh token: whether it works, twice, and for other scopes.

use super::{
    Caller, Check, Finding, KnownClient, Needs, Response, Run, SecretString, StatusCode,
    TokenEndpoint, describe, is_page, send, token_in, token_request,
};
use crate::{complaint::Complaint, token_endpoint::granted};

/// Who keeps a refresh token in place of the password.
const KEEPERS: &[KnownClient] = &[
    KnownClient::Docker,
    KnownClient::Containerd,
    KnownClient::Podman,
    KnownClient::Crane,
    KnownClient::Oras,
    KnownClient::Regclient,
];

/// EXP-02, EXP-03, RESP-07
pub(super) async fn check(run: &mut Run, endpoint: &TokenEndpoint) {
    match Caller::of(run) {
        Caller::RefreshToken(token) => kept(run, endpoint, &token).await,
        Caller::Password { .. } => match run.observed.answers.refresh_token.clone() {
            Some(token) => given(run, endpoint, &token).await,
            None if run
                .observed
                .answers
                .login
                .as_ref()
                .is_some_and(|response| token_in(response).is_some()) =>
            {
                run.skip(
                    &[Check::Exp02, Check::Exp03],
                    &Needs::Nothing(
                        "the token service gives no refresh token: clients store the password",
                    ),
                );
            }
            None => {}
        },
        Caller::Anonymous => run.skip(&[Check::Exp02, Check::Exp03], &token_request::LOGIN),
    }
}

/// One that the login of this diagnosis gave.
async fn given(run: &mut Run, endpoint: &TokenEndpoint, token: &SecretString) {
    let wanted = token_request::wanted(run);
    let Some(first) = send(run, Check::Exp02, endpoint.refresh(token, &wanted)).await else {
        return;
    };
    if !works(&first) {
        // Where the scope or every POST is refused, this says nothing of refresh tokens.
        let earlier = [Check::Tok03, Check::Tok04].into_iter().find(|check| run.failed(*check));
        if let Some(earlier) = earlier {
            let all = [Check::Exp02, Check::Exp03, Check::Resp07];
            return run.skip(&all, &Needs::Check(earlier));
        }
        run.skip(&[Check::Exp03, Check::Resp07], &Needs::Check(Check::Exp02));
        run.record(named(endpoint, &first).unwrap_or_else(|| missing(&first)));
        return;
    }
    again(run, endpoint, token, &first).await;
}

/// One that was kept: it has been shown once already.
async fn kept(run: &mut Run, endpoint: &TokenEndpoint, token: &SecretString) {
    let Some(first) = run.observed.answers.posted.clone() else { return };
    if !works(&first) {
        if run.failed(Check::Tok04) || first.status.is_success() {
            return;
        }
        run.record(named(endpoint, &first).unwrap_or_else(|| stale(run, &first)));
        return;
    }
    if rotated(&first, token) {
        // Where tokens are used once, a second use may lock its owner out.
        let finding = Finding::warn(
            Check::Exp02,
            "the identity token works, but the response has another one, which docker does not store",
        )
        .evidence("`diagnose` did not send it a second time: some token services then treat it as stolen");
        run.skip(&[Check::Exp03], &Needs::Nothing("the identity token may be valid only once"));
        run.record(rotation(finding));
        return;
    }
    again(run, endpoint, token, &first).await;
}

async fn again(run: &mut Run, endpoint: &TokenEndpoint, token: &SecretString, first: &Response) {
    let wanted = token_request::wanted(run);
    let Some(second) = send(run, Check::Exp02, endpoint.refresh(token, &wanted)).await else {
        return;
    };
    if !works(&second) {
        let finding = Finding::fail(
            Check::Exp02,
            format!("the refresh token works once, then fails with {}", second.status),
        )
        .evidence(describe("POST with the refresh token, the first time", first))
        .evidence(describe("POST with the same refresh token again", &second));
        let finding = if rotated(first, token) {
            finding.evidence("the first response has another refresh token")
        } else {
            finding
        };
        run.skip(&[Check::Exp03, Check::Resp07], &Needs::Check(Check::Exp02));
        run.record(rotation(finding));
        return;
    }
    let finding = Finding::pass(Check::Exp02, "the refresh token works more than once");
    let scoped = run.observed.answers.scoped.as_ref().and_then(granted);
    let less = scoped.zip(granted(&second)).is_some_and(|(by_password, by_refresh)| {
        !by_password.iter().all(|access| by_refresh.covers(access))
    });
    run.record(if less {
        Finding::warn(Check::Exp02, "the refresh token grants less than the password")
            .fix("give the refresh token all rights of its owner: docker uses it for every pull and push after login")
    } else {
        finding
    });
    if run.observed.answers.refresh_token.is_some() {
        run.record(Finding::pass(Check::Resp07, "the refresh token from login works"));
    }
    other_scope(run, endpoint, token).await;
}

/// EXP-03
async fn other_scope(run: &mut Run, endpoint: &TokenEndpoint, token: &SecretString) {
    if run.failed(Check::Tok08) {
        run.skip(&[Check::Exp03], &Needs::Check(Check::Tok08));
        return;
    }
    let other = ["repository:portpass-diagnose/nobody:pull".to_owned()];
    let Some(response) = send(run, Check::Exp03, endpoint.refresh(token, &other)).await else {
        return;
    };
    run.record(if works(&response) {
        Finding::pass(Check::Exp03, "the refresh token works for another scope")
    } else {
        Finding::fail(Check::Exp03, format!("the refresh token fails with {} for another scope", response.status))
            .evidence(describe("POST with the refresh token and another repository's scope", &response))
            .breaks(KEEPERS)
            .rows(&["F65", "F52"])
            .fix("bind a refresh token to its owner and the service, not to a scope. Docker logs in without a scope, and uses that refresh token for every repository. Leave what is not granted out of `access`, with status 200")
    });
}

fn works(response: &Response) -> bool {
    response.status.is_success() && !is_page(response) && token_in(response).is_some()
}

fn rotated(response: &Response, token: &SecretString) -> bool {
    let answer = portpass_protocol::token_response::read(&response.body).ok();
    let other = answer.and_then(|answer| answer.refresh_token);
    other.is_some_and(|other| other != crate::token_endpoint::exposed(token))
}

/// What is not the refresh token's fault. That its grant is unknown is what F65 is about.
fn named(endpoint: &TokenEndpoint, first: &Response) -> Option<Finding> {
    let grant = Complaint::of(first) == Some(Complaint::GrantType);
    let what = "POST with the refresh token, as docker";
    let finding = token_request::named_parameter::finding(Check::Exp02, endpoint, what, first)
        .filter(|_| !grant)?;
    Some(finding.breaks(KEEPERS))
}

/// F65
fn missing(first: &Response) -> Finding {
    let status = first.status;
    let summary = if status.is_success() {
        "login gives a refresh token, but the response to POST with it has no token".to_owned()
    } else {
        format!("login gives a refresh token, but POST with it fails with {status}")
    };
    Finding::fail(Check::Exp02, summary)
        .evidence(describe("POST with the refresh token from login", first))
        .evidence("docker stores the refresh token instead of the password: login works, then every pull fails")
        .breaks(KEEPERS)
        .rows(&["F65"])
        .fix("support POST with grant_type=refresh_token on the realm's path, or give no refresh_token for offline_token=true: clients then store the password. After that, `docker logout HOST` and log in again")
}

/// A kept one that does not count any more, or never did.
fn stale(run: &Run, first: &Response) -> Finding {
    let status = first.status;
    let place = run.observed.credential.as_ref().map(|found| found.place.to_string());
    let absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        || Complaint::of(first) == Some(Complaint::GrantType);
    let summary = if absent {
        format!("the token service supports no identity token: POST fails with {status}")
    } else {
        format!("the token service refuses the identity token: {status}")
    };
    let rows: &[&str] = if absent { &["F65"] } else { &["F66", "F142", "F65"] };
    Finding::fail(Check::Exp02, summary)
        .evidence(describe("POST with the identity token, as docker", first))
        .evidence(format!("the identity token is stored in {}", place.unwrap_or_default()))
        .breaks(KEEPERS)
        .rows(rows)
        .fix("`docker logout HOST` and log in again. If it fails again after the first pull, the token service replaces refresh tokens at each use (switch that off). If it fails again after a restart of the token service, the service keeps them only in memory. With --username and --password-stdin, `diagnose` can tell which")
}

fn rotation(finding: Finding) -> Finding {
    finding.breaks(KEEPERS).rows(&["F66"]).fix(
        "a refresh token must work until it is revoked. Switch off its rotation, and the detection of reuse (Keycloak: Revoke Refresh Token; others: one-time refresh tokens). Clients keep the one from login and ignore the new one",
    )
}
