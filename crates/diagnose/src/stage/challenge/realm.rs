//! CHAL-03 to CHAL-06: whether clients can go where the registry points, and may.

use portpass_client::{
    host::is_loopback,
    realm::{Realm, RealmError, RegistryEndpoint},
    transport::NetworkZone,
};
use portpass_protocol::challenge::KnownClient;
use reqwest::Url;

use super::REST;
use crate::{
    Check, Finding, Needs,
    network::{self, ConnectError},
    observations::AnonymousEndpoint,
    redact,
    run::Run,
    stage,
};

/// What templates leave behind when nobody fills them in.
const RESIDUE: &[&str] =
    &["%!", "<nil>", "<no value>", "${", "$(", "{{", "}}", "%5C", "%5c", "\\", "<", "null://"];

const REALM: &str = "set `realm` in the registry's `auth: token:` (REGISTRY_AUTH_TOKEN_REALM) to the full URL of the token service, as in https://auth.example.com/token";

/// The checks about the realm: all of this file.
const REALMS: &[Check] = REST.split_at(4).0;

pub(super) async fn check(run: &mut Run, text: &str) {
    let Some(origin) = run.observed.origin.clone() else { return };
    let Some(url) = whole(run, text) else {
        run.skip(&REALMS[1..], &Needs::Check(Check::Chal03));
        return;
    };
    let reach = run.observed.reach.unwrap_or(NetworkZone::Public);
    let reached =
        RegistryEndpoint { origin: origin.clone(), zone: reach, plain_http: run.inputs.plain_http };
    let checked = Realm::check(text, &reached);
    scheme(run, &origin, &url, &checked);
    match &checked {
        Ok(realm) => go(run, &origin, realm.url(), reach).await,
        Err(RealmError::TooNear { .. }) => {
            let literal = url.host_str().unwrap_or_default();
            too_near(run, &url, literal, reach_of(&url));
            apart(run, &url).await;
        }
        Err(_) => {
            // For what it is refused is told. Where it leads can be seen all the same.
            if leads_somewhere(run, &origin, &url, reach).await {
                apart(run, &url).await;
            }
        }
    }
}

/// Has a realm that credentials may not go to looked at without them, or else what is beside the registry. CHAL-06 too.
async fn apart(run: &mut Run, url: &Url) {
    if may_be_looked_at(url).await {
        let way = stage::network::reach(run, url).await.map(drop);
        let open = way.is_ok();
        if let Some(origin) = run.observed.origin.clone() {
            port(run, &origin, url, &way);
        }
        run.observed.realm_connection = Some(way);
        if open {
            run.observed.anonymous_endpoint = Some(AnonymousEndpoint::Realm(url.clone()));
            return;
        }
    } else {
        run.skip(&[Check::Chal06], &Needs::Check(Check::Chal05));
    }
    let kept_back = if run.failed(Check::Chal05) { Check::Chal05 } else { Check::Chal04 };
    note_beside(run, url, kept_back).await;
}

/// On this machine only what is called so, and nothing on this link: clouds keep their machines' secrets there,
/// and a report is passed on.
async fn may_be_looked_at(url: &Url) -> bool {
    match network::resolve(url).await {
        Ok(addresses) => {
            let nearest = addresses.iter().map(|address| NetworkZone::of(address.ip())).max();
            nearest <= Some(NetworkZone::Private) || reach_of(url) == NetworkZone::Loopback
        }
        // A proxy may know it.
        Err(_) => reach_of(url) <= NetworkZone::Private,
    }
}

