//! What clients do that servers did not expect, each seen in the wild.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use portpass_testkit::{
    Buildah, Client, Dockerd, Helm, Layout, Podman, Portpass, RegistryAddress, Skopeo,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    audit::Auditor,
    stage::{ACCOUNT, PASSWORD, add_account, serve},
};

/// A registry with its token service, the account, and an image of its own there.
struct World {
    portpass: Portpass,
    place: RegistryAddress,
    layout: Layout,
    _scratch: tempfile::TempDir,
}

impl World {
    fn new(sections: &str) -> Self {
        let portpass = serve(sections);
        add_account(&portpass, ACCOUNT);
        let scratch = tempfile::tempdir().unwrap();
        let layout = Layout::multi_arch(&scratch.path().join("layout"), &["amd64"]);
        let place = RegistryAddress::plain(portpass.address());
        Self { portpass, place, layout, _scratch: scratch }
    }

    /// Requests of the token endpoint that one program made, as the log has them.
    fn token_requests(&self, method: &str, agent: &str) -> usize {
        let log = self.portpass.log();
        let (method, agent) = (format!("method={method}"), format!("agent=\"{agent}"));
        let words = [&method, "path=\"/token\"", "status=200", &agent];
        log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

const ALL_IN_ONE: &str = "registry: {}\ntoken_service: {}\n";

/// docker keeps a refresh token as `identitytoken`; the other tools read docker's file, and POST it in
/// forms of their own: chunked without a length, with several `scope` fields (T6).
#[test]
fn one_identity_token_serves_several_tools() {
    let world = World::new(ALL_IN_ONE);
    let docker = Dockerd::start();
    docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
    assert!(docker.client_configuration().contains("identitytoken"));
    let image = world.place.image("ann/app:1");
    docker.push(&world.layout, &image).expect_success();
    assert!(world.token_requests("POST", "docker") > 0, "{}", world.portpass.log());

    let (skopeo, buildah, podman) = (Skopeo::default(), Buildah::default(), Podman::default());
    for home in [skopeo.home(), buildah.home(), podman.home()] {
        fs::copy(docker.configuration_file(), home.auth_file()).unwrap();
    }
    skopeo.pull(&image).ran.expect_success();
    skopeo.mount(&image, &world.place.image("ann/second:1")).unwrap().expect_success();
    assert!(world.token_requests("POST", "skopeo") > 0, "{}", world.portpass.log());
    buildah.pull(&image).ran.expect_success();
    assert!(world.token_requests("POST", "Buildah") > 0, "{}", world.portpass.log());
    podman.pull(&image).ran.expect_success();
    docker.pull(&image).ran.expect_success();
}

/// What docker leaves for programs that know a name and a password alone, and what happens with it: an identity token
/// is called so, and counts as no guess, however often it comes.
#[tokio::test]
async fn an_identity_token_in_another_programs_password_is_called_so() {
    let world = World::new(ALL_IN_ONE);
    let docker = Dockerd::start();
    docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
    let image = world.place.image("ann/app:1");
    docker.push(&world.layout, &image).expect_success();
    let kept = left_by(&docker, &world.place);
    assert_eq!(basic(&kept), (ACCOUNT.to_owned(), String::new()));
    let token = kept["identitytoken"].as_str().unwrap();

    let skopeo = Skopeo::default();
    let source = format!("docker://{}/ann/app:1", world.place.host);
    let inspect = |user: &str, password: &str| {
        let credentials = format!("{user}:{password}");
        skopeo.run(&["inspect", "--tls-verify=false", "--creds", &credentials, &source])
    };
    for user in [ACCOUNT, "<token>"] {
        for _ in 0..12 {
            let ran = inspect(user, token);
            ran.expect_failure();
            let words = "the client sends docker's identity token as a password: it reads what `docker login` stored";
            assert!(ran.stderr.contains(words) && !ran.output().contains(token), "{ran}");
        }
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/token?service=registry", world.place.url());
    for _ in 0..12 {
        let refused = http.get(&url).basic_auth(ACCOUNT, Some("")).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let said = refused.text().await.unwrap();
        assert!(said.contains("with an empty password: docker's file has no password"), "{said}");
    }
    world.portpass.wait_for_log(&["refusal=\"password-empty\"", "subject=\"ann\""]);
    let log = world.portpass.log();
    assert!(
        log.contains("refusal=\"identity-token-as-password\"") && !log.contains(token),
        "{log}"
    );
    inspect(ACCOUNT, PASSWORD).expect_success();
}

/// The same docker, where no refresh tokens are given: what it leaves is good for everybody.
#[test]
fn docker_keeps_the_password_of_a_service_without_refresh_tokens() {
    let world = World::new(
        "registry: {}\ntoken_service: { services: [{ name: registry, refresh_tokens: false }] }\n",
    );
    let docker = Dockerd::start();
    docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
    let kept = left_by(&docker, &world.place);
    assert_eq!(basic(&kept), (ACCOUNT.to_owned(), PASSWORD.to_owned()));
    assert!(kept["identitytoken"].is_null(), "{kept}");
    let image = world.place.image("ann/app:1");
    docker.push(&world.layout, &image).expect_success();
    docker.pull(&image).ran.expect_success();
    let skopeo = Skopeo::default();
    fs::copy(docker.configuration_file(), skopeo.home().auth_file()).unwrap();
    skopeo.pull(&image).ran.expect_success();
    let words = ["session", "list", "--json", "--config", "{folder}/portpass.yml"];
    let listed = world.portpass.command(&words, "");
    assert_eq!(listed.expect_success().stdout.trim(), "[]");
}

/// What docker's file has of a registry.
fn left_by(docker: &Dockerd, place: &RegistryAddress) -> Value {
    let file: Value = serde_json::from_str(&docker.client_configuration()).unwrap();
    file["auths"][&place.host].clone()
}

/// The name and the password in `auth`, as programs read them that know no more.
fn basic(kept: &Value) -> (String, String) {
    let pair = BASE64_STANDARD.decode(kept["auth"].as_str().unwrap()).unwrap();
    let pair = String::from_utf8(pair).unwrap();
    let (name, password) = pair.split_once(':').unwrap();
    (name.to_owned(), password.to_owned())
}

/// What skopeo sends with an identity token, byte for byte where it matters: no `Content-Length`.
#[test]
fn a_form_in_chunks_is_read_like_any_other() {
    let world = World::new(ALL_IN_ONE);
    let form = format!(
        "grant_type=password&username={ACCOUNT}&password={}&service=registry&client_id=containers%2Fimage\
         &scope=repository%3Aann%2Fapp%3Apull&scope=repository%3Aann%2Fother%3Apull%2Cpush",
        PASSWORD.replace(':', "%3A").replace(' ', "+"),
    );
    let (first, second) = form.split_at(form.len() / 2);
    let mut stream = TcpStream::connect(world.portpass.address()).unwrap();
    write!(
        stream,
        "POST /token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         {:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        world.place.host,
        first.len(),
        second.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["scope"], "repository:ann/app:pull repository:ann/other:pull,push");
}

/// ctr joins scopes with spaces and repeats itself; skopeo and oras repeat the parameter (SC8, T6).
#[tokio::test]
async fn scopes_that_are_joined_and_repeated_are_united() {
    let world = World::new(ALL_IN_ONE);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/token", world.place.url());
    let joined = "repository:ann/a:pull repository:ann/a:pull,push repository:ann/b:pull";
    let form = [
        ("grant_type", "password"),
        ("service", "registry"),
        ("client_id", "containerd-client"),
        ("username", ACCOUNT),
        ("password", PASSWORD),
        ("scope", joined),
    ];
    let posted = http.post(&url).form(&form).send().await.unwrap();
    let repeated = [
        ("service", "registry"),
        ("scope", "repository:ann/a:pull,push"),
        ("scope", "repository:ann/b:pull repository:ann/a:pull"),
    ];
    let gotten = http.get(&url).query(&repeated).basic_auth(ACCOUNT, Some(PASSWORD));
    let gotten = gotten.send().await.unwrap();
    for answer in [posted, gotten] {
        assert_eq!(answer.status(), StatusCode::OK);
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let token = body["token"].as_str().unwrap();
        let inspected = world.portpass.command(&["token", "inspect", "--json", "-"], token);
        let inspected: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
        let expected = serde_json::json!([
            { "type": "repository", "name": "ann/a", "actions": ["pull", "push"] },
            { "type": "repository", "name": "ann/b", "actions": ["pull"] },
        ]);
        assert_eq!(inspected["claims"]["access"], expected);
    }
}

/// skopeo asks for `*` alone when it deletes; rules give actions by name.
#[tokio::test]
async fn a_star_for_a_delete_is_what_the_rules_give() {
    let world = World::new(
        "registry: {}\ntoken_service:\n  policy:
    - { allow: [pull, push, delete], repository: \"${account}/**\", to: signed-in }
    - { allow: [pull, push], repository: \"kept/**\", to: signed-in }\n",
    );
    let mut skopeo = Skopeo::default();
    skopeo.login(&world.place, ACCOUNT, PASSWORD).unwrap().expect_success();
    let (own, kept) = (world.place.image("ann/app:1"), world.place.image("kept/app:1"));
    for image in [&own, &kept] {
        skopeo.push(&world.layout, image).expect_success();
    }
    skopeo.delete(&own).unwrap().expect_success();
    skopeo.delete(&kept).unwrap().expect_failure();
    let auditor = Auditor::of(&world.place);
    assert!(auditor.manifest(&own).await.is_none());
    assert!(auditor.manifest(&kept).await.is_some(), "no rule gives `delete` there");
}

/// docker asks by GET, helm by POST; neither names a scope (SC9, TP5).
#[test]
fn a_login_asks_for_no_scope() {
    let world = World::new(ALL_IN_ONE);
    let docker = Dockerd::start();
    docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
    assert_eq!(world.token_requests("GET", "docker"), 1);
    let mut helm = Helm::default();
    helm.login(&world.place, ACCOUNT, PASSWORD).unwrap().expect_success();
    assert_eq!(world.token_requests("POST", "Helm"), 1, "{}", world.portpass.log());
    let chart = world.place.image("ann/charts/demo:0.1.0");
    helm.push(&world.layout, &chart).expect_success();
}

/// TP7: containerd asks by POST, is refused, and asks by GET. Of two requests an hour it has used one then.
#[test]
fn a_wrong_password_of_containerd_is_one_request() {
    let world =
        World::new("registry: {}\ntoken_service:\n  limits: { requests: { address: 2/h } }\n");
    let mut containerd = crate::clients::containerd();
    containerd.login(&world.place, ACCOUNT, "wrong");
    let pull = || containerd.pull(&world.place.image("ann/app:1")).ran;
    for expected in ["401", "401", "429"] {
        let said = pull();
        assert!(said.expect_failure().stderr.contains(expected), "{said}");
    }
}
