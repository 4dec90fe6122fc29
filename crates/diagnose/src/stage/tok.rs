//! The token service: does it answer what clients ask, in each of their ways?

use portpass_client::credentials::Credential;

use crate::{
    Check, Finding, Needs,
    case::Case,
    desk::{Desk, Who, granted, token_in, told},
    facts::{Asker, Demand, Token},
    probe::Seen,
};

mod get;
pub(in crate::stage) mod named;
mod post;
mod scopes;
mod stranger;
#[cfg(test)]
pub(crate) mod tests;
mod unexpected;

const ALL: &[Check] = &[
    Check::Tok01,
    Check::Tok02,
    Check::Tok03,
    Check::Tok04,
    Check::Tok05,
    Check::Tok06,
    Check::Tok07,
    Check::Tok08,
    Check::Tok09,
    Check::Tok10,
    Check::Tok11,
    Check::Tok12,
];
/// What is needed where nobody is logged in.
pub(crate) const LOGIN: Needs = Needs::Input("--username and --password-stdin");
/// What is needed where no repository was named.
pub(crate) const REPOSITORY: Needs = Needs::Input("a repository: HOST/REPOSITORY");

pub(crate) async fn run(case: &mut Case) {
    match &case.facts.demand {
        Some(Demand::Nothing) => {
            case.skip(ALL, &Needs::Nothing("the registry asks for no token"));
        }
        Some(Demand::Basic) => {
            case.skip(
                ALL,
                &Needs::Nothing("the registry asks for the password itself, not a token"),
            );
        }
        Some(Demand::Bearer { .. }) | None => {}
    }
    // Without a realm an earlier check has failed, and stands for all that is not asked here.
    if let Some(desk) = Desk::of(case)
        && !case.failed(Check::Net05)
    {
        ask(case, &desk).await;
    } else if let Some(desk) = Desk::apart(case) {
        ask_without_credentials(case, &desk).await;
    }
    keep_token(case);
}

async fn ask(case: &mut Case, desk: &Desk) {
    let who = Who::of(case);
    get::run(case, desk, &who).await;
    if case.failed(Check::Tok01) || case.failed(Check::Tok09) {
        return;
    }
    post::run(case, desk, &who).await;
    match server_of(case, &who) {
        Some(who) => scopes::run(case, desk, &who).await,
        None => case.skip(&[Check::Tok06, Check::Tok07, Check::Tok08], &missing(case)),
    }
    stranger::run(case, desk, &who).await;
    time(case);
}

/// Asks what those are asked who show nothing: no more goes to a realm that is refused.
async fn ask_without_credentials(case: &mut Case, desk: &Desk) {
    let asked = [Check::Tok01, Check::Tok09, Check::Tok11];
    let rest: Vec<Check> = ALL.iter().copied().filter(|check| !asked.contains(check)).collect();
    case.skip(&rest, &Needs::Check(kept_from(case)));
    let before = case.probe.way().reach;
    let near = desk.reach();
    case.probe.change_way(|way| way.reach = before.max(near));
    get::run(case, desk, &Who::Nobody).await;
    case.probe.change_way(|way| way.reach = before);
    if case.facts.answers.anonymous.is_some() {
        time(case);
    }
}

/// The check for which credentials are kept back.
fn kept_from(case: &Case) -> Check {
    let checks = [Check::Chal04, Check::Chal05, Check::Chal06, Check::Net05];
    let failed = checks.into_iter().find(|check| case.failed(*check));
    failed.unwrap_or(Check::Chal04)
}

/// Whom the token service serves: this caller, else those without credentials.
fn server_of(case: &Case, who: &Who) -> Option<Who> {
    let answers = &case.facts.answers;
    let good = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.status.is_success());
    match who {
        Who::Password { .. } if good(&answers.login) || good(&answers.scoped) => Some(who.clone()),
        Who::Identity(_) if good(&answers.posted) => Some(who.clone()),
        _ => good(&answers.anonymous).then_some(Who::Nobody),
    }
}

