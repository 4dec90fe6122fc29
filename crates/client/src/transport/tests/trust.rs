//! Who is trusted, and who is not.

use std::{fs, path::Path, sync::Arc};

use insta::assert_snapshot;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed,
};
use rustls_pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier},
};

use super::*;
use crate::host::Host;

/// A registry with a certificate that only those trust who were told to.
struct Tls {
    address: SocketAddr,
    pem: String,
}

impl Tls {
    async fn start() -> Self {
        Self::asking(None).await
    }

    /// One that lets in only those with this certificate.
    async fn asking(wanted: Option<&CertifiedKey<KeyPair>>) -> Self {
        Self::with(wanted, |_| {}).await
    }

    async fn with(
        wanted: Option<&CertifiedKey<KeyPair>>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut parameters);
        let signing_key = KeyPair::generate().unwrap();
        let cert = parameters.self_signed(&signing_key).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let builder = match wanted {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(wanted) => {
                let mut roots = RootCertStore::empty();
                roots.add(wanted.cert.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(&acceptor, stream).await;
            }
        });
        Self { address, pem: cert.pem() }
    }

    fn host(&self) -> Host {
        format!("localhost:{}", self.address.port()).parse().unwrap()
    }

    async fn send(&self, settings: Settings) -> Result<BufferedResponse, TransportError> {
        let url = format!("https://{}/", self.host());
        Transport::new(settings).send(call(&url)).await
    }
}

async fn answer(acceptor: &TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let _ = stream.shutdown().await;
}

/// A folder as `/etc` is, and the places in it.
fn places(folder: &Path) -> CertificatePaths {
    CertificatePaths {
        docker: vec![folder.join("docker/certs.d")],
        containerd: vec![folder.join("containerd/certs.d")],
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn certificates_are_checked_and_more_can_be_trusted() {
    let tls = Tls::start().await;
    let error = tls.send(Settings::default()).await.unwrap_err();
    assert!(matches!(error, TransportError::Certificate { .. }), "{error}");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "ca.crt", &tls.pem);
    let mut settings = Settings::default();
    settings.trust_file(&folder.path().join("ca.crt")).unwrap();
    let transport = Transport::new(settings);
    let url = format!("https://{}/", tls.host());
    assert_eq!(transport.send(call(&url)).await.unwrap().body, b"ok");
    // Its name is `localhost`, not its address.
    let by_address = transport.send(call(&format!("https://{}/", tls.address))).await.unwrap_err();
    assert!(matches!(by_address, TransportError::Certificate { .. }), "{by_address}");
}

/// CVE-2019-10214: one transport for registry and realm, so this is the one place where it is decided.
#[tokio::test]
async fn only_who_asks_for_it_is_spared_the_check() {
    let tls = Tls::start().await;
    let verification = danger::Verification::None;
    let answer = tls.send(Settings { verification, ..Settings::default() }).await.unwrap();
    assert_eq!(answer.body, b"ok");
    assert!(tls.send(Settings::default()).await.is_err());
}

#[tokio::test]
async fn what_docker_trusts_is_trusted_for_that_registry() {
    let tls = Tls::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (host, places) = (tls.host(), places(folder.path()));
    write(folder.path(), &format!("docker/certs.d/{host}/ca.crt"), &tls.pem);
    write(folder.path(), &format!("docker/certs.d/{host}/README"), "nothing of the kind");
    let mut settings = Settings::default();
    settings.trust_certs_d(&host, &places).unwrap();
    assert_eq!(tls.send(settings).await.unwrap().body, b"ok");
    let mut settings = Settings::default();
    settings.trust_certs_d(&"localhost".parse().unwrap(), &places).unwrap();
    assert!(settings.authorities.is_empty(), "the port is part of the name");
}

#[tokio::test]
async fn a_certificate_of_our_own_is_shown() {
    let own = generate_simple_self_signed(["ann".to_owned()]).unwrap();
    let tls = Tls::asking(Some(&own)).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("docker/certs.d/{}/{name}", tls.host());
    write(folder.path(), &at("ca.crt"), &tls.pem);
    let read = || {
        let mut settings = Settings::default();
        settings.trust_certs_d(&tls.host(), &places(folder.path())).map(|()| settings)
    };
    assert!(tls.send(read().unwrap()).await.is_err());
    write(folder.path(), &at("client.cert"), &own.cert.pem());
    let error = read().unwrap_err().to_string();
    assert!(error.contains("client.key cannot be used"), "{error}");
    write(folder.path(), &at("client.key"), &own.signing_key.serialize_pem());
    assert_eq!(tls.send(read().unwrap()).await.unwrap().body, b"ok");
}

#[tokio::test]
async fn what_containerd_trusts_is_trusted_for_that_registry() {
    let tls = Tls::start().await;
    let host = tls.host();
    let own = format!("[host.\"https://{host}\"]\nca = \"ca.crt\"\n");
    let mirror = "[host.\"https://mirror.example.com\"]\nca = \"ca.crt\"\nskip_verify = true\n";
    for (text, trusted) in [
        ("server = \"https://x\"\nca = \"ca.crt\"\n", true),
        ("ca = [\"ca.crt\", \"ca.crt\"]\n", true),
        (own.as_str(), true),
        (mirror, false),
        ("", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &format!("containerd/certs.d/{host}/ca.crt"), &tls.pem);
        write(folder.path(), &format!("containerd/certs.d/{host}/hosts.toml"), text);
        let mut settings = Settings::default();
        settings.trust_certs_d(&host, &places(folder.path())).unwrap();
        assert_eq!(tls.send(settings).await.is_ok(), trusted, "{text}");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let host: Host = "registry.example.com".parse().unwrap();
    let mut heard = Vec::new();
    for (name, text) in [
        ("docker/certs.d/registry.example.com/client.cert", "nothing of the kind"),
        ("containerd/certs.d/registry.example.com/hosts.toml", "ca = 1"),
        ("containerd/certs.d/registry.example.com/hosts.toml", "ca = [[\n"),
        ("containerd/certs.d/registry.example.com/hosts.toml", "ca = \"/nowhere/ca.crt\""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), name, text);
        let error = Settings::default().trust_certs_d(&host, &places(folder.path()));
        let said = error.unwrap_err().to_string();
        heard.push(said.replace(&folder.path().display().to_string(), "/etc"));
    }
    assert_snapshot!(heard.join("\n"), @r#"
        certificates of /etc/docker/certs.d/registry.example.com/client.cert cannot be used: it has no certificate in PEM (-----BEGIN CERTIFICATE-----)
        certificates of /etc/containerd/certs.d/registry.example.com/hosts.toml cannot be used: `ca` must be a file name or a list of file names
        certificates of /etc/containerd/certs.d/registry.example.com/hosts.toml cannot be used: unclosed array, expected `]`
        certificates of /nowhere/ca.crt cannot be used: No such file or directory (os error 2)
        "#);
    // Nothing is there, or something else is.
    let folder = tempfile::tempdir().unwrap();
    Settings::default().trust_certs_d(&host, &places(folder.path())).unwrap();
    write(folder.path(), "docker/certs.d", "a file");
    Settings::default().trust_certs_d(&host, &places(folder.path())).unwrap();
}

#[test]
fn a_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    let refused = |settings: &mut Settings| settings.trust_file(&file).unwrap_err().to_string();
    let mut settings = Settings::default();
    assert!(refused(&mut settings).contains("No such file"));
    fs::write(&file, "nothing of the kind").unwrap();
    assert!(refused(&mut settings).contains("it has no certificate in PEM"));
}

/// As docker and podman do, which say nothing; the others are trusted all the same.
#[tokio::test]
async fn a_file_of_no_use_in_a_folder_is_passed_over_and_told() {
    let tls = Tls::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (host, places) = (tls.host(), places(folder.path()));
    let place = format!("docker/certs.d/{host}");
    write(folder.path(), &format!("{place}/a.crt"), "nothing of the kind");
    let broken = "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n";
    write(folder.path(), &format!("{place}/ca.crt"), &format!("{broken}{}", tls.pem));
    let mut settings = Settings::default();
    settings.trust_certs_d(&host, &places).unwrap();
    let place = folder.path().join(place);
    assert_eq!(
        settings.passed_over,
        [
            format!(
                "{}/a.crt: it has no certificate in PEM (-----BEGIN CERTIFICATE-----)",
                place.display()
            ),
            format!("{}/ca.crt: block 1 is ignored: its content is not base64", place.display()),
        ]
    );
    assert_eq!(tls.send(settings).await.unwrap().body, b"ok");
}

/// docker's own recipe for a registry with a certificate that signed itself: `openssl req -x509`.
#[tokio::test]
async fn an_authority_s_own_certificate_is_trusted_where_it_was_named() {
    let tls = Tls::with(None, |parameters| {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    })
    .await;
    let error = tls.send(Settings::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the certificate of {} is not trusted: it is self-signed, and not trusted itself",
            tls.host()
        )
    );
    let folder = tempfile::tempdir().unwrap();
    let (host, places) = (tls.host(), places(folder.path()));
    write(folder.path(), &format!("docker/certs.d/{host}/ca.crt"), &tls.pem);
    let mut settings = Settings::default();
    settings.trust_certs_d(&host, &places).unwrap();
    let transport = Transport::new(settings);
    assert_eq!(transport.send(call(&format!("https://{host}/"))).await.unwrap().body, b"ok");
    let by_address = transport.send(call(&format!("https://{}/", tls.address))).await.unwrap_err();
    assert!(matches!(by_address, TransportError::Certificate { .. }), "{by_address}");
}

