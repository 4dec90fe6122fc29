//! Whole servers on loopback: the embedded default and its relatives.

use std::{fs, path::Path, sync::Weak};

use portpass_admin::{Administrator, DataDirectoryError, open_key_ring};
use portpass_config::{Config, Environment, Sources};
use portpass_protocol::challenge;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::*;
use crate::{Shutdown, StartError, Stop, System};

/// A server that runs.
struct Running {
    addresses: Addresses,
    login: Option<Login>,
    handle: ReloadHandle,
    /// Weak: who holds the components keeps the audit trail open.
    components: Weak<Components>,
    stop: Stop,
    task: JoinHandle<()>,
}

/// The folder of an installation: data, and a configuration where there is one.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join("data").join(name)).unwrap()
    }

    fn environment(&self) -> Environment {
        [("HOME".to_owned(), self.path().display().to_string())].into_iter().collect()
    }

    /// The embedded default on a port of the kernel's, or a file whose addresses are its own.
    fn config(&self, file: Option<&str>) -> Config {
        let mut sources = Sources { data: Some(self.path().join("data")), ..Sources::default() };
        match file {
            None => sources.addr = Some("127.0.0.1:0".parse().unwrap()),
            Some(text) => {
                let path = self.path().join("portpass.yaml");
                fs::write(&path, text).unwrap();
                sources.config = Some(path);
            }
        }
        Config::load(&sources, &self.environment()).unwrap()
    }

    async fn components(&self, file: Option<&str>) -> Result<Components, StartError> {
        Components::build(self.config(file), &self.environment(), System::real()).await
    }

    async fn start(&self, file: Option<&str>) -> Running {
        let components = self.components(file).await.unwrap();
        let server = Server::bind(components, ServerSettings::default()).await.unwrap();
        let (stop, shutdown) = Shutdown::new();
        Running {
            addresses: server.addresses(),
            login: server.login(),
            handle: server.handle(),
            components: Arc::downgrade(&server.components()),
            stop,
            task: tokio::spawn(server.run(shutdown)),
        }
    }

    async fn start_default(&self) -> Running {
        self.start(None).await
    }
}

impl Running {
    async fn stop(self) {
        self.stop.drain();
        self.task.await.unwrap();
    }

    fn url(&self, path: &str) -> String {
        let bound = self.addresses.http.unwrap();
        format!("{}://{}{path}", bound.scheme, bound.address)
    }

    async fn get(&self, url: &str) -> reqwest::Response {
        client().get(url).send().await.unwrap()
    }

    /// A token of these credentials for this scope, or the status of the refusal.
    async fn token(&self, who: Option<(&str, &str)>, scope: &str) -> Result<String, u16> {
        let mut request =
            client().get(self.url("/token")).query(&[("service", "registry"), ("scope", scope)]);
        if let Some((name, password)) = who {
            request = request.basic_auth(name, Some(password));
        }
        let answer = request.send().await.unwrap();
        match answer.status().as_u16() {
            200 => Ok(answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()),
            refused => Err(refused),
        }
    }

    /// The status of a request with that token.
    async fn try_token(&self, path: &str, token: &str) -> u16 {
        client().get(self.url(path)).bearer_auth(token).send().await.unwrap().status().as_u16()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().build().unwrap()
}

#[tokio::test]
async fn the_embedded_default_is_a_registry_whose_challenge_leads_to_a_token() {
    let folder = Folder::new();
    let server = folder.start_default().await;
    let answer = server.get(&server.url("/v2/")).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["docker-distribution-api-version"], "registry/2.0");
    assert!(answer.headers().contains_key("x-request-id"));
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert_eq!(
        challenge,
        format!("Bearer realm=\"{}\",service=\"registry\"", server.url("/token"))
    );
    assert!(challenge::parse([challenge.as_str()]).bearer().is_some());

    let password = folder.read("admin-password");
    let admin = Some(("admin", password.trim()));
    let token = server.token(admin, "registry:catalog:*").await.unwrap();
    assert_eq!(server.try_token("/v2/", &token).await, 200);
    assert_eq!(server.try_token("/v2/_catalog", &token).await, 200);
    assert_eq!(server.token(Some(("admin", "wrong")), "").await, Err(401));
    let anonymous = server.token(None, "registry:catalog:*").await.unwrap();
    assert_eq!(server.try_token("/v2/_catalog", &anonymous).await, 401);
    server.stop().await;
}

