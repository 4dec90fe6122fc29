//! Whether the claims have the types that registries read (JW4): one that has not makes the whole token
//! unreadable, whatever it says.

use portpass_jose::unverified::Unverified;
use portpass_protocol::challenge::KnownClient;
use portpass_token::{Claims, ClaimsError};

use crate::{Check, Finding, run::Run};

/// JWT-07
pub(super) fn check(run: &mut Run, bare: &str) {
    let Ok(opened) = Unverified::parse(bare) else { return };
    let finding = match Claims::from_json(opened.payload()) {
        Ok(_) => Finding::pass(Check::Jwt07, "its claims have the right types"),
        Err(error) => {
            let (fix, row) = advice(&error);
            run.token_fault(Check::Jwt07, error.to_string())
                .breaks(&KnownClient::ALL)
                .fix(fix)
                .rows(&[row])
        }
    };
    run.record(finding);
}

/// `access[0]`, but neither `access[0].name` nor `access[0].actions[1]`.
fn is_entry_of_access(claim: &str) -> bool {
    let index = claim.strip_prefix("access[").and_then(|rest| rest.strip_suffix(']'));
    index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

fn advice(error: &ClaimsError) -> (&'static str, &'static str) {
    match error {
        ClaimsError::Missing { claim: "exp" } => (
            "write `exp`, in whole seconds since 1970. Without it, registries treat the token as expired",
            "F74",
        ),
        ClaimsError::Missing { claim: "iss" } => {
            ("write `iss`, exactly as in the registry's `issuer`", "F75")
        }
        ClaimsError::Type { claim, .. } if is_entry_of_access(claim) => (
            "each entry of `access` must be an object with `type`, `name` and a list `actions`. Leave out entries that grant nothing, or write `\"actions\":[]`",
            "F128",
        ),
        _ => (
            "`exp`, `nbf` and `iat` must be whole numbers of seconds, not strings, and without a fraction. `access` must be a list of objects with `type`, `name` and a list `actions`",
            "F73",
        ),
    }
}