/// CHAL-03
fn whole(run: &mut Run, text: &str) -> Option<Url> {
    let shown = redact::text(text);
    let residue = RESIDUE.iter().find(|residue| text.contains(**residue));
    let parsed = Url::parse(text).ok().filter(Url::has_host);
    let bare_v6 = text.split("://").nth(1).and_then(|rest| rest.split('/').next());
    let bare_v6 =
        bare_v6.is_some_and(|host| !host.starts_with('[') && host.matches(':').count() > 1);
    let fail = |summary: String, fix: &str, row: &'static str| {
        let finding = Finding::fail(Check::Chal03, summary).breaks(&KnownClient::ALL).fix(fix);
        finding.rows(&[row])
    };
    let finding = match (&parsed, residue) {
        (_, Some(residue)) => fail(
            format!("the realm {shown:?} contains {residue:?}, an unfilled template"),
            &format!("{REALM}. Check that the variable in it is set where the registry starts"),
            "F28",
        ),
        (None, _) if bare_v6 => fail(
            format!("the realm {shown:?} has an IPv6 address without brackets"),
            "put the address in brackets (http://[fd00::1]:5001/token), or better, use a name",
            "F13",
        ),
        (None, _) if !text.contains("://") => {
            fail(format!("the realm {shown:?} is not an absolute URL"), REALM, "F29")
        }
        (None, _) => {
            fail(format!("the realm {shown:?} is not a URL that clients can use"), REALM, "F28")
        }
        (Some(url), _) if !matches!(url.scheme(), "http" | "https") => {
            fail(format!("the realm {shown:?} is neither http nor https"), REALM, "F28")
        }
        (Some(url), _) if !url.username().is_empty() || url.password().is_some() => fail(
            "the realm contains a user name or a password".to_owned(),
            "remove them: clients send their own",
            "F28",
        ),
        (Some(url), _) => {
            let shown = redact::url(url);
            run.record(Finding::pass(Check::Chal03, format!("the realm is {shown}")));
            return parsed;
        }
    };
    run.record(finding);
    None
}

/// CHAL-04
fn scheme(run: &mut Run, origin: &Url, url: &Url, checked: &Result<Realm, RealmError>) {
    let shown = url.origin().ascii_serialization();
    if origin.scheme() == "https" && url.scheme() == "http" {
        let finding = Finding::fail(
            Check::Chal04,
            format!("the registry speaks HTTPS, but its realm {shown} is plain HTTP"),
        )
        .breaks(&[KnownClient::Crane, KnownClient::Regclient, KnownClient::Docker, KnownClient::Containerd])
        .fix("if the realm is in the registry's configuration, write https there. If it is made from the request, the proxy in front must say that it speaks TLS (nginx: `proxy_set_header X-Forwarded-Proto $scheme;`), or you must set the service's external URL. Otherwise passwords cross the network in plain text")
        .rows(&["F04"]);
        run.record(finding);
        return;
    }
    let finding = if let Err(RealmError::Plain { .. }) = checked {
        // Without a login nothing is kept back, and the walk tells the rest.
        let answer = if run.observed.credential.is_some() { Finding::fail } else { Finding::warn };
        answer(
            Check::Chal04,
            format!(
                "the realm {shown} is plain HTTP on another machine, so `diagnose` sends no password there"
            ),
        )
        .fix("use --plain-http to send it, as docker does, or give the token service TLS")
    } else {
        Finding::pass(
            Check::Chal04,
            format!("the registry speaks {}, but its realm {}", origin.scheme(), url.scheme()),
        )
    };
    run.record(finding);
}

/// CHAL-05 and CHAL-06 for a realm that credentials may go to.
async fn go(run: &mut Run, origin: &Url, url: &Url, reach: NetworkZone) {
    if !leads_somewhere(run, origin, url, reach).await {
        return;
    }
    let same = url.origin() == origin.origin();
    let way = if same { Ok(()) } else { stage::network::reach(run, url).await.map(drop) };
    port(run, origin, url, &way);
    if run.failed(Check::Chal06) {
        note_beside(run, url, Check::Chal06).await;
    }
    run.observed.realm_connection = Some(way);
    if !run.failed(Check::Chal06) {
        run.observed.realm = Some(url.clone());
    }
}

/// CHAL-05: whether the realm's name leads to where credentials may go.
async fn leads_somewhere(run: &mut Run, origin: &Url, url: &Url, reach: NetworkZone) -> bool {
    let same = url.origin() == origin.origin();
    let proxied = run.probe.connection().proxies.of_url(url).is_some();
    if !same && !proxied && !resolves(run, url, reach).await {
        return false;
    }
    let shown = url.origin().ascii_serialization();
    let finding =
        Finding::pass(Check::Chal05, format!("{shown} is an address that clients can reach"));
    run.record(finding);
    true
}

