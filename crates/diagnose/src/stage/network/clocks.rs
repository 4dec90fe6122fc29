//! NET-07: three clocks, the registry's, its token service's, and ours.

use crate::{Check, Finding, Needs, exchange::Response, outcome::TokenStatus, run::Run};

/// Seconds that are worth a word; tokens are taken 60 seconds early or late (T11).
const NOTABLE: i64 = 30;
const TOO_MUCH: i64 = 60;

pub(crate) fn compare_clocks(run: &mut Run) {
    let observed = &run.observed;
    let registry = [&observed.ping, &observed.ping_head, &observed.repository];
    let registry = registry.into_iter().flatten().find_map(ahead);
    let answers = &observed.answers;
    let service = [&answers.login, &answers.scoped, &answers.posted, &answers.anonymous];
    let service = service.into_iter().flatten().find_map(ahead);
    let Some(registry) = registry else {
        if observed.ping.is_some() {
            let reason = "the registry's responses have no Date header of their own";
            run.skip(&[Check::Net07], &Needs::Nothing(reason));
        }
        return;
    };
    let apart = service.map(|service| service - registry);
    let lines = [
        Some(format!("the registry's clock: {}", words(registry))),
        service.map(|seconds| format!("the token service's clock: {}", words(seconds))),
    ];
    let finding = match apart.filter(|apart| apart.abs() > NOTABLE) {
        Some(apart) => {
            // How far they may be apart depends on when tokens begin; what is taken is early enough.
            let too_much = apart.abs() > TOO_MUCH && observed.token_status() != TokenStatus::Accepted;
            let answer = if too_much { Finding::fail } else { Finding::warn };
            let order = if apart > 0 { "ahead of" } else { "behind" };
            let rows: &[&'static str] = if apart > 0 { &["F77", "F78"] } else { &["F78", "F77"] };
            answer(
                Check::Net07,
                format!("the token service's clock is {} s {order} the registry's", apart.abs()),
            )
            .fix("set both machines' clocks by NTP (`timedatectl`, chrony); registries accept tokens that are at most 60 s early or late")
            .rows(rows)
        }
        None if registry.abs() > NOTABLE => {
            Finding::warn(Check::Net07, format!("the registry's clock is {}", words(registry)))
                .fix("set this machine's clock, or the registry's, by NTP: clients decide by their own clock how long to use a token")
                .rows(&["F78"])
        }
        None => Finding::pass(Check::Net07, "all observed clocks agree"),
    };
    run.record(lines.into_iter().flatten().fold(finding, Finding::evidence));
}

/// By how many seconds an answer's clock is ahead of ours. An answer out of somebody's cache has
/// an old date.
fn ahead(response: &Response) -> Option<i64> {
    if response.header("age").is_some() {
        return None;
    }
    let seconds = |at: std::time::SystemTime| {
        let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    Some(seconds(response.date()?).saturating_sub(seconds(response.at)))
}

fn words(seconds: i64) -> String {
    match seconds {
        0 => "the same as this machine's".to_owned(),
        ahead @ 1.. => format!("{ahead} s ahead of this machine's"),
        behind => format!("{} s behind this machine's", behind.unsigned_abs()),
    }
}
