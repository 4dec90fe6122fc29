//! POST: a password, an identity token, and what is no grant at all.

use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;

use super::{named_parameter, wanted};
use crate::{
    Check, Finding, Needs,
    complaint::Complaint,
    exchange::Response,
    run::Run,
    token_endpoint::{Caller, TokenEndpoint, describe, is_html, is_json, is_page, send},
};

/// TOK-04, TOK-05
pub(super) async fn check(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    match caller {
        Caller::Password { .. } => password(run, endpoint, caller).await,
        Caller::RefreshToken(token) => {
            let request = endpoint.refresh(token, &wanted(run));
            run.observed.answers.posted = send(run, Check::Tok04, request).await;
            judge_identity(run);
        }
        Caller::Anonymous => run.skip(&[Check::Tok04], &super::get::no_password(run)),
    }
    let fields =
        vec![("client_id", "portpass-diagnose".into()), ("grant_type", "portpass_diagnose".into())];
    if let Some(response) = send(run, Check::Tok05, endpoint.post(fields, &[])).await {
        judge_junk(run, &response);
    }
}

async fn password(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    let answers = &run.observed.answers;
    let good = |response: &Option<Response>| {
        response.as_ref().is_some_and(|response| response.status.is_success())
    };
    let taken = good(&answers.login) || good(&answers.scoped);
    let Caller::Password { username, password } = caller else { return };
    if answers.refused || !taken {
        run.skip(&[Check::Tok04], &super::missing(run));
        return;
    }
    let request = endpoint.post_password(username, password, &wanted(run));
    let Some(response) = send(run, Check::Tok04, request).await else { return };
    let finding = named_by_post(endpoint, &response)
        .or_else(|| by_post(&response, BY_POST, &[KnownClient::Containerd]));
    run.record(finding.unwrap_or_else(|| falls_back(&response)));
    run.observed.answers.posted = Some(response);
}

const BY_POST: &str = "POST with a password, as containerd";

/// After these clients come back by GET.
fn falls_back_from(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
    )
}

/// A POST that nobody comes back from, and that says itself what was wrong with it.
fn named_by_post(endpoint: &TokenEndpoint, response: &Response) -> Option<Finding> {
    let of_grant = Complaint::of(response) == Some(Complaint::GrantType);
    if of_grant || falls_back_from(response.status) {
        return None;
    }
    named_parameter::finding(Check::Tok04, endpoint, BY_POST, response)
}

/// What containerd cannot come back from (T2).
fn by_post(response: &Response, what: &str, breaks: &[KnownClient]) -> Option<Finding> {
    let status = response.status;
    if is_page(response) {
        let with = if status.is_redirection() { "a redirect" } else { "a web page" };
        let finding = Finding::fail(Check::Tok04, format!("the response to POST is {with}"))
            .evidence(describe(what, response))
            .evidence("clients say: invalid character '<' looking for beginning of value")
            .breaks(breaks)
            .rows(&["F43"])
            .fix("route POST on the realm's path to the token service, like GET. If it does not support POST, respond with 404 or 405: containerd then uses GET");
        return Some(finding);
    }
    if status.is_success() || falls_back_from(status) {
        return None;
    }
    let finding = Finding::fail(Check::Tok04, format!("POST fails with {status}, and clients do not fall back to GET"))
        .evidence(describe(what, response))
        .evidence(format!("clients say: failed to fetch oauth token: unexpected status: {}", status.as_u16()))
        .breaks(breaks)
        .rows(&["F42"])
        .fix("support POST on the realm's path (grant_type=password and refresh_token), or respond to it with 404 or 405. Containerd, Kubernetes and BuildKit use POST first if they have a password, and fall back to GET only after 404, 405, 400 and 401. Look for a proxy or a CSRF protection that refuses POST");
    Some(finding)
}

fn falls_back(response: &Response) -> Finding {
    if response.status.is_success() {
        return Finding::pass(Check::Tok04, "the token service accepts a password by POST");
    }
    let line = format!("{BY_POST}: {}", response.status);
    let summary = format!(
        "the token service accepts no password by POST ({}): clients fall back to GET",
        response.status
    );
    let finding = Finding::pass(Check::Tok04, summary).evidence(line);
    if response.status == StatusCode::UNAUTHORIZED {
        finding.evidence("the token service accepts the same password by GET: every login of containerd counts as one failed attempt")
    } else {
        finding
    }
}

fn judge_identity(run: &mut Run) {
    let Some(response) = run.observed.answers.posted.clone() else { return };
    let what = "POST with the identity token, as docker";
    if response.status.is_success() && !is_page(&response) {
        run.record(Finding::pass(
            Check::Tok04,
            "the token service accepts an identity token by POST",
        ));
    } else if let Some(finding) = by_post(&response, what, &KnownClient::ALL) {
        run.record(finding);
    } else {
        // Whether the token or the grant is at fault is what EXP-02 tells.
        run.skip(&[Check::Tok04], &Needs::Check(Check::Exp02));
    }
}

fn judge_junk(run: &mut Run, response: &Response) {
    let status = response.status;
    let line = describe("POST with an unknown grant_type", response);
    let absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    let bad = |summary: String, row: &'static str| {
        // No client sends this grant: the response counts only if a real grant gets the same.
        let posted = run.observed.answers.posted.as_ref();
        let as_real = posted.is_some_and(|posted| posted.status == status);
        let answer = if as_real { Finding::fail } else { Finding::warn };
        let finding = answer(Check::Tok05, summary).breaks(&[KnownClient::Containerd]);
        finding.rows(&[row]).fix("route POST on the realm's path to the token service. It must refuse an unknown grant with 400 and {\"error\":\"unsupported_grant_type\"}. If it does not support POST, it must respond with 404 or 405")
    };
    // After these, clients use GET, whatever the body says.
    let finding = if absent {
        Finding::pass(
            Check::Tok05,
            format!("the token service does not support POST ({status}): clients fall back to GET"),
        )
    } else if is_page(response) {
        let with = if status.is_redirection() { "a redirect" } else { "a web page" };
        bad(format!("the response to an invalid POST is {with}"), "F43")
    } else if status.is_success() {
        Finding::warn(Check::Tok05, "the token service gives a token for a POST with an unknown grant_type")
            .fix("refuse it with 400 and {\"error\":\"unsupported_grant_type\"}: a client must not get something else than it requested")
    } else if status.is_server_error() || !matches!(status.as_u16(), 400 | 401 | 404 | 405 | 429) {
        bad(format!("an invalid POST fails with {status}"), "F42")
    } else if is_html(response) {
        Finding::warn(Check::Tok05, format!("an invalid POST is refused with {status} and a web page"))
            .rows(&["F43"])
            .fix("refuse in JSON: clients that do not fall back to GET say \"invalid character '<'\" instead of the reason")
    } else if is_json(response) || response.body.is_empty() {
        Finding::pass(Check::Tok05, format!("an invalid POST is refused with {status}"))
    } else {
        Finding::warn(
            Check::Tok05,
            format!("an invalid POST is refused with {status}, but not in JSON"),
        )
        .fix("refuse in JSON: {\"error\":\"unsupported_grant_type\"} (RFC 6749 section 5.2)")
    };
    run.record(finding.evidence(line));
}
