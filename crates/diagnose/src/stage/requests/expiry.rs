//! USE-06: what the registry says to a token that has expired. One that is called invalid is thrown away by
//! containerd; one that is called nothing is shown again and again.

use std::time::{Duration, SystemTime};

use portpass_protocol::challenge::KnownClient;
use portpass_token::verifier::LEEWAY;

use super::words;
use crate::{
    Check, Finding, Needs,
    exchange::{Authorization, Request, Response},
    observations::RequiredAuth,
    outcome::{Outcome, TokenStatus},
    run::Run,
};

/// Beyond what is forgiven, so that no rounding counts.
const MARGIN: Duration = Duration::from_secs(2);
/// No longer is waited.
const LONGEST: Duration = Duration::from_mins(30);

/// A token that had expired when it was first shown.
pub(super) fn kept(run: &mut Run) {
    let now = run.registry_time();
    let expired = expiry(run).is_some_and(|expiry| expiry + LEEWAY < now);
    let response = run.observed.replies.real.clone().filter(|_| expired);
    if let Some(response) = response {
        judge(run, &response, &["F127", "F84"]);
    } else if !run.inputs.wait_expiry {
        run.skip(
            &[Check::Use06],
            &Needs::Input("--wait-expiry, or --token with one that has expired"),
        );
    }
}

/// Waits until the token has expired, where that was asked for, and shows it once more.
pub(crate) async fn expire(run: &mut Run) {
    let asked = run.inputs.wait_expiry && run.observed.required_auth != Some(RequiredAuth::Basic);
    if !asked || run.observed.token_status() != TokenStatus::Accepted {
        return;
    }
    let (Some(expiry), Some(url)) = (expiry(run), run.url("/v2/")) else {
        return run
            .skip(&[Check::Use06], &Needs::Nothing("the token does not say when it expires"));
    };
    let end = expiry + LEEWAY + MARGIN;
    let rest = end.duration_since(run.registry_time()).unwrap_or_default();
    if rest > LONGEST {
        let why = Needs::Nothing("the token lives too long to wait for its end");
        return run.skip(&[Check::Use06], &why);
    }
    run.clock.wait(rest).await;
    let Some(token) = run.observed.token.as_ref().map(|token| token.text.clone()) else { return };
    let request = Request::get(url).with(Authorization::Bearer(token)).fresh();
    if let Some(response) = super::send::send(run, request).await {
        // It was taken before, so nothing but its age is against it.
        judge(run, &response, &["F127"]);
    }
}

fn judge(run: &mut Run, response: &Response, rows: &[&'static str]) {
    let finding = match Outcome::of(response) {
        Outcome::InvalidToken => Finding::pass(Check::Use06, "the registry calls an expired token invalid"),
        Outcome::Accepted | Outcome::InsufficientScope => Finding::fail(
            Check::Use06,
            "the registry accepts a token that expired more than a minute ago",
        )
        .fix("set the registry's clock; a registry that ignores `exp` accepts leaked tokens for ever"),
        Outcome::Unauthorized => Finding::fail(
            Check::Use06,
            "an expired token gets the same response as no token, so containerd sends it again until it gives up",
        )
        .breaks(&[KnownClient::Containerd])
        .fix("refuse expired tokens with 401 and `error=\"invalid_token\"`; a proxy in front must not rewrite `WWW-Authenticate`")
        .rows(rows),
        Outcome::Other(status) => Finding::fail(
            Check::Use06,
            format!("the registry responds to an expired token with {}", status.as_u16()),
        )
        .breaks(&KnownClient::ALL)
        .fix("refuse expired tokens with 401 and `error=\"invalid_token\"`")
        .rows(rows),
    };
    let said = format!("to the expired token on /v2/: {}", words(response));
    run.record(finding.evidence(said));
}

fn expiry(run: &Run) -> Option<SystemTime> {
    let opened = run.observed.token.as_ref()?.decoded.as_ref()?;
    let seconds = u64::try_from(opened.claims.get("exp")?.as_i64()?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
