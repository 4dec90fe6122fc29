//! `explain`: whoever runs a server is told why it refused a request, and nothing that could be used.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, os::unix::net::UnixListener, path::Path};

use portpass_testkit::Portpass;
use reqwest::{Method, Response};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "correct horse battery staple";

/// A registry with its token service, which makes tokens for another registry too.
const PAIR: &str = "\
data: {folder}/data
http: { addr: 127.0.0.1:0 }
registry:
  storage: { delete: { enabled: true } }
token_service:
  services: [ { name: registry }, { name: other } ]
  accounts: [ local: {} ]
  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push], repository: \"${account}/**\", to: signed-in }
    - { allow: [pull, push], repository: \"prod/**\", to: \"group:developers\" }
    - { deny: [push], repository: \"prod/**\", to: signed-in, except: \"group:release\" }
";

/// A registry that trusts the token service of a pair.
const REGISTRY: &str = "\
data: {folder}/data
http: { addr: 127.0.0.1:0 }
registry:
  auth:
    token:
      realm: {url}/token
      service: registry
      issuer: portpass
      rootcertbundle: {trusted}/data/root.crt
";

/// A server, and how requests to it end.
struct World {
    portpass: Portpass,
}

impl World {
    /// With the account `ann`, a developer.
    fn pair() -> Self {
        let world = Self { portpass: serve(PAIR, None) };
        world.add_ann();
        world
    }

    /// A pair whose clock is wrong by so much.
    fn pair_at(offset: &str) -> Self {
        let world = Self { portpass: serve(PAIR, Some(offset)) };
        world.add_ann();
        world
    }

    fn add_ann(&self) {
        let words =
            ["user", "add", "ann", "--group", "developers", "--password-stdin", "--config", FILE];
        self.portpass.command(&words, PASSWORD).expect_success();
    }

    fn registry_trusting(&self) -> Self {
        let trusted = self.portpass.folder().to_str().unwrap();
        let text = REGISTRY.replace("{url}", &self.portpass.url()).replace("{trusted}", trusted);
        Self { portpass: serve(&text, None) }
    }

    async fn token(&self, account: Option<&str>, service: &str, scope: &str) -> String {
        let url = format!("{}/token", self.portpass.url());
        let request = client().get(url).query(&[("service", service), ("scope", scope)]);
        let request = match account {
            Some(account) => request.basic_auth(account, Some(PASSWORD)),
            None => request,
        };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// The id of a request that was refused with this status.
    async fn refused(&self, method: Method, path: &str, token: &str, status: u16) -> String {
        let request = client().request(method, format!("{}{path}", self.portpass.url()));
        let answer = request.bearer_auth(token).body("not a manifest").send().await.unwrap();
        assert_eq!(answer.status(), status);
        id(&answer)
    }

    /// What `explain` says of a request: to people, and to programs. Neither says anything of a secret.
    fn explained(&self, request: &str, secrets: &[&str]) -> (String, Value) {
        let words = ["explain", request, "--config", FILE];
        let text = self.portpass.command(&words, "");
        let json = self.portpass.command(&[&words[..], &["--json"]].concat(), "");
        let list = self.portpass.command(&["explain", "--config", FILE], "");
        for said in [&text, &json, &list] {
            said.expect_success();
            tells_nothing_of(secrets, &said.output());
        }
        assert!(list.stdout.contains(request), "{list}");
        let documents: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
        let [document] = &documents[..] else { panic!("{json}") };
        assert_eq!(document["request"], request);
        (text.stdout, document.clone())
    }

    /// The same of what is in no list.
    fn explained_alone(&self, request: &str) -> (String, Value) {
        let words = ["explain", request, "--config", FILE];
        let text = self.portpass.command(&words, "").expect_success().stdout.clone();
        let json = self.portpass.command(&[&words[..], &["--json"]].concat(), "");
        (text, serde_json::from_str(&json.stdout).unwrap())
    }

    /// What it says when there is nothing to explain.
    fn unexplained(&self, words: &[&str]) -> String {
        let ran = self.portpass.command(&[&["explain"], words].concat(), "");
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{ran}");
        ran.stderr
    }
}

fn serve(configuration: &str, clock: Option<&str>) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    fs::write(folder.path().join("portpass.yml"), configuration.replace("{folder}", here)).unwrap();
    let arguments = ["--config", FILE];
    match clock {
        None => Portpass::serve_in(Path::new(PROGRAM), &arguments, folder),
        Some(offset) => Portpass::serve_with_clock(Path::new(PROGRAM), &arguments, folder, offset),
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn id(answer: &Response) -> String {
    answer.headers()["x-request-id"].to_str().unwrap().to_owned()
}

/// Looks for every eight characters: any fifteen in a row hold eight of these.
fn tells_nothing_of(secrets: &[&str], text: &str) {
    for secret in secrets {
        assert!(secret.len() >= 8, "too short to be looked for");
        for piece in secret.as_bytes().chunks_exact(8) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!text.contains(piece), "{piece:?} of the secret is in:\n{text}");
        }
    }
}

#[track_caller]
fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_token_for_another_registry_is_shown_with_its_claims() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "other", "repository:ann/app:pull").await;
    let request = pair.refused(Method::GET, "/v2/ann/app/tags/list", &token, 401).await;
    let (text, json) = pair.explained(&request, &[&token, PASSWORD]);
    has(
        &text,
        &[
            "client      127.0.0.1",
            "subject     not known",
            "asked       GET /v2/ann/app/tags/list",
            "answer      401, by the registry",
            "refusal     token-audience-mismatch",
            "reason      audience \"other\" is not \"registry\"",
            "needed      repository:ann/app:pull",
            "its iss     portpass",
            "its aud     other",
            "its sub     ann",
            "after the request)",
            "its key     a certificate: CN=portpass signing key",
            "known as    F76: ",
            "what to do  `registry.auth.token.service` and the `service` that the token was made for differ",
        ],
    );
    assert_eq!(json["token"]["audience"], json!(["other"]));
    assert_eq!((&json["failures"][0]["row"], &json["subject"]), (&json!("F76"), &Value::Null));
    let line = pair.portpass.wait_for_log(&["access:", &request]);
    has(&line, &["refusal=\"token-audience-mismatch\" failure=\"F76\""]);
}

