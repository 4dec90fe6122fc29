//! USE-06: what the registry says to a token that has expired. One that is called invalid is thrown away by
//! containerd; one that is called nothing is shown again and again.

use std::time::{Duration, SystemTime};

use portpass_protocol::challenge::Peer;
use portpass_token::verifier::LEEWAY;

use super::words;
use crate::{
    Check, Finding, Needs,
    case::Case,
    facts::Demand,
    probe::{Ask, Authorization, Seen},
    reply::{Reply, Standing},
};

/// Beyond what is forgiven, so that no rounding counts.
const MARGIN: Duration = Duration::from_secs(2);
/// No longer is waited.
const LONGEST: Duration = Duration::from_mins(30);

/// A token that had expired when it was first shown.
pub(super) fn kept(case: &mut Case) {
    let now = case.registry_time();
    let expired = expiry(case).is_some_and(|expiry| expiry + LEEWAY < now);
    let seen = case.facts.replies.real.clone().filter(|_| expired);
    if let Some(seen) = seen {
        judge(case, &seen, &["F127", "F84"]);
    } else if !case.inputs.wait_expiry {
        case.skip(
            &[Check::Use06],
            &Needs::Input("--wait-expiry, or --token with one that has expired"),
        );
    }
}

/// Waits until the token has expired, where that was asked for, and shows it once more.
pub(crate) async fn expire(case: &mut Case) {
    let asked = case.inputs.wait_expiry && case.facts.demand != Some(Demand::Basic);
    if !asked || case.facts.standing() != Standing::Taken {
        return;
    }
    let (Some(expiry), Some(url)) = (expiry(case), case.url("/v2/")) else {
        return case
            .skip(&[Check::Use06], &Needs::Nothing("the token does not say when it expires"));
    };
    let end = expiry + LEEWAY + MARGIN;
    let rest = end.duration_since(case.registry_time()).unwrap_or_default();
    if rest > LONGEST {
        let why = Needs::Nothing("the token lives longer than anybody waits");
        return case.skip(&[Check::Use06], &why);
    }
    case.clock.wait(rest).await;
    let Some(token) = case.facts.token.as_ref().map(|token| token.text.clone()) else { return };
    let ask = Ask::get(url).with(Authorization::Bearer(token)).fresh();
    if let Some(seen) = super::ask::hear(case, ask).await {
        // It was taken before, so nothing but its age is against it.
        judge(case, &seen, &["F127"]);
    }
}

fn judge(case: &mut Case, seen: &Seen, rows: &[&'static str]) {
    let finding = match Reply::of(seen) {
        Reply::Invalid => Finding::pass(Check::Use06, "an expired token is called invalid"),
        Reply::Taken | Reply::TooSmall => Finding::fail(
            Check::Use06,
            "the registry takes a token that expired more than a minute ago",
        )
        .fix("set the registry's clock; a registry that does not look at `exp` lets leaked tokens in for ever"),
        Reply::Unnamed => Finding::fail(
            Check::Use06,
            "an expired token is answered as no token at all, so containerd shows it again until it gives up",
        )
        .breaks(&[Peer::Containerd])
        .fix("answer expired tokens with 401 and `error=\"invalid_token\"`; a proxy in front may not rewrite `WWW-Authenticate`")
        .rows(rows),
        Reply::Else(status) => Finding::fail(
            Check::Use06,
            format!("an expired token is answered with {}", status.as_u16()),
        )
        .breaks(&Peer::ALL)
        .fix("answer expired tokens with 401 and `error=\"invalid_token\"`")
        .rows(rows),
    };
    let said = format!("to the expired token on /v2/: {}", words(seen));
    case.found(finding.seen(said));
}

fn expiry(case: &Case) -> Option<SystemTime> {
    let opened = case.facts.token.as_ref()?.opened.as_ref()?;
    let seconds = u64::try_from(opened.claims.get("exp")?.as_i64()?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
