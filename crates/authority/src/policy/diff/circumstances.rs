//! From where, for which registry and when: in every way that the conditions of some rules can tell apart.

use std::{collections::HashSet, fmt, net::IpAddr, time::SystemTime};

use ipnet::IpNet;
use portpass_token::ServiceName;

use super::{
    addresses::addresses,
    terms::{Row, Term},
};
use crate::policy::{Conditions, Request, Rule, Times, times};

/// One thing that holds of a request or not, beside who asks for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Circumstance {
    /// The token is for this registry.
    Service(ServiceName),
    /// The client is in this network.
    From(IpNet),
    /// It is not known where the client is.
    UnknownAddress,
    /// It is one of these times.
    During(Times),
}

impl Circumstance {
    fn holds(&self, request: &Request<'_>) -> bool {
        let address = request.address.map(|address| address.to_canonical());
        match self {
            Self::Service(service) => service == request.service,
            Self::From(network) => address.is_some_and(|address| network.contains(&address)),
            Self::UnknownAddress => address.is_none(),
            Self::During(times) => times.include(request.now),
        }
    }
}

/// What must hold of a request, and what must not; nothing is always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    with: Vec<Circumstance>,
    without: Vec<Circumstance>,
}

impl When {
    /// Whether all of it holds.
    pub fn holds(&self, request: &Request<'_>) -> bool {
        self.with.iter().all(|circumstance| circumstance.holds(request))
            && !self.without.iter().any(|circumstance| circumstance.holds(request))
    }
}

impl fmt::Display for When {
    /// `service mirror, from 10.0.0.0/8, not from 10.1.0.0/16`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = self.with.iter().map(ToString::to_string);
        let without = self.without.iter().map(|circumstance| match circumstance {
            Circumstance::UnknownAddress => "from a known address".to_owned(),
            circumstance => format!("not {circumstance}"),
        });
        f.write_str(&with.chain(without).collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Circumstance {
    /// As at the end of a rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = match self {
            Self::UnknownAddress => return f.write_str("from an unknown address"),
            Self::Service(service) => {
                Conditions { services: vec![service.clone()], ..Conditions::default() }
            }
            Self::From(network) => Conditions { from: vec![*network], ..Conditions::default() },
            Self::During(times) => {
                Conditions { between: Some(times.clone()), ..Conditions::default() }
            }
        };
        f.write_str(conditions.to_string().trim_start())
    }
}

/// One request, and the circumstances that hold of it.
#[derive(Debug)]
pub(super) struct Sample<'a> {
    pub(super) row: Row,
    pub(super) service: &'a ServiceName,
    pub(super) address: Option<IpAddr>,
    pub(super) now: SystemTime,
}

/// All circumstances that some rules ask for.
#[derive(Debug)]
pub(super) struct Circumstances {
    all: Vec<Circumstance>,
    /// The services, each with its circumstance.
    services: Vec<(Row, ServiceName)>,
    addresses: Vec<(Row, Option<IpAddr>)>,
    moments: Vec<(Row, SystemTime)>,
}

impl Circumstances {
    /// Of these rules, from `now` on.
    pub(super) fn new<'a>(
        rules: impl Iterator<Item = &'a Rule> + Clone,
        services: &[ServiceName],
        now: SystemTime,
    ) -> Self {
        let mut all = Vec::new();
        let mut add = |circumstance| {
            if !all.contains(&circumstance) {
                all.push(circumstance);
            }
        };
        services.iter().cloned().map(Circumstance::Service).for_each(&mut add);
        for conditions in rules.map(|rule| &rule.conditions) {
            conditions.from.iter().copied().map(Circumstance::From).for_each(&mut add);
            conditions.between.iter().cloned().map(Circumstance::During).for_each(&mut add);
        }
        add(Circumstance::UnknownAddress);
        let place = |wanted: &dyn Fn(&Circumstance) -> bool| -> Row {
            all.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(place, _)| place).collect()
        };
        let networks: Vec<IpNet> = all.iter().filter_map(Circumstance::network).collect();
        let of_address = |address: Option<IpAddr>| {
            let row = place(&|one| match (one, address) {
                (Circumstance::From(network), Some(address)) => network.contains(&address),
                (Circumstance::UnknownAddress, None) => true,
                _ => false,
            });
            (row, address)
        };
        let addresses = addresses(&networks).into_iter().map(of_address).collect();
        let times: Vec<(usize, &Times)> =
            all.iter().enumerate().filter_map(|(place, one)| Some((place, one.times()?))).collect();
        let only: Vec<&Times> = times.iter().map(|(_, times)| *times).collect();
        let moments = times::moments(&only, now).into_iter();
        let moments = moments.map(|(apply, moment)| {
            (apply.into_iter().map(|which| times[which].0).collect(), moment)
        });
        let moments = moments.collect();
        let service = |service: &ServiceName| {
            let is_it =
                |one: &Circumstance| matches!(one, Circumstance::Service(of) if of == service);
            (place(&is_it), service.clone())
        };
        let services = services.iter().map(service).collect();
        Self { all, services, addresses, moments }
    }

    /// Requests in every way that the conditions of these rules can tell apart, each way once.
    pub(super) fn samples(&self, conditions: &[&Conditions]) -> Vec<Sample<'_>> {
        let asked = |one: &Circumstance| match one {
            Circumstance::Service(_) => conditions.iter().any(|one| !one.services.is_empty()),
            Circumstance::From(network) => conditions.iter().any(|one| one.from.contains(network)),
            Circumstance::UnknownAddress => conditions.iter().any(|one| !one.from.is_empty()),
            Circumstance::During(times) => {
                conditions.iter().any(|one| one.between.as_ref() == Some(times))
            }
        };
        let asked: HashSet<usize> =
            (0..self.all.len()).filter(|place| asked(&self.all[*place])).collect();
        let mut samples = Vec::new();
        for (service_row, service) in distinct(&self.services, &asked) {
            for (address_row, address) in distinct(&self.addresses, &asked) {
                for (moment_row, now) in distinct(&self.moments, &asked) {
                    let mut row = [&service_row[..], &address_row, &moment_row].concat();
                    row.sort_unstable();
                    samples.push(Sample { row, service, address: *address, now: *now });
                }
            }
        }
        samples
    }

    pub(super) fn when(&self, term: &Term) -> When {
        let circumstances =
            |places: &[usize]| places.iter().map(|place| self.all[*place].clone()).collect();
        When { with: circumstances(&term.with), without: circumstances(&term.without) }
    }
}

impl Circumstance {
    fn network(&self) -> Option<IpNet> {
        match self {
            Self::From(network) => Some(*network),
            _ => None,
        }
    }

    fn times(&self) -> Option<&Times> {
        match self {
            Self::During(times) => Some(times),
            _ => None,
        }
    }
}

/// One of each that differ in what is asked for.
fn distinct<'a, T>(all: &'a [(Row, T)], asked: &HashSet<usize>) -> Vec<(Row, &'a T)> {
    let mut seen = HashSet::new();
    let narrowed = all.iter().map(|(row, one)| {
        let row: Row = row.iter().filter(|place| asked.contains(place)).copied().collect();
        (row, one)
    });
    narrowed.filter(|(row, _)| seen.insert(row.clone())).collect()
}
