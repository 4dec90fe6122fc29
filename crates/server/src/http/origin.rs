//! How the client reached us, checked once (CH13): the services build realms from nothing else.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use http::{HeaderMap, HeaderName, Version, header, request};
use portpass_protocol::origin::{Authority, ClientAddress, Origin, OriginError, UnnamedClient};

use super::{
    peer::Peer,
    proxies::{ChallengeRealm, FOR, HOST, PROTO, ProxyWarnings},
};
use portpass_config::TrustedProxies;

/// Decides what a request's origin and caller are.
#[derive(Debug)]
pub(crate) struct OriginResolver {
    fixed: Option<Origin>,
    trusted: TrustedProxies,
    warnings: ProxyWarnings,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestOrigin {
    /// How the client calls us.
    pub(crate) origin: Origin,
    /// Who the client is, behind proxies that are trusted.
    pub(crate) client: ClientAddress,
    /// That `client` is a proxy: none of them named another.
    pub(crate) unnamed: Option<UnnamedClient>,
}

impl OriginResolver {
    /// `fixed` is `http.host`, `trusted` is `http.trusted_proxies`; `challenges` says what a wrong origin
    /// would spoil.
    pub(crate) fn new(
        fixed: Option<Origin>,
        trusted: TrustedProxies,
        challenges: ChallengeRealm,
    ) -> Self {
        let challenges = if fixed.is_some() { ChallengeRealm::Fixed } else { challenges };
        Self { fixed, trusted, warnings: ProxyWarnings::new(challenges) }
    }

    /// Reads `Host`, and from a trusted peer `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-For`.
    ///
    /// # Errors
    /// The request names no host, or one that no challenge may echo.
    pub(crate) fn resolve(
        &self,
        head: &request::Parts,
        peer: &Peer,
    ) -> Result<RequestOrigin, OriginError> {
        let trusted = self.trusted.contain(peer.remote.ip());
        let forwarded = trusted.then_some(&head.headers);
        if !trusted {
            self.warnings.on_unknown(&head.headers, peer.remote.ip());
        }
        let origin = match &self.fixed {
            Some(fixed) => fixed.clone(),
            None => Origin {
                scheme: forwarded
                    .and_then(|headers| self.first(headers, &PROTO))
                    .unwrap_or(peer.scheme),
                authority: match forwarded.and_then(|headers| self.first(headers, &HOST)) {
                    Some(authority) => authority,
                    None => authority(head, peer)?,
                },
            },
        };
        if let Some(headers) = forwarded {
            self.warnings.on_silent(headers, &origin, peer);
        }
        let client =
            forwarded.map_or(peer.remote.ip(), |headers| self.client(headers, peer.remote.ip()));
        Ok(RequestOrigin {
            origin,
            client: ClientAddress(client.to_canonical()),
            unnamed: self.trusted.contain(client).then_some(UnnamedClient),
        })
    }

    /// Whether this peer's word on the client counts.
    pub(crate) fn trusts(&self, peer: &Peer) -> bool {
        self.trusted.contain(peer.remote.ip())
    }

    /// The first element of a list: what the proxy nearest to the client wrote. One that does not parse is
    /// as good as none.
    fn first<T: FromStr<Err = OriginError>>(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
    ) -> Option<T> {
        let text = headers.get(name)?.to_str().unwrap_or("?");
        let first = text.split(',').next().unwrap_or_default().trim();
        match first.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.warnings.on_unreadable(name, &error);
                None
            }
        }
    }

    /// From the right, past every address that is a trusted proxy itself.
    fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let mut client = peer;
        let lines: Vec<&str> =
            headers.get_all(&FOR).iter().map(|value| value.to_str().unwrap_or("?")).collect();
        for element in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = address(element.trim()) else { break };
            client = address;
            if !self.trusted.contain(address) {
                break;
            }
        }
        client
    }
}

/// The one host that the request names: HTTP/2's `:authority`, an absolute target, or `Host`.
fn authority(head: &request::Parts, peer: &Peer) -> Result<Authority, OriginError> {
    if let Some(authority) = head.uri.authority() {
        return authority.as_str().parse();
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => String::from_utf8_lossy(host.as_bytes()).parse(),
        // Health checks of old load balancers name none.
        (None, _) if head.version == Version::HTTP_10 => peer.local.to_string().parse(),
        (None, _) => "".parse(),
        (Some(_), Some(_)) => "two Host headers".parse(),
    }
}

