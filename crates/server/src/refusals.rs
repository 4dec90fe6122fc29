//! The latest refusals of this process, for whoever asks why.
//!
//! ```text
//! ListenerService ── keep ──► RefusalLog     in memory, bounded in entries and bytes; what is
//!                                  │          only not there has a ring of its own
//!                             RefusalSocket   a socket in the data directory, for its owner alone
//!                                  │
//! portpass explain ─────── query ──┴────────► QueryResult
//! ```
//!
//! What is kept says more than the answer did, and nothing that anybody could use: no token, no
//! signature, no password.

mod query;
pub(crate) mod ring;
pub(crate) mod socket;

use std::time::SystemTime;

use portpass_protocol::advice::{Advice, Failure};
use serde::{Deserialize, Serialize};

pub use portpass_protocol::{
    TokenSummary,
    advice::{Failure as KnownFailure, RefusedBy},
    outcome::INSUFFICIENT_SCOPE,
};

pub use self::{
    query::{Absence, Query, QueryResult},
    socket::{QueryError, query},
};

/// One request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequest {
    /// What the answer has as `X-Request-Id`.
    pub request: String,
    /// When it was answered.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// The address that it came from.
    pub client: String,
    /// What the client calls itself.
    pub agent: String,
    /// Who asked: proved for a refusal of the registry, claimed for one of the token service; empty
    /// for an anonymous caller.
    pub subject: Option<String>,
    /// `GET`
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The answer's status.
    pub status: u16,
    /// Who refused.
    pub by: RefusedBy,
    /// The refusal's id: `token-expired`.
    pub refusal: String,
    /// The whole reason, as in the log.
    pub reason: String,
    /// The known failures that it may be: `F75`.
    pub failures: Vec<String>,
    /// What the request needed, as scopes.
    pub needed: Vec<String>,
    /// What the caller was granted, as scopes; one without actions was asked for and denied.
    pub granted: Vec<String>,
    /// What a token that was refused says of itself.
    pub token: Option<TokenSummary>,
    /// How often else the same token was refused for the same, in requests one after the other.
    #[serde(default)]
    pub repeated: usize,
}

impl RefusedRequest {
    /// What whoever runs the server does about it.
    pub fn what_to_do(&self) -> Option<&'static str> {
        Advice::on(self.by, &self.refusal).map(|advice| advice.what_to_do)
    }

    /// The known failures that it may be.
    pub fn known_failures(&self) -> Vec<&'static Failure> {
        self.failures.iter().filter_map(|row| Failure::of(row)).collect()
    }
}

/// Times as people and programs read them.
mod rfc3339 {
    use std::time::SystemTime;

    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&portpass_admin::rfc3339(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<Timestamp>().map(SystemTime::from).map_err(D::Error::custom)
    }
}
