//! Names, ports, proxies, TLS.

use insta::assert_snapshot;
use portpass_client::SystemClock;
use portpass_protocol::challenge::KnownClient;
use portpass_testkit::http::{Served, reply};
use rcgen::{BasicConstraints, CertificateParams, IsCa};

use super::fixture::{
    Authority, Identity, ProxyBehaviour, asking, bare, examine, found, free_port, noted, noted_as,
    out_there, proxy, says_where_its_issuer_is, service, sound, through, tls,
};
use crate::{Check, Inputs, LocalInputs, diagnose};

const NAME: &str = "registry.invalid";
const TARGET: &str = "registry.invalid:5000";

/// A registry out there with this certificate, its token service where it is itself.
async fn registry(identity: Identity, authority: &Authority) -> Inputs {
    let served = Served::start(asking("https://registry.invalid:5000/token")).await;
    let address = tls(identity, served.address, None).await;
    // Nothing drops it before the test ends.
    std::mem::forget(served);
    out_there(&[(TARGET, address)], authority).await
}

#[tokio::test]
async fn f01_a_name_that_is_nobody_s() {
    found(&examine("nobody.invalid:5000", bare()).await, "F01", Check::Net01);
}

#[tokio::test]
async fn f05_nobody_listens() {
    let target = format!("127.0.0.1:{}", free_port().await);
    found(&examine(&target, bare()).await, "F05", Check::Net02);
}

#[tokio::test]
async fn f05_a_proxy_that_does_not_let_through() {
    let authority = Authority::new();
    let report = examine(TARGET, out_there(&[], &authority).await).await;
    let cause = found(&report, "F05", Check::Net02);
    assert!(cause.evidence[0].contains("502"), "{cause:#?}");
    noted_proxy(&report);
}

fn noted_proxy(report: &crate::Report) {
    let finding = report.finding(Check::Cfg04).unwrap();
    assert_eq!(finding.verdict.as_str(), "warn");
}

#[tokio::test]
async fn f05_a_token_service_that_is_blocked() {
    let authority = Authority::new();
    let served = Served::start(asking("https://auth.invalid/token")).await;
    let address = tls(authority.issue(&[NAME]), served.address, None).await;
    let inputs = out_there(&[(TARGET, address)], &authority).await;
    found(&examine(TARGET, inputs).await, "F05", Check::Net05);

    let closed = format!("http://127.0.0.1:{}/token", free_port().await);
    let served = Served::start(asking(&closed)).await;
    let report = examine(&served.address.to_string(), bare()).await;
    found(&report, "F05", Check::Net05);
}

#[tokio::test]
async fn f06_a_proxy_that_wants_a_password() {
    let words = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let at = proxy(ProxyBehaviour::Answers(words)).await;
    found(&examine(TARGET, through(at)).await, "F06", Check::Net02);
    let plain = Inputs { plain_http: true, ..through(at) };
    found(&examine(TARGET, plain).await, "F06", Check::Ping03);
}

#[tokio::test]
async fn f06_a_proxy_that_answers_in_the_registry_s_place() {
    let words = "HTTP/1.1 403 Forbidden\r\nvia: corporate\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let at = proxy(ProxyBehaviour::Answers(words)).await;
    let inputs = Inputs { plain_http: true, ..through(at) };
    let cause = found(&examine(TARGET, inputs).await, "F06", Check::Ping03);
    assert!(cause.evidence[0].contains("via: corporate"), "{cause:#?}");
}

#[tokio::test]
async fn f07_an_authority_that_is_not_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let inputs = registry(other.issue(&[NAME]), &authority).await;
    let cause = found(&examine(TARGET, inputs).await, "F07", Check::Net04);
    assert!(cause.evidence[0].contains("test authority"), "{cause:#?}");
    assert!(cause.fix.unwrap().contains("certs.d/registry.invalid:5000/ca.crt"));

    let itself = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(itself.signing_key.serialize_der()).unwrap();
    let identity = Identity { chain: vec![itself.cert.der().clone()], key };
    let report = examine(TARGET, registry(identity, &authority).await).await;
    let cause = found(&report, "F07", Check::Net04);
    assert!(cause.summary.contains("self-signed"), "{cause:#?}");
}

#[tokio::test]
async fn f08_an_authority_that_is_not_trusted_for_the_realm() {
    let (authority, other) = (Authority::new(), Authority::new());
    let served = Served::start(asking("https://auth.invalid/token")).await;
    let (service, address) =
        (service().await, tls(authority.issue(&[NAME]), served.address, None).await);
    for (identity, row) in
        [(other.issue(&["auth.invalid"]), "F08"), (authority.issue(&["other.invalid"]), "F10")]
    {
        let realm = tls(identity, service.address, None).await;
        let names = [(TARGET, address), ("auth.invalid:443", realm)];
        found(&examine(TARGET, out_there(&names, &authority).await).await, row, Check::Net05);
    }
    assert!(service.seen().is_empty(), "nothing is sent to whom nobody trusts");
}

