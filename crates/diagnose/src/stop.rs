//! Whether the walk came to its end, as a client would. Where it did not, and no check has failed for it, the check
//! that it ended at is a failure: nobody is told that nothing is wrong after nothing was asked.

use portpass_protocol::challenge::Peer;
use reqwest::StatusCode;

use super::{
    Check, Finding, Needs, Verdict,
    case::Case,
    desk::{Who, cut, told},
    facts::Demand,
    probe::Seen,
    reply::{Reply, Standing},
};

/// What the walk has to pass, part by part.
const WAY: &[Check] = &[Check::Net01, Check::Net02, Check::Net03, Check::Net04];
const ANSWER: &[Check] =
    &[Check::Ping02, Check::Ping03, Check::Ping04, Check::Chal01, Check::Chal02];
const REALM: &[Check] =
    &[Check::Chal02, Check::Chal03, Check::Chal04, Check::Chal05, Check::Chal06, Check::Net05];
const TOKEN: &[Check] =
    &[Check::Tok01, Check::Tok02, Check::Tok03, Check::Tok04, Check::Tok09, Check::Resp03];
const USE: &[Check] = &[Check::Use01, Check::Use02];

/// Names what stopped the walk, if something did and nothing says so yet.
pub(super) fn judge(case: &mut Case) {
    let failed = Check::ALL.iter().any(|check| case.failed(*check));
    if failed || got_through(case) {
        return;
    }
    match where_it_ended(case) {
        End::Login => log_in(case),
        End::Repository => not_served(case),
        End::At(checks) => stopped(case, checks),
    }
}

/// Where a walk ends before its end.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Nobody is logged in, and nobody else is served.
    Login,
    /// Nobody is asked for anything, and the repository is not served all the same.
    Repository,
    /// At one of these.
    At(&'static [Check]),
}

/// Whether the registry has given somebody what a client asks it for.
fn got_through(case: &Case) -> bool {
    let facts = &case.facts;
    let served = |seen: &Seen| seen.status.is_success() || seen.status == StatusCode::NOT_FOUND;
    if facts.demand == Some(Demand::Nothing) {
        return case.target.repository.is_none() || facts.repository.as_ref().is_some_and(served);
    }
    let open = facts.repository.as_ref().is_some_and(|seen| seen.status.is_success());
    let shown = facts.replies.repository.as_ref().or(facts.replies.real.as_ref());
    let taken = shown.is_some_and(|seen| Reply::of(seen) == Reply::Taken);
    open || (facts.standing() == Standing::Taken && taken)
}

fn where_it_ended(case: &Case) -> End {
    let facts = &case.facts;
    let nobody = facts.credential.is_none() && case.inputs.token.is_none();
    let answered = facts.answers.anonymous.is_some();
    match &facts.demand {
        _ if facts.origin.is_none() => End::At(WAY),
        None => End::At(ANSWER),
        Some(Demand::Nothing) => End::Repository,
        Some(Demand::Basic) if nobody => End::Login,
        Some(Demand::Basic) => End::At(USE),
        Some(Demand::Bearer { .. }) => {
            if facts.token.is_some() {
                End::At(USE)
            } else if facts.realm.is_none() && (facts.apart.is_none() || !nobody) {
                End::At(REALM)
            } else if nobody && Who::of(case).is_nobody() && answered {
                End::Login
            } else {
                End::At(TOKEN)
            }
        }
    }
}

/// A pull of this machine is refused; where nothing is to be pulled, the half of the flow was not looked at.
fn log_in(case: &mut Case) {
    let host = &case.target.host;
    let known = case.finding(Check::Cfg02).cloned();
    let fix = format!("`docker login {host}`, or here: --username NAME --password-stdin");
    let finding = match &case.target.repository {
        Some(name) => Finding::fail(
            Check::Cfg02,
            format!("nobody is logged in to {host}, and {name} is not served without a login"),
        ),
        None => Finding::warn(
            Check::Cfg02,
            format!("nobody is logged in to {host}: whether a login works was not looked at"),
        ),
    };
    let known = known.into_iter();
    let finding = known.fold(finding.fix(fix), |finding, known| {
        known.evidence.iter().fold(finding, Finding::seen).rows(&known.rows)
    });
    case.found(finding);
}

/// Where there is no token, no token is at fault.
fn not_served(case: &mut Case) {
    let Some(name) = case.target.repository.clone() else { return };
    let finding = match &case.facts.repository {
        Some(seen) => {
            let status = seen.status;
            let fix = if status == StatusCode::TOO_MANY_REQUESTS {
                "wait as long as Retry-After says, then diagnose again"
            } else if status.is_server_error() {
                "look into the registry's log for this request, and at what it keeps its blobs in; where the log has none of it, a proxy in front answers"
            } else {
                "a registry that asks for no login refuses nobody by rules of its own: look at the proxy or the firewall in front, and into the registry's log"
            };
            let summary =
                format!("the registry is open to everybody, and answers {status} for {name}");
            let wait = seen.header("retry-after").map(|time| format!("Retry-After: {}", cut(time)));
            let finding = Finding::fail(Check::Use03, summary)
                .fix(fix)
                .seen(told(&format!("GET /v2/{name}/tags/list"), seen));
            wait.into_iter().fold(finding, Finding::seen)
        }
        None => Finding::fail(
            Check::Use03,
            format!("the registry is open to everybody, and gives no answer for {name}"),
        )
        .fix("look into the registry's log for this request, and into that of the proxy in front"),
    };
    case.found(finding.breaks(&Peer::ALL));
}

/// The last of these that was answered with a doubt is what the walk ended at; else the last that was not asked.
fn stopped(case: &mut Case, checks: &[Check]) {
    let doubtful = checks.iter().rev().find(|check| case.warned(**check));
    let unasked = || {
        let asked = |check: &&Check| {
            let finding = case.finding(**check);
            finding.is_none_or(|finding| matches!(finding.verdict, Verdict::Skip(_)))
        };
        checks.iter().rev().find(asked)
    };
    let Some(check) = doubtful.or_else(unasked).or(checks.last()).copied() else { return };
    let known = case.finding(check).cloned();
    let summary = match known.as_ref().map(|known| (&known.verdict, &known.summary)) {
        Some((Verdict::Skip(needs @ (Needs::Nothing(_) | Needs::Input(_))), _)) => {
            format!("the walk ended here: {needs}")
        }
        Some((Verdict::Warn, summary)) => summary.clone(),
        _ => format!("the walk ended before it could be seen that {}", check.asserts()),
    };
    let mut finding = Finding::fail(check, summary);
    finding.fix = known.as_ref().and_then(|known| known.fix.clone());
    if finding.fix.is_none() {
        finding = finding.fix("mend or give what is missing here, or wait where too much was asked, and diagnose again");
    }
    let finding = known.into_iter().fold(finding, |finding, known| {
        let finding = known.evidence.iter().fold(finding, Finding::seen);
        finding.breaks(&known.breaks).rows(&known.rows)
    });
    case.found(finding.seen(
        "nothing behind it could be looked at, so it is not known whether a client gets through",
    ));
}
