//! Anything at every route, with and without credentials.

use std::fs;

use base64::prelude::*;
use portpass_protocol::Digest;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use crate::{
    wire::{Answer, request, send},
    world::{KIND, PASSWORD, SECRET, World, basic, manifest},
};

/// What a request is made of.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    target: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// What must be in no answer and in no line of the log.
struct Secrets(Vec<String>);

impl Secrets {
    fn of(world: &World, token: &str) -> Self {
        let pair = |account: &str| BASE64_STANDARD.encode(format!("{account}:{PASSWORD}"));
        // The folder is where everything is stored.
        let folder = world.portpass.folder().display().to_string();
        let signature = token.rsplit('.').next().unwrap().to_owned();
        Self(vec![folder, PASSWORD.to_owned(), pair("ann"), pair("bob"), signature])
    }

    #[track_caller]
    fn assert_absent(&self, text: &str, what: &dyn std::fmt::Debug) {
        for secret in &self.0 {
            assert!(!text.contains(secret), "{secret} in {text:?} of {what:?}");
        }
    }
}

/// Answered, and blamed on whoever sent it.
#[track_caller]
fn assert_in_order(answer: &Answer, secrets: &Secrets, asked: &dyn std::fmt::Debug) {
    assert!((200..500).contains(&answer.status), "{asked:?}: {answer:?}");
    secrets.assert_absent(&format!("{}\n{}", answer.head, answer.text()), asked);
    for inside in ["panick", "sqlite", "SQL", "No such file", "os error", "crates/", "src/"] {
        assert!(!answer.text().contains(inside), "{asked:?}: {answer:?}");
    }
}

/// And in the end: no panic, no fault of ours, no secret in the log.
fn assert_unharmed(world: &World, secrets: &Secrets) {
    let log = world.log();
    for line in log.lines() {
        secrets.assert_absent(line, &"the log");
        assert!(!line.contains("panicked") && !line.contains(" ERROR "), "{line}");
        assert!(!line.contains("status=5"), "{line}");
    }
    let admin = *world.portpass.addresses().last().unwrap();
    let metrics = send(admin, &request("GET", "/metrics", &[], b"")).unwrap().text();
    assert!(metrics.contains("portpass_panics_total 0"), "{metrics}");
    assert_eq!(world.ask("GET", "/v2/", &[]).status, 401, "it still serves");
}

