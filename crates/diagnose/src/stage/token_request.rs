//! The token service: does it answer the requests of all clients?

use portpass_client::credentials::Credential;

use crate::{
    Check, Finding, Needs,
    exchange::Response,
    observations::{Requester, RequiredAuth, Token},
    run::Run,
    token_endpoint::{Caller, TokenEndpoint, describe, granted, token_in},
};

mod get;
pub(in crate::stage) mod named_parameter;
mod negative;
mod post;
mod scopes;
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
/// What is needed without a login.
pub(crate) const LOGIN: Needs = Needs::Input("--username and --password-stdin");
/// What is needed where no repository was named.
pub(crate) const REPOSITORY: Needs = Needs::Input("a repository: HOST/REPOSITORY");

pub(crate) async fn check(run: &mut Run) {
    match &run.observed.required_auth {
        Some(RequiredAuth::Nothing) => {
            run.skip(ALL, &Needs::Nothing("the registry requires no token"));
        }
        Some(RequiredAuth::Basic) => {
            run.skip(
                ALL,
                &Needs::Nothing("the registry requires the password itself, not a token"),
            );
        }
        Some(RequiredAuth::Bearer { .. }) | None => {}
    }
    // Without a realm an earlier check has failed, and is the reason for every check that is left out here.
    if let Some(endpoint) = TokenEndpoint::of(run)
        && !run.failed(Check::Net05)
    {
        ask(run, &endpoint).await;
    } else if let Some(endpoint) = TokenEndpoint::apart(run) {
        ask_without_credentials(run, &endpoint).await;
    }
    keep_token(run);
}

async fn ask(run: &mut Run, endpoint: &TokenEndpoint) {
    let caller = Caller::of(run);
    get::check(run, endpoint, &caller).await;
    if run.failed(Check::Tok01) || run.failed(Check::Tok09) {
        return;
    }
    post::check(run, endpoint, &caller).await;
    match server_of(run, &caller) {
        Some(caller) => scopes::check(run, endpoint, &caller).await,
        None => run.skip(&[Check::Tok06, Check::Tok07, Check::Tok08], &missing(run)),
    }
    negative::check(run, endpoint, &caller).await;
    time(run);
}

/// Sends what an anonymous client sends: nothing else goes to a realm that is refused.
async fn ask_without_credentials(run: &mut Run, endpoint: &TokenEndpoint) {
    let asked = [Check::Tok01, Check::Tok09, Check::Tok11];
    let rest: Vec<Check> = ALL.iter().copied().filter(|check| !asked.contains(check)).collect();
    run.skip(&rest, &Needs::Check(kept_from(run)));
    let before = run.probe.connection().reach;
    let near = endpoint.reach();
    run.probe.change_connection(|way| way.reach = before.max(near));
    get::check(run, endpoint, &Caller::Anonymous).await;
    run.probe.change_connection(|way| way.reach = before);
    if run.observed.answers.anonymous.is_some() {
        time(run);
    }
}

/// The check for which credentials are kept back.
fn kept_from(run: &Run) -> Check {
    let checks = [Check::Chal04, Check::Chal05, Check::Chal06, Check::Net05];
    let failed = checks.into_iter().find(|check| run.failed(*check));
    failed.unwrap_or(Check::Chal04)
}

/// Whom the token service serves: this caller, else those without credentials.
fn server_of(run: &Run, caller: &Caller) -> Option<Caller> {
    let answers = &run.observed.answers;
    let good = |response: &Option<Response>| {
        response.as_ref().is_some_and(|response| response.status.is_success())
    };
    match caller {
        Caller::Password { .. } if good(&answers.login) || good(&answers.scoped) => {
            Some(caller.clone())
        }
        Caller::RefreshToken(_) if good(&answers.posted) => Some(caller.clone()),
        _ => good(&answers.anonymous).then_some(Caller::Anonymous),
    }
}

/// Why nobody is served.
fn missing(run: &Run) -> Needs {
    let failed = [Check::Tok02, Check::Tok03].into_iter().find(|check| run.failed(*check));
    match (failed, Caller::of(run)) {
        (Some(check), _) => Needs::Check(check),
        (None, Caller::RefreshToken(_)) => Needs::Check(Check::Exp02),
        (None, Caller::Password { .. }) => Needs::Check(Check::Tok02),
        (None, Caller::Anonymous) => LOGIN,
    }
}

/// Why there is no token for the credential.
pub(crate) fn kept_or_refused(run: &Run) -> Needs {
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
    let failed = checks.into_iter().find(|check| run.failed(*check));
    failed
        .map_or(Needs::Nothing("the token service gave no token for the credential"), Needs::Check)
}

/// The answer that tells what this caller is granted.
fn scoped_answer<'a>(run: &'a Run, caller: &Caller) -> Option<&'a Response> {
    let answers = &run.observed.answers;
    match caller {
        Caller::Password { .. } => answers.scoped.as_ref(),
        Caller::RefreshToken(_) => answers.posted.as_ref(),
        Caller::Anonymous => answers.anonymous.as_ref(),
    }
}

/// The scopes that a pull asks for, or nothing.
pub(crate) fn wanted(run: &Run) -> Vec<String> {
    run.wanted().iter().map(ToString::to_string).collect()
}

/// The token that later stages look into. One that was given wins, and one that is kept for the
/// registry is what clients would send.
fn keep_token(run: &mut Run) {
    let kept = run.observed.credential.as_ref().and_then(|found| match &found.credential {
        Credential::RegistryToken(token) => Some(token),
        _ => None,
    });
    if let Some(given) = run.inputs.token.as_ref().or(kept) {
        let text = crate::token_endpoint::exposed(given).to_owned();
        run.observed.token = Some(Token::new(text, Requester::Unknown, None, None));
        return;
    }
    let answers = &run.observed.answers;
    let wanted = wanted(run).join(" ");
    let candidates = [
        (&answers.scoped, Requester::Credential, wanted.as_str()),
        (&answers.posted, Requester::Credential, wanted.as_str()),
        (&answers.login, Requester::Credential, ""),
        (&answers.anonymous, Requester::Anonymous, wanted.as_str()),
    ];
    let found = candidates.into_iter().find_map(|(response, asker, scope)| {
        let (text, life) = token_in(response.as_ref()?)?;
        Some(Token::new(text, asker, Some(scope.to_owned()), life))
    });
    run.observed.token = found;
}

/// TOK-11, where nothing was too slow.
fn time(run: &mut Run) {
    let slowest = run.observed.answers.slowest;
    let summary = format!("the slowest response took {} ms", slowest.as_millis());
    run.record(if slowest.as_secs() < 5 {
        Finding::pass(Check::Tok11, summary)
    } else {
        Finding::warn(Check::Tok11, summary).fix("docker gives up after 15 s: look for a slow user directory, or password hashes that cost too much")
    });
}

/// `repository:a/b:pull`, or that it cannot be read.
fn grants(response: &Response) -> String {
    match granted(response) {
        Some(set) if set.is_empty() => "nothing".to_owned(),
        Some(set) => crate::token_endpoint::cut(&set.to_string()),
        None => "something unreadable, because the token is opaque".to_owned(),
    }
}

/// What a request got: its status, and what was granted.
fn outcome(what: &str, response: &Response) -> String {
    if response.status.is_success() {
        format!("{what}: {}, grants {}", response.status, grants(response))
    } else {
        describe(what, response)
    }
}
