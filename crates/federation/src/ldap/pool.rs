//! The servers of a directory, and how one login asks them.

use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc, time::Duration};

use futures_util::future::select_ok;
use ldap3::LdapResult;
use rustls::ClientConfig;
use secrecy::SecretString;
use tokio::{sync::watch, time::Instant};

use super::{
    connection::{Connection, Found, Query},
    fault::{Fault, is_of_the_server, name, said},
    lane::{Busy, Lane, Slot},
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
    connections: NonZeroUsize,
}

/// The servers, for one login.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pool: &'a Pool,
    /// When its login must be over.
    deadline: Instant,
}

/// A server.
#[derive(Debug)]
struct Member {
    server: Server,
    rest: watch::Sender<Option<Rest>>,
    /// As the account that searches. No password of anybody else is ever tried on these: that would make them
    /// somebody else's.
    searching: Lane,
    /// For trying passwords, one after the other.
    binding: Lane,
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

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Search,
    Bind,
}

/// A connection that is somebody's for a while. Whoever does not give it back ends it.
pub(super) struct Lease<'a> {
    pub(super) connection: Connection,
    member: &'a Member,
    role: Role,
    slot: Slot,
    /// Whether it was used before: then the server may have ended it meanwhile.
    reused: bool,
}

/// How far one question has come through the servers.
#[derive(Default)]
struct Attempt {
    tried: BTreeSet<usize>,
    last: Option<Fault>,
}

/// A server whose turn it is, and the right to a connection to it.
struct Turn<'a> {
    number: usize,
    member: &'a Member,
    slot: Slot,
}

impl Pool {
    /// No connection is made yet. Without an identity nobody searches.
    pub(super) fn new(
        servers: &[Server],
        tls: Arc<ClientConfig>,
        identity: Option<Identity>,
        limit: Duration,
        connections: NonZeroUsize,
    ) -> Self {
        let member = |server: &Server| Member {
            server: server.clone(),
            rest: watch::Sender::default(),
            searching: Lane::new(connections.get()),
            binding: Lane::new(connections.get()),
        };
        let members = servers.iter().map(member).collect();
        Self { members, tls, identity, limit, connections }
    }

    /// For a login that has so much time.
    pub(super) fn asker(&self, time: Duration) -> Asker<'_> {
        Asker { pool: self, deadline: Instant::now() + time }
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

    /// Whether the first server lets the account in that searches.
    pub(super) async fn open_first(&self) -> Result<Connection, Fault> {
        let first = self.members.first().ok_or(Fault::Garbled)?;
        self.open(first, Role::Search).await
    }

    /// Those that do not rest.
    fn awake(&self, attempt: &Attempt) -> Vec<(usize, &Member)> {
        self.untried(attempt).filter(|(_, member)| !member.is_resting()).collect()
    }

    /// Where all rest: the first that has rested enough for one to look.
    fn rested(&self, role: Role, attempt: &Attempt) -> Option<Turn<'_>> {
        self.untried(attempt).find_map(|(number, member)| {
            let now = Instant::now();
            let mut slot = None;
            member.rest.send_if_modified(|rest| {
                let rest = rest.as_mut().filter(|rest| rest.alone_until <= now);
                if let Some((rest, free)) = rest.zip(member.lane(role).try_enter()) {
                    rest.alone_until = now + ALONE;
                    slot = Some(free);
                }
                // Nobody waits for this.
                false
            });
            slot.map(|slot| Turn { number, member, slot })
        })
    }

    fn untried(&self, attempt: &Attempt) -> impl Iterator<Item = (usize, &Member)> {
        let members = self.members.iter().enumerate();
        members.filter(|(number, _)| !attempt.tried.contains(number))
    }
}

impl<'a> Asker<'a> {
    /// Searches as the account for that.
    pub(super) async fn search(self, query: &Query) -> Result<Found, Fault> {
        let mut attempt = Attempt::default();
        loop {
            let mut lease = self.lease(Role::Search, &mut attempt).await?;
            match lease.connection.search(query).await {
                Ok(found) => {
                    lease.worked();
                    lease.give_back();
                    return Ok(found);
                }
                Err(fault) => lease.failed(fault, &mut attempt)?,
            }
        }
    }

    /// Tries a password. Only the result says whether it is right.
    pub(super) async fn bind(
        self,
        dn: &str,
        password: &SecretString,
    ) -> Result<(LdapResult, Arc<str>), Fault> {
        let (result, lease) = self.bind_own(dn, password).await?;
        let server = name(lease.connection.server());
        lease.give_back();
        Ok((result, server))
    }

