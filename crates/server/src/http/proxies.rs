//! What a proxy in front does wrong, told once with the setting that mends it: the client's error is
//! about the realm that it was sent to, and says nothing of the proxy.

use std::{net::IpAddr, sync::Once};

use http::{HeaderMap, HeaderName};
use portpass_protocol::origin::{Authority, Origin, OriginError, Scheme};

use super::peer::Peer;

/// Whether a wrong address of a request would reach a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChallengeRealm {
    /// They are built from what the request says.
    FromRequest,
    /// They are not.
    Fixed,
}

/// One listener's advice. Each kind is given once, however many requests deserve it.
#[derive(Debug)]
pub(crate) struct ProxyWarnings {
    challenges: ChallengeRealm,
    unknown: Once,
    unreadable: Once,
    schemeless: Once,
    hostless: Once,
}

impl ProxyWarnings {
    /// None given yet.
    pub(crate) fn new(challenges: ChallengeRealm) -> Self {
        let (unknown, unreadable) = (Once::new(), Once::new());
        Self { challenges, unknown, unreadable, schemeless: Once::new(), hostless: Once::new() }
    }

    /// Whoever runs a proxy that is not listed gets realms that lead nowhere, and all clients behind it
    /// are one for the login limits.
    pub(crate) fn on_unknown(&self, headers: &HeaderMap, peer: IpAddr) {
        let Some(harm) = self.harm_of_unknown(headers) else { return };
        self.unknown.call_once(|| {
            tracing::warn!(
                %peer,
                "X-Forwarded headers came from {peer}, which is not in http.trusted_proxies, and are ignored: {harm}; \
                 if that is your proxy, list it there"
            );
        });
    }

    fn harm_of_unknown(&self, headers: &HeaderMap) -> Option<&'static str> {
        let says_how_it_was_called = headers.contains_key(&PROTO) || headers.contains_key(&HOST);
        let realm = says_how_it_was_called && self.challenges == ChallengeRealm::FromRequest;
        match (realm, headers.contains_key(&FOR)) {
            (true, true) => Some(
                "challenges name the address that it called, and its clients share one login limit",
            ),
            (true, false) => Some("challenges name the address that it called"),
            (false, true) => Some("its clients share one login limit"),
            (false, false) => None,
        }
    }

    /// A header of a trusted proxy is as good as absent.
    pub(crate) fn on_unreadable(&self, name: &HeaderName, error: &OriginError) {
        self.unreadable.call_once(|| {
            tracing::warn!(
                "{name} of a trusted proxy is ignored: {error}; correct the proxy, or set http.host"
            );
        });
    }

    /// A trusted proxy that says who its clients are, and not how they called it. Requests without any
    /// such header come from this side of the proxy.
    pub(crate) fn on_silent(&self, headers: &HeaderMap, origin: &Origin, peer: &Peer) {
        let forwards = [PROTO, HOST, FOR].iter().any(|name| headers.contains_key(name));
        if !forwards || self.challenges == ChallengeRealm::Fixed {
            return;
        }
        let proxy = peer.remote.ip().to_canonical();
        if !headers.contains_key(&PROTO) && peer.scheme == Scheme::Http {
            self.schemeless.call_once(|| {
                tracing::warn!(
                    "the proxy {proxy} sends no X-Forwarded-Proto, so challenges name {origin}; if clients call it by \
                     https, let it send the header (nginx: proxy_set_header X-Forwarded-Proto $scheme), or set http.host"
                );
            });
        }
        if names(&origin.authority, peer) {
            self.hostless.call_once(|| {
                tracing::warn!(
                    "the proxy {proxy} does not say which host its clients called, so challenges name {origin}, where \
                     this server itself listens; let it pass the header on (nginx: proxy_set_header Host $http_host), \
                     or set http.host"
                );
            });
        }
    }
}

/// Whether an authority is our own end of the connection: what a proxy calls when it does not pass on
/// what its clients called.
fn names(authority: &Authority, peer: &Peer) -> bool {
    let default = match peer.scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let address: Result<IpAddr, _> = authority.host().parse();
    address.is_ok_and(|ip| ip == peer.local.ip().to_canonical())
        && authority.port().unwrap_or(default) == peer.local.port()
}

