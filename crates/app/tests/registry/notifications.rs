//! What others are told of the registry: the same that docker-registry tells, and all of it.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use portpass_protocol::Digest;
use portpass_testkit::{
    Distribution, Portpass, SilentServer,
    http::{Served, reply},
    wait_until,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::PROGRAM;

/// A server, open to everybody, with these endpoints in YAML's flow style.
fn serve(endpoints: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "\
data: {}
http: {{ addr: 127.0.0.1:0 }}
registry:
  auth: {{ none: {{}} }}
  storage: {{ delete: {{ enabled: true }} }}
  notifications:
    events: {{ includereferences: true }}
    endpoints: {endpoints}
",
        folder.path().join("data").display()
    );
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder)
}

/// What a command of the installation prints, a JSON object on each line.
fn lines(portpass: &Portpass, words: &[&str]) -> Vec<Value> {
    let words = [words, &["--json", "--config", CONFIG]].concat();
    let ran = portpass.command(&words, "");
    let said = ran.expect_success().stdout.clone();
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A registry that is open to everybody.
struct Open {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Open {
    fn at(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().user_agent("test/1").build().unwrap();
        Self { client, address }
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: &[u8]) -> StatusCode {
        let url = if path.starts_with('/') {
            format!("http://{}{path}", self.address)
        } else {
            path.to_owned()
        };
        let request = self.client.request(method, url).header("content-type", kind);
        let request = request.header("accept", kind).body(body.to_vec());
        request.send().await.unwrap().status()
    }

    async fn push_blob(&self, name: &str, bytes: &[u8]) {
        let url = format!("http://{}/v2/{name}/blobs/uploads/", self.address);
        let begun = self.client.post(&url).send().await.unwrap();
        let place = begun.headers()["location"].to_str().unwrap();
        let joined = if place.contains('?') { '&' } else { '?' };
        let place = format!("{place}{joined}digest={}", Digest::sha256(bytes));
        let put = self.send(Method::PUT, &place, "application/octet-stream", bytes).await;
        assert_eq!(put, StatusCode::CREATED);
    }

    async fn push_image(&self, name: &str, tag: &str) -> Digest {
        self.push_blob(name, CONFIG_BLOB).await;
        self.push_blob(name, LAYER).await;
        let bytes = manifest();
        let path = format!("/v2/{name}/manifests/{tag}");
        assert_eq!(self.send(Method::PUT, &path, MANIFEST, &bytes).await, StatusCode::CREATED);
        Digest::sha256(&bytes)
    }

    /// All that a registry tells of.
    async fn do_everything(&self) {
        let image = self.push_image("team/app", "v1").await;
        let layer = Digest::sha256(LAYER);
        for (method, path, kind) in [
            (Method::GET, "/v2/team/app/manifests/v1".to_owned(), MANIFEST),
            (Method::HEAD, "/v2/team/app/manifests/v1".to_owned(), MANIFEST),
            (Method::GET, format!("/v2/team/app/manifests/{image}"), MANIFEST),
            (Method::GET, format!("/v2/team/app/blobs/{layer}"), "*/*"),
            (Method::HEAD, format!("/v2/team/app/blobs/{layer}"), "*/*"),
        ] {
            assert_eq!(self.send(method, &path, kind, b"").await, StatusCode::OK, "{path}");
        }
        let mount = format!("/v2/team/other/blobs/uploads/?mount={layer}&from=team/app");
        assert_eq!(self.send(Method::POST, &mount, "*/*", b"").await, StatusCode::CREATED);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{
                "mediaType": MANIFEST,
                "digest": image.to_string(),
                "size": manifest().len(),
                "platform": { "os": "linux", "architecture": "amd64" },
            }],
        });
        let index = index.to_string();
        let path = format!("/v2/team/app/manifests/{}", Digest::sha256(index.as_bytes()));
        let put = self.send(Method::PUT, &path, INDEX, index.as_bytes()).await;
        assert_eq!(put, StatusCode::CREATED);
        for path in
            [format!("/v2/team/app/manifests/{image}"), format!("/v2/team/app/blobs/{layer}")]
        {
            let deleted = self.send(Method::DELETE, &path, "*/*", b"").await;
            assert_eq!(deleted, StatusCode::ACCEPTED, "{path}");
        }
    }
}

/// The events in the messages that an endpoint got.
fn events(endpoint: &Served) -> Vec<Value> {
    let mut events = Vec::new();
    for message in endpoint.seen() {
        let envelope: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(envelope.as_object().unwrap().keys().collect::<Vec<_>>(), ["events"]);
        events.extend(envelope["events"].as_array().unwrap().clone());
    }
    events
}