    /// Tries a password, and leaves the connection to whoever has it.
    pub(super) async fn bind_own(
        self,
        dn: &str,
        password: &SecretString,
    ) -> Result<(LdapResult, Lease<'a>), Fault> {
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
    async fn lease(self, role: Role, attempt: &mut Attempt) -> Result<Lease<'a>, Fault> {
        while let Some(Turn { number, member, slot }) = self.turn(role, attempt).await? {
            if let Some(connection) = member.lane(role).unused() {
                return Ok(Lease { connection, member, role, slot, reused: true });
            }
            attempt.tried.insert(number);
            match self.pool.open(member, role).await {
                Ok(connection) => {
                    return Ok(Lease { connection, member, role, slot, reused: false });
                }
                Err(fault) => attempt.last = Some(member.rests(fault)),
            }
        }
        let resting = || {
            let mut members = self.pool.members.iter();
            members.find_map(|member| Some(member.rest.borrow().as_ref()?.why.clone()))
        };
        Err(attempt.last.take().or_else(resting).unwrap_or(Fault::Garbled))
    }

    /// How long it may wait for a connection that others use: half of the time that is left, also where a server
    /// has taken some of it. The questions need the rest.
    fn waits_until(self) -> Instant {
        let now = Instant::now();
        now + self.deadline.saturating_duration_since(now) / 2
    }

    /// The server that is asked next: the first with a slot, or the one where one becomes free first. Only those
    /// that answer are waited for: whoever waits for one that fails meanwhile looks again.
    async fn turn(self, role: Role, attempt: &Attempt) -> Result<Option<Turn<'a>>, Fault> {
        let until = self.waits_until();
        loop {
            let awake = self.pool.awake(attempt);
            let Some((_, first)) = awake.first() else {
                return Ok(self.pool.rested(role, attempt));
            };
            let (server, connections) = (name(&first.server), self.pool.connections);
            let turns = awake.into_iter().map(|(number, member)| {
                Box::pin(async move {
                    let slot = member.slot(role, until).await?;
                    Ok::<_, Busy>(slot.map(|slot| Turn { number, member, slot }))
                })
            });
            match select_ok(turns).await {
                Ok((Some(turn), _)) => return Ok(Some(turn)),
                Ok((None, _)) => {}
                Err(Busy) => return Err(Fault::Busy { server, connections }),
            }
        }
    }
}

impl Rest {
    fn lasts(&self) -> bool {
        self.until > Instant::now()
    }
}

impl Member {
    fn lane(&self, role: Role) -> &Lane {
        match role {
            Role::Search => &self.searching,
            Role::Bind => &self.binding,
        }
    }

    /// Nothing if it fails meanwhile.
    async fn slot(&self, role: Role, until: Instant) -> Result<Option<Slot>, Busy> {
        let mut rest = self.rest.subscribe();
        tokio::select! {
            biased;
            _ = rest.wait_for(|rest| rest.as_ref().is_some_and(Rest::lasts)) => Ok(None),
            slot = self.lane(role).enter(until) => slot.map(Some),
        }
    }

    fn is_resting(&self) -> bool {
        self.rest.borrow().as_ref().is_some_and(Rest::lasts)
    }

    fn rests(&self, why: Fault) -> Fault {
        let now = Instant::now();
        let rest = Rest { until: now + REST, alone_until: now + ALONE, why: why.clone() };
        if self.rest.send_replace(Some(rest)).is_none() {
            tracing::warn!(server = %self.server, reason = %why, "a directory server fails");
        }
        why
    }
}

impl Lease<'_> {
    /// Something was answered.
    fn worked(&self) {
        if self.member.rest.send_if_modified(|rest| rest.take().is_some()) {
            tracing::info!(server = %self.member.server, "a directory server answers again");
        }
    }

    fn give_back(self) {
        self.member.lane(self.role).keep(self.connection, self.slot);
    }

    /// Whether to go on with another connection or another server, or to give up. The connection is ended.
    fn failed(self, fault: Fault, attempt: &mut Attempt) -> Result<(), Fault> {
        if !fault.is_of_one_server() {
            return Err(fault);
        }
        // It waited, and the server had enough: this says nothing of the server.
        if !(self.reused && matches!(fault, Fault::HungUp { .. })) {
            attempt.last = Some(self.member.rests(fault));
            self.member.searching.clear();
            self.member.binding.clear();
        }
        Ok(())
    }
}

const REST: Duration = Duration::from_secs(10);
/// How often logins find out whether the only server is back.
const ALONE: Duration = Duration::from_secs(1);
