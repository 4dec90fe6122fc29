//! CLM: what the token says, compared with what the registry expects.

use std::time::{Duration, SystemTime};

use portpass_jose::{
    Excerpt,
    json::{Map, Value},
};
use portpass_protocol::challenge::KnownClient;
use portpass_token::verifier::LEEWAY;

use crate::{
    Check, Finding, Needs,
    observations::{RequiredAuth, Verifier},
    outcome::{Outcome, TokenStatus},
    run::Run,
    stage::token_request::kept_or_refused,
    time::date,
};

/// How far `expires_in` and `exp` may differ and be the same.
const SAME: u64 = 30;

/// Answers CLM-01 to CLM-05.
pub(crate) fn check(run: &mut Run) {
    let opened = run.observed.token.as_ref().and_then(|token| token.decoded.as_ref());
    let Some(claims) = opened.map(|opened| opened.claims.clone()) else { return };
    audience(run, &claims);
    issuer(run, &claims);
    begins(run, &claims);
    ends(run, &claims);
    subject(run, &claims);
}

fn audience(run: &mut Run, claims: &Map<String, Value>) {
    let challenged = match &run.observed.required_auth {
        Some(RequiredAuth::Bearer { service, .. }) => service.clone(),
        _ => None,
    };
    let configured = run.observed.settings.service.clone();
    let Some(service) = configured.clone().or_else(|| challenged.clone()) else {
        let needs = Needs::Input("--service NAME: the challenge has none");
        return run.skip(&[Check::Clm01], &needs);
    };
    let said = claims.get("aud").unwrap_or(&Value::Null);
    let names: Vec<&str> = match said {
        Value::String(one) => vec![one],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let fix = format!(
        "the token service must write `\"aud\": {}`, exactly the `service` of the request",
        Excerpt::of(&service)
    );
    let is_list = said.is_array();
    let finding = if !names.contains(&service.as_str()) {
        let summary = match names.first() {
            Some(name) => format!(
                "the token is for {}, not for the service {}{}",
                Excerpt::of(name),
                Excerpt::of(&service),
                difference(name, &service)
            ),
            None => format!("the token has no audience; it must be for {}", Excerpt::of(&service)),
        };
        run.token_fault(Check::Clm01, summary).breaks(&KnownClient::ALL).fix(fix).rows(&["F76"])
    } else if is_list && run.observed.verifier == Some(Verifier::Distribution2) {
        let summary = "`aud` is a list; registries like distribution 2 read only a string";
        run.token_fault(Check::Clm01, summary)
            .breaks(&KnownClient::ALL)
            .fix(format!("{fix}, not a list; or run distribution 3"))
            .rows(&["F72"])
    } else if is_list {
        Finding::warn(Check::Clm01, "`aud` is a list, which distribution 2 does not read").fix(fix)
    } else {
        Finding::pass(Check::Clm01, format!("`aud` is the service {}", Excerpt::of(&service)))
    };
    let differs = configured.zip(challenged).filter(|(one, other)| one != other);
    let differs = differs.map(|(one, other)| {
        format!(
            "the configuration has {}, but the challenge says {}",
            Excerpt::of(&one),
            Excerpt::of(&other)
        )
    });
    run.record(differs.into_iter().fold(finding, Finding::evidence));
}

fn issuer(run: &mut Run, claims: &Map<String, Value>) {
    let said = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let finding = match &run.observed.settings.issuer {
        None => {
            let needs = Needs::Input("--issuer NAME or --registry-config FILE");
            // Whoever gave the file believes that it was read.
            let doubt = run.observed.settings.doubts.first();
            let finding = match doubt.filter(|_| run.inputs.registry_config.is_some()) {
                Some(doubt) => Finding::warn(
                    Check::Clm02,
                    format!("the issuer is not known: {doubt}"),
                )
                .fix(
                    "give --registry-config the file that the registry uses, or give --issuer NAME",
                ),
                None => Finding::skip(Check::Clm02, needs),
            };
            finding.evidence(format!("the token says {}", Excerpt::of(said)))
        }
        Some(issuer) if issuer == said => {
            Finding::pass(Check::Clm02, format!("`iss` is the issuer {}", Excerpt::of(issuer)))
        }
        Some(issuer) => {
            let summary = format!(
                "the token is from {}, but the registry accepts tokens from {}{}",
                Excerpt::of(said),
                Excerpt::of(issuer),
                difference(said, issuer)
            );
            run.token_fault(Check::Clm02, summary)
                .breaks(&KnownClient::ALL)
                .fix("the token service's issuer and the registry's `auth: token: issuer` must be exactly the same. REGISTRY_AUTH_TOKEN_ISSUER in the registry's environment overrides its file")
                .rows(&["F75"])
        }
    };
    let finding = run.observed.settings.doubts.iter().cloned().fold(finding, Finding::evidence);
    run.record(finding);
}

fn begins(run: &mut Run, claims: &Map<String, Value>) {
    let Some(begin) = time(claims, "nbf") else {
        return run.skip(
            &[Check::Clm03],
            &Needs::Nothing("the token does not say when it becomes valid"),
        );
    };
    let now = run.registry_time();
    let ahead = begin.duration_since(now).unwrap_or_default();
    let fix = "set the clocks of token service and registry (NTP), and set `nbf` to a minute before now. A local time instead of UTC is hours off";
    let finding = if ahead > LEEWAY {
        let summary = format!(
            "by the registry's clock, the token becomes valid in {} s; registries accept a difference of 60 s",
            ahead.as_secs()
        );
        run.token_fault(Check::Clm03, summary).breaks(&KnownClient::ALL).fix(fix).rows(&["F77"])
    } else if begin + Duration::from_secs(5) > now {
        Finding::warn(Check::Clm03, "`nbf` is the moment of issue: with a small difference of clocks the token is not valid yet")
            .fix("set `nbf` to a minute before now")
            .rows(&["F77"])
    } else {
        Finding::pass(Check::Clm03, "it is already valid")
    };
    run.record(finding.evidence(clocks(begin, "nbf", now)));
}

fn ends(run: &mut Run, claims: &Map<String, Value>) {
    let Some(end) = time(claims, "exp") else {
        return run.skip(&[Check::Clm04], &Needs::Check(Check::Jwt07));
    };
    let now = run.registry_time();
    let given = run.observed.token.as_ref().is_some_and(|token| token.scope.is_none());
    if let Ok(past) = now.duration_since(end).map(|past| past.as_secs()).map_err(|_| ()) {
        let finding = if past > LEEWAY.as_secs() {
            let summary = format!(
                "by the registry's clock, the token expired {past} s ago; registries accept a difference of 60 s"
            );
            run.token_fault(Check::Clm04, summary).breaks(&KnownClient::ALL)
        } else {
            let summary =
                format!("the token expired {past} s ago; registries accept a difference of 60 s");
            Finding::warn(Check::Clm04, summary)
        };
        let fix = if given {
            "leave out --token, so that `diagnose` requests a new one. If that has expired too, set the clocks"
        } else {
            "set the clocks of token service and registry (NTP), and set `exp` to some minutes after now"
        };
        let finding = finding.fix(fix).rows(&["F78"]).evidence(clocks(end, "exp", now));
        return run.record(finding);
    }
    let rest = end.duration_since(now).unwrap_or_default().as_secs();
    let said = run.observed.token.as_ref().and_then(|token| token.expires_in);
    let finding = as_long_as_was_said(run, rest, said);
    run.record(finding.evidence(clocks(end, "exp", now)));
}

/// T4: a client goes by `expires_in`, the registry by `exp`.
fn as_long_as_was_said(run: &Run, rest: u64, said: Option<u64>) -> Finding {
    let Some(said) = said else {
        return Finding::pass(Check::Clm04, format!("it is valid for another {rest} s"));
    };
    let summary = format!("`expires_in` says {said} s, but `exp` is {rest} s away");
    let fix = "set `expires_in` to `exp` minus now";
    let dead = rest + LEEWAY.as_secs() + SAME;
    if said > dead && works(run) {
        // Who gets a token and nothing for it has another trouble first.
        let summary = format!("{summary}: clients continue with an expired token");
        Finding::fail(Check::Clm04, summary)
            .breaks(&[KnownClient::Docker, KnownClient::Containerd, KnownClient::Podman])
            .fix(fix)
            .rows(&["F63"])
    } else if said > rest + SAME || rest > said + SAME {
        Finding::warn(Check::Clm04, summary).fix(fix).rows(&["F63"])
    } else {
        Finding::pass(
            Check::Clm04,
            format!("it is valid for another {rest} s, as `expires_in` says"),
        )
    }
}

/// Whether the token opens what was asked for.
fn works(run: &Run) -> bool {
    let asked = run.observed.replies.repository.as_ref().or(run.observed.replies.real.as_ref());
    asked.is_some_and(|response| Outcome::of(response) == Outcome::Accepted)
        && run.observed.token_status() == TokenStatus::Accepted
}

fn subject(run: &mut Run, claims: &Map<String, Value>) {
    let said = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if run.observed.is_anonymous_token() {
        return run.skip(&[Check::Clm05], &kept_or_refused(run));
    }
    let found = run.observed.credential.as_ref();
    let given = run.observed.token.as_ref().is_some_and(|token| token.scope.is_none());
    let name = found.map(|found| found.credential.username());
    let shown = format!("`sub` is {}", Excerpt::of(said));
    let finding = match name {
        _ if given => {
            let why = Needs::Nothing("it is not known which account requested the given token");
            Finding::skip(Check::Clm05, why).evidence(shown)
        }
        Some(None) => {
            let why = Needs::Nothing("the credential does not name its account");
            Finding::skip(Check::Clm05, why).evidence(shown)
        }
        Some(Some(name)) if name == said => Finding::pass(Check::Clm05, shown),
        None if said.is_empty() => {
            Finding::pass(Check::Clm05, "`sub` is empty, because the request was anonymous")
        }
        // Services map names, and registries do not care; but a wrong account has other rights.
        Some(Some(name)) if said.is_empty() => Finding::warn(
            Check::Clm05,
            format!("{} requested the token, but its `sub` is empty", Excerpt::of(name)),
        )
        .fix("check in the token service's log whether it read the password"),
        // Many services write an id of their own; that only matters where something is refused.
        Some(Some(name)) if works(run) => Finding::pass(
            Check::Clm05,
            format!(
                "{} requested the token, and its `sub` is {}",
                Excerpt::of(name),
                Excerpt::of(said)
            ),
        ),
        Some(Some(name)) => Finding::warn(
            Check::Clm05,
            format!(
                "{} requested the token, and its `sub` is {}",
                Excerpt::of(name),
                Excerpt::of(said)
            ),
        ),
        None => Finding::warn(Check::Clm05, format!("the request was anonymous, and {shown}")),
    };
    run.record(finding);
}

fn time(claims: &Map<String, Value>, name: &str) -> Option<SystemTime> {
    let seconds = u64::try_from(claims.get(name)?.as_i64()?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn clocks(time: SystemTime, name: &str, now: SystemTime) -> String {
    let now = jiff::Timestamp::try_from(now).map(jiff::Timestamp::as_second).unwrap_or_default();
    let now = Duration::from_secs(u64::try_from(now).unwrap_or_default());
    format!("{name} {}, the registry's clock {}", date(time), date(SystemTime::UNIX_EPOCH + now))
}

/// In what two names differ that look alike.
fn difference(one: &str, other: &str) -> &'static str {
    let slash = |text: &str| text.trim_end_matches('/').to_owned();
    let bare = |text: &str| slash(text.split_once("://").map_or(text, |(_, rest)| rest));
    if one == other {
        ""
    } else if one.trim() == other.trim() {
        ": they differ in spaces"
    } else if one.eq_ignore_ascii_case(other) {
        ": they differ in upper and lower case"
    } else if slash(one) == slash(other) {
        ": they differ in a slash at the end"
    } else if bare(one) == bare(other) {
        ": they differ in the scheme before it"
    } else {
        ""
    }
}
