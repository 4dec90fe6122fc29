//! The network between here, the registry and its token service: names, ports, TLS.

use std::net::SocketAddr;

use futures_util::future::join_all;
use portpass_client::{
    transport::{NetworkZone, danger::Verification},
    trust::system_roots,
};
use portpass_protocol::challenge::KnownClient;
use reqwest::Url;
use tokio::net::TcpStream;

use crate::{
    Check, Finding, Needs,
    network::{self, ConnectError, TlsGreeting},
    observations::AnonymousEndpoint,
    proxy::Proxy,
    redact,
    run::Run,
};

mod certificate;
mod clocks;
mod same_host;
#[cfg(test)]
pub(crate) mod tests;
mod versions;

pub(crate) use clocks::compare_clocks;
pub(crate) use same_host::find_on_same_host;
pub(crate) use versions::compare_versions;

/// How clients are told that a registry speaks plain HTTP.
const INSECURE: &str = "docker: \"insecure-registries\" in daemon.json; podman: `insecure = true` for it in registries.conf; containerd: `server = \"http://…\"` in its hosts.toml";

pub(crate) async fn check(run: &mut Run) {
    let scheme = if run.inputs.plain_http { "http" } else { "https" };
    let Ok(url) = Url::parse(&format!("{scheme}://{}/", run.target.host.api())) else {
        let summary = format!("{} is not a valid host of a URL", run.target.host);
        run.record(Finding::fail(Check::Net01, summary).rows(&["F13"]));
        return;
    };
    // None is no failure.
    let system = tokio::task::spawn_blocking(system_roots).await.unwrap_or_default();
    run.probe.change_connection(|way| way.system = system.into());
    let proxy = run.probe.connection().proxies.of_url(&url).cloned();
    let stream = match &proxy {
        Some(proxy) => through(run, proxy, &url).await,
        None => directly(run, &url).await,
    };
    let Some(stream) = stream else { return };
    match stream {
        Way::Open(stream) => speak(run, &url, stream).await,
        Way::Relayed => {
            run.record(Finding::pass(
                Check::Net03,
                "plain HTTP, as you requested, through the proxy",
            ));
            run.skip(&[Check::Net04], &Needs::Nothing("plain HTTP has no certificates"));
            run.observed.origin = Some(url);
        }
    }
}

/// An open connection.
enum Way {
    Open(TcpStream),
    /// The proxy forwards requests in plain HTTP.
    Relayed,
}

/// NET-01 and NET-02
async fn directly(run: &mut Run, url: &Url) -> Option<Way> {
    let shown = url.host_str().unwrap_or_default().to_owned();
    let addresses = match network::resolve(url).await {
        Ok(addresses) => addresses,
        Err(reason) => {
            let finding = Finding::fail(Check::Net01, format!("this machine cannot resolve {shown}: {reason}"))
                .breaks(&KnownClient::ALL)
                .fix(format!("check that {shown} is in this machine's DNS. The name of a container or a Kubernetes service is only known inside its network"))
                .rows(&["F01"]);
            run.record(finding);
            return None;
        }
    };
    let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let listed = listed.join(", ");
    let finding = match url.host() {
        Some(url::Host::Ipv6(_)) => {
            Finding::warn(Check::Net01, format!("{shown} is an IPv6 address, which many clients do not accept as a registry's name"))
                .breaks(&[KnownClient::Docker, KnownClient::Podman])
                .fix("use a name: docker and podman say \"invalid reference format\" for an address in brackets")
                .rows(&["F13"])
        }
        Some(url::Host::Ipv4(_)) => Finding::pass(Check::Net01, format!("{shown} is an address")),
        _ => Finding::pass(Check::Net01, format!("{shown} is {listed}")),
    };
    run.record(finding);
    run.observed.addresses.clone_from(&addresses);
    let tried = join_all(addresses.iter().map(|address| network::connect(*address))).await;
    let (stream, finding) = connected(&addresses, tried, url);
    run.record(finding);
    let stream = stream?;
    let reach =
        stream.peer_addr().map_or(NetworkZone::Public, |address| NetworkZone::of(address.ip()));
    run.observed.reach = Some(reach);
    run.probe.change_connection(|way| way.reach = reach);
    Some(Way::Open(stream))
}