#[tokio::test]
async fn an_expired_token_says_by_how_much_and_whose_it_was() {
    let (early, other) = (World::pair_at("-10m"), World::pair());
    let registry = early.registry_trusting();
    let token = early.token(None, "registry", "repository:public/app:pull").await;
    let request = registry.refused(Method::GET, "/v2/public/app/tags/list", &token, 401).await;
    let (text, json) = registry.explained(&request, &[&token]);
    has(
        &text,
        &["refusal     token-expired", "its exp ", "before the request)", "its sub     nobody"],
    );
    let rows: Vec<&Value> =
        json["failures"].as_array().unwrap().iter().map(|known| &known["row"]).collect();
    assert_eq!(rows, ["F63", "F78", "F123"]);
    let line = registry.portpass.wait_for_log(&["access:", &request]);
    assert!(!line.contains("failure="), "three are none: {line}");

    let foreign = other.token(None, "registry", "repository:public/app:pull").await;
    let request = registry.refused(Method::GET, "/v2/public/app/tags/list", &foreign, 401).await;
    let (_, json) = registry.explained(&request, &[&foreign]);
    assert_eq!(json["refusal"], "chain-issuer-unknown");
    assert_eq!(json["token"]["issuer"], "portpass");
}

#[tokio::test]
async fn a_grant_that_is_too_small_names_the_rule_that_decided() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "registry", "repository:prod/shop:pull,push").await;
    let uploads = "/v2/prod/shop/blobs/uploads/";
    let request = pair.refused(Method::POST, uploads, &token, 401).await;
    let (text, json) = pair.explained(&request, &[&token, PASSWORD]);
    has(
        &text,
        &[
            "subject     ann",
            "needed      repository:prod/shop:pull,push",
            "granted     repository:prod/shop:pull",
            "ann on repository:prod/shop: asks for pull, push, is granted pull",
            "rule 4 denies push: deny [push] repository prod/** to signed-in except group:release",
            "known as    F104: ",
        ],
    );
    assert_eq!(json["rules"]["explanations"][0]["rules"][1]["number"], 4);
    assert_eq!(json["rules"]["grant_all_now"], false);

    let nothing = pair.token(None, "registry", "repository:ann/app:pull").await;
    let request = pair.refused(Method::GET, "/v2/ann/app/tags/list", &nothing, 401).await;
    let (text, _) = pair.explained(&request, &[&nothing]);
    let near = "nearest: rule 1: allow [pull] repository public/** to anyone";
    has(
        &text,
        &[
            "subject     anonymous",
            "nothing on repository:ann/app, although the client asked",
            near,
        ],
    );
}

