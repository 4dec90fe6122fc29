//! USE: what the registry answers to the token, or to the password where it wants that itself.

mod expiry;
mod password;
mod send;

use portpass_jose::Excerpt;
use portpass_protocol::{AccessSet, challenge::KnownClient};
use reqwest::StatusCode;

pub(crate) use self::{expiry::expire, send::send_tokens};
use crate::{
    Check, Finding, Needs,
    exchange::Response,
    observations::{RequiredAuth, Verifier},
    outcome::{Outcome, TokenStatus, error_of, scope_of},
    run::Run,
};

/// Answers USE-01 to USE-05, and USE-06 for a token that had expired before.
pub(crate) fn check(run: &mut Run) {
    if run.observed.required_auth == Some(RequiredAuth::Basic) {
        return password::check(run);
    }
    if run.observed.replies.garbage.is_none() && run.observed.token.is_none() {
        return;
    }
    either_is_taken(run);
    header_arrives(run);
    style(run);
    token_on_ping(run);
    token_on_repository(run);
    too_small_a_token(run);
    expiry::kept(run);
}

/// CHAL-01 again: Gitea and Forgejo ask for both, and take both.
fn either_is_taken(run: &mut Run) {
    let by_password = run.observed.replies.password.as_ref().map(Outcome::of);
    if by_password == Some(Outcome::Accepted)
        && run.observed.token_status() == TokenStatus::Accepted
    {
        run.downgrade(
            Check::Chal01,
            "this registry accepts both the token and the password, so it works with all clients",
        );
    }
}

/// What an answer was, in a few words.
pub(crate) fn words(response: &Response) -> String {
    let said = match error_of(response) {
        Some(error) => format!(", error={}", Excerpt::of(&error)),
        None if response.status == StatusCode::UNAUTHORIZED => ", without `error`".to_owned(),
        None => String::new(),
    };
    format!("{}{said}", response.status.as_u16())
}

/// Whether the registry sees what is sent in `Authorization`.
pub(crate) fn header_is_seen(run: &Run) -> Option<bool> {
    let replies = &run.observed.replies;
    if run.observed.token_status() == TokenStatus::Accepted {
        return Some(true);
    }
    let told = replies.garbage.iter().chain(replies.to_the_token());
    let mut told = told.map(|response| (Outcome::of(response), response.status)).peekable();
    told.peek()?;
    let unheard = run.observed.ping.as_ref().map(|response| response.status);
    Some(told.any(|(reply, status)| {
        matches!(reply, Outcome::InvalidToken | Outcome::InsufficientScope)
            || unheard.is_some_and(|ping| ping != status)
    }))
}

fn header_arrives(run: &mut Run) {
    let Some(garbage) = &run.observed.replies.garbage else {
        return run.skip(&[Check::Use01], &Needs::Nothing("no token could be sent"));
    };
    let said = format!("to `Bearer garbage` on /v2/: {}", words(garbage));
    let finding = match (header_is_seen(run), Outcome::of(garbage)) {
        (_, Outcome::InvalidToken) => Finding::pass(
            Check::Use01,
            "the registry calls a made-up token invalid: the Authorization header arrives",
        ),
        (Some(true) | None, _) => {
            Finding::pass(Check::Use01, "the registry reads the Authorization header")
        }
        (Some(false), _) if run.observed.replies.to_the_token().next().is_none() => Finding::warn(
            Check::Use01,
            "a made-up token gets the same response as no token. Only a real token can show whether the header arrives",
        )
        .rows(&["F120"]),
        (Some(false), _) => Finding::fail(
            Check::Use01,
            "valid and invalid tokens get the same response as no token: the Authorization header does not arrive, or the registry does not say why it refuses them",
        )
        .breaks(&KnownClient::ALL)
        .evidence("distribution says `invalid_token` when it refuses a token. Another registry may give no reason for a wrong issuer, key or right; look into its log")
        .fix("the proxy in front must pass `Authorization` on: nginx `proxy_set_header Authorization $http_authorization;` without `auth_basic`, Apache `CGIPassAuth On`. To be sure, use the registry's own port instead of the proxy's")
        .rows(&["F120"]),
    };
    let real = run.observed.replies.real.as_ref();
    let real = real.map(|response| format!("to the token on /v2/: {}", words(response)));
    let finding = real.into_iter().fold(finding.evidence(said), Finding::evidence);
    run.record(finding);
}