#[tokio::test]
async fn a_second_start_reuses_what_the_first_made() {
    let folder = Folder::new();
    let first = folder.start_default().await;
    let password = folder.read("admin-password");
    let token = first.token(Some(("admin", password.trim())), "").await.unwrap();
    let made =
        ["admin-password", "seal.key", "root.crt", "jwks.json"].map(|name| folder.read(name));
    assert!(made[2].starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(
        serde_json::from_str::<Value>(&made[3]).unwrap()["keys"].as_array().unwrap().len(),
        1
    );
    first.stop().await;

    let second = folder.start_default().await;
    assert_eq!(
        made,
        ["admin-password", "seal.key", "root.crt", "jwks.json"].map(|name| folder.read(name))
    );
    assert_eq!(second.try_token("/v2/", &token).await, 200, "the keys are the same");
    let login = second.login.clone().unwrap();
    assert_eq!(login.host, second.addresses.http.unwrap().address.to_string());
    assert_eq!(login.password_file, Some(folder.path().join("data/admin-password")));
    second.stop().await;
}

#[tokio::test]
async fn private_files_are_the_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = Folder::new();
    folder.start_default().await.stop().await;
    let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for name in ["data/portpass.db", "data/seal.key", "data/admin-password"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[tokio::test]
async fn two_servers_on_one_data_directory_are_one_too_many() {
    let folder = Folder::new();
    let first = folder.start_default().await;
    let refused = folder.components(None).await.unwrap_err();
    assert!(matches!(refused, StartError::Data(DataDirectoryError::InUse { .. })), "{refused}");
    first.stop().await;
    folder.start_default().await.stop().await;
}

#[tokio::test]
async fn the_first_start_shows_the_password_once() {
    let folder = Folder::new();
    let components = folder.components(None).await.unwrap();
    assert!(matches!(
        components.administrator(),
        Some(Administrator::Created { password: Some(_), .. })
    ));
    drop(components);
    let components = folder.components(None).await.unwrap();
    assert!(matches!(components.administrator(), Some(Administrator::InitialPassword { .. })));
}

#[tokio::test]
async fn a_listener_exists_only_where_something_is_served() {
    let folder = Folder::new();
    let server = folder
        .start(Some("http: { addr: 127.0.0.1:1 }\ntoken_service: { addr: 127.0.0.1:0, path: /registry/v1/token }\n"))
        .await;
    assert_eq!(server.addresses.http, None, "port 1 could not even be bound by most");
    assert_eq!(server.addresses.admin, None);
    assert_eq!(server.login, None);
    let tokens = format!("http://{}", server.addresses.tokens.unwrap().address);
    assert_eq!(server.get(&format!("{tokens}/registry/v1/token")).await.status(), 200);
    assert_eq!(server.get(&format!("{tokens}/.well-known/jwks.json")).await.status(), 200);
    assert_eq!(server.get(&format!("{tokens}/v2/")).await.status(), 404);
    assert_eq!(server.get(&format!("{tokens}/token")).await.status(), 404);
    server.stop().await;
}

/// The seed's set-up: another process's registry trusts the bundle alone.
#[tokio::test]
async fn a_registry_elsewhere_trusts_the_bundle_of_the_token_service() {
    let service = Folder::new();
    let tokens = service
        .start(Some(
            "token_service:\n  addr: 127.0.0.1:0\n  path: /registry/v1/token\n  issuer: dtest\n  \
             services: [{ name: token-service }]\n",
        ))
        .await;
    let realm = format!("http://{}/registry/v1/token", tokens.addresses.tokens.unwrap().address);
    let bundle = service.path().join("data/root.crt");
    let registry = Folder::new();
    let elsewhere = registry
        .start(Some(&format!(
            "http: {{ addr: 127.0.0.1:0 }}\nregistry:\n  auth:\n    token:\n      issuer: dtest\n      realm: {realm}\n      \
             rootcertbundle: {}\n      service: token-service\n",
            bundle.display()
        )))
        .await;
    let answer = elsewhere.get(&elsewhere.url("/v2/")).await;
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert_eq!(challenge, format!("Bearer realm=\"{realm}\",service=\"token-service\""));
    let answer = elsewhere.get(&format!("{realm}?service=token-service")).await;
    let token = answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    assert_eq!(elsewhere.try_token("/v2/", &token).await, 200);
    assert!(!registry.path().join("data/seal.key").exists(), "a registry alone signs nothing");
    elsewhere.stop().await;
    tokens.stop().await;
}

#[tokio::test]
async fn health_and_metrics_are_served_on_their_own_address() {
    let folder = Folder::new();
    let config = "http: { addr: 127.0.0.1:0 }\nadmin: { addr: 127.0.0.1:0 }\nregistry: {}\ntoken_service: {}\n";
    let server = folder.start(Some(config)).await;
    let admin = format!("http://{}", server.addresses.admin.unwrap().address);
    server.token(None, "").await.unwrap();
    assert_eq!(server.token(Some(("nobody", "x")), "").await, Err(401));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(&format!("{admin}{path}")).await.status(), 200, "{path}");
    }
    let metrics = server.get(&format!("{admin}/metrics")).await.text().await.unwrap();
    for line in [
        "portpass_tokens_issued_total 1",
        r#"portpass_http_requests_total{kind="token",method="GET",status="401"} 1"#,
        "portpass_password_hashing 0",
        r#"portpass_connections_open{listener="admin"}"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(
        server.get(&server.url("/metrics")).await.status(),
        404,
        "not where the registry is"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_reload_changes_what_the_file_changed_and_no_more() {
    let folder = Folder::new();
    let file = |policy: &str, addr: &str| {
        format!(
            "http: {{ addr: '{addr}' }}\nregistry: {{}}\ntoken_service:\n  policy:\n    - {policy}\n"
        )
    };
    let nothing = "{ allow: [pull], repository: 'x/**', to: anyone }";
    let server = folder.start(Some(&file(nothing, "127.0.0.1:0"))).await;
    let reaches = async || {
        let token = server.token(None, "repository:public/a:pull").await.unwrap();
        server.try_token("/v2/public/a/tags/list", &token).await
    };
    assert_eq!(reaches().await, 401);
    let allowed = "{ allow: [pull], repository: 'public/**', to: anyone }";
    server.handle.reload(folder.config(Some(&file(allowed, "127.0.0.1:0")))).await.unwrap();
    assert_eq!(reaches().await, 404, "allowed, and not there");

    let elsewhere = folder.config(Some(&file(nothing, "127.0.0.1:9")));
    let refused = server.handle.reload(elsewhere).await.unwrap_err();
    assert!(matches!(refused, ReloadError::Listeners), "{refused}");
    assert_eq!(reaches().await, 404, "the old configuration stays in force");
    let mut moved = folder.config(Some(&file(nothing, "127.0.0.1:0")));
    moved.data = "/elsewhere".into();
    assert!(matches!(server.handle.reload(moved).await, Err(ReloadError::Data { .. })));

    let handle = server.handle.clone();
    server.stop().await;
    let late = handle.reload(folder.config(Some(&file(nothing, "127.0.0.1:0")))).await;
    assert!(matches!(late, Err(ReloadError::Stopped)));
}

/// Another process rotates: tokens of the new key are taken, and other registries' files follow.
#[tokio::test]
async fn a_rotation_by_another_process_is_followed() {
    let folder = Folder::new();
    let server = folder.start_default().await;
    let before = folder.read("jwks.json");
    let old = server.token(None, "").await.unwrap();
    let database = folder.path().join("data/portpass.db");
    let db = portpass_state::Db::open(&database).await.unwrap();
    let lifetime = folder.config(None).token_service.unwrap().longest_lifetime();
    let data = folder.path().join("data");
    let algorithms = [portpass_jose::Algorithm::Es256];
    let system = System::real();
    let (random, now) = (system.random.clone(), system.clock.now());
    let other = open_key_ring(&algorithms, lifetime, &db, &data, random, now).await.unwrap();
    other.rotate(None, system.clock.now()).await.unwrap();
    // The server looks every few seconds; the test does not wait for that.
    let keys = server.components.upgrade().unwrap().tokens.as_ref().unwrap().keys.clone();
    keys.tick(system.clock.now()).await.unwrap();
    let followed = async {
        while folder.read("jwks.json") == before {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), followed).await.unwrap();
    let new = server.token(None, "").await.unwrap();
    assert_eq!(server.try_token("/v2/", &new).await, 200);
    assert_eq!(server.try_token("/v2/", &old).await, 200, "a retired key's tokens live on");
    server.stop().await;
}

/// The proxy in front has to be the one who ends an idle connection, whichever of our listeners it stands before.
#[tokio::test]
async fn every_listener_for_clients_keeps_idle_connections_as_long_as_configured() {
    for (key, seconds) in [("", 620), (", idle_timeout: 75s", 75)] {
        let folder = Folder::new();
        let http = format!("http: {{ addr: 127.0.0.1:0{key} }}");
        let file = format!("{http}\ntoken_service: {{ addr: 127.0.0.1:0 }}\n");
        let components = folder.components(Some(&file)).await.unwrap();
        let health = Arc::new(Health::new(components.shared.db.clone()));
        for kind in [ListenerKind::Http, ListenerKind::Tokens] {
            let idle_timeout = routers::router(kind, &components, &health).idle_timeout();
            assert_eq!(idle_timeout, Duration::from_secs(seconds), "{kind:?}");
        }
    }
}
