//! POST: a password, an identity token, and what is no grant at all.

use portpass_protocol::challenge::Peer;
use reqwest::StatusCode;

use super::{named, wanted};
use crate::{
    Check, Finding, Needs,
    case::Case,
    complaint::Complaint,
    desk::{Desk, Who, is_html, is_json, is_page, put, told},
    probe::Seen,
};

/// TOK-04, TOK-05
pub(super) async fn run(case: &mut Case, desk: &Desk, who: &Who) {
    match who {
        Who::Password { .. } => password(case, desk, who).await,
        Who::Identity(token) => {
            let ask = desk.refresh(token, &wanted(case));
            case.facts.answers.posted = put(case, Check::Tok04, ask).await;
            judge_identity(case);
        }
        Who::Nobody => case.skip(&[Check::Tok04], &super::get::no_password(case)),
    }
    let fields =
        vec![("client_id", "portpass-diagnose".into()), ("grant_type", "portpass_diagnose".into())];
    if let Some(seen) = put(case, Check::Tok05, desk.post(fields, &[])).await {
        judge_junk(case, &seen);
    }
}

async fn password(case: &mut Case, desk: &Desk, who: &Who) {
    let answers = &case.facts.answers;
    let good = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.status.is_success());
    let taken = good(&answers.login) || good(&answers.scoped);
    let Who::Password { username, password } = who else { return };
    if answers.refused || !taken {
        case.skip(&[Check::Tok04], &super::missing(case));
        return;
    }
    let ask = desk.post_password(username, password, &wanted(case));
    let Some(seen) = put(case, Check::Tok04, ask).await else { return };
    let finding =
        named_by_post(desk, &seen).or_else(|| by_post(&seen, BY_POST, &[Peer::Containerd]));
    case.found(finding.unwrap_or_else(|| falls_back(&seen)));
    case.facts.answers.posted = Some(seen);
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
fn named_by_post(desk: &Desk, seen: &Seen) -> Option<Finding> {
    let of_grant = Complaint::of(seen) == Some(Complaint::GrantType);
    if of_grant || falls_back_from(seen.status) {
        return None;
    }
    named::finding(Check::Tok04, desk, BY_POST, seen)
}

/// What containerd cannot come back from (T2).
fn by_post(seen: &Seen, what: &str, breaks: &[Peer]) -> Option<Finding> {
    let status = seen.status;
    if is_page(seen) {
        let with = if status.is_redirection() { "a redirect" } else { "a page for browsers" };
        let finding = Finding::fail(Check::Tok04, format!("POST is answered with {with}"))
            .seen(told(what, seen))
            .seen("clients say: invalid character '<' looking for beginning of value")
            .breaks(breaks)
            .rows(&["F43"])
            .fix("send POST on the realm's path to the token service, as GET is. If it has no POST, answer 404 or 405: containerd then asks by GET");
        return Some(finding);
    }
    if status.is_success() || falls_back_from(status) {
        return None;
    }
    let finding = Finding::fail(Check::Tok04, format!("POST is answered with {status}, after which nobody asks by GET"))
        .seen(told(what, seen))
        .seen(format!("clients say: failed to fetch oauth token: unexpected status: {}", status.as_u16()))
        .breaks(breaks)
        .rows(&["F42"])
        .fix("serve POST on the realm's path (grant_type=password and refresh_token), or answer it with 404 or 405. Containerd, Kubernetes and BuildKit POST first whenever they have a password, and fall back to GET only after 404, 405, 400 and 401. Look for a proxy or a protection against forged forms (CSRF) that refuses POST");
    Some(finding)
}

fn falls_back(seen: &Seen) -> Finding {
    if seen.status.is_success() {
        return Finding::pass(Check::Tok04, "a password by POST is taken");
    }
    let line = format!("{BY_POST}: {}", seen.status);
    let summary =
        format!("there is no password by POST ({}): clients fall back to GET", seen.status);
    let finding = Finding::pass(Check::Tok04, summary).seen(line);
    if seen.status == StatusCode::UNAUTHORIZED {
        finding.seen("the same password is taken by GET: every login of containerd counts one failed attempt")
    } else {
        finding
    }
}

fn judge_identity(case: &mut Case) {
    let Some(seen) = case.facts.answers.posted.clone() else { return };
    let what = "POST with the identity token, as docker";
    if seen.status.is_success() && !is_page(&seen) {
        case.found(Finding::pass(Check::Tok04, "an identity token by POST is taken"));
    } else if let Some(finding) = by_post(&seen, what, &Peer::ALL) {
        case.found(finding);
    } else {
        // Whether the token or the grant is at fault is what EXP-02 tells.
        case.skip(&[Check::Tok04], &Needs::Check(Check::Exp02));
    }
}

fn judge_junk(case: &mut Case, seen: &Seen) {
    let status = seen.status;
    let line = told("POST with an unknown grant_type", seen);
    let absent = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    let bad = |summary: String, row: &'static str| {
        // Nobody but us sends such a grant: it tells of others only where a real one has the same answer.
        let posted = case.facts.answers.posted.as_ref();
        let as_real = posted.is_some_and(|posted| posted.status == status);
        let answer = if as_real { Finding::fail } else { Finding::warn };
        let finding = answer(Check::Tok05, summary).breaks(&[Peer::Containerd]);
        finding.rows(&[row]).fix("send POST on the realm's path to the token service, and let it refuse what it does not know with 400 and {\"error\":\"unsupported_grant_type\"}. If it has no POST, with 404 or 405")
    };
    // After these clients ask by GET, whatever stands in the answer.
    let finding = if absent {
        Finding::pass(
            Check::Tok05,
            format!("there is no POST ({status}): clients fall back to GET"),
        )
    } else if is_page(seen) {
        let with = if status.is_redirection() { "a redirect" } else { "a page for browsers" };
        bad(format!("a bad POST is answered with {with}"), "F43")
    } else if status.is_success() {
        Finding::warn(Check::Tok05, "a POST with an unknown grant_type is served all the same")
            .fix("refuse it with 400 and {\"error\":\"unsupported_grant_type\"}: who asks for one thing must not get another")
    } else if status.is_server_error() || !matches!(status.as_u16(), 400 | 401 | 404 | 405 | 429) {
        bad(format!("a bad POST is answered with {status}"), "F42")
    } else if is_html(seen) {
        Finding::warn(Check::Tok05, format!("a bad POST is refused with {status} and a page for browsers"))
            .rows(&["F43"])
            .fix("refuse in JSON: clients that do not fall back to GET say \"invalid character '<'\" in place of the reason")
    } else if is_json(seen) || seen.body.is_empty() {
        Finding::pass(Check::Tok05, format!("a bad POST is refused with {status}"))
    } else {
        Finding::warn(Check::Tok05, format!("a bad POST is refused with {status}, and not in JSON"))
            .fix("refuse in JSON: {\"error\":\"unsupported_grant_type\"} (RFC 6749 section 5.2)")
    };
    case.found(finding.seen(line));
}