fn style(run: &mut Run) {
    let Some(style) = run.observed.verifier else {
        return run.skip(&[Check::Use04], &Needs::Nothing("it did not respond"));
    };
    let finding = Finding::pass(
        Check::Use04,
        match style {
            Verifier::Distribution2 => {
                "it reads tokens like distribution 2: it expects libtrust key ids"
            }
            Verifier::Distribution3 => {
                "it reads tokens like distribution 3, which expects RFC 7638 key ids, or portpass"
            }
            Verifier::Other => "it responds differently from distribution 2 and 3",
        },
    );
    let two = run.observed.replies.two_spaces.as_ref();
    let two =
        two.map(|response| format!("to `Bearer  garbage`, with two spaces: {}", words(response)));
    run.record(two.into_iter().fold(finding, Finding::evidence));
}

fn token_on_ping(run: &mut Run) {
    let replies = &run.observed.replies;
    let Some(real) = &replies.real else {
        if let Some(error) = &replies.error {
            let finding = Finding::fail(
                Check::Use02,
                "the registry closes the connection when it gets the token",
            )
            .evidence(error.to_string())
            .breaks(&KnownClient::ALL)
            .fix("look for this request in the registry's log")
            .rows(&["F79"]);
            run.record(finding);
        }
        return;
    };
    let all = std::iter::once(real).chain(&replies.again).map(Outcome::of);
    // A limit, or a machine that is ill, says nothing of the token.
    let all: Vec<Outcome> = all.filter(|one| *one == Outcome::Accepted || one.refuses()).collect();
    let taken = all.iter().filter(|reply| **reply == Outcome::Accepted).count();
    if taken > 0 && taken < all.len() {
        let finding = not_every_time(run, taken, all.len());
        return run.record(finding);
    }
    let said = format!("to the token on /v2/: {}", words(real));
    let finding = match Outcome::of(real) {
        Outcome::Accepted => Finding::pass(Check::Use02, "the registry accepts the token"),
        _ if run.observed.token_status() == TokenStatus::Accepted => {
            Finding::warn(Check::Use02, "the registry refuses the token on /v2/, but accepts it on the repository")
                .breaks(&[KnownClient::Docker])
        }
        _ if header_is_seen(run) == Some(false) => {
            return run.skip(&[Check::Use02], &Needs::Check(Check::Use01));
        }
        Outcome::Other(StatusCode::TOO_MANY_REQUESTS) => limited(Check::Use02),
        Outcome::Other(status) if !Outcome::of(real).refuses() => Finding::fail(
            Check::Use02,
            format!("the registry responds to the token with {status}"),
        )
        .breaks(&KnownClient::ALL)
        .fix("look for this request in the log of the registry, and in that of a proxy in front of it"),
        _ => Finding::fail(Check::Use02, "the registry refuses the token").breaks(&KnownClient::ALL).fix(
            "see the earlier checks of the token, and the registry's log",
        ),
    };
    run.record(finding.evidence(said));
}

/// The same token, the same request, another answer: nodes that trust different keys.
fn not_every_time(run: &Run, taken: usize, all: usize) -> Finding {
    let summary = format!("the registry accepts the same token {taken} times of {all}");
    let replies = &run.observed.replies;
    let finding = Finding::fail(Check::Use02, summary)
        .breaks(&KnownClient::ALL)
        .fix("the nodes behind this name trust different keys. Give each the same rootcertbundle or jwks, and the same issuer and service. Restart those that have not been restarted since")
        .rows(&["F92"]);
    let lines = replies.real.iter().chain(&replies.again).map(|response| {
        let by = ["x-served-by", "server", "via"].iter().find_map(|name| response.header(name));
        let by = by.map(|by| format!(" by {}", Excerpt::of(by))).unwrap_or_default();
        let at = response.address.map(|address| format!(" at {address}")).unwrap_or_default();
        format!("to the token on /v2/{by}{at}: {}", words(response))
    });
    lines.fold(finding, Finding::evidence)
}