/// OC6, `OC27b`, OC28; CVE-2025-48374: whatever is asked for, no panic, no 5xx, and neither a path nor
/// a secret in an answer or in the log.
#[test]
fn no_request_is_our_fault_and_none_is_told_a_secret() {
    let world = World::new();
    world.push("ann", "ann/app", b"ann's layer");
    let token = world.token("ann", "repository:ann/app:pull,push,delete");
    let secrets = Secrets::of(&world, &token);
    let mut runner = TestRunner::new(Config {
        cases: 1500,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..Config::default()
    });
    let outcome = runner.run(&asked(&token), |asked| {
        let headers: Vec<&str> = asked.headers.iter().map(String::as_str).collect();
        let answer = world.send(&request(&asked.method, &asked.target, &headers, &asked.body));
        assert_in_order(&answer, &secrets, &asked);
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    assert_unharmed(&world, &secrets);
}

/// What breaks parsers, at the routes that have them.
#[test]
fn no_seed_of_the_fuzzer_is_our_fault_either() {
    let world = World::new();
    let token = world.token("ann", "repository:ann/app:pull,push");
    let secrets = Secrets::of(&world, &token);
    let bearer = format!("Authorization: Bearer {token}");
    let corpus = |name: &str| {
        let folder = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let files: Vec<Vec<u8>> = fs::read_dir(folder)
            .unwrap()
            .map(|file| fs::read(file.unwrap().path()).unwrap())
            .collect();
        assert!(!files.is_empty());
        files
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(['\r', '\n', ' '], "+");
    let ask = |bytes: Vec<u8>| {
        assert_in_order(&world.send(&bytes), &secrets, &String::from_utf8_lossy(&bytes));
    };
    for seed in corpus("route") {
        let seed = String::from_utf8_lossy(&seed).into_owned();
        let (method, target) = seed.split_once(' ').unwrap();
        for headers in [&[][..], &[&*bearer]] {
            ask(request(method, &target.replace(' ', "+"), headers, b""));
        }
    }
    for seed in corpus("token_request") {
        ask(request("GET", &format!("/token?{}", text(&seed)), &[], b""));
        ask(request("POST", "/token", &["Content-Type: application/x-www-form-urlencoded"], &seed));
        ask(request("POST", "/oauth/revoke", &[], &seed));
    }
    for name in ["authorization", "jws", "challenge"] {
        for seed in corpus(name) {
            let header = match name {
                "authorization" => format!("Authorization: {}", text(&seed).replacen('+', " ", 1)),
                _ => format!("Authorization: Bearer {}", text(&seed)),
            };
            ask(request("GET", "/v2/ann/app/tags/list", &[&header], b""));
            ask(request("GET", "/token?service=registry", &[&header], b""));
        }
    }
    let kind = format!("Content-Type: {KIND}");
    for seed in corpus("manifest").into_iter().chain(corpus("layout")) {
        ask(request("PUT", "/v2/ann/app/manifests/v1", &[&bearer, &kind], &seed));
    }
    for seed in corpus("range") {
        let range = [format!("Range: {}", text(&seed)), format!("Content-Range: {}", text(&seed))];
        ask(request("GET", "/v2/ann/app/manifests/v1", &[&bearer, &range[0]], b""));
        ask(request("POST", "/v2/ann/app/blobs/uploads/", &[&bearer, &range[1]], b"x"));
    }
    assert_unharmed(&world, &secrets);
}

fn asked(token: &str) -> impl Strategy<Value = Asked> + use<> {
    let method = prop_oneof![
        8 => select(vec!["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]).prop_map(str::to_owned),
        1 => select(vec!["TRACE", "get", "PROPFIND", "X", "M-SEARCH"]).prop_map(str::to_owned),
    ];
    let headers = prop::collection::vec(header(), 0..4);
    (method, target(), authorization(token), headers, body()).prop_map(
        |(method, target, authorization, mut headers, body)| {
            headers.extend(authorization);
            Asked { method, target, headers, body }
        },
    )
}

/// A path that is served, or nearly; and a query.
fn target() -> impl Strategy<Value = String> {
    let digest = Digest::sha256(b"ann's layer").to_string();
    let bobs = Digest::sha256(SECRET).to_string();
    let whole = select(vec![
        "/",
        "/v2",
        "/v2/",
        "/v2/_catalog",
        "/token",
        "/oauth/revoke",
        "/.well-known/jwks.json",
        "/metrics",
        "*",
    ]);
    let name = prop_oneof![
        3 => select(vec!["ann/app", "bob/secret", "public/x"]).prop_map(str::to_owned),
        2 => "[a-zA-Z0-9%/._:;@-]{0,30}",
        1 => select(vec!["ann%2Fapp", "ann/../bob/secret", "a%00", "..", "", "%ff%fe", "%u0041", "ann/app%0a"]).prop_map(str::to_owned),
        1 => "[a-z]{250,300}",
    ];
    let last = prop_oneof![
        4 => select(vec![
            "tags/list".to_owned(), "manifests/v1".to_owned(), "blobs/uploads/".to_owned(),
            format!("manifests/{}", Digest::sha256(&manifest(b"ann's layer"))), format!("blobs/{digest}"), format!("blobs/{bobs}"),
            format!("referrers/{digest}"), "blobs/uploads/0197e8f0-0000-7000-8000-000000000000".to_owned(),
        ]),
        1 => "(manifests|blobs|referrers|tags|blobs/uploads)/[a-zA-Z0-9:%._-]{0,80}",
    ];
    let query = prop_oneof![
        3 => Just(String::new()),
        2 => select(vec![
            "?n=18446744073709551616".to_owned(), "?n=-1&last=%00".to_owned(), "?n=0".to_owned(), "?last=../../x".to_owned(),
            format!("?digest={digest}"), format!("?mount={bobs}&from=bob/secret"), "?digest-algorithm=sha512".to_owned(),
            "?service=registry&scope=repository:ann/app:pull".to_owned(), "?artifactType=%00".to_owned(),
            "?_state=../../etc/passwd&digest=sha256:0".to_owned(), format!("?scope={}", "x".repeat(2000)),
        ]),
        2 => "\\?[a-zA-Z=&%0-9;+:/-]{0,60}",
    ];
    let path = prop_oneof![
        2 => whole.prop_map(str::to_owned),
        6 => (name, last).prop_map(|(name, last)| format!("/v2/{name}/{last}")),
    ];
    (path, query)
        .prop_map(|(path, query)| if path == "*" { path } else { format!("{path}{query}") })
}

fn authorization(token: &str) -> impl Strategy<Value = Option<String>> + use<> {
    let bearer = format!("Authorization: Bearer {token}");
    let cut = format!("Authorization: Bearer {}", &token[..token.len() / 2]);
    prop_oneof![
        2 => Just(None),
        4 => Just(Some(bearer)),
        2 => select(vec![Some(basic("ann", PASSWORD)), Some(basic("ann", "wrong")), Some(basic("nobody", "wrong"))]),
        1 => Just(Some(cut)),
        1 => "Authorization: (Basic|Bearer|bearer|Negotiate|)[ ]?[ -~]{0,60}".prop_map(Some),
    ]
}

fn header() -> impl Strategy<Value = String> {
    prop_oneof![
        "(Range|Content-Range|If-None-Match|Accept|Content-Type|X-Forwarded-Proto|X-Forwarded-Host|Forwarded|X-Request-Id|Cookie|User-Agent|Referer): [ -~]{0,40}",
        select(vec![
            format!("Content-Type: {KIND}"),
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
            "Content-Type: multipart/form-data; boundary=x".to_owned(),
            "Range: bytes=0-0".to_owned(),
            "Range: bytes=5-1".to_owned(),
            "Range: bytes=-0".to_owned(),
            "Content-Range: 0-4".to_owned(),
            "Content-Range: 18446744073709551615-18446744073709551615".to_owned(),
            "Content-Range: bytes 0-4/5".to_owned(),
            "Accept: */*".to_owned(),
            "If-None-Match: *".to_owned(),
            "Expect: x".to_owned(),
            "Upgrade: h2c".to_owned(),
            "Content-Encoding: gzip".to_owned(),
            "OCI-Chunk-Min-Length: -1".to_owned(),
        ]),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(Vec::new()),
        1 => prop::collection::vec(any::<u8>(), 1..200),
        1 => Just(b"ann's layer".to_vec()),
        1 => Just(manifest(b"ann's layer")),
        1 => "(grant_type|service|scope|username|password|refresh_token|token)=[ -~]{0,40}".prop_map(String::into_bytes),
    ]
}