/// What does not resolve is looked for beside the registry, and what is too near is looked at without credentials.
async fn resolves(run: &mut Run, url: &Url, reach: NetworkZone) -> bool {
    let host = url.host_str().unwrap_or_default().to_owned();
    let addresses = match network::resolve(url).await {
        Ok(addresses) => addresses,
        Err(reason) => {
            let beside = stage::network::find_on_same_host(run, url).await;
            let finding = Finding::fail(
                Check::Chal05,
                format!("this machine cannot resolve the realm's host {host}: {reason}"),
            )
            .breaks(&KnownClient::ALL)
            .fix(format!("the realm must be a name that clients can resolve. {host} may be the name of a container or a service, which only works inside its own network. To fix it, {REALM}"))
            .rows(&["F01"]);
            run.record(beside.into_iter().fold(finding, Finding::evidence));
            run.skip(&[Check::Chal06], &Needs::Check(Check::Chal05));
            return false;
        }
    };
    let farthest = addresses.iter().map(|address| NetworkZone::of(address.ip())).min();
    if farthest.is_some_and(|farthest| farthest > reach) {
        let address = addresses[0].ip();
        too_near(run, url, &address.to_string(), NetworkZone::of(address));
        apart(run, url).await;
        return false;
    }
    true
}

fn too_near(run: &mut Run, url: &Url, address: &str, near: NetworkZone) {
    let shown = url.origin().ascii_serialization();
    let host = &run.target.host;
    let finding = if near == NetworkZone::Loopback {
        Finding::fail(
            Check::Chal05,
            format!(
                "the realm {shown} is each client's own machine, but the registry {host} is not"
            ),
        )
        .breaks(&KnownClient::ALL)
        .fix(format!("a `localhost` often comes from an example: {REALM}"))
        .rows(&["F02"])
    } else {
        Finding::fail(
            Check::Chal05,
            format!("the realm {shown} is a {} address, but the registry {host} is not", near.as_str()),
        )
        .breaks(&[KnownClient::Crane, KnownClient::Regclient])
        .fix(format!("use a name, or the registry's own host and port (a proxy can serve both): {REALM}. No client outside that network can reach it"))
        .rows(&["F30"])
    };
    run.record(finding.evidence(format!("{shown} resolves to {address}")));
}

/// How near a URL's host is by its spelling.
fn reach_of(url: &Url) -> NetworkZone {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(address) => NetworkZone::of(address),
        Err(_) if is_loopback(host) => NetworkZone::Loopback,
        Err(_) => NetworkZone::Public,
    }
}

/// Adds to a check what is served beside the registry.
async fn note_beside(run: &mut Run, url: &Url, check: Check) {
    if let Some(line) = stage::network::find_on_same_host(run, url).await {
        run.add_evidence(check, &line);
    }
}

/// CHAL-06
fn port(run: &mut Run, origin: &Url, url: &Url, way: &Result<(), ConnectError>) {
    let (ours, theirs) = (origin.port_or_known_default(), url.port_or_known_default());
    let ports = format!(
        "registry: port {}, realm: port {}",
        ours.unwrap_or_default(),
        theirs.unwrap_or_default()
    );
    // The port that a scheme has anyway, where the registry has another: it got lost on the way.
    let lost = origin.host() == url.host() && origin.port().is_some() && url.port().is_none();
    let finding = match way {
        Err(closed) if lost => Finding::fail(
            Check::Chal06,
            format!("the realm lacks the port {}: {closed}", ours.unwrap_or_default()),
        )
        .breaks(&KnownClient::ALL)
        .fix("the proxy must pass the host with its port (nginx: `proxy_set_header Host $http_host;`, not `$host`). Or write the port into the realm or the service's external URL")
        .rows(&["F03"]),
        Err(_) => Finding::skip(Check::Chal06, Needs::Check(Check::Net05)),
        Ok(()) => Finding::pass(Check::Chal06, "the realm's port accepts connections"),
    };
    run.record(finding.evidence(ports));
}
