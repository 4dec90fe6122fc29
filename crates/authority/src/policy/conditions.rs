//! What must hold of a request for a rule to count, beside who asks for what: from where, for which
//! registry, when.

use std::{fmt, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use portpass_token::ServiceName;

use super::{effect::Effect, request::Request, times::Times};

/// Where, for which registry and when a rule counts. Nothing said is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Networks of clients.
    pub from: Vec<IpNet>,
    /// Registries that the token is for.
    pub services: Vec<ServiceName>,
    /// When.
    pub between: Option<Times>,
}

impl Conditions {
    /// Whether all hold. A client whose address is not known meets no `allow`, and escapes no `deny`.
    pub fn hold(&self, request: &Request<'_>, effect: Effect) -> bool {
        (self.services.is_empty() || self.services.contains(request.service))
            && (self.from.is_empty() || self.hold_at(request.address, effect))
            && self.between.as_ref().is_none_or(|times| times.include(request.now))
    }

    fn hold_at(&self, address: Option<IpAddr>, effect: Effect) -> bool {
        match address {
            Some(address) => {
                let address = address.to_canonical();
                self.from.iter().any(|network| network.contains(&address))
            }
            None => effect == Effect::Deny,
        }
    }

    /// What keeps a rule from counting, as the end of a sentence that begins with the rule; `None`
    /// where nothing does.
    pub fn missed(&self, request: &Request<'_>, effect: Effect) -> Option<String> {
        let mut missed = Vec::new();
        if !self.from.is_empty() && !self.hold_at(request.address, effect) {
            let from = match request.address {
                Some(address) => format!("not from {}", address.to_canonical()),
                None => "and the address is not known".to_owned(),
            };
            missed.push(format!("it applies only from {}, {from}", networks(&self.from)));
        }
        if !self.services.is_empty() && !self.services.contains(request.service) {
            let services = list(self.services.iter().map(ServiceName::as_str));
            missed.push(format!("it applies only to the service {services}"));
        }
        if let Some(times) = self.between.as_ref().filter(|times| !times.include(request.now)) {
            let then = times.local(request.now);
            missed.push(format!("it applies only between {times}, and it is {then} there"));
        }
        (!missed.is_empty()).then(|| missed.join(", and "))
    }
}

impl fmt::Display for Conditions {
    /// ` from 10.0.0.0/8 service registry between mon-fri 08:00-18:00 UTC`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.from.is_empty() {
            write!(f, " from {}", networks(&self.from))?;
        }
        if !self.services.is_empty() {
            write!(f, " service {}", list(self.services.iter().map(ServiceName::as_str)))?;
        }
        match &self.between {
            Some(times) => write!(f, " between {times}"),
            None => Ok(()),
        }
    }
}

/// One address without its prefix, as it is typed.
fn networks(networks: &[IpNet]) -> String {
    list(networks.iter().map(|network| {
        let one = network.prefix_len() == network.max_prefix_len();
        if one { network.addr().to_string() } else { network.to_string() }
    }))
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// A network, or one address. Bits beside the network are a slip: `10.1.2.3/8` may mean the host as well
/// as the network.
pub(super) fn network(text: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network: IpNet = text.parse().map_err(|_| NetworkError::Text)?;
    if network.addr() == network.network() {
        Ok(canonical(network))
    } else {
        Err(NetworkError::HostBits { network: network.trunc() })
    }
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`, as the addresses of clients are written.
fn canonical(network: IpNet) -> IpNet {
    let mapped = |network: Ipv6Net| {
        let address = network.addr().to_ipv4_mapped()?;
        Ipv4Net::new(address, network.prefix_len().checked_sub(96)?).ok()
    };
    match network {
        IpNet::V6(v6) => mapped(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It names a host within a network.
    #[error("the network is `{network}`; write that, or the address without `/{}`", network.prefix_len())]
    HostBits {
        /// What it is in.
        network: IpNet,
    },
    /// Neither.
    #[error("write a network or an address, as `10.0.0.0/8` or `2001:db8::1`")]
    Text,
}