fn connected(
    addresses: &[SocketAddr],
    tried: Vec<Result<TcpStream, ConnectError>>,
    url: &Url,
) -> (Option<TcpStream>, Finding) {
    let port = url.port_or_known_default().unwrap_or_default();
    let lines: Vec<String> = addresses
        .iter()
        .zip(&tried)
        .map(|(address, result)| match result {
            Ok(_) => format!("{address}: connected"),
            Err(closed) => format!("{address}: {closed}"),
        })
        .collect();
    // An unreachable network is a fault of this machine, and of loopback's two addresses one is enough.
    let lost = addresses.iter().zip(&tried).any(|(address, result)| {
        matches!(result, Err(ConnectError::Refused | ConnectError::Timeout))
            && !address.ip().is_loopback()
    });
    let refused = tried.iter().any(|result| matches!(result, Err(ConnectError::Refused)));
    let stream = tried.into_iter().find_map(Result::ok);
    let host = url.host_str().unwrap_or_default();
    let finding = match (&stream, lost) {
        (Some(_), false) => Finding::pass(Check::Net02, format!("port {port} of {host} accepts connections")),
        (Some(_), true) => Finding::warn(
            Check::Net02,
            format!("some of {host}'s addresses accept no connections on port {port}"),
        )
        .fix("remove the addresses without a listener from the DNS, or listen there (IPv4 and IPv6)")
        .rows(&["F05"]),
        (None, _) if refused => Finding::fail(
            Check::Net02,
            format!("nothing listens on port {port} of {host}"),
        )
        .breaks(&KnownClient::ALL)
        .fix(format!("check that the registry runs, that {port} is its port from here, and that it listens on more than loopback (`http: addr: :5000`; publish a container's port with `-p`)"))
        .rows(&["F05"]),
        (None, _) => Finding::fail(Check::Net02, format!("port {port} of {host} does not respond"))
            .breaks(&KnownClient::ALL)
            .fix("a firewall blocks the connection, or you need a proxy. Open the firewall, or set HTTPS_PROXY for the program that pulls (the engine's service, not the shell)")
            .rows(&["F05"]),
    };
    (stream, lines.into_iter().fold(finding, Finding::evidence))
}

/// The same through a proxy.
async fn through(run: &mut Run, proxy: &Proxy, url: &Url) -> Option<Way> {
    run.skip(&[Check::Net01], &Needs::Nothing("the proxy resolves the name"));
    let literal = url.host_str()?.trim_matches(['[', ']']).parse().ok();
    run.observed.reach = Some(literal.map_or(NetworkZone::Public, NetworkZone::of));
    let way = if url.scheme() == "http" {
        let addresses = network::resolve(&proxy.url).await;
        match addresses {
            Ok(addresses) => network::connect_any(&addresses).await.map(|_| Way::Relayed),
            Err(reason) => Err(ConnectError::Proxy(None, reason)),
        }
    } else {
        network::tunnel(proxy, url).await.map(Way::Open)
    };
    let finding = match &way {
        Ok(_) => Finding::pass(Check::Net02, format!("the proxy {} connects to it", proxy.shown())),
        Err(closed) => no_tunnel(Check::Net02, proxy, url, closed),
    };
    run.record(finding);
    way.ok()
}

