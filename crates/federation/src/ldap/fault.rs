//! Why a directory said nothing that could be used. For the log alone.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use ldap3::{LdapError, LdapResult};

use super::settings::Server;

/// Why a directory said nothing that could be used: nobody is let in for it, and nobody refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no connection to a server.
    #[error("no connection to {server}: {reason}")]
    Unreachable {
        /// Which.
        server: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A server does not prove to be the one that is meant.
    #[error("no TLS with {server}: {reason}{}", tls_hint(reason))]
    Tls {
        /// Which.
        server: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A server took too long.
    #[error("{server} has not answered within {} (`timeout`)", seconds(*after))]
    TimedOut {
        /// Which.
        server: Arc<str>,
        /// How long.
        after: Duration,
    },
    /// A server ended the connection.
    #[error("{server} ended the connection")]
    HungUp {
        /// Which.
        server: Arc<str>,
    },
    /// All connections to a server are in use.
    #[error(
        "all {connections} connections to {server} are busy, and none became free in time: if the server can serve more at once, raise `connections`"
    )]
    Busy {
        /// Which.
        server: Arc<str>,
        /// How many there may be for that purpose.
        connections: NonZeroUsize,
    },
    /// The account that searches is not let in.
    #[error("{server} does not let `bind_dn` {dn} in: {reason}")]
    SearchAccount {
        /// Which.
        server: Arc<str>,
        /// The account.
        dn: String,
        /// Why.
        reason: String,
    },
    /// A server answered something else than was asked.
    #[error("{server} answered to {question}: {reason}")]
    Answer {
        /// Which.
        server: Arc<str>,
        /// What was asked.
        question: &'static str,
        /// The result's code (RFC 4511, appendix A).
        code: u32,
        /// What it said.
        reason: String,
    },
    /// A server gave a part of a list: to take it for the whole would take rights away.
    #[error(
        "{server} gave only a part of {question} (its size limit): raise the limit for `bind_dn`, or narrow the search"
    )]
    Cut {
        /// Which.
        server: Arc<str>,
        /// What was asked.
        question: &'static str,
    },
    /// Nothing can be read.
    #[error("{server} shows no entry below {base}: may the account that searches read there?")]
    Blind {
        /// Which.
        server: Arc<str>,
        /// Below what.
        base: String,
    },
    /// Somebody may log in and not read the own entry.
    #[error(
        "{dn} has logged in and may not read its own entry: set `bind_dn` and `filter`, or let accounts read themselves"
    )]
    OwnEntry {
        /// Who.
        dn: String,
    },
    /// Only the password opens this directory.
    #[error(
        "the directory is only read with the account's own password (`user_dn` without `bind_dn`)"
    )]
    NeedsPassword,
    /// Groups in groups without an end.
    #[error("the groups of {dn} are more than {most} or nested deeper than {deepest} times")]
    TooManyGroups {
        /// Whose.
        dn: String,
        /// How many are read.
        most: usize,
        /// How deep.
        deepest: usize,
    },
    /// An answer that nobody can read.
    #[error("an answer of the directory cannot be read")]
    Garbled,
}

impl Fault {
    /// Whether another server may do better.
    pub(super) fn is_of_one_server(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::TimedOut { .. }
            | Self::HungUp { .. }
            | Self::SearchAccount { .. } => true,
            Self::Answer { code, .. } => is_of_the_server(*code),
            // The others were full too, or it would not have been waited for.
            Self::Busy { .. }
            | Self::Cut { .. }
            | Self::Blind { .. }
            | Self::OwnEntry { .. }
            | Self::NeedsPassword
            | Self::TooManyGroups { .. }
            | Self::Garbled => false,
        }
    }

    /// What the library says went wrong while a connection was made.
    pub(super) fn while_connecting(server: &Server, error: &LdapError, after: Duration) -> Self {
        let name = name(server);
        let reason = error.to_string();
        match error {
            LdapError::Timeout { .. } => Self::TimedOut { server: name, after },
            LdapError::Io { source }
                if source
                    .get_ref()
                    .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) =>
            {
                Self::Tls { server: name, reason: source.to_string() }
            }
            LdapError::Io { source } => {
                Self::Unreachable { server: name, reason: source.to_string() }
            }
            LdapError::Rustls { .. } | LdapError::DNSName { .. } => {
                Self::Tls { server: name, reason }
            }
            LdapError::LdapResult { result } => {
                Self::Tls { server: name, reason: format!("StartTLS is refused: {}", said(result)) }
            }
            _ => Self::Unreachable { server: name, reason },
        }
    }

    /// What it says went wrong afterwards.
    pub(super) fn while_asking(server: &Server, error: &LdapError, question: &'static str) -> Self {
        let name = name(server);
        match error {
            LdapError::LdapResult { result } => Self::refused(server, question, result),
            LdapError::FilterParsing => Self::Garbled,
            // The rest are channels to a connection that is no more.
            _ => Self::HungUp { server: name },
        }
    }

    /// A result that is neither a yes nor a no.
    pub(super) fn refused(server: &Server, question: &'static str, result: &LdapResult) -> Self {
        match result.rc {
            SIZE_LIMIT | ADMINISTRATIVE_LIMIT => Self::Cut { server: name(server), question },
            code => Self::Answer { server: name(server), question, code, reason: said(result) },
        }
    }
}

pub(super) fn name(server: &Server) -> Arc<str> {
    server.to_string().into()
}

/// What a result says, and what to do about it where that is known. Its text is the server's.
pub(super) fn said(result: &LdapResult) -> String {
    let hint = match result.rc {
        8 | 13 => "; it wants TLS: use `ldaps://` or `starttls: true`",
        10 => "; it refers to another server, which is not followed: name that one in `servers`",
        32 => "; there is no such entry: is `base` right?",
        50 => "; the account that searches may not do this",
        _ => "",
    };
    let text = match result.text.trim().trim_end_matches('\0') {
        "" => String::new(),
        text => format!(", {:?}", text.chars().take(LONGEST_SAID).collect::<String>()),
    };
    format!("result {}{text}{hint}", result.rc)
}

/// As much of a server's text as goes into the log.
const LONGEST_SAID: usize = 300;

/// Results that say nothing of what was asked: the server is busy, elsewhere or broken, or wants TLS.
pub(super) fn is_of_the_server(code: u32) -> bool {
    matches!(code, 1..=3 | 7 | 8 | 10 | 12 | 13 | 51 | 52 | 54 | 80)
}

/// rustls names the fault, and not the way out.
fn tls_hint(reason: &str) -> &'static str {
    if reason.contains("NotValidForName") || reason.contains("not valid for name") {
        "; the certificate has to name the host in its subjectAltName, as `servers` does"
    } else if reason.contains("UnknownIssuer") || reason.contains("BadSignature") {
        "; `ca` has to name the authority that signed the certificate"
    } else if reason.contains("Expired") || reason.contains("expired") {
        "; the server needs a new certificate"
    } else {
        ""
    }
}

fn seconds(after: Duration) -> String {
    format!("{} s", after.as_secs_f32())
}

pub(super) const SIZE_LIMIT: u32 = 4;
const ADMINISTRATIVE_LIMIT: u32 = 11;
