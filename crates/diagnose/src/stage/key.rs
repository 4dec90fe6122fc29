//! KEY: which key signed the token, and whether it is one that the registry trusts: by its files where they
//! were given, and otherwise by what its answers give away.

mod form;
mod remaining;
mod signer;
mod trusted;

use crate::{Check, Needs, case::Case, facts::Demand};

const ALL: &[Check] = &[
    Check::Key01,
    Check::Key02,
    Check::Key03,
    Check::Key04,
    Check::Key05,
    Check::Key06,
    Check::Key07,
];

/// Answers JWT-05, which needs the registry's answers, and KEY-01 to KEY-07.
pub(crate) fn run(case: &mut Case) {
    if case.facts.demand == Some(Demand::Basic) {
        let why = Needs::Nothing("this registry wants the password itself, and trusts no key");
        return case.skip(ALL, &why);
    }
    if case.facts.demand == Some(Demand::Nothing) && case.facts.token.is_none() {
        let why = Needs::Nothing("this registry asks nobody for a token, and trusts no key");
        return case.skip(ALL, &why);
    }
    let trusted = trusted::run(case);
    form::run(case, &trusted);
    signer::run(case, &trusted);
    trusted::token_key(case, &trusted);
    remaining::run(case);
}

/// Whether the registry is more likely portpass than distribution: it knows keys under every name, so the
/// form of an id tells nothing, and its log can be asked for the reason.
fn request_id(case: &Case) -> Option<String> {
    let replies = &case.facts.replies;
    let seen = replies.real.as_ref().or(replies.garbage.as_ref())?;
    seen.header("x-request-id").map(str::to_owned)
}