/// What a proxy that does not let us through means.
fn no_tunnel(check: Check, proxy: &Proxy, url: &Url, closed: &ConnectError) -> Finding {
    let host = url.host_str().unwrap_or_default();
    let (rows, fix): (&[&'static str], String) = match closed {
        ConnectError::Proxy(Some(407), _) => (
            &["F06"],
            format!(
                "the proxy requires its own name and password: put them into {} (http://NAME:PASSWORD@…), or {host} into NO_PROXY",
                proxy.variable
            ),
        ),
        ConnectError::Proxy(Some(_), _) => (
            &["F05", "F06"],
            format!(
                "allow {host} on the proxy, or put it into NO_PROXY if you can reach it without the proxy"
            ),
        ),
        _ => (
            &["F05"],
            format!(
                "check that the proxy named by {} runs, or put {host} into NO_PROXY",
                proxy.variable
            ),
        ),
    };
    let summary = format!("{host} cannot be reached through the proxy {}", proxy.shown());
    Finding::fail(check, summary)
        .evidence(closed.to_string())
        .breaks(&KnownClient::ALL)
        .fix(fix)
        .rows(rows)
}

/// NET-03 and NET-04
async fn speak(run: &mut Run, url: &Url, stream: TcpStream) {
    let greeted = network::tls_handshake(stream, url).await;
    if url.scheme() == "http" {
        return plainly(run, url, &greeted);
    }
    let host = run.target.host.to_string();
    let finding = match greeted {
        TlsGreeting::Tls(handshake) => {
            let alpn = handshake.alpn.as_deref().unwrap_or("HTTP/1.1");
            run.record(Finding::pass(Check::Net03, format!("{host} speaks {alpn} over TLS")));
            run.observed.tls_leaf = handshake.chain.first().map(|leaf| leaf.to_vec());
            run.observed.alpn.clone_from(&handshake.alpn);
            let goes_on = certificate::of_the_registry(run, url, &handshake);
            if unchecked(run, &[Check::Cfg05, Check::Net04]) || goes_on {
                run.observed.origin = Some(url.clone());
            }
            return;
        }
        // As docker does. One that just closes the connection may be one, too.
        TlsGreeting::NotTls(_) if run.target.host.is_loopback() && !run.target.host.demands_tls() => {
            let mut plain = url.clone();
            // From one special scheme to another, which the URL allows.
            let _ = plain.set_scheme("http");
            run.skip(&[Check::Net04], &Needs::Nothing("plain HTTP has no certificates"));
            run.observed.origin = Some(plain);
            Finding::pass(Check::Net03, format!("{host} speaks plain HTTP, which is accepted on loopback"))
        }
        TlsGreeting::NotTls(head) => not_tls(&host, &head),
        TlsGreeting::Failed(reason) => {
            Finding::fail(Check::Net03, format!("the TLS handshake with {host} fails: {}", redact::text(&reason)))
                .breaks(&KnownClient::ALL)
                .fix("enable TLS 1.2 or 1.3 with the usual ciphers. `unrecognized name` means that no server block there has this name")
        }
        TlsGreeting::Timeout => {
            Finding::fail(Check::Net03, format!("{host} accepts the connection, but does not respond to TLS"))
                .breaks(&KnownClient::ALL)
                .fix("check what listens there. A firewall that lets only the connection through looks like this")
                .rows(&["F05"])
        }
    };
    run.record(finding);
}

/// Whether to continue with a certificate that is not trusted: the user asked for it.
fn unchecked(run: &mut Run, checks: &[Check]) -> bool {
    let goes_on = run.probe.connection().verification == Verification::None;
    if goes_on {
        for check in checks {
            run.downgrade(*check, "--tls-verify=false: `diagnose` continued");
        }
    }
    goes_on
}

fn not_tls(host: &str, head: &[u8]) -> Finding {
    let shown = redact::text(&String::from_utf8_lossy(head));
    if head.starts_with(b"HTTP/") {
        return Finding::fail(Check::Net03, format!("{host} responds to TLS in plain HTTP"))
            .evidence(format!("first bytes: {shown:?}"))
            .breaks(&KnownClient::ALL)
            .fix(format!("give the registry a certificate (`http: tls:`) or a proxy that has one. Or configure every client for plain HTTP: {INSECURE}; here: --plain-http"))
            .rows(&["F11"]);
    }
    let summary = if head.is_empty() {
        format!("{host} closes the connection at the TLS handshake")
    } else {
        format!("{host} speaks neither TLS nor HTTP")
    };
    Finding::fail(Check::Net03, summary)
        .evidence(format!("first bytes: {shown:?}"))
        .breaks(&KnownClient::ALL)
        .fix("check what listens there: the port may belong to another program or a firewall. If it is plain HTTP, use --plain-http")
        .rows(&["F11", "F06"])
}

fn plainly(run: &mut Run, url: &Url, greeted: &TlsGreeting) {
    let host = &run.target.host;
    if matches!(greeted, TlsGreeting::Tls(_) | TlsGreeting::Failed(_)) {
        let finding = Finding::fail(
            Check::Net03,
            format!("{host} speaks TLS, but you requested plain HTTP"),
        )
        .fix(
            "leave out --plain-http, and remove the registry from the clients' insecure registries",
        )
        .rows(&["F11"]);
        run.record(finding);
        return;
    }
    let finding =
        Finding::pass(Check::Net03, format!("{host} speaks plain HTTP, as you requested"));
    run.record(finding);
    run.skip(&[Check::Net04], &Needs::Nothing("plain HTTP has no certificates"));
    run.observed.origin = Some(url.clone());
}

/// NET-05: the same for the realm's host, after the challenge has named it.
pub(crate) async fn check_realm(run: &mut Run) {
    let refused = match &run.observed.anonymous_endpoint {
        Some(AnonymousEndpoint::Realm(url)) => Some(url.clone()),
        Some(AnonymousEndpoint::SameHost(_)) | None => None,
    };
    let Some(realm) = run.observed.realm.clone().or(refused) else {
        let broken = [Check::Chal02, Check::Chal03, Check::Chal04, Check::Chal05, Check::Chal06];
        let needs = match broken.into_iter().find(|check| run.failed(*check)) {
            Some(check) => Needs::Check(check),
            None if run.observed.origin.is_none() => return,
            None if run.warned(Check::Chal04) => Needs::Check(Check::Chal04),
            None => Needs::Nothing("there is no token service to connect to"),
        };
        run.skip(&[Check::Net05], &needs);
        return;
    };
    let shown = realm.origin().ascii_serialization();
    if run.observed.origin.as_ref().is_some_and(|origin| origin.origin() == realm.origin()) {
        let summary = format!("the token service is at {shown}, like the registry");
        run.record(Finding::pass(Check::Net05, summary));
        return;
    }
    let trusted = match run.observed.realm_connection.clone() {
        Some(Err(closed)) => {
            let finding = unreached(run, &realm, &closed);
            let beside = find_on_same_host(run, &realm).await;
            run.record(beside.into_iter().fold(finding, Finding::evidence));
            run.observed.realm = None;
            return;
        }
        _ if realm.scheme() == "http" => greet_plain_realm(run, &realm).await,
        _ => greet_realm(run, &realm).await,
    };
    if !trusted {
        // A realm that is refused is the fault of the challenge, however it is reached.
        let refused = [Check::Chal04, Check::Chal05].into_iter().find(|check| run.failed(*check));
        if let Some(refused) = refused {
            run.follows_from(Check::Net05, refused);
        }
        (run.observed.realm, run.observed.anonymous_endpoint) = (None, None);
    }
}

/// A server that speaks TLS answers plain HTTP with a 400, or with no HTTP at all: neither tells of scopes.
async fn greet_plain_realm(run: &mut Run, realm: &Url) -> bool {
    let shown = realm.origin().ascii_serialization();
    // A proxy takes whole requests of plain HTTP: there is nobody to greet.
    let proxied = run.probe.connection().proxies.of_url(realm).is_some();
    let stream = if proxied { None } else { reach(run, realm).await.ok() };
    let greeted = match stream {
        Some(stream) => Some(network::tls_handshake(stream, realm).await),
        None => None,
    };
    if !matches!(greeted, Some(TlsGreeting::Tls(_) | TlsGreeting::Failed(_))) {
        run.record(Finding::pass(Check::Net05, format!("{shown} accepts connections")));
        return true;
    }
    let finding = Finding::fail(
        Check::Net05,
        format!("{shown} speaks TLS, but the realm is plain HTTP"),
    )
    .breaks(&KnownClient::ALL)
    .fix("write https into `realm` of the registry's `auth: token:`. If the realm is made from the request, the proxy in front must say that it speaks TLS (nginx: `proxy_set_header X-Forwarded-Proto $scheme;`), or you must set the service's external URL")
    .rows(&["F11"]);
    run.record(finding);
    false
}

async fn greet_realm(run: &mut Run, realm: &Url) -> bool {
    let shown = realm.origin().ascii_serialization();
    let greeted = match reach(run, realm).await {
        Ok(stream) => network::tls_handshake(stream, realm).await,
        Err(closed) => {
            let finding = unreached(run, realm, &closed);
            run.record(finding);
            return false;
        }
    };
    let (summary, rows): (String, &[&'static str]) = match greeted {
        TlsGreeting::Tls(handshake) => {
            let goes_on = certificate::of_the_realm(run, realm, &handshake);
            return unchecked(run, &[Check::Net05]) || goes_on;
        }
        TlsGreeting::NotTls(head) if head.starts_with(b"HTTP/") => {
            (format!("{shown} responds to TLS in plain HTTP"), &["F11"])
        }
        TlsGreeting::NotTls(_) => (format!("{shown} does not speak TLS"), &["F11", "F06"]),
        TlsGreeting::Failed(reason) => {
            (format!("the TLS handshake with {shown} fails: {}", redact::text(&reason)), &[])
        }
        TlsGreeting::Timeout => {
            (format!("{shown} accepts the connection, but does not respond to TLS"), &["F05"])
        }
    };
    let finding = Finding::fail(Check::Net05, summary)
        .breaks(&KnownClient::ALL)
        .fix("the token service must speak TLS at the realm. Correct the realm's scheme or port in the registry's `auth: token: realm:`, or the service's certificate")
        .rows(rows);
    run.record(finding);
    false
}

/// Connects to a URL's server as requests would.
pub(crate) async fn reach(run: &Run, url: &Url) -> Result<TcpStream, ConnectError> {
    let addresses = match run.probe.connection().proxies.of_url(url) {
        Some(proxy) if url.scheme() == "https" => return network::tunnel(proxy, url).await,
        Some(proxy) => network::resolve(&proxy.url).await,
        None => network::resolve(url).await,
    };
    network::connect_any(&addresses.map_err(ConnectError::NoRoute)?).await
}

fn unreached(run: &Run, realm: &Url, closed: &ConnectError) -> Finding {
    let shown = realm.origin().ascii_serialization();
    if let (ConnectError::Proxy(..), Some(proxy)) =
        (closed, run.probe.connection().proxies.of_url(realm))
    {
        return no_tunnel(Check::Net05, proxy, realm, closed);
    }
    let finding = Finding::fail(
        Check::Net05,
        format!("the registry can be reached, but its token service {shown} cannot: {closed}"),
    )
    .breaks(&KnownClient::ALL);
    if *closed == ConnectError::Refused {
        return finding
            .fix(format!("check that the token service runs, and that clients can reach it at {shown}; otherwise correct the registry's `auth: token: realm:`"))
            .rows(&["F05", "F03"]);
    }
    finding
        .fix(format!("firewalls and proxies must let clients through to both hosts. Allow {shown}, and set the proxy for the program that pulls (the engine's service), not only for the shell"))
        .rows(&["F05"])
}
