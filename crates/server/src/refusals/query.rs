//! What is asked and told over the socket: one line of JSON each way.

use serde::{Deserialize, Serialize};

use super::RefusedRequest;
use crate::request::id::parts_of;

/// What somebody wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The latest refusals, so many at most.
    Latest(usize),
    /// The same with what was not there.
    All(usize),
    /// Those of this request id.
    Request(String),
}

/// What a server says of its refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryResult {
    /// How the request ids of this process begin.
    pub process: String,
    /// How many there have been.
    pub issued: u64,
    /// How many refusals are kept at the moment.
    pub kept: usize,
    /// How many requests are kept beside them that found nothing there.
    #[serde(default)]
    pub absent: usize,
    /// How many were kept and had to go.
    pub forgotten: u64,
    /// What was asked for, newest first.
    pub found: Vec<RefusedRequest>,
}

/// Why nothing is kept of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// The id is of an earlier start of the server, or of another server.
    OtherProcess,
    /// No request has had this number yet.
    NotYet,
    /// It was not refused, or came without credentials.
    Served,
    /// It was not refused, came without credentials, or is one of those that had to go.
    ServedOrForgotten,
    /// Not made by this server; a proxy that is trusted may have made it.
    Foreign,
}

impl QueryResult {
    /// Why nothing was found of this request.
    pub fn absence(&self, request: &str) -> Absence {
        let gone = if self.forgotten == 0 { Absence::Served } else { Absence::ServedOrForgotten };
        match parts_of(request) {
            None => Absence::Foreign,
            Some((process, _)) if process != self.process => Absence::OtherProcess,
            Some((_, number)) if number > self.issued => Absence::NotYet,
            Some(_) => gone,
        }
    }

    /// As JSON, with entries that are JSON already.
    pub(super) fn with_found(&self, found: &[String]) -> String {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        // `found` is the last member, and empty.
        text.truncate(text.len().saturating_sub("]}".len()));
        text.push_str(&found.join(","));
        text.push_str("]}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_kept_says_why_it_cannot_be() {
        let process = "0707070707070707".to_owned();
        let told = |forgotten| QueryResult {
            process: process.clone(),
            issued: 9,
            kept: 3,
            absent: 0,
            forgotten,
            found: Vec::new(),
        };
        for (id, forgotten, absence) in [
            ("0707070707070707-000009", 0, Absence::Served),
            ("0707070707070707-000009", 1, Absence::ServedOrForgotten),
            ("0707070707070707-00000a", 1, Absence::NotYet),
            ("0707070707070708-000001", 0, Absence::OtherProcess),
            ("from-a-proxy", 0, Absence::Foreign),
            ("", 0, Absence::Foreign),
        ] {
            assert_eq!(told(forgotten).absence(id), absence, "{id}");
        }
    }
}
