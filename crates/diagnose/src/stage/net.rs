//! The way to the registry, and to its token service: names, ports, TLS.

use std::net::SocketAddr;

use futures_util::future::join_all;
use portpass_client::{
    transport::{Reach, danger::Verification},
    trust::system_roots,
};
use portpass_protocol::challenge::Peer;
use reqwest::Url;
use tokio::net::TcpStream;

use crate::{
    Check, Finding, Needs,
    case::Case,
    facts::Apart,
    look::{self, Closed, Greeted},
    proxy::Proxy,
    redact,
};

mod beside;
mod certificate;
mod clocks;
#[cfg(test)]
pub(crate) mod tests;
mod versions;

pub(crate) use beside::beside_the_registry;
pub(crate) use clocks::compare_clocks;
pub(crate) use versions::compare_versions;

/// How clients are told that a registry speaks plain HTTP.
const INSECURE: &str = "docker: \"insecure-registries\" in daemon.json; podman: `insecure = true` for it in registries.conf; containerd: `server = \"http://…\"` in its hosts.toml";

pub(crate) async fn run(case: &mut Case) {
    let scheme = if case.inputs.plain_http { "http" } else { "https" };
    let Ok(url) = Url::parse(&format!("{scheme}://{}/", case.target.host.api())) else {
        let summary = format!("{} is no host that a URL can have", case.target.host);
        case.found(Finding::fail(Check::Net01, summary).rows(&["F13"]));
        return;
    };
    // None is no failure.
    let system = tokio::task::spawn_blocking(system_roots).await.unwrap_or_default();
    case.probe.change_way(|way| way.system = system.into());
    let proxy = case.probe.way().proxies.of_url(&url).cloned();
    let stream = match &proxy {
        Some(proxy) => through(case, proxy, &url).await,
        None => directly(case, &url).await,
    };
    let Some(stream) = stream else { return };
    match stream {
        Way::Open(stream) => speak(case, &url, stream).await,
        Way::Relayed => {
            case.found(Finding::pass(
                Check::Net03,
                "plain HTTP, as was asked for, through the proxy",
            ));
            case.skip(&[Check::Net04], &Needs::Nothing("plain HTTP has no certificates"));
            case.facts.origin = Some(url);
        }
    }
}

/// A way that is open.
enum Way {
    Open(TcpStream),
    /// A proxy takes whole requests of plain HTTP.
    Relayed,
}

/// NET-01 and NET-02
async fn directly(case: &mut Case, url: &Url) -> Option<Way> {
    let shown = url.host_str().unwrap_or_default().to_owned();
    let addresses = match look::resolve(url).await {
        Ok(addresses) => addresses,
        Err(reason) => {
            let finding = Finding::fail(Check::Net01, format!("{shown} has no address here: {reason}"))
                .breaks(&Peer::ALL)
                .fix(format!("see that {shown} is in the DNS that this machine asks; the name of a container or a service of Kubernetes is known inside alone"))
                .rows(&["F01"]);
            case.found(finding);
            return None;
        }
    };
    let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let listed = listed.join(", ");
    let finding = match url.host() {
        Some(url::Host::Ipv6(_)) => {
            Finding::warn(Check::Net01, format!("{shown} is an IPv6 address, which is no registry's name for many clients"))
                .breaks(&[Peer::Docker, Peer::Podman])
                .fix("give it a name: docker and podman say \"invalid reference format\" to an address in brackets")
                .rows(&["F13"])
        }
        Some(url::Host::Ipv4(_)) => Finding::pass(Check::Net01, format!("{shown} is an address")),
        _ => Finding::pass(Check::Net01, format!("{shown} is {listed}")),
    };
    case.found(finding);
    case.facts.addresses.clone_from(&addresses);
    let tried = join_all(addresses.iter().map(|address| look::connect(*address))).await;
    let (stream, finding) = connected(&addresses, tried, url);
    case.found(finding);
    let stream = stream?;
    let reach = stream.peer_addr().map_or(Reach::Public, |address| Reach::of(address.ip()));
    case.facts.reach = Some(reach);
    case.probe.change_way(|way| way.reach = reach);
    Some(Way::Open(stream))
}

