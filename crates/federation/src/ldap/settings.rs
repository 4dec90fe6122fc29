//! What a directory is, as an operator describes it.

use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

use rustls::ClientConfig;
use secrecy::SecretString;
use url::Url;

use super::{
    Dn,
    template::{FilterTemplate, NameTemplate},
};

/// A directory and how accounts are found in it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its servers, in the order in which they are asked; each has all of it.
    pub servers: Vec<Server>,
    /// Whom they have to prove to be.
    pub tls: Arc<ClientConfig>,
    /// How accounts are found and proved.
    pub accounts: AccountLookup,
    /// How their groups are found.
    pub groups: GroupLookup,
    /// How long a login may take with one server.
    pub timeout: Duration,
    /// How many connections to one server there may be to search, and as many to try passwords.
    pub connections: NonZeroUsize,
}

/// Where a server listens, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    url: Url,
    security: Security,
}

/// What protects passwords on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (`ldaps`).
    Tls,
    /// TLS after a question in the clear (RFC 4511, section 4.14).
    StartTls,
    /// Nothing.
    Plaintext,
}

/// How an account is found, and what its password is tried on.
#[derive(Debug, Clone)]
pub enum AccountLookup {
    /// Its entry is searched for first.
    Search {
        /// Who searches.
        identity: Identity,
        /// Where.
        base: String,
        /// What for.
        filter: FilterTemplate,
        /// The attribute that has the account's name.
        attribute: String,
    },
    /// Its name is made from what is typed, and whoever has logged in reads its own entry.
    Direct {
        /// The name that is made.
        name: NameTemplate,
        /// Where the entry is, if that name does not say so.
        entry: Option<(String, FilterTemplate)>,
        /// The attribute that has the account's name.
        attribute: String,
    },
}

/// Who searches.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Nobody in particular.
    Anonymous,
    /// An account of the directory.
    Account {
        /// Its name.
        dn: String,
        /// Its password, not empty.
        password: SecretString,
    },
}

/// How the groups of an account are found.
#[derive(Debug, Clone)]
pub enum GroupLookup {
    /// Not at all.
    None,
    /// By an attribute of its entry that names them.
    MemberOf {
        /// Which; `memberOf` nearly everywhere.
        attribute: String,
        /// Only groups below this one count.
        base: Dn,
        /// Whether the groups of groups count.
        nested: Nesting,
    },
    /// By a search of our own.
    Search {
        /// Where.
        base: String,
        /// What for.
        filter: FilterTemplate,
        /// Whether the groups of groups count.
        nested: Nesting,
    },
    /// By membership through other groups: by the rule that Active Directory has for it, and step by step
    /// elsewhere.
    Chain {
        /// Where.
        base: String,
    },
}

/// Whether groups of groups count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// They do.
    Followed,
    /// They do not.
    Ignored,
}

impl Server {
    /// `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`, and nothing behind it.
    pub fn parse(text: &str, starttls: bool) -> Result<Self, ServerError> {
        let mut url =
            Url::parse(text).map_err(|error| ServerError::Url { reason: error.to_string() })?;
        let security = match url.scheme() {
            "ldaps" if starttls => return Err(ServerError::StartTlsTwice),
            "ldaps" => Security::Tls,
            "ldap" if starttls => Security::StartTls,
            "ldap" => Security::Plaintext,
            _ => return Err(ServerError::Scheme),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(ServerError::Host);
        }
        let rest =
            !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
        if rest || !url.username().is_empty() || url.password().is_some() {
            return Err(ServerError::Rest);
        }
        url.set_path("");
        Ok(Self { url, security })
    }

    /// What protects passwords on their way to it.
    pub fn security(&self) -> Security {
        self.security
    }

    /// Whether it is on this machine by its name alone.
    pub fn is_loopback(&self) -> bool {
        match self.url.host_str() {
            Some("localhost") => true,
            Some(host) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            None => false,
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// Why a text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It is no URL.
    #[error("it is no URL ({reason})")]
    Url {
        /// Why.
        reason: String,
    },
    /// It is of another kind.
    #[error("its scheme is neither `ldap` nor `ldaps`")]
    Scheme,
    /// Nobody is named.
    #[error("it names no host")]
    Host,
    /// There is more than a server in it.
    #[error("it has more than a host and a port: the base and the filter have keys of their own")]
    Rest,
    /// TLS in TLS.
    #[error("`ldaps` is TLS already: `starttls` is for `ldap`")]
    StartTlsTwice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_perhaps_a_port() {
        let parse = |text: &str| Server::parse(text, false);
        assert_eq!(parse("ldaps://dc1.example.org").unwrap().security(), Security::Tls);
        assert_eq!(parse("ldap://dc1:3268/").unwrap().to_string(), "ldap://dc1:3268");
        assert_eq!(Server::parse("ldap://dc1", true).unwrap().security(), Security::StartTls);
        for text in ["ldap://127.0.0.1:389", "ldap://localhost", "ldap://[::1]"] {
            assert!(parse(text).unwrap().is_loopback(), "{text}");
        }
        assert!(!parse("ldap://127.0.0.1.example.org").unwrap().is_loopback());
        assert_eq!(parse("https://dc1"), Err(ServerError::Scheme));
        assert!(matches!(parse("dc1"), Err(ServerError::Url { .. })));
        assert_eq!(parse("ldap:///"), Err(ServerError::Host));
        for text in ["ldap://dc1/dc=example", "ldap://ann:secret@dc1", "ldap://dc1?uid"] {
            assert_eq!(parse(text), Err(ServerError::Rest), "{text}");
        }
        assert_eq!(Server::parse("ldaps://dc1", true), Err(ServerError::StartTlsTwice));
    }
}
