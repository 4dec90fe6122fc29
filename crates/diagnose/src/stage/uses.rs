//! USE: what the registry answers to the token, or to the password where it wants that itself.

mod ask;
mod expiry;
mod password;

use portpass_jose::Excerpt;
use portpass_protocol::{AccessSet, challenge::Peer};
use reqwest::StatusCode;

pub(crate) use self::{ask::ask, expiry::expire};
use crate::{
    Check, Finding, Needs,
    case::Case,
    facts::{Demand, Style},
    probe::Seen,
    reply::{Reply, Standing, error_of, scope_of},
};

/// Answers USE-01 to USE-05, and USE-06 for a token that had expired before.
pub(crate) fn run(case: &mut Case) {
    if case.facts.demand == Some(Demand::Basic) {
        return password::run(case);
    }
    if case.facts.replies.garbage.is_none() && case.facts.token.is_none() {
        return;
    }
    either_is_taken(case);
    header_arrives(case);
    style(case);
    token_on_ping(case);
    token_on_repository(case);
    too_small_a_token(case);
    expiry::kept(case);
}

/// CHAL-01 again: Gitea and Forgejo ask for both, and take both.
fn either_is_taken(case: &mut Case) {
    let by_password = case.facts.replies.password.as_ref().map(Reply::of);
    if by_password == Some(Reply::Taken) && case.facts.standing() == Standing::Taken {
        case.soften(
            Check::Chal01,
            "this registry takes the token and the password itself, so it serves whatever clients send",
        );
    }
}

/// What an answer was, in a few words.
pub(crate) fn words(seen: &Seen) -> String {
    let said = match error_of(seen) {
        Some(error) => format!(", error={}", Excerpt::of(&error)),
        None if seen.status == StatusCode::UNAUTHORIZED => ", without `error`".to_owned(),
        None => String::new(),
    };
    format!("{}{said}", seen.status.as_u16())
}

/// Whether the registry sees what is sent in `Authorization`.
pub(crate) fn header_is_seen(case: &Case) -> Option<bool> {
    let replies = &case.facts.replies;
    if case.facts.standing() == Standing::Taken {
        return Some(true);
    }
    let told = replies.garbage.iter().chain(replies.to_the_token());
    let mut told = told.map(|seen| (Reply::of(seen), seen.status)).peekable();
    told.peek()?;
    let unheard = case.facts.ping.as_ref().map(|seen| seen.status);
    Some(told.any(|(reply, status)| {
        matches!(reply, Reply::Invalid | Reply::TooSmall)
            || unheard.is_some_and(|ping| ping != status)
    }))
}

fn header_arrives(case: &mut Case) {
    let Some(garbage) = &case.facts.replies.garbage else {
        return case.skip(&[Check::Use01], &Needs::Nothing("nothing could be shown to it"));
    };
    let said = format!("to `Bearer garbage` on /v2/: {}", words(garbage));
    let finding = match (header_is_seen(case), Reply::of(garbage)) {
        (_, Reply::Invalid) => Finding::pass(
            Check::Use01,
            "a token that is none is called invalid: the Authorization header arrives",
        ),
        (Some(true) | None, _) => {
            Finding::pass(Check::Use01, "the registry heeds the Authorization header")
        }
        (Some(false), _) if case.facts.replies.to_the_token().next().is_none() => Finding::warn(
            Check::Use01,
            "a token that is none is answered as no token at all; without a real one it cannot be told whether the header arrives",
        )
        .rows(&["F120"]),
        (Some(false), _) => Finding::fail(
            Check::Use01,
            "tokens, good or bad, are answered as no token at all: the Authorization header does not arrive, or the registry does not say why it refuses them",
        )
        .breaks(&Peer::ALL)
        .seen("distribution calls what it does not take `invalid_token`. A registry of another make may refuse the token in silence, for its issuer, its key or its rights: its log tells")
        .fix("let the proxy in front pass `Authorization` on: nginx `proxy_set_header Authorization $http_authorization;` without `auth_basic`, Apache `CGIPassAuth On`. To be sure, ask the registry's own port in place of the proxy's")
        .rows(&["F120"]),
    };
    let real = case.facts.replies.real.as_ref();
    let real = real.map(|seen| format!("to the token on /v2/: {}", words(seen)));
    let finding = real.into_iter().fold(finding.seen(said), Finding::seen);
    case.found(finding);
}

