//! KEY: which key signed the token, and whether it is one that the registry trusts: by its files where they
//! were given, and otherwise by what its answers give away.

mod form;
mod signer;
mod trusted;
mod unexplained;

use crate::{Check, Needs, observations::RequiredAuth, run::Run};

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
pub(crate) fn check(run: &mut Run) {
    if run.observed.required_auth == Some(RequiredAuth::Basic) {
        let why = Needs::Nothing("this registry requires the password itself, and trusts no key");
        return run.skip(ALL, &why);
    }
    if run.observed.required_auth == Some(RequiredAuth::Nothing) && run.observed.token.is_none() {
        let why = Needs::Nothing("this registry requires no token, and trusts no key");
        return run.skip(ALL, &why);
    }
    let trusted = trusted::check(run);
    form::check(run, &trusted);
    signer::check(run, &trusted);
    trusted::token_key(run, &trusted);
    unexplained::check(run);
}

/// Whether the registry is more likely portpass than distribution: it knows keys under every name, so the
/// form of an id tells nothing, and its log can be asked for the reason.
fn request_id(run: &Run) -> Option<String> {
    let replies = &run.observed.replies;
    let response = replies.real.as_ref().or(replies.garbage.as_ref())?;
    response.header("x-request-id").map(str::to_owned)
}