#[tokio::test]
async fn f09_a_chain_with_a_certificate_left_out() {
    let authority = Authority::new();
    let between = authority.intermediate();
    let identity = between.issue_as(&[NAME], says_where_its_issuer_is);
    let cause =
        found(&examine(TARGET, registry(identity, &authority).await).await, "F09", Check::Net04);
    assert_eq!(cause.rows[0], "F09");
    assert!(cause.fix.unwrap().contains("http://a.example/ca.crt"));

    let mut whole = between.issue(&[NAME]);
    whole.chain.push(between.der.clone());
    sound(&examine(TARGET, registry(whole, &authority).await).await);
}

#[tokio::test]
async fn f10_a_certificate_for_others_or_for_another_time() {
    let authority = Authority::new();
    let other = authority.issue(&["other.invalid", "10.0.0.1"]);
    let report = examine(TARGET, registry(other, &authority).await).await;
    let cause = found(&report, "F10", Check::Net04);
    assert!(cause.evidence[0].contains("other.invalid, 10.0.0.1"), "{cause:#?}");
    for (from, to, word) in [(2000, 2001, "expired"), (2100, 2101, "not valid yet")] {
        let identity = authority.issue_as(&[NAME], |parameters| {
            parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
        let report = examine(TARGET, registry(identity, &authority).await).await;
        let cause = found(&report, "F10", Check::Net04);
        assert!(cause.summary.contains(word), "{cause:#?}");
    }
}

/// docker and its like connect, so what they meet is asked all the same.
#[tokio::test]
async fn f10_a_certificate_that_go_takes_and_others_refuse() {
    let authority = Authority::new();
    let is_ca = |parameters: &mut CertificateParams| {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let identity = authority.issue_as(&[NAME], is_ca);
    let inputs = registry(identity, &authority).await;
    let report = examine(TARGET, inputs).await;
    sound(&report);
    let finding = noted_as(&report, "F10", Check::Net04, "warn");
    assert!(finding.breaks.is_empty(), "{finding:#?}");
    assert_snapshot!(
        format!("{}\n{}", finding.summary, finding.evidence[..3].join("\n")),
        @r"
        clients in Go trust the certificate of registry.invalid:5000, but clients that use rustls do not: it is an authority's certificate (CA:TRUE), not a server's
        Go (docker, containerd, podman, crane, oras, regclient): connects
        rustls (clients in Rust): does not connect, it is an authority's certificate (CA:TRUE), not a server's
        OpenSSL (clients in Python): connects
        "
    );
    let ping = report.finding(Check::Ping01).unwrap();
    assert_eq!(ping.verdict.as_str(), "pass", "{ping:#?}");

    // The realm's likewise.
    let served = Served::start(asking("https://auth.invalid/token")).await;
    let address = tls(authority.issue(&[NAME]), served.address, None).await;
    let realm = tls(authority.issue_as(&["auth.invalid"], is_ca), served.address, None).await;
    let names = [(TARGET, address), ("auth.invalid:443", realm)];
    let report = examine(TARGET, out_there(&names, &authority).await).await;
    sound(&report);
    noted_as(&report, "F10", Check::Net05, "warn");
}

/// This program would connect, and docker would not: nobody is told that all is well.
#[tokio::test]
async fn f10_an_authority_that_go_does_not_take() {
    let expired = |parameters: &mut CertificateParams| {
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2001, 1, 1);
    };
    let authority = Authority::made(expired);
    let inputs = registry(authority.issue(&[NAME]), &authority).await;
    let report = examine(TARGET, inputs).await;
    let cause = found(&report, "F10", Check::Net04);
    assert_eq!(cause.breaks, KnownClient::ALL);
    assert_snapshot!(
        format!("{}\n{}", cause.summary, cause.evidence[..3].join("\n")),
        @r#"
        clients in Go refuse the certificate of registry.invalid:5000: the authority "test authority" has expired or is not valid yet
        Go (docker, containerd, podman, crane, oras, regclient): does not connect, the authority "test authority" has expired or is not valid yet
        rustls (clients in Rust): connects
        OpenSSL (clients in Python): does not connect, the authority "test authority" has expired or is not valid yet
        "#
    );
    assert!(report.finding(Check::Ping01).unwrap().verdict.as_str() == "pass", "goes on");
}

/// What is in the file beside the certificates is told where they do not help.
#[tokio::test]
async fn a_bad_block_of_the_file_is_told_where_nobody_is_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let lost = "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, format!("{}{lost}", authority.pem)).unwrap();
    let mut inputs = registry(other.issue(&[NAME]), &authority).await;
    inputs.trust_file(&file).unwrap();
    let cause = found(&examine(TARGET, inputs).await, "F07", Check::Net04);
    let told = format!("--ca {}: block 2 is ignored: ", file.display());
    assert!(cause.evidence.last().unwrap().starts_with(&told), "{cause:#?}");
}

#[tokio::test]
async fn f11_plain_http_where_tls_is_spoken() {
    let authority = Authority::new();
    let plain = Served::start(asking("http://registry.invalid:5000/token")).await;
    let inputs = out_there(&[(TARGET, plain.address)], &authority).await;
    let cause = found(&examine(TARGET, inputs).await, "F11", Check::Net03);
    assert!(cause.evidence[0].contains("HTTP/1.1 400"), "{cause:#?}");
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn f11_tls_where_plain_http_is_spoken() {
    let authority = Authority::new();
    let served = Served::start(asking("/")).await;
    let address = tls(authority.issue(&["127.0.0.1"]), served.address, None).await;
    let inputs = Inputs { plain_http: true, ..bare() };
    found(&examine(&address.to_string(), inputs).await, "F11", Check::Net03);
}

/// Servers answer that with a 400, or with an alert: neither is the token service's word on the scope.
#[tokio::test]
async fn f11_a_plain_realm_where_tls_is_spoken() {
    let authority = Authority::new();
    let service = service().await;
    let secure = tls(authority.issue(&["127.0.0.1"]), service.address, None).await;
    let served = Served::start(asking(&format!("http://{secure}/token"))).await;
    let report = examine(&served.address.to_string(), bare()).await;
    let cause = found(&report, "F11", Check::Net05);
    assert_eq!(cause.summary, format!("http://{secure} speaks TLS, but the realm is plain HTTP"));
    let report = diagnose(
        format!("{}/team/app", served.address).parse().unwrap(),
        bare(),
        std::sync::Arc::new(SystemClock),
    );
    let report = report.await;
    found(&report, "F11", Check::Net05);
    let said = report.json(true).to_string();
    for word in ["client error", "SendRequest", "invalid HTTP"] {
        assert!(!said.contains(word), "{said}");
    }
    assert!(service.seen().is_empty());
}

#[tokio::test]
async fn f12_certificates_that_nobody_reads() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pem = &authority.pem;
    let folder = tempfile::tempdir().unwrap();
    let docker = folder.path().join("docker/certs.d");
    let inputs = |network: Inputs| {
        let local = LocalInputs { certificate_folders: vec![docker.clone()], ..network.local };
        Inputs { local, ..network }
    };
    let write = |path: &str| {
        let path = docker.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, pem).unwrap();
    };
    write("registry.invalid/ca.crt");
    let network = registry(authority.issue(&[NAME]), &stranger).await;
    let report = examine(TARGET, inputs(network.clone())).await;
    let cause = found(&report, "F12", Check::Cfg05);
    assert!(cause.summary.contains("certs.d/registry.invalid exists"), "{cause:#?}");
    write("registry.invalid:5000/ca.pem");
    let report = examine(TARGET, inputs(network.clone())).await;
    let cause = found(&report, "F12", Check::Cfg05);
    assert!(cause.summary.contains("ca.pem is not read"), "{cause:#?}");
    // Where it lies as it should, it is trusted as the client trusts it.
    write("registry.invalid:5000/ca.crt");
    let report = examine(TARGET, inputs(network)).await;
    sound(&report);
    assert!(report.finding(Check::Net04).unwrap().summary.contains("ca.crt"));
}