#[test]
fn the_places_are_those_of_the_others() {
    let home = |name: &str| (name == "HOME").then(|| "/home/ann".to_owned());
    let places = CertificatePaths::from_environment(home);
    let own = ["/home/ann/.config/docker/certs.d", "/home/ann/.config/containers/certs.d"];
    assert!(own.iter().all(|own| places.docker.iter().any(|place| place == Path::new(own))));
    assert!(places.docker.contains(&"/etc/docker/certs.d".into()));
    assert_eq!(CertificatePaths::from_environment(|_| None).docker.len(), 2);
}

/// What to do about a certificate depends on what is wrong with it: to trust it once more helps few.
#[tokio::test]
async fn the_hint_is_about_what_is_wrong_with_the_certificate() {
    use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
    type Change = fn(&mut CertificateParams);
    let table: [(Change, bool, &str); 4] = [
        (|_| {}, false, "clients look: --ca FILE, /etc/docker/certs.d/localhost:"),
        (|it| it.not_after = date_time_ymd(2021, 1, 1), true, "renew it"),
        (
            |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            true,
            "extendedKeyUsage = serverAuth",
        ),
        (
            |it| {
                it.subject_alt_names.clear();
                it.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
            },
            true,
            "as a subject alternative name",
        ),
    ];
    for (change, named, hint) in table {
        let tls = Tls::with(None, change).await;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "ca.crt", &tls.pem);
        let mut settings = Settings::default();
        if named {
            settings.trust_file(&folder.path().join("ca.crt")).unwrap();
        }
        let error = tls.send(settings).await.unwrap_err();
        assert!(matches!(error, TransportError::Certificate { .. }), "{error}");
        let [told] = error.hints().try_into().unwrap();
        assert!(told.contains(hint), "{error}: {told}");
    }
}