fn connected(
    addresses: &[SocketAddr],
    tried: Vec<Result<TcpStream, Closed>>,
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
    // No way from here is this machine's affair, and loopback has two addresses of which one does.
    let lost = addresses.iter().zip(&tried).any(|(address, result)| {
        matches!(result, Err(Closed::Refused | Closed::Silent)) && !address.ip().is_loopback()
    });
    let refused = tried.iter().any(|result| matches!(result, Err(Closed::Refused)));
    let stream = tried.into_iter().find_map(Result::ok);
    let host = url.host_str().unwrap_or_default();
    let finding = match (&stream, lost) {
        (Some(_), false) => Finding::pass(Check::Net02, format!("port {port} of {host} takes connections")),
        (Some(_), true) => Finding::warn(
            Check::Net02,
            format!("some of {host}'s addresses take no connections on port {port}"),
        )
        .fix("take the addresses that nobody listens on out of the DNS, or listen there (IPv4 and IPv6)")
        .rows(&["F05"]),
        (None, _) if refused => Finding::fail(
            Check::Net02,
            format!("nobody listens on port {port} of {host}"),
        )
        .breaks(&Peer::ALL)
        .fix(format!("see that the registry runs, that {port} is its port as seen from here, and that it listens on more than loopback (`http: addr: :5000`; a container's port is published with `-p`)"))
        .rows(&["F05"]),
        (None, _) => Finding::fail(Check::Net02, format!("port {port} of {host} gives no answer"))
            .breaks(&Peer::ALL)
            .fix("a firewall stands in between, or a proxy has to be used: open the way, or set HTTPS_PROXY for the program that pulls (the engine's service, not the shell)")
            .rows(&["F05"]),
    };
    (stream, lines.into_iter().fold(finding, Finding::seen))
}

/// The same where a proxy goes the way.
async fn through(case: &mut Case, proxy: &Proxy, url: &Url) -> Option<Way> {
    case.skip(&[Check::Net01], &Needs::Nothing("a proxy looks the name up"));
    let literal = url.host_str()?.trim_matches(['[', ']']).parse().ok();
    case.facts.reach = Some(literal.map_or(Reach::Public, Reach::of));
    let way = if url.scheme() == "http" {
        let addresses = look::resolve(&proxy.url).await;
        match addresses {
            Ok(addresses) => look::connect_any(&addresses).await.map(|_| Way::Relayed),
            Err(reason) => Err(Closed::Proxy(None, reason)),
        }
    } else {
        look::tunnel(proxy, url).await.map(Way::Open)
    };
    let finding = match &way {
        Ok(_) => {
            Finding::pass(Check::Net02, format!("the proxy {} goes on from here", proxy.shown()))
        }
        Err(closed) => no_tunnel(Check::Net02, proxy, url, closed),
    };
    case.found(finding);
    way.ok()
}

