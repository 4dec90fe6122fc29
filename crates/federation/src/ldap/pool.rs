//! The servers of a directory and the connections to them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ldap3::LdapResult;
use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    connection::{Connection, Found, Query},
    fault::{Fault, is_of_the_server, name, said},
    settings::{Identity, Server},
};

/// All servers, the first that answers preferred. A server that fails rests for a while, so a dead one does
/// not cost its time limit at each login.
#[derive(Debug)]
pub(super) struct Pool {
    members: Vec<Member>,
    tls: Arc<ClientConfig>,
    identity: Option<Identity>,
    limit: Duration,
}

/// A server.
#[derive(Debug)]
struct Member {
    server: Server,
    rest: Mutex<Option<Rest>>,
    /// As the account that searches. No password of anybody else is ever tried on these: that would make them
    /// somebody else's.
    searching: Mutex<Vec<Idle>>,
    /// For trying passwords, one after the other.
    binding: Mutex<Vec<Idle>>,
}

/// A server that failed is not asked until then.
#[derive(Debug, Clone)]
struct Rest {
    /// While there are others.
    until: Instant,
    /// While there are none: then one login finds out.
    alone_until: Instant,
    why: Fault,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Search,
    Bind,
}

/// A connection that is somebody's for a while. Whoever does not give it back ends it.
struct Lease<'a> {
    connection: Connection,
    member: &'a Member,
    /// Whether it was used before: then the server may have ended it meanwhile.
    reused: bool,
}

/// How far one question has come through the servers.
#[derive(Default)]
struct Attempt {
    tried: BTreeSet<usize>,
    last: Option<Fault>,
}

impl Pool {
    /// No connection is made yet. Without an identity nobody searches.
    pub(super) fn new(
        servers: &[Server],
        tls: Arc<ClientConfig>,
        identity: Option<Identity>,
        limit: Duration,
    ) -> Self {
        let member = |server: &Server| Member {
            server: server.clone(),
            rest: Mutex::default(),
            searching: Mutex::default(),
            binding: Mutex::default(),
        };
        Self { members: servers.iter().map(member).collect(), tls, identity, limit }
    }

    /// Searches as the account for that.
    pub(super) async fn search(&self, query: &Query) -> Result<Found, Fault> {
        let mut attempt = Attempt::default();
        loop {
            let mut lease = self.lease(Role::Search, &mut attempt).await?;
            match lease.connection.search(query).await {
                Ok(found) => {
                    lease.worked();
                    lease.give_back(Role::Search);
                    return Ok(found);
                }
                Err(fault) => lease.failed(fault, &mut attempt)?,
            }
        }
    }

    /// Tries a password. Only the result says whether it is right.
    pub(super) async fn bind(
        &self,
        dn: &str,
        password: &SecretString,
    ) -> Result<(LdapResult, Arc<str>), Fault> {
        let (result, lease) = self.bound(dn, password).await?;
        let server = name(lease.connection.server());
        lease.give_back(Role::Bind);
        Ok((result, server))
    }

    /// Tries a password, and leaves the connection to whoever has it.
    pub(super) async fn bind_own(
        &self,
        dn: &str,
        password: &SecretString,
    ) -> Result<(LdapResult, Connection), Fault> {
        let (result, lease) = self.bound(dn, password).await?;
        Ok((result, lease.connection))
    }

    async fn bound(
        &self,
        dn: &str,
        password: &SecretString,
    ) -> Result<(LdapResult, Lease<'_>), Fault> {
        let mut attempt = Attempt::default();
        loop {
            let mut lease = self.lease(Role::Bind, &mut attempt).await?;
            match lease.connection.bind(dn, password).await {
                // Neither a yes nor a no: the server cannot say at the moment, or will not on this connection.
                Ok(result) if is_of_the_server(result.rc) => {
                    let fault = Fault::refused(lease.connection.server(), "a bind", &result);
                    lease.failed(fault, &mut attempt)?;
                }
                Ok(result) => {
                    lease.worked();
                    return Ok((result, lease));
                }
                Err(fault) => lease.failed(fault, &mut attempt)?,
            }
        }
    }