/// An address, with the port that some proxies add.
fn address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use portpass_protocol::origin::Scheme;

    use super::*;
    use crate::testing::CapturedLog;

    fn peer(remote: &str, scheme: Scheme) -> Peer {
        Peer { remote: remote.parse().unwrap(), local: "127.0.0.1:5000".parse().unwrap(), scheme }
    }

    fn head(headers: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::get("/v2/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn origins() -> OriginResolver {
        OriginResolver::new(
            None,
            TrustedProxies::from_iter(["10.0.0.0/8".parse().unwrap()]),
            ChallengeRealm::FromRequest,
        )
    }

    /// CH13: what an outsider claims counts for nothing.
    #[test]
    fn forwarding_headers_count_from_trusted_proxies_only() {
        let forwarded = [
            ("host", "inside:5000"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "registry.example"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        // (peer, origin, client)
        for (remote, origin, client) in [
            ("10.1.2.3:9", "https://registry.example", "192.0.2.7"),
            ("[::ffff:10.1.2.3]:9", "https://registry.example", "192.0.2.7"),
            ("192.0.2.1:9", "http://inside:5000", "192.0.2.1"),
        ] {
            let seen = origins().resolve(&head(&forwarded), &peer(remote, Scheme::Http)).unwrap();
            assert_eq!(seen.origin.to_string(), origin, "{remote}");
            assert_eq!(seen.client.0.to_string(), client, "{remote}");
        }
    }

    #[test]
    fn nonsense_from_a_trusted_proxy_is_as_good_as_nothing() {
        for (name, value) in [
            ("x-forwarded-proto", "ht\"tp,https"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-proto", ""),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-host", "a\",error=\"x"),
        ] {
            let head = head(&[("host", "inside"), (name, value)]);
            let seen = origins().resolve(&head, &peer("10.0.0.1:9", Scheme::Http)).unwrap();
            assert_eq!(seen.origin.to_string(), "http://inside", "{name}: {value}");
        }
    }

    #[test]
    fn a_proxy_that_is_not_listed_is_named_once_with_the_setting() {
        let log = CapturedLog::start();
        let origins =
            OriginResolver::new(None, TrustedProxies::default(), ChallengeRealm::FromRequest);
        let forwarded = head(&[("host", "inside"), ("x-forwarded-proto", "https")]);
        for _ in 0..3 {
            origins.resolve(&forwarded, &peer("192.0.2.1:9", Scheme::Http)).unwrap();
        }
        origins.resolve(&head(&[("host", "inside")]), &peer("192.0.2.1:9", Scheme::Http)).unwrap();
        let lines = log.lines_of("portpass_server::http::proxies");
        assert_eq!(lines.len(), 1, "{lines:?}");
        let message = lines[0]["message"].as_str().unwrap();
        assert!(message.contains("192.0.2.1") && message.contains("http.trusted_proxies"));
    }

    #[test]
    fn the_first_forwarded_element_is_the_one_nearest_to_the_client() {
        let head = head(&[
            ("host", "inside"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "outside.example:8443, middle"),
        ]);
        let seen = origins().resolve(&head, &peer("10.0.0.1:9", Scheme::Http)).unwrap();
        assert_eq!(seen.origin.to_string(), "https://outside.example:8443");
    }

    #[test]
    fn a_client_cannot_put_itself_behind_our_proxies() {
        // (X-Forwarded-For, client)
        for (value, client) in [
            ("192.0.2.7", "192.0.2.7"),
            ("203.0.113.9, 192.0.2.7", "192.0.2.7"),
            ("203.0.113.9, 192.0.2.7, 10.9.9.9", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            let head = head(&[("host", "h"), ("x-forwarded-for", value)]);
            let seen = origins().resolve(&head, &peer("10.0.0.1:9", Scheme::Http)).unwrap();
            assert_eq!((&*seen.client.0.to_string(), seen.unnamed), (client, None), "{value}");
        }
    }

    /// nginx says `unix:` of a client at a Unix socket, and others `unknown`.
    #[test]
    fn a_proxy_is_not_the_client_that_it_does_not_name() {
        // (X-Forwarded-For, whose limits count)
        for (value, client) in [
            (Some("unknown"), "10.0.0.1"),
            (Some("unix:"), "10.0.0.1"),
            (Some(""), "10.0.0.1"),
            (Some("192.0.2.7%eth0"), "10.0.0.1"),
            (Some("192.0.2.7, unknown"), "10.0.0.1"),
            (Some("192.0.2.7, unknown, 10.9.9.9"), "10.9.9.9"),
            (Some("10.9.9.9"), "10.9.9.9"),
            (None, "10.0.0.1"),
        ] {
            let headers = [("host", "h")].into_iter().chain(value.map(|v| ("x-forwarded-for", v)));
            let head = head(&headers.collect::<Vec<_>>());
            let seen = origins().resolve(&head, &peer("10.0.0.1:9", Scheme::Http)).unwrap();
            assert_eq!(seen.client.0.to_string(), client, "{value:?}");
            assert_eq!(seen.unnamed, Some(UnnamedClient), "{value:?}");
        }
        let direct = origins().resolve(&head(&[("host", "h")]), &peer("192.0.2.1:9", Scheme::Http));
        assert_eq!(direct.unwrap().unnamed, None);
    }

    #[test]
    fn a_host_that_could_break_out_of_a_challenge_is_refused() {
        for host in ["a b", "a\"b", "a,b", "", "user@a", "a/b"] {
            let refused =
                origins().resolve(&head(&[("host", host)]), &peer("192.0.2.1:9", Scheme::Https));
            assert!(refused.is_err(), "{host:?}");
        }
        let twice = head(&[("host", "a"), ("host", "b")]);
        assert!(origins().resolve(&twice, &peer("192.0.2.1:9", Scheme::Https)).is_err());
        assert!(origins().resolve(&head(&[]), &peer("192.0.2.1:9", Scheme::Https)).is_err());
    }

    #[test]
    fn the_configured_host_wins_over_every_header() {
        let fixed =
            Origin { scheme: Scheme::Https, authority: "registry.example".parse().unwrap() };
        let origins = OriginResolver::new(
            Some(fixed),
            TrustedProxies::default(),
            ChallengeRealm::FromRequest,
        );
        let seen =
            origins.resolve(&head(&[("host", "a b")]), &peer("192.0.2.1:9", Scheme::Http)).unwrap();
        assert_eq!(seen.origin.to_string(), "https://registry.example");
    }

    #[test]
    fn http_1_0_may_leave_the_host_out() {
        let mut head = head(&[]);
        head.version = Version::HTTP_10;
        let seen = origins().resolve(&head, &peer("192.0.2.1:9", Scheme::Http)).unwrap();
        assert_eq!(seen.origin.to_string(), "http://127.0.0.1:5000");
    }
}