fn token_on_repository(run: &mut Run) {
    let Some(response) = &run.observed.replies.repository else { return };
    let said = format!("to the token on the repository: {}", words(response));
    let finding = match Outcome::of(response) {
        Outcome::Accepted => {
            Finding::pass(Check::Use03, "the registry accepts the token for the repository")
        }
        _ if header_is_seen(run) == Some(false) => {
            return run.skip(&[Check::Use03], &Needs::Check(Check::Use01));
        }
        Outcome::InvalidToken | Outcome::Unauthorized
            if run.observed.token_status() != TokenStatus::Accepted =>
        {
            return run.skip(&[Check::Use03], &Needs::Check(Check::Use02));
        }
        Outcome::InsufficientScope => {
            let needed = scope_of(response).unwrap_or_default();
            Finding::fail(
                Check::Use03,
                format!("the token is valid, but the repository requires {}", Excerpt::of(&needed)),
            )
            .fix("compare this with the token's grant (ACC-01 to ACC-04)")
            .rows(&["F104", "F100", "F102"])
        }
        Outcome::Other(StatusCode::TOO_MANY_REQUESTS) => limited(Check::Use03),
        _ => Finding::fail(
            Check::Use03,
            format!("the registry responds with {} for the repository", words(response)),
        )
        .fix("look for this request in the registry's log")
        .rows(&["F104"]),
    };
    run.record(finding.evidence(said));
}

/// It says nothing of the token.
fn limited(check: Check) -> Finding {
    Finding::warn(check, "the registry responds with 429: there were too many requests from here")
        .fix("wait as long as Retry-After says, then run the command again")
}

/// R6, R7: a 401 that says all that is missing brings clients back with a better token; a 403 is final.
fn too_small_a_token(run: &mut Run) {
    let checks = [Check::Use05];
    let (Some(name), Some(response)) = (&run.target.repository, &run.observed.replies.scopeless)
    else {
        return run.skip(&checks, &Needs::Nothing("there is no token without a grant to send"));
    };
    if !matches!(run.observed.token_status(), TokenStatus::Accepted) {
        return run.skip(&checks, &Needs::Check(Check::Use02));
    }
    let said = format!("to a login's token on the repository: {}", words(response));
    let named = scope_of(response).unwrap_or_default();
    let named: AccessSet = named.parse().unwrap_or_default();
    let complete = AccessSet::from_iter([name.pull()]).iter().all(|needed| {
        let mut entries = named.iter().filter(|entry| entry.resource == needed.resource);
        entries.any(|entry| needed.actions.iter().all(|action| entry.actions.grants(action)))
    });
    let incomplete = [KnownClient::Containerd, KnownClient::Podman];
    let finding = match Outcome::of(response) {
        Outcome::InsufficientScope if response.status == StatusCode::UNAUTHORIZED && complete => {
            Finding::pass(Check::Use05, "a token that lacks a scope is refused with that scope")
        }
        Outcome::Accepted => Finding::pass(Check::Use05, "a token without a grant is enough here"),
        Outcome::InsufficientScope if response.status == StatusCode::UNAUTHORIZED => Finding::warn(
            Check::Use05,
            "the response to a token without the right does not name the whole missing scope",
        )
        .breaks(&incomplete),
        Outcome::InvalidToken | Outcome::Unauthorized => Finding::warn(
            Check::Use05,
            "the response to a token without the right has no `insufficient_scope`",
        )
        .breaks(&incomplete),
        Outcome::Other(status) if status.is_server_error() => Finding::fail(
            Check::Use05,
            format!("the registry responds with {} to a token without the right", status.as_u16()),
        )
        .breaks(&KnownClient::ALL),
        _ => Finding::warn(
            Check::Use05,
            "the response to a token without the right does not tell the client to get another one",
        )
        .breaks(&incomplete),
    };
    let fix = "respond with 401, `error=\"insufficient_scope\"` and a `scope` that names everything the request requires";
    let passes = finding.verdict == crate::Verdict::Pass;
    let finding = if passes { finding } else { finding.fix(fix) };
    run.record(finding.evidence(said));
}