/// The rules grant it: the client did not ask. It is promised to come back only until it has shown the same token again.
#[tokio::test]
async fn what_the_rules_grant_is_no_lack_of_a_rule_and_a_client_that_keeps_its_token_is_told_of() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "registry", "repository:ann/app:pull").await;
    let uploads = "/v2/ann/app/blobs/uploads/";
    let first = pair.refused(Method::POST, uploads, &token, 401).await;
    let (text, json) = pair.explained(&first, &[&token, PASSWORD]);
    has(
        &text,
        &["the client did not ask for it yet", "fetch a larger token, and nothing is wrong"],
    );
    assert!(!text.contains("F104") && !text.contains("known as"), "{text}");
    assert_eq!((&json["failures"], &json["repeated"]), (&json!([]), &json!(0)));
    let line = pair.portpass.wait_for_log(&["access:", &first]);
    assert!(!line.contains("failure="), "a token does not tell what was asked for: {line}");

    let second = pair.refused(Method::POST, uploads, &token, 401).await;
    for request in [first, second] {
        let (text, json) = pair.explained(&request, &[&token, PASSWORD]);
        has(
            &text,
            &[
                "the rules grant it, and the client did not ask for it",
                "this client keeps its token: it sent the same one 2 times for the same",
                "portpass token REGISTRY --scope repository:ann/app:pull,push",
            ],
        );
        assert!(!text.contains("comes back") && !text.contains("F104"), "{text}");
        assert_eq!(json["repeated"], 1);
    }
}

/// A push looks for its blobs first: what it does not find is no refusal.
#[tokio::test]
async fn the_list_has_refusals_and_what_is_not_there_apart() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "registry", "repository:ann/app:pull,push").await;
    let blob = format!("/v2/ann/app/blobs/sha256:{}", "0".repeat(64));
    let absent = pair.refused(Method::HEAD, &blob, &token, 404).await;
    let refused = pair.refused(Method::GET, "/v2/prod/shop/tags/list", &token, 401).await;
    let list = |words: &[&str]| {
        let words = [&["explain", "--config", FILE], words].concat();
        let ran = pair.portpass.command(&words, "");
        ran.expect_success();
        ran
    };
    let (some, all) = (list(&[]), list(&["--all"]));
    assert!(some.stdout.contains(&refused) && !some.stdout.contains(&absent), "{some}");
    has(&some.stderr, &["1 more found nothing (404)", "--all"]);
    assert!(all.stdout.contains(&refused) && all.stdout.contains(&absent), "{all}");
    for line in some.stdout.lines().chain(all.stdout.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let (text, _) = pair.explained_alone(&absent);
    has(&text, &["refusal     blob-unknown"]);
}

