//! `ip:` of an entry: an address or a network, as Go's `net` reads them.

use std::{net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

/// Addresses that an entry is for. An IPv4 address that is written as IPv6 is the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network(IpNet);

impl Network {
    pub(super) fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkProblem;

    fn from_str(text: &str) -> Result<Self, NetworkProblem> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address.to_canonical()),
            Err(_) => text.parse::<IpNet>().map_err(|_| NetworkProblem)?,
        };
        let mapped = match (net.network().to_canonical(), net.prefix_len().checked_sub(96)) {
            (IpAddr::V4(address), Some(length)) if net.network().is_ipv6() => {
                Ipv4Net::new(address, length).ok().map(IpNet::V4)
            }
            _ => None,
        };
        Ok(Self(mapped.unwrap_or(net)))
    }
}

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is neither an address nor a network: write `10.1.2.3`, `10.0.0.0/8` or `2001:db8::/32`"
)]
pub struct NetworkProblem;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_hold_in_go() {
        let table = [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.1/8", "10.200.3.4", true),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("::1", "::1", true),
            ("::1", "127.0.0.1", false),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("::/0", "10.1.2.3", false),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("0.0.0.0/0", "::1", false),
            ("::ffff:10.1.2.3", "10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("::ffff:10.0.0.0/104", "11.9.9.9", false),
        ];
        for (network, address, expected) in table {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
        for text in
            ["", "10.0.0.0/33", "10.0.0", "localhost", "10.0.0.0/", "fe80::1%eth0", "010.0.0.1"]
        {
            assert_eq!(text.parse::<Network>(), Err(NetworkProblem), "{text}");
        }
    }
}