/// Why nobody is served.
fn missing(case: &Case) -> Needs {
    let failed = [Check::Tok02, Check::Tok03].into_iter().find(|check| case.failed(*check));
    match (failed, Who::of(case)) {
        (Some(check), _) => Needs::Check(check),
        (None, Who::Identity(_)) => Needs::Check(Check::Exp02),
        (None, Who::Password { .. }) => Needs::Check(Check::Tok02),
        (None, Who::Nobody) => LOGIN,
    }
}

/// Why the credential got no token.
pub(crate) fn kept_or_refused(case: &Case) -> Needs {
    let checks = [
        Check::Chal04,
        Check::Chal05,
        Check::Chal06,
        Check::Net05,
        Check::Tok01,
        Check::Tok02,
        Check::Tok03,
        Check::Tok04,
        Check::Tok09,
        Check::Tok11,
    ];
    let failed = checks.into_iter().find(|check| case.failed(*check));
    failed.map_or(Needs::Nothing("the credential got no token"), Needs::Check)
}

/// The answer that tells what this caller is granted.
fn scoped_answer<'a>(case: &'a Case, who: &Who) -> Option<&'a Seen> {
    let answers = &case.facts.answers;
    match who {
        Who::Password { .. } => answers.scoped.as_ref(),
        Who::Identity(_) => answers.posted.as_ref(),
        Who::Nobody => answers.anonymous.as_ref(),
    }
}

/// The scopes that a pull asks for, or nothing.
pub(crate) fn wanted(case: &Case) -> Vec<String> {
    case.wanted().iter().map(ToString::to_string).collect()
}

/// The token that later stages look into. One that was given wins, and one that is kept for the
/// registry is what clients would send.
fn keep_token(case: &mut Case) {
    let kept = case.facts.credential.as_ref().and_then(|found| match &found.credential {
        Credential::RegistryToken(token) => Some(token),
        _ => None,
    });
    if let Some(given) = case.inputs.token.as_ref().or(kept) {
        let text = crate::desk::exposed(given).to_owned();
        case.facts.token = Some(Token::new(text, Asker::Unknown, None, None));
        return;
    }
    let answers = &case.facts.answers;
    let wanted = wanted(case).join(" ");
    let candidates = [
        (&answers.scoped, Asker::Credential, wanted.as_str()),
        (&answers.posted, Asker::Credential, wanted.as_str()),
        (&answers.login, Asker::Credential, ""),
        (&answers.anonymous, Asker::Nobody, wanted.as_str()),
    ];
    let found = candidates.into_iter().find_map(|(seen, asker, scope)| {
        let (text, life) = token_in(seen.as_ref()?)?;
        Some(Token::new(text, asker, Some(scope.to_owned()), life))
    });
    case.facts.token = found;
}

/// TOK-11, where nothing was too slow.
fn time(case: &mut Case) {
    let slowest = case.facts.answers.slowest;
    let summary = format!("the slowest answer took {} ms", slowest.as_millis());
    case.found(if slowest.as_secs() < 5 {
        Finding::pass(Check::Tok11, summary)
    } else {
        Finding::warn(Check::Tok11, summary).fix("docker gives up after 15 s: look for a user directory that is slow to answer, or password hashes that cost too much")
    });
}

/// `repository:a/b:pull`, or that it cannot be read.
fn grants(seen: &Seen) -> String {
    match granted(seen) {
        Some(set) if set.is_empty() => "nothing".to_owned(),
        Some(set) => crate::desk::cut(&set.to_string()),
        None => "something that cannot be read, the token is opaque".to_owned(),
    }
}

/// What a request got: its status, and what was granted.
fn outcome(what: &str, seen: &Seen) -> String {
    if seen.status.is_success() {
        format!("{what}: {}, grants {}", seen.status, grants(seen))
    } else {
        told(what, seen)
    }
}