/// Away from the registry, the same verifier gives the same verdict.
#[tokio::test]
async fn a_token_is_inspected_as_its_registry_would() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "registry", "repository:ann/app:pull").await;
    let trusted = ["token", "inspect", "--bundle", "{folder}/data/root.crt"];
    let inspect = |words: &[&str]| pair.portpass.command(&[&trusted[..], words].concat(), &token);
    let good = inspect(&["--issuer", "portpass", "--service", "registry"]);
    has(&good.expect_success().stdout, &["libtrust", "RFC 7638", "CN=portpass root", "(ends in "]);
    has(&good.stderr, &["it is valid"]);
    let refused = inspect(&["--service", "other"]);
    assert_eq!(refused.status, Some(1), "{refused}");
    has(
        &refused.stderr,
        &[
            "error: a registry refuses it: audience \"registry\" is not \"other\" (token-audience-mismatch)",
            "hint: `registry.auth.token.service` and",
            "hint: known as F76: ",
        ],
    );
    let json = inspect(&["--json", "--issuer", "other"]);
    assert_eq!(json.status, Some(1), "{json}");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["refusal"]["id"], &json["holds"]),
        (&json!("token-issuer-mismatch"), &json!(false))
    );
    assert_eq!(json["refusal"]["failures"][0]["row"], "F75");
    assert_eq!(json["chain"][0]["authority"], false);
    let keys = pair.portpass.command(&["signing-key", "list", "--json", "--config", FILE], "");
    let keys: Value = serde_json::from_str(&keys.expect_success().stdout).unwrap();
    assert_eq!(json["key_ids"]["rfc7638"], keys[0]["id"]);
    assert_eq!(json["key_ids"]["libtrust"], keys[0]["libtrust_id"]);
    let unusable = ["token", "inspect", "--bundle", "{folder}/data/jwks.json"];
    let unusable = pair.portpass.command(&unusable, &token);
    has(&unusable.expect_failure().stderr, &["the bundle cannot be used: there is no certificate"]);
}

/// What the client did not ask for, no rule has taken.
#[tokio::test]
async fn a_grant_that_was_not_asked_for_is_told_apart_from_one_that_was_denied() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "registry", "repository:ann/app:pull").await;
    let request = pair.refused(Method::POST, "/v2/ann/app/blobs/uploads/", &token, 401).await;
    let (text, json) = pair.explained(&request, &[&token]);
    has(&text, &["rule 2 allows pull, push", "the client did not ask for it"]);
    assert_eq!(json["rules"]["grant_all_now"], true);
}

