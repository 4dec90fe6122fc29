//! Addresses that lie in networks in every way that an address can.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// One address of each network that lies in no smaller one, one that lies in none, and none at all: an address that
/// is not known.
pub(super) fn addresses(networks: &[IpNet]) -> Vec<Option<IpAddr>> {
    let everywhere = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    let mut found = vec![None];
    for network in networks.iter().chain(&everywhere) {
        let within = |other: &&IpNet| network.contains(*other) && network != *other;
        let mut smaller: Vec<IpNet> = networks.iter().filter(within).copied().collect();
        // An address that is written so counts as the one of IP version 4.
        smaller.extend(Ipv6Net::new(MAPPED, 96).map(IpNet::V6));
        found.extend(outside(*network, &smaller).map(Some));
    }
    found
}

/// An address of the network that lies in none of the others.
fn outside(network: IpNet, others: &[IpNet]) -> Option<IpAddr> {
    if others.iter().any(|other| other.contains(&network)) {
        return None;
    }
    let within: Vec<IpNet> =
        others.iter().filter(|other| network.contains(*other)).copied().collect();
    if within.is_empty() {
        return Some(network.addr());
    }
    let mut halves = network.subnets(network.prefix_len() + 1).ok()?;
    halves.find_map(|half| outside(half, &within))
}

/// `::ffff:0:0`
const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_has_an_address_that_no_smaller_one_has() {
        let table: [(&[&str], &[&str]); 6] = [
            (&[], &["-", "0.0.0.0", "::"]),
            (&["10.0.0.0/8"], &["-", "10.0.0.0", "0.0.0.0", "::"]),
            (&["10.0.0.0/8", "10.0.0.0/9"], &["-", "10.128.0.0", "10.0.0.0", "0.0.0.0", "::"]),
            // Both halves leave nothing of the whole.
            (
                &["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"],
                &["-", "10.0.0.0", "10.128.0.0", "0.0.0.0", "::"],
            ),
            (&["0.0.0.0/0", "::/0"], &["-", "0.0.0.0", "::", "0.0.0.0", "::"]),
            (&["::ffff:0:0/96"], &["-", "0.0.0.0", "::"]),
        ];
        for (networks, expected) in table {
            let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
            let found: Vec<String> = addresses(&networks)
                .into_iter()
                .map(|address| address.map_or("-".to_owned(), |address| address.to_string()))
                .collect();
            assert_eq!(found, expected, "{networks:?}");
        }
    }
}