fn style(case: &mut Case) {
    let Some(style) = case.facts.style else {
        return case.skip(&[Check::Use04], &Needs::Nothing("it did not answer"));
    };
    let finding = Finding::pass(
        Check::Use04,
        match style {
            Style::Two => "it reads tokens as distribution 2 does: it looks for libtrust key ids",
            Style::Three => {
                "it reads tokens as distribution 3 and portpass do: the former looks for RFC 7638 key ids"
            }
            Style::Other => "it answers as neither distribution 2 nor 3 does",
        },
    );
    let two = case.facts.replies.two_spaces.as_ref();
    let two = two.map(|seen| format!("to `Bearer  garbage`, with two spaces: {}", words(seen)));
    case.found(two.into_iter().fold(finding, Finding::seen));
}

fn token_on_ping(case: &mut Case) {
    let replies = &case.facts.replies;
    let Some(real) = &replies.real else {
        if let Some(silence) = &replies.silence {
            let finding = Finding::fail(Check::Use02, "the registry breaks off when the token is shown")
                .seen(silence.to_string())
                .breaks(&Peer::ALL)
                .fix("look into the registry's log: it has met something in the token that it cannot bear")
                .rows(&["F128", "F79"]);
            case.found(finding);
        }
        return;
    };
    let all = std::iter::once(real).chain(&replies.again).map(Reply::of);
    // A limit, or a machine that is ill, says nothing of the token.
    let all: Vec<Reply> = all.filter(|one| *one == Reply::Taken || one.refuses()).collect();
    let taken = all.iter().filter(|reply| **reply == Reply::Taken).count();
    if taken > 0 && taken < all.len() {
        let finding = not_every_time(case, taken, all.len());
        return case.found(finding);
    }
    let said = format!("to the token on /v2/: {}", words(real));
    let finding = match Reply::of(real) {
        Reply::Taken => Finding::pass(Check::Use02, "the registry takes the token"),
        _ if case.facts.standing() == Standing::Taken => {
            Finding::warn(Check::Use02, "the token is refused on /v2/ and taken on the repository")
                .breaks(&[Peer::Docker])
        }
        _ if header_is_seen(case) == Some(false) => {
            return case.skip(&[Check::Use02], &Needs::Check(Check::Use01));
        }
        Reply::Else(StatusCode::TOO_MANY_REQUESTS) => limited(Check::Use02),
        Reply::Else(status) if !Reply::of(real).refuses() => Finding::fail(
            Check::Use02,
            format!("the registry answers the token with {status}"),
        )
        .breaks(&Peer::ALL)
        .fix("look into the registry's log for this request, and into that of a proxy before it"),
        _ => Finding::fail(Check::Use02, "the registry refuses the token").breaks(&Peer::ALL).fix(
            "the earlier checks of the token say why; the registry's log has its own words for it",
        ),
    };
    case.found(finding.seen(said));
}

/// The same token, the same request, another answer: nodes that trust different keys.
fn not_every_time(case: &Case, taken: usize, all: usize) -> Finding {
    let summary = format!("the registry takes the same token {taken} times of {all}");
    let replies = &case.facts.replies;
    let finding = Finding::fail(Check::Use02, summary)
        .breaks(&Peer::ALL)
        .fix("the nodes behind this name trust different keys. Give each the same rootcertbundle or jwks, and the same issuer and service, and restart those that were not")
        .rows(&["F92"]);
    let lines = replies.real.iter().chain(&replies.again).map(|seen| {
        let by = ["x-served-by", "server", "via"].iter().find_map(|name| seen.header(name));
        let by = by.map(|by| format!(" by {}", Excerpt::of(by))).unwrap_or_default();
        let at = seen.address.map(|address| format!(" at {address}")).unwrap_or_default();
        format!("to the token on /v2/{by}{at}: {}", words(seen))
    });
    lines.fold(finding, Finding::seen)
}

