//! One connection to one server. Everything on it has a time limit.

use std::{sync::Arc, time::Duration};

use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapResult, Scope, SearchEntry, SearchOptions,
    adapters::{Adapter, EntriesOnly, PagedResults},
    controls::RawControl,
};
use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{task::AbortHandle, time::timeout};

use super::{
    entry::Entry,
    fault::{Fault, SIZE_LIMIT, name},
    refusal::PASSWORD_POLICY,
    settings::{Security, Server},
};

/// A connection, and who it is to.
#[derive(Debug)]
pub(super) struct Connection {
    ldap: Ldap,
    server: Server,
    limit: Duration,
    /// Reads and writes. It ends with this: by itself it would not while a write stands still.
    driver: AbortHandle,
}

/// A search.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// What is asked, for errors.
    pub(super) question: &'static str,
    /// Where.
    pub(super) base: String,
    /// How far below it.
    pub(super) scope: Scope,
    /// What for.
    pub(super) filter: String,
    /// What of each entry.
    pub(super) attributes: Vec<String>,
    /// How many.
    pub(super) wanted: Wanted,
}

/// How many entries are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The first few; that there are more is no error.
    First(u8),
    /// All of them, page by page; more than so many are an error.
    All(usize),
}

/// What a search has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    /// Other servers that have more of it; nobody asks them.
    pub(super) referrals: usize,
}

impl Connection {
    /// To a server, with TLS where that is wanted.
    pub(super) async fn open(
        server: &Server,
        tls: &Arc<ClientConfig>,
        limit: Duration,
    ) -> Result<Self, Fault> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(limit)
            .set_config(Arc::clone(tls))
            .set_starttls(server.security() == Security::StartTls);
        let opened = LdapConnAsync::from_url_with_settings(settings, server.url()).await;
        let (connection, ldap) =
            opened.map_err(|error| Fault::while_connecting(server, &error, limit))?;
        let to = server.to_string();
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(server = to, %error, "a connection to a directory has ended");
            }
        });
        Ok(Self { ldap, server: server.clone(), limit, driver: driving.abort_handle() })
    }

    /// Presents a password. Whoever calls has made sure that neither is empty: directories take that for
    /// nobody, and answer yes (RFC 4513, section 5.1.2).
    pub(super) async fn bind(
        &mut self,
        dn: &str,
        password: &SecretString,
    ) -> Result<LdapResult, Fault> {
        assert!(!dn.is_empty() && !password.expose_secret().is_empty(), "a bind as nobody");
        let ldap = self.ldap.with_controls(vec![password_policy()]);
        let bound = timeout(self.limit, ldap.simple_bind(dn, password.expose_secret())).await;
        self.in_time(bound)?.map_err(|error| Fault::while_asking(&self.server, &error, "a bind"))
    }

    /// Searches.
    pub(super) async fn search(&mut self, query: &Query) -> Result<Found, Fault> {
        let found = timeout(self.limit, self.ask(query)).await;
        self.in_time(found)?
    }

    async fn ask(&mut self, query: &Query) -> Result<Found, Fault> {
        let failed = |error| Fault::while_asking(&self.server, &error, query.question);
        let mut adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new())];
        let (options, most) = match query.wanted {
            Wanted::First(number) => {
                (SearchOptions::new().sizelimit(number.into()), usize::from(number))
            }
            Wanted::All(most) => {
                adapters.push(Box::new(PagedResults::new(PAGE)));
                (SearchOptions::new(), most)
            }
        };
        let mut stream = self
            .ldap
            .with_search_options(options)
            .streaming_search_with(
                adapters,
                &query.base,
                query.scope,
                &query.filter,
                query.attributes.clone(),
            )
            .await
            .map_err(failed)?;
        let mut found = Found::default();
        while let Some(entry) = stream.next().await.map_err(failed)? {
            if found.entries.len() == most {
                let cut = Fault::Cut { server: name(&self.server), question: query.question };
                return Err(cut);
            }
            found.entries.push(Entry::from(SearchEntry::construct(entry)));
        }
        let result = stream.finish().await;
        found.referrals = result.refs.len();
        match (result.rc, query.wanted) {
            (0, _) | (SIZE_LIMIT, Wanted::First(_)) => Ok(found),
            // One entry by its name: it is not there.
            (NO_SUCH_OBJECT, _) if query.scope == Scope::Base => Ok(Found::default()),
            _ => Err(Fault::refused(&self.server, query.question, &result)),
        }
    }

    /// Whether the other side has ended it.
    pub(super) fn is_closed(&mut self) -> bool {
        self.ldap.is_closed()
    }

    /// Who it is to.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    fn in_time<T>(&self, done: Result<T, tokio::time::error::Elapsed>) -> Result<T, Fault> {
        done.map_err(|_| Fault::TimedOut { server: name(&self.server), after: self.limit })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Asks for the state of the password beside the yes or no (draft-behera-ldap-password-policy).
fn password_policy() -> RawControl {
    RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None }
}

const PAGE: i32 = 500;
const NO_SUCH_OBJECT: u32 = 32;
