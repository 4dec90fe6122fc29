//! What a service says of a request that it has answered, for the log and for whoever asks later why.

use serde::{Deserialize, Serialize};

use crate::{
    AccessSet,
    advice::{Advice, By, Failures},
};

/// Put into the response's extensions by whoever decided; never sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Handled {
    /// Who it was, where that is known: an account's name; empty for an anonymous caller.
    pub subject: Option<String>,
    /// Why it was refused, where it was.
    pub refusal: Option<Refusal>,
}

impl Handled {
    /// Served, for this subject.
    pub fn served(subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), refusal: None }
    }

    /// Refused.
    pub fn refused(subject: Option<String>, id: &'static str, text: impl Into<String>) -> Self {
        Self { subject, refusal: Some(Refusal { id, text: text.into(), grounds: None }) }
    }

    /// Adds what a refusal rests on.
    #[must_use]
    pub fn because(mut self, grounds: Grounds) -> Self {
        if let Some(refusal) = &mut self.refusal {
            refusal.grounds = Some(Box::new(grounds));
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
    pub grounds: Option<Box<Grounds>>,
}

impl Refusal {
    /// Which of the known failures it is.
    pub fn failures(&self, by: By) -> Failures {
        match &self.grounds {
            Some(grounds) if self.id == INSUFFICIENT_SCOPE => {
                Failures::of_scope(&grounds.needed, &grounds.granted)
            }
            _ => Advice::on(by, self.id).map_or(Failures::Unlisted, |advice| advice.failures),
        }
    }
}

/// What a refusal of the registry rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grounds {
    /// What the request needed.
    pub needed: AccessSet,
    /// What the caller was granted, with what was asked for and denied.
    pub granted: AccessSet,
    /// What the token that was refused says.
    pub token: Option<TokenWords>,
    /// A number that is the same whenever the same token is shown, and tells nothing of it.
    pub mark: Option<u64>,
}

/// What a token said of itself, which nobody has vouched for: enough to see why it was refused, and
/// nothing by which it could be used. Texts are short and on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenWords {
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
        let certain = |handled: &Handled, by| {
            handled.refusal.as_ref().and_then(|refusal| refusal.failures(by).certain())
        };
        let issuer = Handled::refused(None, "token-issuer-mismatch", "x");
        assert_eq!(certain(&issuer, By::Registry), Some("F75"));
        let scope = Handled::refused(Some("ann".into()), INSUFFICIENT_SCOPE, "x");
        assert_eq!(certain(&scope, By::Registry), None);
        let needed = "registry:catalog:*".parse().unwrap();
        let scope = scope.because(Grounds { needed, ..Grounds::default() });
        assert_eq!(certain(&scope, By::Registry), Some("F107"));
        let gone = Handled::refused(None, "refresh-token-unknown", "x");
        assert_eq!(certain(&gone, By::TokenService), None);
        assert_eq!(certain(&Handled::served("ann"), By::Registry), None);
    }
}
