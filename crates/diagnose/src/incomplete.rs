//! Whether the run came to its end, as a client would. If it did not, and no check has failed, the check that it ended
//! at fails: a run that asked nothing must not report that nothing is wrong.

use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;

use super::{
    Check, Finding, Needs, Verdict,
    exchange::Response,
    observations::RequiredAuth,
    outcome::{Outcome, TokenStatus},
    run::Run,
    token_endpoint::{Caller, cut, describe},
};

/// The checks that a run has to pass, part by part.
const WAY: &[Check] = &[Check::Net01, Check::Net02, Check::Net03, Check::Net04];
const ANSWER: &[Check] =
    &[Check::Ping02, Check::Ping03, Check::Ping04, Check::Chal01, Check::Chal02];
const REALM: &[Check] =
    &[Check::Chal02, Check::Chal03, Check::Chal04, Check::Chal05, Check::Chal06, Check::Net05];
const TOKEN: &[Check] =
    &[Check::Tok01, Check::Tok02, Check::Tok03, Check::Tok04, Check::Tok09, Check::Resp03];
const USE: &[Check] = &[Check::Use01, Check::Use02];

/// Names what stopped the run, if something did and no check says so yet.
pub(super) fn judge(run: &mut Run) {
    let failed = Check::ALL.iter().any(|check| run.failed(*check));
    if failed || got_through(run) {
        return;
    }
    match where_it_ended(run) {
        End::Login => log_in(run),
        End::Repository => not_served(run),
        End::At(checks) => stopped(run, checks),
    }
}

/// Where a run stops too early.
#[derive(Debug, Clone, Copy)]
enum End {
    /// There is no login, and without one nothing is served.
    Login,
    /// Nobody is asked for anything, and the repository is not served all the same.
    Repository,
    /// At one of these.
    At(&'static [Check]),
}

/// Whether the registry has served what a client asks for.
fn got_through(run: &Run) -> bool {
    let observed = &run.observed;
    let served = |response: &Response| {
        response.status.is_success() || response.status == StatusCode::NOT_FOUND
    };
    if observed.required_auth == Some(RequiredAuth::Nothing) {
        return run.target.repository.is_none() || observed.repository.as_ref().is_some_and(served);
    }
    let open = observed.repository.as_ref().is_some_and(|response| response.status.is_success());
    let shown = observed.replies.repository.as_ref().or(observed.replies.real.as_ref());
    let taken = shown.is_some_and(|response| Outcome::of(response) == Outcome::Accepted);
    open || (observed.token_status() == TokenStatus::Accepted && taken)
}

fn where_it_ended(run: &Run) -> End {
    let observed = &run.observed;
    let nobody = observed.credential.is_none() && run.inputs.token.is_none();
    let answered = observed.answers.anonymous.is_some();
    match &observed.required_auth {
        _ if observed.origin.is_none() => End::At(WAY),
        None => End::At(ANSWER),
        Some(RequiredAuth::Nothing) => End::Repository,
        Some(RequiredAuth::Basic) if nobody => End::Login,
        Some(RequiredAuth::Basic) => End::At(USE),
        Some(RequiredAuth::Bearer { .. }) => {
            if observed.token.is_some() {
                End::At(USE)
            } else if observed.realm.is_none() && (observed.anonymous_endpoint.is_none() || !nobody)
            {
                End::At(REALM)
            } else if nobody && Caller::of(run).is_anonymous() && answered {
                End::Login
            } else {
                End::At(TOKEN)
            }
        }
    }
}

/// A pull of this machine is refused; where nothing is to be pulled, the half of the flow was not looked at.
fn log_in(run: &mut Run) {
    let host = &run.target.host;
    let known = run.finding(Check::Cfg02).cloned();
    let fix = format!("`docker login {host}`, or here: --username NAME --password-stdin");
    let finding = match &run.target.repository {
        Some(name) => Finding::fail(
            Check::Cfg02,
            format!(
                "you are not logged in to {host}, and the registry does not serve {name} without a login"
            ),
        ),
        None => Finding::warn(
            Check::Cfg02,
            format!("you are not logged in to {host}, so no login was checked"),
        ),
    };
    let known = known.into_iter();
    let finding = known.fold(finding.fix(fix), |finding, known| {
        known.evidence.iter().fold(finding, Finding::evidence).rows(&known.rows)
    });
    run.record(finding);
}

/// Where there is no token, no token is at fault.
fn not_served(run: &mut Run) {
    let Some(name) = run.target.repository.clone() else { return };
    let finding = match &run.observed.repository {
        Some(response) => {
            let status = response.status;
            let fix = if status == StatusCode::TOO_MANY_REQUESTS {
                "wait as long as Retry-After says, then run the command again"
            } else if status.is_server_error() {
                "look for this request in the registry's log, and check its storage. If the log does not have the request, a proxy in front responds"
            } else {
                "a registry without logins has no rules that refuse a client. Check the proxy or firewall in front of it, and the registry's log"
            };
            let summary =
                format!("the registry asks for no login, and responds with {status} for {name}");
            let wait =
                response.header("retry-after").map(|time| format!("Retry-After: {}", cut(time)));
            let finding = Finding::fail(Check::Use03, summary)
                .fix(fix)
                .evidence(describe(&format!("GET /v2/{name}/tags/list"), response));
            wait.into_iter().fold(finding, Finding::evidence)
        }
        None => Finding::fail(
            Check::Use03,
            format!("the registry asks for no login, and sends no response for {name}"),
        )
        .fix("look for this request in the log of the registry, and in that of the proxy in front of it"),
    };
    run.record(finding.breaks(&KnownClient::ALL));
}

/// The run ended at the last of these checks with a warning, else at the last that was not made.
fn stopped(run: &mut Run, checks: &[Check]) {
    let doubtful = checks.iter().rev().find(|check| run.warned(**check));
    let unasked = || {
        let asked = |check: &&Check| {
            let finding = run.finding(**check);
            finding.is_none_or(|finding| matches!(finding.verdict, Verdict::Skip(_)))
        };
        checks.iter().rev().find(asked)
    };
    let Some(check) = doubtful.or_else(unasked).or(checks.last()).copied() else { return };
    let known = run.finding(check).cloned();
    let summary = match known.as_ref().map(|known| (&known.verdict, &known.summary)) {
        Some((Verdict::Skip(needs @ (Needs::Nothing(_) | Needs::Input(_))), _)) => {
            format!("`diagnose` stopped here: {needs}")
        }
        Some((Verdict::Warn, summary)) => summary.clone(),
        _ => format!("`diagnose` stopped before it could check that {}", check.asserts()),
    };
    let mut finding = Finding::fail(check, summary);
    finding.fix = known.as_ref().and_then(|known| known.fix.clone());
    if finding.fix.is_none() {
        finding = finding.fix("fix or give what is missing here, or wait if there were too many requests. Then run the command again");
    }
    let finding = known.into_iter().fold(finding, |finding, known| {
        let finding = known.evidence.iter().fold(finding, Finding::evidence);
        finding.breaks(&known.breaks).rows(&known.rows)
    });
    run.record(finding.evidence(
        "nothing after this step could be checked, so it is not known whether a client succeeds",
    ));
}