/// Without what is another at each event, and in an order of their own: pulls may come later than pushes.
fn comparable(events: Vec<Value>, address: SocketAddr) -> Vec<String> {
    let strip_port = |value: &mut Value| {
        let text = value.as_str().unwrap();
        *value = text.split(':').next().unwrap().into();
    };
    let plain = |mut event: Value| {
        for (pointer, length) in [("/id", 36), ("/request/id", 1), ("/source/instanceID", 36)] {
            let value = event.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}"));
            assert!(value.as_str().unwrap().len() >= length, "{pointer} {value}");
            *value = Value::Null;
        }
        let timestamp = event["timestamp"].take();
        let timestamp = timestamp.as_str().unwrap();
        assert!(timestamp.contains('T') && timestamp.ends_with('Z'), "{timestamp}");
        strip_port(&mut event["request"]["addr"]);
        strip_port(&mut event["source"]["addr"]);
        event.to_string().replace(&address.to_string(), "HOST")
    };
    let mut plain: Vec<String> = events.into_iter().map(plain).collect();
    plain.sort();
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_are_those_of_docker_registry_field_by_field() {
    let (theirs, ours) =
        (Served::always(reply(200, "")).await, Served::always(reply(204, "")).await);
    let distribution = Distribution::open_with(&format!(
        "\
notifications:
  events: {{ includereferences: true }}
  endpoints:
    - {{ name: test, url: \"{}\", timeout: 1s, threshold: 5, backoff: 1s, headers: {{ X-Own: [a] }} }}
",
        theirs.url("/hook")
    ));
    let portpass = serve(&format!(
        "[{{ name: test, url: \"{}\", timeout: 1s, threshold: 5, backoff: 1s, headers: {{ X-Own: [a] }} }}]",
        ours.url("/hook")
    ));
    Open::at(distribution.address()).do_everything().await;
    Open::at(portpass.address()).do_everything().await;
    let all = |served: &Served| wait_until(|| events(served).len() >= EVENTS);
    assert!(all(&theirs) && all(&ours), "{} {}", events(&theirs).len(), events(&ours).len());
    let expected = comparable(events(&theirs), distribution.address());
    assert_eq!(comparable(events(&ours), portpass.address()), expected);
    let [theirs, ours] = [&theirs, &ours].map(|served| served.seen().remove(0));
    assert_eq!((&theirs.method, &theirs.path), (&ours.method, &ours.path));
    assert_eq!(theirs.headers["x-own"], ours.headers["x-own"]);
    // The same members since 2.7; version 3 calls them v2.
    assert_eq!(
        theirs.headers["content-type"],
        "application/vnd.docker.distribution.events.v1+json"
    );
    assert_eq!(ours.headers["content-type"], "application/vnd.docker.distribution.events.v2+json");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_told_after_a_crash_and_a_silent_endpoint_holds_nobody_up() {
    let takes = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&takes);
    let ci =
        Served::start(move |_| reply(if asked.load(Ordering::SeqCst) { 200 } else { 503 }, "busy"));
    let (ci, silent) = (ci.await, SilentServer::start());
    let mut portpass = serve(&format!(
        "[{{ name: ci, url: \"{}\", secret: hunter2, headers: {{ Authorization: [hunter3] }},
             ignore: {{ actions: [pull], mediatypes: [application/octet-stream] }} }},
          {{ name: silent, url: \"http://{}/\", timeout: 60s }}]",
        ci.url("/hook"),
        silent.address()
    ));
    let registry = Open::at(portpass.address());
    let image = registry.push_image("team/app", "v0").await;
    for number in 1..20 {
        registry.push_image("team/app", &format!("v{number}")).await;
    }
    portpass.kill();
    portpass.start_again("+1s");
    takes.store(true, Ordering::SeqCst);
    let tags = || {
        let told = ci.seen().into_iter().flat_map(|message| {
            let envelope: Value = serde_json::from_slice(&message.body).unwrap();
            envelope["events"].as_array().unwrap().clone()
        });
        let mut tags: Vec<String> = told
            .map(|event| {
                assert_eq!(
                    (&event["action"], &event["target"]["digest"]),
                    (&json!("push"), &json!(image.to_string()))
                );
                event["target"]["tag"].as_str().unwrap().to_owned()
            })
            .collect();
        tags.sort();
        tags.dedup();
        tags.len()
    };
    assert!(wait_until(|| tags() == 20), "{}", tags());
    let [of_ci, of_silent] = lines(&portpass, &["events", "endpoints"]).try_into().unwrap();
    assert_eq!((&of_ci["name"], &of_silent["name"]), (&json!("ci"), &json!("silent")));
    assert_eq!((&of_ci["lost"], &of_silent["lost"]), (&json!(0), &json!(0)));
    assert!(of_silent["waiting"].as_u64().unwrap() > 40, "{of_silent}");

    let message = ci.seen().pop().unwrap();
    let signature = message.headers["x-hub-signature-256"].to_str().unwrap();
    assert_eq!((&signature[..7], signature.len()), ("sha256=", 71));
    assert_eq!(message.authorization.as_deref(), Some("hunter3"));
    assert!(!portpass.log().contains("hunter"), "{}", portpass.log());

    let listed = lines(&portpass, &["events", "-n", "1"]);
    let (sequence, id) = (listed[0]["sequence"].to_string(), listed[0]["event"]["id"].clone());
    let times = || {
        let bodies = ci.seen().into_iter().map(|message| message.body);
        bodies.filter(|body| String::from_utf8_lossy(body).contains(id.as_str().unwrap())).count()
    };
    let before = times();
    let words = ["events", "redeliver", "ci", sequence.as_str(), "--config", CONFIG];
    portpass.command(&words, "").expect_success();
    assert!(wait_until(|| times() == before + 1));
    let unknown = portpass.command(&["events", "redeliver", "cd", "1", "--config", CONFIG], "");
    assert!(unknown.expect_failure().stderr.contains("there is no endpoint `cd`"));
    let said = portpass.command(&["events", "--config", CONFIG], "");
    assert!(said.expect_success().stdout.contains("  push    team/app:v19"), "{}", said.stdout);
}

fn manifest() -> Vec<u8> {
    let descriptor = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": Digest::sha256(bytes).to_string(), "size": bytes.len() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", CONFIG_BLOB),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", LAYER)],
    });
    manifest.to_string().into_bytes()
}

const CONFIG: &str = "{folder}/portpass.yml";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_BLOB: &[u8] =
    br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
const LAYER: &[u8] = b"the bytes of a layer";

/// Two blobs, a manifest and an index pushed; five pulls; a mount; the manifest, its tag and a blob deleted.
const EVENTS: usize = 13;
