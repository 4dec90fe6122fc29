//! How a service answered a request, for the log and for later explanation.

use serde::{Deserialize, Serialize};

use crate::{
    AccessSet,
    advice::{Advice, Failures, RefusedBy},
};

/// The service that decided puts it into the response's extensions; it is never sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOutcome {
    /// Who it was, where that is known: an account's name; empty for an anonymous caller.
    pub subject: Option<String>,
    /// Why it was refused, where it was.
    pub refusal: Option<Refusal>,
}

impl RequestOutcome {
    /// Served, for this subject.
    pub fn served(subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), refusal: None }
    }

    /// Refused.
    pub fn refused(subject: Option<String>, id: &'static str, text: impl Into<String>) -> Self {
        Self { subject, refusal: Some(Refusal { id, text: text.into(), details: None }) }
    }

    /// Adds the details of a refusal.
    #[must_use]
    pub fn with_details(mut self, details: RefusalDetails) -> Self {
        if let Some(refusal) = &mut self.refusal {
            refusal.details = Some(Box::new(details));
        }
        self
    }
}

/// The reason of a refusal. The client is told less (VO13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word, for metrics and searching: `token-expired`.
    pub id: &'static str,
    /// A sentence with the values that disagreed; never a token or a password.
    pub text: String,
    /// What it rests on, where that is more than the sentence.
    pub details: Option<Box<RefusalDetails>>,
}

impl Refusal {
    /// Which of the known failures it is.
    pub fn failures(&self, by: RefusedBy) -> Failures {
        match &self.details {
            Some(details) if self.id == INSUFFICIENT_SCOPE => {
                Failures::of_scope(&details.needed, &details.granted)
            }
            _ => Advice::on(by, self.id).map_or(Failures::Unlisted, |advice| advice.failures),
        }
    }
}

/// What a refusal of the registry rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusalDetails {
    /// What the request needed.
    pub needed: AccessSet,
    /// What the caller was granted, with what was asked for and denied.
    pub granted: AccessSet,
    /// What the token that was refused says.
    pub token: Option<TokenSummary>,
    /// A number that is the same whenever the same token is shown, and tells nothing of it.
    pub fingerprint: Option<u64>,
}

/// What a token said of itself, which nobody has vouched for: enough to see why it was refused, and
/// nothing by which it could be used. Texts are short and on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSummary {
    /// `iss`
    pub issuer: Option<String>,
    /// `aud`
    pub audience: Vec<String>,
    /// `sub`
    pub subject: Option<String>,
    /// `exp`, in seconds since 1970.
    pub expires: Option<i64>,
    /// `nbf`
    pub not_before: Option<i64>,
    /// `iat`
    pub issued_at: Option<i64>,
    /// `alg`
    pub algorithm: Option<String>,
    /// The key that it names: its `kid`, or whose certificate it brings.
    pub key: String,
}

/// The refusal of a caller who is known and may not.
pub const INSUFFICIENT_SCOPE: &str = "insufficient-scope";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_knows_its_failure_by_its_id_or_by_what_it_rests_on() {
        let certain = |handled: &RequestOutcome, by| {
            handled.refusal.as_ref().and_then(|refusal| refusal.failures(by).certain())
        };
        let issuer = RequestOutcome::refused(None, "token-issuer-mismatch", "x");
        assert_eq!(certain(&issuer, RefusedBy::Registry), Some("F75"));
        let scope = RequestOutcome::refused(Some("ann".into()), INSUFFICIENT_SCOPE, "x");
        assert_eq!(certain(&scope, RefusedBy::Registry), None);
        let needed = "registry:catalog:*".parse().unwrap();
        let scope = scope.with_details(RefusalDetails { needed, ..RefusalDetails::default() });
        assert_eq!(certain(&scope, RefusedBy::Registry), Some("F107"));
        let gone = RequestOutcome::refused(None, "refresh-token-unknown", "x");
        assert_eq!(certain(&gone, RefusedBy::TokenService), None);
        assert_eq!(certain(&RequestOutcome::served("ann"), RefusedBy::Registry), None);
    }
}