#[tokio::test]
async fn f13_an_address_in_brackets() {
    // Whether or not this machine has IPv6, the name is odd.
    let report = examine(&format!("[::1]:{}", free_port().await), bare()).await;
    noted(&report, "F13", Check::Net01);
}

#[tokio::test]
async fn f14_http_2_that_ends_elsewhere() {
    let authority = Authority::new();
    let one = Served::start(asking("https://registry.invalid:5000/token")).await;
    let two = Served::always(reply(421, "")).await;
    let address = tls(authority.issue(&[NAME]), one.address, Some(two.address)).await;
    let inputs = out_there(&[(TARGET, address)], &authority).await;
    found(&examine(TARGET, inputs).await, "F14", Check::Net06);

    let address = tls(authority.issue(&[NAME]), one.address, Some(one.address)).await;
    let inputs = out_there(&[(TARGET, address)], &authority).await;
    let report = examine(TARGET, inputs).await;
    sound(&report);
    assert_eq!(report.finding(Check::Net06).unwrap().verdict.as_str(), "pass");

    // A limit tells nothing of versions.
    let limited = Served::always(reply(429, "")).await;
    let address = tls(authority.issue(&[NAME]), limited.address, Some(one.address)).await;
    let inputs = out_there(&[(TARGET, address)], &authority).await;
    let report = examine(TARGET, inputs).await;
    assert_eq!(report.finding(Check::Net06).unwrap().verdict.as_str(), "skip");
}

#[tokio::test]
async fn what_is_no_tls_at_all_is_shown() {
    let authority = Authority::new();
    let at = proxy(ProxyBehaviour::Answers("SSH-2.0-other\r\n")).await;
    let inputs = out_there(&[(TARGET, at)], &authority).await;
    let report = examine(TARGET, inputs).await;
    assert_eq!(report.cause().unwrap().check, Check::Net03);
}
