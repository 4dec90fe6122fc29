//! Registries, proxies and certificates to be put together, all on loopback.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use portpass_client::SystemClock;
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::ROWS;
use crate::{
    Check, Finding, Inputs, LocalInputs, Report, run::Run, stage, tests::words::are_short,
};

/// Asks all that is asked before the token service, of what is called so.
pub(super) async fn walk(target: &str, inputs: Inputs) -> Report {
    let mut run = Run::new(target.parse().unwrap(), inputs, Arc::new(SystemClock));
    stage::configuration::check(&mut run).await;
    stage::network::check(&mut run).await;
    stage::ping::check(&mut run).await;
    stage::challenge::check(&mut run).await;
    stage::network::check_realm(&mut run).await;
    stage::network::compare_clocks(&mut run);
    run.into_report()
}

/// The same, and holds the report to what every report is held to.
pub(super) async fn examine(target: &str, inputs: Inputs) -> Report {
    let report = walk(target, inputs).await;
    are_short(&report);
    assert!(report.exchanges.len() <= 16, "{:#?}", report.exchanges);
    for finding in &report.findings {
        for text in finding.evidence.iter().chain([&finding.summary]) {
            assert!(text.len() < 1000 && !text.contains("secret"), "{finding:#?}");
        }
    }
    report
}

/// That a row was found: by this check, as the cause of all that failed, and so it stands in the table.
#[track_caller]
pub(super) fn found(report: &Report, row: &'static str, check: Check) -> Finding {
    assert!(ROWS.contains(&(row, check, "fail")), "{row} {check} is not in the table");
    let cause = report.cause().unwrap_or_else(|| panic!("no cause: {:#?}", report.findings));
    assert_eq!(cause.check, check, "{cause:#?}");
    assert!(cause.rows.contains(&row), "{cause:#?}");
    assert!(cause.fix.is_some(), "{cause:#?}");
    for other in report.findings.iter().filter(|other| other.failed() && other.check != check) {
        assert_eq!(other.follows_from, Some(check), "{other:#?}");
    }
    cause.clone()
}

/// That a row was found in a check that did not fail.
#[track_caller]
pub(super) fn noted(report: &Report, row: &'static str, check: Check) -> Finding {
    let finding = report.finding(check).unwrap();
    let verdict = finding.verdict.as_str();
    assert!(ROWS.contains(&(row, check, verdict)), "{row} {check} {verdict}: {finding:#?}");
    assert!(finding.rows.contains(&row), "{finding:#?}");
    finding.clone()
}

/// The same for an answer that has another form in the table.
#[track_caller]
pub(super) fn noted_as(report: &Report, row: &'static str, check: Check, verdict: &str) -> Finding {
    let finding = report.finding(check).unwrap();
    assert_eq!(finding.verdict.as_str(), verdict, "{finding:#?}");
    assert!(finding.rows.contains(&row), "{finding:#?}");
    finding.clone()
}

/// That nothing failed.
#[track_caller]
pub(super) fn sound(report: &Report) {
    let cause = report.cause();
    assert!(cause.is_none(), "{cause:#?}");
}

