//! Network zones, and a resolver that is limited to one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

/// The zone of a network address, from the Internet to this machine.
///
/// A challenge or a redirect of a registry may lead to its own zone or to one further away. It may
/// not lead from the Internet into a private network or to this machine (CL10; oras
/// CVE-2026-48978).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkZone {
    /// The Internet.
    Public,
    /// The ranges of private networks (RFC 1918, 4193, 6598).
    Private,
    /// Link-local, where clouds serve their metadata (RFC 3927, 4291).
    LinkLocal,
    /// This machine.
    Loopback,
}

impl NetworkZone {
    /// The zone of an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, ..] = address.octets();
        if address.is_loopback() || a == 0 {
            Self::Loopback
        } else if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
            Self::LinkLocal
        } else if address.is_private() || (a == 100 && (64..128).contains(&b)) {
            Self::Private
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let segments = address.segments();
        // An IPv4 address behind a translator (RFC 6052) is as near as itself.
        if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
            let [.., a, b, c, d] = address.octets();
            Self::of_v4(Ipv4Addr::new(a, b, c, d))
        } else if address.is_loopback() || address.is_unspecified() {
            Self::Loopback
        } else if address.is_unicast_link_local() || address.is_multicast() {
            Self::LinkLocal
        } else if address.is_unique_local() {
            Self::Private
        } else {
            Self::Public
        }
    }

    /// Whether a request from this zone may go to an address.
    pub fn allows(self, address: IpAddr) -> bool {
        Self::of(address) <= self
    }

    /// Whether a request may go to a URL's host, as far as its spelling says. A name is checked when
    /// it is resolved.
    pub fn allows_host(self, url: &Url) -> bool {
        match url.host() {
            Some(url::Host::Ipv4(address)) => self.allows(address.into()),
            Some(url::Host::Ipv6(address)) => self.allows(address.into()),
            Some(url::Host::Domain(name)) => {
                !crate::host::is_loopback(name) || self == Self::Loopback
            }
            None => false,
        }
    }

    /// `public`, `private`, `link-local`, `loopback`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
        }
    }
}

/// Resolves names for [`reqwest`] to addresses that this zone allows.
#[derive(Debug)]
pub struct Resolver(pub NetworkZone);

/// A name that has only addresses nearer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("{host} is at {address}, which is {}", NetworkZone::of(*address).as_str())]
pub(super) struct TooNear {
    pub(super) host: String,
    pub(super) address: IpAddr,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let zone = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.iter().copied().filter(|at| zone.allows(at.ip())).collect();
            match found.first() {
                Some(first) if allowed.is_empty() => {
                    Err(TooNear { host, address: first.ip() }.into())
                }
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_near_as_their_ranges_say() {
        let table = [
            (
                NetworkZone::Public,
                ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2001:4860::8888", "64:ff9b::808:808"],
            ),
            (
                NetworkZone::Private,
                ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"],
            ),
            (
                NetworkZone::LinkLocal,
                [
                    "169.254.169.254",
                    "fe80::1",
                    "224.0.0.1",
                    "255.255.255.255",
                    "::ffff:169.254.1.1",
                ],
            ),
            (NetworkZone::Loopback, ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"]),
        ];
        for (zone, addresses) in table {
            for address in addresses {
                assert_eq!(NetworkZone::of(address.parse().unwrap()), zone, "{address}");
            }
        }
        assert_eq!(NetworkZone::of("64:ff9b::a00:1".parse().unwrap()), NetworkZone::Private);
    }

    #[test]
    fn what_is_nearer_is_out_of_reach() {
        let at = |url: &str, zone: NetworkZone| zone.allows_host(&Url::parse(url).unwrap());
        assert!(at("https://auth.example.com/token", NetworkZone::Public));
        assert!(at("http://10.0.0.1/token", NetworkZone::Private));
        assert!(at("http://[::1]/token", NetworkZone::Loopback));
        for url in [
            "http://127.0.0.1/",
            "http://localhost./",
            "http://169.254.169.254/",
            "http://2130706433/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(!at(url, NetworkZone::Private), "{url}");
        }
    }

    #[tokio::test]
    async fn names_are_held_to_it_when_they_are_resolved() {
        let resolve = |zone| Resolver(zone).resolve("localhost".parse().unwrap());
        let error = resolve(NetworkZone::Private).await.err().unwrap();
        assert!(error.downcast_ref::<TooNear>().is_some(), "{error}");
        assert!(resolve(NetworkZone::Loopback).await.unwrap().count() > 0);
    }
}