/// `http` or `https`
pub(super) const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// A host and an optional port.
pub(super) const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Addresses, the client's first.
pub(super) const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CapturedLog;

    const P: (&str, &str) = ("x-forwarded-proto", "https");
    const H: (&str, &str) = ("x-forwarded-host", "registry.example");
    const F: (&str, &str) = ("x-forwarded-for", "192.0.2.7");

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = given.iter().map(|(name, value)| {
            (HeaderName::from_static(name), value.parse::<http::HeaderValue>().unwrap())
        });
        pairs.collect()
    }

    fn origin(text: &str) -> Origin {
        let (scheme, authority) = text.split_once("://").unwrap();
        Origin { scheme: scheme.parse().unwrap(), authority: authority.parse().unwrap() }
    }

    /// What is said of three requests of a trusted proxy to 127.0.0.1:5000.
    fn warnings(
        challenges: ChallengeRealm,
        given: &[(&'static str, &str)],
        seen: &str,
    ) -> Vec<String> {
        let log = CapturedLog::start();
        let warnings = ProxyWarnings::new(challenges);
        for _ in 0..3 {
            warnings.on_silent(&headers(given), &origin(seen), &peer());
        }
        let lines = log.lines_of("portpass_server::http::proxies");
        lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_trusted_proxy_that_says_too_little_is_told_once_what_to_send() {
        // (headers, origin that came of them, what is named)
        for (given, seen, named) in [
            (&[P, H, F][..], "https://registry.example", &[][..]),
            (&[P, F], "https://127.0.0.1:8443", &[]),
            (&[], "http://127.0.0.1:5000", &[]),
            (&[F], "http://registry.example", &["X-Forwarded-Proto $scheme"]),
            (&[H], "http://registry.example", &["X-Forwarded-Proto $scheme"]),
            (&[P], "https://127.0.0.1:5000", &["Host $http_host"]),
            (&[F], "http://127.0.0.1:5000", &["X-Forwarded-Proto $scheme", "Host $http_host"]),
        ] {
            let said = warnings(ChallengeRealm::FromRequest, given, seen);
            assert_eq!(said.len(), named.len(), "{given:?}: {said:?}");
            for (line, name) in said.iter().zip(named) {
                assert!(line.contains(name) && line.contains("http.host"), "{given:?}: {line}");
                assert!(line.contains(seen), "{given:?}: {line}");
            }
        }
    }

    /// A realm that stands in the configuration is right however the request came.
    #[test]
    fn where_no_challenge_names_the_request_nothing_is_said() {
        let said = warnings(ChallengeRealm::Fixed, &[F], "http://127.0.0.1:5000");
        assert!(said.is_empty(), "{said:?}");
    }

    /// Behind a proxy that is not listed, one client's wrong passwords are everybody's.
    #[test]
    fn what_an_unknown_proxy_spoils_is_named() {
        let harm =
            |challenges, given| ProxyWarnings::new(challenges).harm_of_unknown(&headers(given));
        let (request, others) = (ChallengeRealm::FromRequest, ChallengeRealm::Fixed);
        assert_eq!(harm(request, &[]), None);
        assert_eq!(harm(request, &[P]), Some("challenges name the address that it called"));
        assert_eq!(harm(request, &[F]), Some("its clients share one login limit"));
        assert!(harm(request, &[H, F]).unwrap().ends_with("and its clients share one login limit"));
        assert_eq!(harm(others, &[P]), None);
        assert_eq!(harm(others, &[P, F]), Some("its clients share one login limit"));
    }

    #[test]
    fn a_host_is_our_own_by_address_and_port() {
        for (authority, local, own) in [
            ("127.0.0.1:5000", "127.0.0.1:5000", true),
            ("127.0.0.1", "127.0.0.1:80", true),
            ("[::1]:5000", "[::1]:5000", true),
            ("127.0.0.1:5000", "[::ffff:127.0.0.1]:5000", true),
            ("127.0.0.1:5001", "127.0.0.1:5000", false),
            ("127.0.0.1", "127.0.0.1:5000", false),
            ("registry.example:5000", "127.0.0.1:5000", false),
        ] {
            let peer = Peer { local: local.parse().unwrap(), ..peer() };
            assert_eq!(names(&authority.parse().unwrap(), &peer), own, "{authority} at {local}");
        }
    }

    fn peer() -> Peer {
        Peer {
            remote: "127.0.0.1:9".parse().unwrap(),
            local: "127.0.0.1:5000".parse().unwrap(),
            scheme: Scheme::Http,
        }
    }
}