/// What a registry with this realm answers to those who show nothing.
pub(super) fn asking(realm: &str) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let realm = realm.to_owned();
    move |seen| {
        let name = seen.path.strip_prefix("/v2/").and_then(|rest| {
            rest.split_once("/manifests/")
                .or_else(|| rest.split_once("/tags/"))
                .map(|(name, _)| name)
        });
        let scope =
            name.map_or_else(String::new, |name| format!(r#",scope="repository:{name}:pull""#));
        if seen.path.starts_with("/v2/") {
            with_version(challenge(format!(r#"Bearer realm="{realm}",service="registry"{scope}"#)))
        } else {
            reply(404, "not found")
        }
    }
}

pub(super) fn with_version(reply: Reply) -> Reply {
    reply.with("docker-distribution-api-version".parse().unwrap(), "registry/2.0")
}

/// A token service that is not asked in these tests.
pub(super) async fn service() -> Served {
    Served::always(reply(401, r#"{"errors":[]}"#)).await
}

/// An authority of one's own.
pub(super) struct Authority {
    pub(super) der: CertificateDer<'static>,
    pub(super) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's certificates and key.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::made(|_| {})
    }

    pub(super) fn made(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = Self::parameters("test authority");
        change(&mut parameters);
        let certificate = parameters.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { der, pem, issuer: Issuer::new(parameters, key) }
    }

    /// One below it.
    pub(super) fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = Self::parameters("test intermediate");
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self { der, pem, issuer: Issuer::new(parameters, key) }
    }

    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        parameters
    }

    pub(super) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_as(names, |_| {})
    }

    pub(super) fn issue_as(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        change(&mut parameters);
        let leaf = parameters.signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity { chain: vec![leaf], key: PrivateKeyDer::try_from(key.serialize_der()).unwrap() }
    }
}

/// Says where the issuer's certificate is: `http://a.example/ca.crt` (RFC 5280 §4.2.2.1).
pub(super) fn says_where_its_issuer_is(parameters: &mut CertificateParams) {
    let uri = b"http://a.example/ca.crt";
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    // id-ad-caIssuers, and the URI as [6].
    let mut description = vec![0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86];
    description.push(length(uri));
    description.extend(uri);
    let mut content = vec![0x30, length(&description) + 2, 0x30, length(&description)];
    content.extend(description);
    let access = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
    parameters.custom_extensions.push(CustomExtension::from_oid_content(access, content));
}

/// Speaks TLS in front of servers that do not: one for HTTP/1.1, and perhaps one for HTTP/2.
pub(super) async fn tls(
    identity: Identity,
    one: SocketAddr,
    two: Option<SocketAddr>,
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if two.is_some() {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let is_two = outer.get_ref().1.alpn_protocol() == Some(b"h2");
                let behind = if is_two { two.unwrap_or(one) } else { one };
                let mut inner = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    address
}

/// What a proxy does.
#[derive(Clone)]
pub(super) enum ProxyBehaviour {
    /// Goes on to what is called so.
    Forwards(HashMap<String, SocketAddr>),
    /// Says this to everything.
    Answers(&'static str),
}

/// A proxy of HTTP, to which names lead that lead nowhere without it.
pub(super) async fn proxy(behind: ProxyBehaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(relay(stream, behind.clone()));
        }
    });
    address
}

async fn relay(mut outer: TcpStream, behind: ProxyBehaviour) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(outer.read_u8().await.ok()?);
    }
    let names = match behind {
        ProxyBehaviour::Forwards(names) => names,
        ProxyBehaviour::Answers(words) => return outer.write_all(words.as_bytes()).await.ok(),
    };
    let text = String::from_utf8_lossy(&head).into_owned();
    let target = text.split(' ').nth(1)?;
    let host = target.trim_start_matches("http://").split('/').next()?;
    let Some(address) = names.get(host) else {
        return outer
            .write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            .await
            .ok();
    };
    let mut inner = TcpStream::connect(address).await.ok()?;
    if text.starts_with("CONNECT") {
        outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    } else {
        inner.write_all(&head).await.ok()?;
    }
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok().map(drop)
}

/// Inputs for which these names lead there, as if they were out in the world, and which trust this.
pub(super) async fn out_there(names: &[(&str, SocketAddr)], authority: &Authority) -> Inputs {
    let names = names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
    let mut inputs = through(proxy(ProxyBehaviour::Forwards(names)).await);
    inputs.authorities = vec![authority.der.clone()];
    inputs
}

/// Inputs with a proxy for everything.
pub(super) fn through(proxy: SocketAddr) -> Inputs {
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY"];
    let proxies = proxies.map(|name| (name.to_owned(), format!("http://{proxy}")));
    Inputs::none(LocalInputs { proxies: proxies.to_vec(), ..LocalInputs::default() })
}

/// Inputs without anything.
pub(super) fn bare() -> Inputs {
    Inputs::none(LocalInputs::default())
}

/// A port where nobody listens.
pub(super) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