/// What a proxy that does not let us through means.
fn no_tunnel(check: Check, proxy: &Proxy, url: &Url, closed: &Closed) -> Finding {
    let host = url.host_str().unwrap_or_default();
    let (rows, fix): (&[&'static str], String) = match closed {
        Closed::Proxy(Some(407), _) => (
            &["F06"],
            format!(
                "the proxy wants a name and a password of its own: put them into {} (http://NAME:PASSWORD@…), or {host} into NO_PROXY",
                proxy.variable
            ),
        ),
        Closed::Proxy(Some(_), _) => (
            &["F05", "F06"],
            format!("allow {host} on the proxy, or put it into NO_PROXY if it is reached without"),
        ),
        _ => (
            &["F05"],
            format!(
                "see that the proxy named by {} runs, or put {host} into NO_PROXY",
                proxy.variable
            ),
        ),
    };
    let summary = format!("{host} is not reached through the proxy {}", proxy.shown());
    Finding::fail(check, summary).seen(closed.to_string()).breaks(&Peer::ALL).fix(fix).rows(rows)
}

/// NET-03 and NET-04
async fn speak(case: &mut Case, url: &Url, stream: TcpStream) {
    let greeted = look::greet(stream, url).await;
    if url.scheme() == "http" {
        return plainly(case, url, &greeted);
    }
    let host = case.target.host.to_string();
    let finding = match greeted {
        Greeted::Tls(handshake) => {
            let alpn = handshake.alpn.as_deref().unwrap_or("HTTP/1.1");
            case.found(Finding::pass(Check::Net03, format!("{host} speaks TLS, and {alpn} in it")));
            case.facts.tls_leaf = handshake.chain.first().map(|leaf| leaf.to_vec());
            case.facts.alpn.clone_from(&handshake.alpn);
            let goes_on = certificate::of_the_registry(case, url, &handshake);
            if unchecked(case, &[Check::Cfg05, Check::Net04]) || goes_on {
                case.facts.origin = Some(url.clone());
            }
            return;
        }
        // As docker does. One that just closes the connection may be one, too.
        Greeted::NotTls(_) if case.target.host.is_loopback() && !case.target.host.demands_tls() => {
            let mut plain = url.clone();
            // From one special scheme to another, which the URL allows.
            let _ = plain.set_scheme("http");
            case.skip(&[Check::Net04], &Needs::Nothing("plain HTTP has no certificates"));
            case.facts.origin = Some(plain);
            Finding::pass(Check::Net03, format!("{host} speaks plain HTTP, which is taken on loopback"))
        }
        Greeted::NotTls(head) => not_tls(&host, &head),
        Greeted::Disagreed(reason) => {
            Finding::fail(Check::Net03, format!("{host} speaks TLS, but not as clients do: {}", redact::text(&reason)))
                .breaks(&Peer::ALL)
                .fix("let it speak TLS 1.2 or 1.3 with the usual ciphers; an `unrecognized name` means that no server block there has this name")
        }
        Greeted::Silent => {
            Finding::fail(Check::Net03, format!("{host} takes the connection, and does not answer TLS"))
                .breaks(&Peer::ALL)
                .fix("see what listens there; a firewall that lets the connection through and nothing more looks like this")
                .rows(&["F05"])
        }
    };
    case.found(finding);
}

/// Whether the walk goes on over what is not trusted: somebody said so.
fn unchecked(case: &mut Case, checks: &[Check]) -> bool {
    let goes_on = case.probe.way().verification == Verification::None;
    if goes_on {
        for check in checks {
            case.soften(*check, "--tls-verify=false: the walk went on all the same");
        }
    }
    goes_on
}

fn not_tls(host: &str, head: &[u8]) -> Finding {
    let shown = redact::text(&String::from_utf8_lossy(head));
    if head.starts_with(b"HTTP/") {
        return Finding::fail(Check::Net03, format!("{host} answers TLS in plain HTTP"))
            .seen(format!("first bytes: {shown:?}"))
            .breaks(&Peer::ALL)
            .fix(format!("give the registry a certificate (`http: tls:`) or a proxy that has one; or have every client told that it is plain: {INSECURE}; here: --plain-http"))
            .rows(&["F11"]);
    }
    let summary = if head.is_empty() {
        format!("{host} closes the connection when it is greeted in TLS")
    } else {
        format!("{host} speaks neither TLS nor HTTP")
    };
    Finding::fail(Check::Net03, summary)
        .seen(format!("first bytes: {shown:?}"))
        .breaks(&Peer::ALL)
        .fix("see what listens there: the port may be another program's, or a firewall's; if it is plain HTTP, say --plain-http")
        .rows(&["F11", "F06"])
}

fn plainly(case: &mut Case, url: &Url, greeted: &Greeted) {
    let host = &case.target.host;
    if matches!(greeted, Greeted::Tls(_) | Greeted::Disagreed(_)) {
        let finding = Finding::fail(
            Check::Net03,
            format!("{host} speaks TLS, and was to be asked in plain HTTP"),
        )
        .fix("leave --plain-http out; take it out of the clients' insecure registries as well")
        .rows(&["F11"]);
        case.found(finding);
        return;
    }
    let finding =
        Finding::pass(Check::Net03, format!("{host} speaks plain HTTP, as was asked for"));
    case.found(finding);
    case.skip(&[Check::Net04], &Needs::Nothing("plain HTTP has no certificates"));
    case.facts.origin = Some(url.clone());
}

/// NET-05: the same for the realm's host, after the challenge has named it.
pub(crate) async fn run_for_realm(case: &mut Case) {
    let refused = match &case.facts.apart {
        Some(Apart::Realm(url)) => Some(url.clone()),
        Some(Apart::Beside(_)) | None => None,
    };
    let Some(realm) = case.facts.realm.clone().or(refused) else {
        let broken = [Check::Chal02, Check::Chal03, Check::Chal04, Check::Chal05, Check::Chal06];
        let needs = match broken.into_iter().find(|check| case.failed(*check)) {
            Some(check) => Needs::Check(check),
            None if case.facts.origin.is_none() => return,
            None if case.warned(Check::Chal04) => Needs::Check(Check::Chal04),
            None => Needs::Nothing("there is no token service to go to"),
        };
        case.skip(&[Check::Net05], &needs);
        return;
    };
    let shown = realm.origin().ascii_serialization();
    if case.facts.origin.as_ref().is_some_and(|origin| origin.origin() == realm.origin()) {
        let summary = format!("the token service is at {shown}, where the registry is");
        case.found(Finding::pass(Check::Net05, summary));
        return;
    }
    let trusted = match case.facts.realm_way.clone() {
        Some(Err(closed)) => {
            let finding = unreached(case, &realm, &closed);
            let beside = beside_the_registry(case, &realm).await;
            case.found(beside.into_iter().fold(finding, Finding::seen));
            case.facts.realm = None;
            return;
        }
        _ if realm.scheme() == "http" => greet_plain_realm(case, &realm).await,
        _ => greet_realm(case, &realm).await,
    };
    if !trusted {
        // A realm that is refused is the fault of the challenge, however it is reached.
        let refused = [Check::Chal04, Check::Chal05].into_iter().find(|check| case.failed(*check));
        if let Some(refused) = refused {
            case.comes_of(Check::Net05, refused);
        }
        (case.facts.realm, case.facts.apart) = (None, None);
    }
}

/// A server that speaks TLS answers plain HTTP with a 400, or with no HTTP at all: neither tells of scopes.
async fn greet_plain_realm(case: &mut Case, realm: &Url) -> bool {
    let shown = realm.origin().ascii_serialization();
    // A proxy takes whole requests of plain HTTP: there is nobody to greet.
    let proxied = case.probe.way().proxies.of_url(realm).is_some();
    let stream = if proxied { None } else { reach(case, realm).await.ok() };
    let greeted = match stream {
        Some(stream) => Some(look::greet(stream, realm).await),
        None => None,
    };
    if !matches!(greeted, Some(Greeted::Tls(_) | Greeted::Disagreed(_))) {
        case.found(Finding::pass(Check::Net05, format!("{shown} takes connections")));
        return true;
    }
    let finding = Finding::fail(
        Check::Net05,
        format!("{shown} speaks TLS, and the realm is plain HTTP"),
    )
    .breaks(&Peer::ALL)
    .fix("write https into `realm` of the registry's `auth: token:`. If the realm is made from the request, the proxy in front has to say that it speaks TLS (nginx: `proxy_set_header X-Forwarded-Proto $scheme;`), or the service has to be told its external URL")
    .rows(&["F11"]);
    case.found(finding);
    false
}

async fn greet_realm(case: &mut Case, realm: &Url) -> bool {
    let shown = realm.origin().ascii_serialization();
    let greeted = match reach(case, realm).await {
        Ok(stream) => look::greet(stream, realm).await,
        Err(closed) => {
            let finding = unreached(case, realm, &closed);
            case.found(finding);
            return false;
        }
    };
    let (summary, rows): (String, &[&'static str]) = match greeted {
        Greeted::Tls(handshake) => {
            let goes_on = certificate::of_the_realm(case, realm, &handshake);
            return unchecked(case, &[Check::Net05]) || goes_on;
        }
        Greeted::NotTls(head) if head.starts_with(b"HTTP/") => {
            (format!("{shown} answers TLS in plain HTTP"), &["F11"])
        }
        Greeted::NotTls(_) => (format!("{shown} does not speak TLS"), &["F11", "F06"]),
        Greeted::Disagreed(reason) => {
            (format!("{shown} speaks TLS, but not as clients do: {}", redact::text(&reason)), &[])
        }
        Greeted::Silent => {
            (format!("{shown} takes the connection, and does not answer TLS"), &["F05"])
        }
    };
    let finding = Finding::fail(Check::Net05, summary)
        .breaks(&Peer::ALL)
        .fix("the realm has to be an address at which the token service speaks TLS. Mend its scheme or port in the registry's `auth: token: realm:`, or the service's certificate")
        .rows(rows);
    case.found(finding);
    false
}

/// Connects to a URL's server as requests would.
pub(crate) async fn reach(case: &Case, url: &Url) -> Result<TcpStream, Closed> {
    let addresses = match case.probe.way().proxies.of_url(url) {
        Some(proxy) if url.scheme() == "https" => return look::tunnel(proxy, url).await,
        Some(proxy) => look::resolve(&proxy.url).await,
        None => look::resolve(url).await,
    };
    look::connect_any(&addresses.map_err(Closed::NoRoute)?).await
}

fn unreached(case: &Case, realm: &Url, closed: &Closed) -> Finding {
    let shown = realm.origin().ascii_serialization();
    if let (Closed::Proxy(..), Some(proxy)) = (closed, case.probe.way().proxies.of_url(realm)) {
        return no_tunnel(Check::Net05, proxy, realm, closed);
    }
    let finding = Finding::fail(
        Check::Net05,
        format!("the registry is reached, and its token service {shown} is not: {closed}"),
    )
    .breaks(&Peer::ALL);
    if *closed == Closed::Refused {
        return finding
            .fix(format!("see that the token service runs, and that {shown} is where clients reach it; else mend `auth: token: realm:` of the registry"))
            .rows(&["F05", "F03"]);
    }
    finding
        .fix(format!("firewalls and proxies have to let clients through to both hosts. Open the way to {shown}, and set the proxy for the program that pulls (the engine's service), not for the shell alone"))
        .rows(&["F05"])
}