    /// A connection to the first server that there is one to.
    async fn lease(&self, role: Role, attempt: &mut Attempt) -> Result<Lease<'_>, Fault> {
        while let Some((number, member)) = self.next(attempt) {
            if let Some(connection) = member.idle(role) {
                return Ok(Lease { connection, member, reused: true });
            }
            attempt.tried.insert(number);
            match self.open(member, role).await {
                Ok(connection) => return Ok(Lease { connection, member, reused: false }),
                Err(fault) => attempt.last = Some(member.rests(fault)),
            }
        }
        let resting = || {
            self.members.iter().find_map(|member| Some(lock(&member.rest).as_ref()?.why.clone()))
        };
        Err(attempt.last.take().or_else(resting).unwrap_or(Fault::Garbled))
    }

    /// The first that does not rest; where all do, the first that has rested enough for one to look.
    fn next(&self, attempt: &Attempt) -> Option<(usize, &Member)> {
        let now = Instant::now();
        let untried = || {
            let members = self.members.iter().enumerate();
            members.filter(|(number, _)| !attempt.tried.contains(number))
        };
        let awake = untried()
            .find(|(_, member)| lock(&member.rest).as_ref().is_none_or(|rest| rest.until <= now));
        awake.or_else(|| {
            untried().find(|(_, member)| {
                let mut rest = lock(&member.rest);
                let rest = rest.as_mut().filter(|rest| rest.alone_until <= now);
                rest.is_some_and(|rest| {
                    rest.alone_until = now + ALONE;
                    true
                })
            })
        })
    }

    async fn open(&self, member: &Member, role: Role) -> Result<Connection, Fault> {
        let mut connection = Connection::open(&member.server, &self.tls, self.limit).await?;
        let Some(Identity::Account { dn, password }) = &self.identity else {
            return Ok(connection);
        };
        if role == Role::Search {
            let result = connection.bind(dn, password).await?;
            if result.rc != 0 {
                let (server, dn) = (name(&member.server), dn.clone());
                return Err(Fault::SearchAccount { server, dn, reason: said(&result) });
            }
        }
        Ok(connection)
    }
}

impl Member {
    /// A connection that waits, and has not waited for so long that it may be dead.
    fn idle(&self, role: Role) -> Option<Connection> {
        let mut waiting = lock(self.waiting(role));
        let now = Instant::now();
        waiting.retain_mut(|idle| now - idle.since < IDLE && !idle.connection.is_closed());
        waiting.pop().map(|idle| idle.connection)
    }

    fn waiting(&self, role: Role) -> &Mutex<Vec<Idle>> {
        match role {
            Role::Search => &self.searching,
            Role::Bind => &self.binding,
        }
    }

    fn rests(&self, why: Fault) -> Fault {
        let now = Instant::now();
        let mut rest = lock(&self.rest);
        if rest.is_none() {
            tracing::warn!(server = %self.server, reason = %why, "a directory server fails");
        }
        *rest = Some(Rest { until: now + REST, alone_until: now + ALONE, why: why.clone() });
        why
    }
}

impl Lease<'_> {
    /// Something was answered.
    fn worked(&self) {
        if lock(&self.member.rest).take().is_some() {
            tracing::info!(server = %self.member.server, "a directory server answers again");
        }
    }

    fn give_back(self, role: Role) {
        let mut waiting = lock(self.member.waiting(role));
        if waiting.len() < WAITING {
            waiting.push(Idle { connection: self.connection, since: Instant::now() });
        }
    }

    /// Whether to go on with another connection or another server, or to give up. The connection is ended.
    fn failed(self, fault: Fault, attempt: &mut Attempt) -> Result<(), Fault> {
        if !fault.is_of_one_server() {
            return Err(fault);
        }
        // It waited, and the server had enough: this says nothing of the server.
        if !(self.reused && matches!(fault, Fault::HungUp { .. })) {
            attempt.last = Some(self.member.rests(fault));
            lock(&self.member.searching).clear();
            lock(&self.member.binding).clear();
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Firewalls forget quiet connections after a few minutes.
const IDLE: Duration = Duration::from_mins(1);
/// Of each server, for each role.
const WAITING: usize = 8;
const REST: Duration = Duration::from_secs(10);
/// How often logins find out whether the only server is back.
const ALONE: Duration = Duration::from_secs(1);
