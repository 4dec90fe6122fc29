//! What to do about a refusal, and which of the known failures it is.
//!
//! One text for each id: the documentation's tables, `explain` and `token inspect` have it from here.
//!
//! ```
//! use portpass_protocol::advice::{Advice, RefusedBy, Failures};
//!
//! let advice = Advice::on(RefusedBy::Registry, "token-issuer-mismatch").unwrap();
//! assert!(advice.what_to_do.contains("`issuer` differ"));
//! assert_eq!(advice.failures, Failures::Is("F75"));
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

mod failures;
mod registry;
mod token_service;

pub use self::{
    failures::{FAILURES, Failure, Failures},
    registry::REGISTRY,
    token_service::TOKEN_SERVICE,
};

/// Who refuses: both have a `wrong-password`, and mean different things by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedBy {
    /// The registry, or the listener before it.
    Registry,
    /// The token service.
    TokenService,
}

impl fmt::Display for RefusedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "the registry",
            Self::TokenService => "the token service",
        })
    }
}

/// What is known of a refusal by its id alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// The refusal's stable word: `token-expired`.
    pub id: &'static str,
    /// Which of the known failures it is.
    pub failures: Failures,
    /// What whoever runs the server does about it.
    pub what_to_do: &'static str,
}

impl Advice {
    /// The advice on a refusal. What a listener refuses before either service has seen it stands in
    /// the registry's table alone.
    pub fn on(by: RefusedBy, id: &str) -> Option<&'static Self> {
        let in_table = |table: &'static [Self]| table.iter().find(|advice| advice.id == id);
        match by {
            RefusedBy::Registry => in_table(REGISTRY),
            RefusedBy::TokenService => in_table(TOKEN_SERVICE).or_else(|| in_table(REGISTRY)),
        }
    }
}

const fn advice(id: &'static str, failures: Failures, what_to_do: &'static str) -> Advice {
    Advice { id, failures, what_to_do }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_advice_and_the_listener_has_one_for_both() {
        let on = |by, id| Advice::on(by, id).map(|advice| advice.what_to_do);
        assert_ne!(
            on(RefusedBy::Registry, "wrong-password"),
            on(RefusedBy::TokenService, "wrong-password")
        );
        assert_eq!(on(RefusedBy::Registry, "bad-host"), on(RefusedBy::TokenService, "bad-host"));
        assert_eq!(on(RefusedBy::Registry, "two-credentials"), None);
        assert_eq!(on(RefusedBy::TokenService, "made-up"), None);
    }

    #[test]
    fn no_id_stands_twice_in_a_table() {
        for table in [REGISTRY, TOKEN_SERVICE] {
            for (index, advice) in table.iter().enumerate() {
                assert!(table[..index].iter().all(|other| other.id != advice.id), "{}", advice.id);
            }
        }
    }

    #[test]
    fn every_failure_that_is_named_is_in_the_list_and_every_one_listed_is_named() {
        let named = || REGISTRY.iter().chain(TOKEN_SERVICE).flat_map(|a| a.failures.rows());
        let of_scopes = Failures::OF_SCOPES.iter();
        for row in named().chain(of_scopes) {
            assert!(Failure::of(row).is_some(), "{row}");
        }
        for failure in FAILURES {
            let is_named = named().chain(Failures::OF_SCOPES).any(|row| *row == failure.row);
            assert!(is_named, "{}", failure.row);
        }
        assert!(FAILURES.is_sorted_by_key(|failure| failure.row[1..].parse::<u16>().unwrap()));
    }
}
