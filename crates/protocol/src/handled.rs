//! What a service says of a request that it has answered, for the log and for whoever asks later why.

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
        Self { subject, refusal: Some(Refusal { id, text: text.into() }) }
    }
}

/// The reason of a refusal. The client is told less (VO13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word, for metrics and searching: `token-expired`.
    pub id: &'static str,
    /// A sentence with the values that disagreed; never a token or a password.
    pub text: String,
}
