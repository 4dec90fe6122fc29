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

fn advice(error: &ClaimsError) -> (&'static str, &'static str) {
    match error {
        ClaimsError::Missing { claim: "exp" } => (
            "write `exp`, in whole seconds since 1970. Without it, registries treat the token as expired",
            "F74",
        ),
        ClaimsError::Missing { claim: "iss" } => {
            ("write `iss`, exactly as in the registry's `issuer`", "F75")
        }
        ClaimsError::Type { claim, .. } if claim.starts_with("access[") && claim.ends_with(']') => {
            (
                "each entry of `access` must be an object with `type`, `name` and a list `actions`. Leave out entries that grant nothing, or write `\"actions\":[]`",
                "F128",
            )
        }
        _ => (
            "`exp`, `nbf` and `iat` must be whole numbers of seconds, not strings, and without a fraction. `access` must be a list of objects with `type`, `name` and a list `actions`",
            "F73",
        ),
    }
}