#[tokio::test]
async fn rules_that_are_elsewhere_are_said_to_be_with_the_command_to_type_there() {
    let pair = World::pair();
    let registry = pair.registry_trusting();
    let token = pair.token(Some("ann"), "registry", "repository:ann/app:pull").await;
    let request = registry.refused(Method::GET, "/v2/_catalog", &token, 401).await;
    let (text, json) = registry.explained(&request, &[&token]);
    let command = "portpass policy explain ann 'registry:catalog:*' --service registry";
    has(&text, &[command, &format!("elsewhere: {}/token", pair.portpass.url()), "F107"]);
    assert_eq!(json["rules_elsewhere"]["command"], command);
    let there = ["policy", "explain", "ann", "registry:catalog:*", "--service", "registry"];
    let said = pair.portpass.command(&[&there[..], &["--config", FILE]].concat(), "");
    has(&said.expect_success().stdout, &["is granted nothing"]);
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_from_an_account_that_is_not_there() {
    let pair = World::pair();
    let wrong = "incorrect pony generator clip";
    for (account, state) in [
        ("ann", "`ann` exists and is enabled in local"),
        ("nobody", "there is no account named `nobody` in local"),
    ] {
        let url = format!("{}/token?service=registry", pair.portpass.url());
        let answer = client().get(url).basic_auth(account, Some(wrong)).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let request = id(&answer);
        let (text, json) = pair.explained(&request, &[wrong, PASSWORD]);
        has(&text, &["answer      401, by the token service", "wrong-password", "F40", state]);
        assert_eq!((&json["account"], &json["subject"]), (&json!(state), &json!(account)));
        let line = pair.portpass.wait_for_log(&["access:", &request]);
        has(&line, &["refusal=\"wrong-password\" failure=\"F40\""]);
    }
}

/// What a program sends that reads docker's file and knows no identity tokens.
#[tokio::test]
async fn an_identity_token_as_a_password_and_an_empty_password_are_explained() {
    let pair = World::pair();
    let url = format!("{}/token?service=registry", pair.portpass.url());
    let login = format!("{url}&offline_token=true&client_id=docker");
    let answer = client().get(login).basic_auth("ann", Some(PASSWORD)).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let token = answer["refresh_token"].as_str().unwrap();
    for (password, refusal, said) in [
        (token, "identity-token-as-password", "sends docker's identity token as a password"),
        ("", "password-empty", "the user name `ann` with an empty password"),
    ] {
        let answer = client().get(&url).basic_auth("ann", Some(password)).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let request = id(&answer);
        let (text, json) = pair.explained(&request, &[token, PASSWORD]);
        has(&text, &[refusal, said, "subject     ann", "token_service.refresh_tokens: false"]);
        assert_eq!((&json["refusal"], &json["subject"]), (&json!(refusal), &json!("ann")));
        let line = pair.portpass.wait_for_log(&["access:", &request]);
        has(&line, &[&format!("refusal=\"{refusal}\""), said]);
    }
}

#[tokio::test]
async fn a_push_that_makes_no_sense_is_explained_too() {
    let pair = World::pair();
    let token = pair.token(Some("ann"), "registry", "repository:ann/app:pull,push").await;
    let request = pair.refused(Method::PUT, "/v2/ann/app/manifests/v1", &token, 400).await;
    let (text, json) = pair.explained(&request, &[&token]);
    has(
        &text,
        &["PUT /v2/ann/app/manifests/v1", "manifest-invalid", "Content-Type", "subject     ann"],
    );
    assert_eq!((&json["status"], &json["failures"]), (&json!(400), &json!([])));
}

#[tokio::test]
async fn an_id_of_an_earlier_start_is_known_by_its_form() {
    let folder = ["--data", "{folder}/data"];
    let arguments = [&folder[..], &["--addr", "127.0.0.1:0"]].concat();
    let mut world = World { portpass: Portpass::serve(Path::new(PROGRAM), &arguments) };
    let request = world.refused(Method::GET, "/v2/", "opaque-token-of-old", 401).await;
    world.portpass.restart();
    let said = world.unexplained(&[&request, folder[0], folder[1]]);
    has(&said, &["an earlier start", "hint: the log line", &format!("request_id={request}")]);
    let said = world.unexplained(&["from-a-proxy", folder[0], folder[1]]);
    has(&said, &["no refused request has the id from-a-proxy"]);
    let begin = client().get(format!("{}/v2/", world.portpass.url())).send().await.unwrap();
    let said = world.unexplained(&[&id(&begin), folder[0], folder[1]]);
    has(&said, &["was not refused, or came without credentials"]);
    let list = world.portpass.command(&["explain", folder[0], folder[1]], "");
    assert_eq!((list.expect_success().stdout.as_str(), list.stderr.as_str()), ("", NOTHING));
}

#[test]
fn without_a_server_there_is_nobody_to_ask() {
    let world = World { portpass: serve(PAIR, None) };
    let said = world.unexplained(&["--data", "{folder}/none"]);
    has(&said, &["no server runs on", "--data"]);
    // What a crash leaves behind.
    let left = world.portpass.folder().join("left");
    fs::create_dir(&left).unwrap();
    drop(UnixListener::bind(left.join("explain.sock")).unwrap());
    has(&world.unexplained(&["x", "--data", "{folder}/left"]), &["no server runs on"]);
    let long = format!("{{folder}}/{}", "d".repeat(150));
    has(&world.unexplained(&["x", "--data", &long]), &["the system allows about 100"]);
}

#[tokio::test]
async fn the_oldest_go_and_whoever_reads_at_the_same_time_is_answered() {
    let pair = World::pair();
    let first = pair.refused(Method::GET, "/v2/", "first-opaque-token", 401).await;
    let (url, client) = (format!("{}/v2/", pair.portpass.url()), client());
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (url, client) = (url.clone(), client.clone());
        sending.spawn(async move {
            for _ in 0..ENTRIES / 8 {
                let answer = client.get(&url).bearer_auth("opaque-token").send().await.unwrap();
                assert_eq!(answer.status(), 401);
            }
        });
    }
    // While they come, and all at once.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let words = ["explain", "--json", "-n", "5", "--config", FILE];
                let ran = pair.portpass.command(&words, "");
                let listed: Vec<Value> =
                    serde_json::from_str(&ran.expect_success().stdout).unwrap();
                assert!((1..=5).contains(&listed.len()), "{ran}");
            });
        }
    });
    sending.join_all().await;
    let said = pair.unexplained(&[&first, "--config", FILE]);
    has(&said, &[&format!("not among the last {ENTRIES} refusals"), "hint: its log line"]);
}

const FILE: &str = "{folder}/portpass.yml";
const NOTHING: &str = "the server has refused nothing since its start\n";
/// As many as a server keeps.
const ENTRIES: usize = 4096;