fn token_on_repository(case: &mut Case) {
    let Some(seen) = &case.facts.replies.repository else { return };
    let said = format!("to the token on the repository: {}", words(seen));
    let finding = match Reply::of(seen) {
        Reply::Taken => {
            Finding::pass(Check::Use03, "the registry takes the token for the repository")
        }
        _ if header_is_seen(case) == Some(false) => {
            return case.skip(&[Check::Use03], &Needs::Check(Check::Use01));
        }
        Reply::Invalid | Reply::Unnamed if case.facts.standing() != Standing::Taken => {
            return case.skip(&[Check::Use03], &Needs::Check(Check::Use02));
        }
        Reply::TooSmall => {
            let needed = scope_of(seen).unwrap_or_default();
            Finding::fail(
                Check::Use03,
                format!("the token holds, but the repository needs {}", Excerpt::of(&needed)),
            )
            .fix("compare with what the token grants (ACC-01 to ACC-04)")
            .rows(&["F104", "F100", "F102"])
        }
        Reply::Else(StatusCode::TOO_MANY_REQUESTS) => limited(Check::Use03),
        _ => Finding::fail(
            Check::Use03,
            format!("the registry answers {} for the repository", words(seen)),
        )
        .fix("look into the registry's log for this request")
        .rows(&["F104"]),
    };
    case.found(finding.seen(said));
}

/// It says nothing of the token.
fn limited(check: Check) -> Finding {
    Finding::warn(check, "the registry answers 429: too many requests came from here")
        .fix("wait as long as Retry-After says, then diagnose again")
}

/// R6, R7: a 401 that says all that is missing brings clients back with a better token; a 403 is final.
fn too_small_a_token(case: &mut Case) {
    let checks = [Check::Use05];
    let (Some(name), Some(seen)) = (&case.target.repository, &case.facts.replies.scopeless) else {
        return case.skip(&checks, &Needs::Nothing("there is no token without a grant to show"));
    };
    if !matches!(case.facts.standing(), Standing::Taken) {
        return case.skip(&checks, &Needs::Check(Check::Use02));
    }
    let said = format!("to a login's token on the repository: {}", words(seen));
    let named = scope_of(seen).unwrap_or_default();
    let named: AccessSet = named.parse().unwrap_or_default();
    let complete = AccessSet::from_iter([name.pull()]).iter().all(|needed| {
        let mut entries = named.iter().filter(|entry| entry.resource == needed.resource);
        entries.any(|entry| needed.actions.iter().all(|action| entry.actions.grants(action)))
    });
    let incomplete = [Peer::Containerd, Peer::Podman];
    let finding = match Reply::of(seen) {
        Reply::TooSmall if seen.status == StatusCode::UNAUTHORIZED && complete => Finding::pass(
            Check::Use05,
            "too small a token is answered with the scope that is missing",
        ),
        Reply::Taken => Finding::pass(Check::Use05, "a token without any grant is enough here"),
        Reply::TooSmall if seen.status == StatusCode::UNAUTHORIZED => {
            Finding::warn(Check::Use05, "too small a token is not told the whole scope it lacks")
                .breaks(&incomplete)
        }
        Reply::Invalid | Reply::Unnamed => Finding::warn(
            Check::Use05,
            "too small a token is answered without `insufficient_scope`",
        )
        .breaks(&incomplete),
        Reply::Else(status) if status.is_server_error() => Finding::fail(
            Check::Use05,
            format!("too small a token makes the registry answer {}", status.as_u16()),
        )
        .breaks(&Peer::ALL),
        _ => Finding::warn(
            Check::Use05,
            "too small a token is answered as if no better one could help",
        )
        .breaks(&incomplete),
    };
    let fix = "answer 401 with `error=\"insufficient_scope\"` and a `scope` that names all that the request needs";
    let passes = finding.verdict == crate::Verdict::Pass;
    let finding = if passes { finding } else { finding.fix(fix) };
    case.found(finding.seen(said));
}
