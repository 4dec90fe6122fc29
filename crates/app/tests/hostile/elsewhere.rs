//! Attempts at somebody else's repositories: by the path, by `from`, by scopes, by tokens that are for
//! others. Nobody sees what is bob's, whatever it is called.

use portpass_protocol::Digest;

use crate::{
    wire::{Answer, request},
    world::{PASSWORD, SECRET, World, basic, claims, encoded},
};

const OWN: &str = "repository:ann/app:pull,push,delete";

/// Refused, and nothing of bob's is in the answer.
#[track_caller]
fn assert_refused(answer: &Answer, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    let digest = Digest::sha256(SECRET).to_string();
    for bobs in [&digest, "the plans"] {
        assert!(!answer.text().contains(bobs), "{what}: {answer:?}");
    }
}

/// What is bob's has not come into ann's repository.
#[track_caller]
fn assert_absent(world: &World, token: &str, what: &str) {
    let target = format!("/v2/ann/app/blobs/{}", Digest::sha256(SECRET));
    let answer = world.ask_with(token, "GET", &target);
    assert_eq!(answer.status, 404, "{what}: {answer:?}");
    assert!(!answer.text().contains("the plans"), "{what}: {answer:?}");
}

/// AR8 to AR11; CVE-2020-29662: no other spelling of a path leads around the question who asks.
#[test]
fn no_spelling_of_a_path_leads_to_somebody_elses_repository() {
    let world = World::new();
    let token = world.token("ann", OWN);
    let blob = Digest::sha256(SECRET);
    for spelling in [
        "bob/secret",
        "bob%2Fsecret",
        "bob%2fsecret",
        "%62ob/secret",
        "ann/../bob/secret",
        "ann/%2e%2e/bob/secret",
        "ann/%2E%2E/bob/secret",
        "ann%2F..%2Fbob%2Fsecret",
        "ann/app/../../bob/secret",
        "ann/./../bob/secret",
        "ann//bob/secret",
        "/bob/secret",
        "//bob/secret",
        "bob//secret",
        "bob/secret/",
        "bob/secret.",
        "bob/secret%20",
        "bob/secret%00",
        "bob/secret%0a",
        "bob/secret%0d%0a",
        "bob%00/secret",
        "bob/secret%23",
        "bob/secret%3Fx",
        "bob%5Csecret",
        "bob/se%63ret",
        "bob/%73ecret%2F",
        "Bob/secret",
        "BOB/SECRET",
        "b%D0%BEb/secret",
        "%EF%BD%82ob/secret",
        "bob%EF%BC%8Fsecret",
        "bob/%E2%80%AEsecret",
        "localhost/bob/secret",
        "localhost:5000/bob/secret",
        "r.example:5000/bob/secret",
        "[::1]/bob/secret",
        "http://r.example/bob/secret",
        "ann/app/manifests/v1/../../../bob/secret",
        "ann/app/blobs/uploads/../../../bob/secret",
        "ann/app%3f/../../bob/secret",
        "bob%252Fsecret",
        "ann/app;/../bob/secret",
    ] {
        for what in [
            "manifests/v1".to_owned(),
            format!("manifests/{blob}"),
            format!("blobs/{blob}"),
            "tags/list".to_owned(),
            format!("referrers/{blob}"),
        ] {
            let target = format!("/v2/{spelling}/{what}");
            for method in ["GET", "DELETE"] {
                assert_refused(&world.ask_with(&token, method, &target), &target);
                assert_refused(&world.ask(method, &target, &[]), &target);
            }
        }
        let start = format!("/v2/{spelling}/blobs/uploads/");
        assert_refused(&world.ask_with(&token, "POST", &start), &start);
    }
    for catalog in [
        "/v2/_catalog",
        "/v2/%5Fcatalog",
        "/v2/_catalog/",
        "/v2//_catalog",
        "/v2/./_catalog",
        "/v2/ann/../_catalog",
    ] {
        assert_refused(&world.ask_with(&token, "GET", catalog), catalog);
        assert_refused(&world.ask("GET", catalog, &[]), catalog);
    }
    let bobs = world.token("bob", "repository:bob/secret:pull");
    assert_eq!(
        world.ask_with(&bobs, "GET", "/v2/bob/secret/manifests/v1").status,
        200,
        "it is all there"
    );
}

/// OC15, AR3, AR4, CH12; zot's CVE-2024-39897: who may not pull from a repository gets nothing out of
/// it by a mount.
#[test]
fn no_mount_takes_what_is_somebody_elses() {
    let world = World::new();
    let blob = Digest::sha256(SECRET);
    let asked_for_both = format!("{OWN} repository:bob/secret:pull");
    for scope in [OWN, &asked_for_both] {
        let token = world.token("ann", scope);
        for from in [
            "&from=bob%2Fsecret",
            "&from=bob/secret",
            "",
            "&from=",
            "&from=ann/app&from=bob/secret",
            "&from=bob/secret&from=ann/app",
            "&from=ann/app%20repository:bob/secret:pull",
            "&from=BOB/secret",
            "&from=bob/secret%00",
            "&from=bob/secret%0a",
            "&from=..%2Fbob%2Fsecret",
            "&from=localhost:5000/bob/secret",
            "&from=bob/secret;x=1",
            "&from%20=bob/secret",
            "&From=bob/secret",
            "&from[]=bob/secret",
            "&from=*",
            "&from=bob/*",
            "&from=registry:catalog:*",
        ] {
            let target = format!("/v2/ann/app/blobs/uploads/?mount={blob}{from}");
            let answer = world.ask_with(&token, "POST", &target);
            assert!([401, 202].contains(&answer.status), "{target}: {answer:?}");
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            // An invalid name is never echoed: a space in it would be one more scope.
            for smuggled in ["catalog", "bob/secret:pull,", "\u{0}", "*", "BOB", ".."] {
                assert!(!challenge.contains(smuggled), "{target}: {challenge}");
            }
            assert_absent(&world, &token, &target);
        }
        // A form in the body counts for nothing (AR4).
        let headers = [
            format!("Authorization: Bearer {token}"),
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
        ];
        let form = format!("mount={blob}&from=bob/secret");
        let bytes = request(
            "POST",
            "/v2/ann/app/blobs/uploads/",
            &headers.each_ref().map(String::as_str),
            form.as_bytes(),
        );
        assert_eq!(world.send(&bytes).status, 202);
        assert_absent(&world, &token, "a form");
    }
}

/// SC1 to SC9, TG4: whatever is asked for, what is granted is one's own, and opens nothing else.
#[test]
fn no_scope_opens_somebody_elses_repository() {
    let world = World::new();
    for scope in [
        "repository:bob/secret:pull",
        "repository:bob/secret:*",
        "repository(plugin):bob/secret:pull",
        "repository(image):bob/secret:pull",
        "Repository:bob/secret:pull",
        "REPOSITORY:BOB/SECRET:PULL",
        "repository:bob/secret:PULL",
        "repository:*:pull",
        "repository:**:*",
        "repository:bob/*:pull",
        "repository:ann/../bob/secret:pull",
        "repository:ann/app/../../bob/secret:pull",
        "repository:ann//bob/secret:pull",
        "repository:ann/app bob/secret:pull",
        "repository:ann/app,bob/secret:pull",
        "repository:ann/app:pull,push repository:bob/secret:pull",
        "repository:ann/app:pull\trepository:bob/secret:pull",
        "repository:ann/app:pull\nrepository:bob/secret:pull",
        "repository:ann/app:pull\u{0}repository:bob/secret:pull",
        "repository:ann/app:pull,repository:bob/secret:pull",
        "repository:ann/app:pull:bob/secret:pull",
        "repository:bob/secret:ann/app:pull",
        "repository:localhost:5000/bob/secret:pull",
        "repository:bob/secret:5000/ann:pull",
        "repository:${account}/x:pull",
        "repository:\u{430}nn/app:pull",
        "repository:\u{ff41}nn/app:pull",
        "repository:ann\u{2044}app:pull",
        "repository:ann%2Fapp:pull",
        "repository:bob%2Fsecret:pull",
        "repository:ANN/app:pull",
        "repository: bob/secret:pull",
        "repository:bob/secret :pull",
        "registry:catalog:*",
        "registry:*:*",
        "*:*:*",
        "*:bob/secret:pull",
        ":bob/secret:pull",
        "repository::pull",
        "repository:bob/secret:",
        "repository:bob/secret:pull,pull,push,*,,",
        "repository:bob/secret:pull repository:bob/secret:push repository:bob/secret:pull",
    ] {
        for again in ["", "&scope=repository%3Abob%2Fsecret%3Apull"] {
            let target = format!("/token?service=registry&scope={}{again}", encoded(scope));
            let answer = world.ask("GET", &target, &[&basic("ann", PASSWORD)]);
            assert_eq!(answer.status, 200, "{scope}: {answer:?}");
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            for entry in claims(&token)["access"].as_array().unwrap() {
                let own = entry["name"].as_str().unwrap().starts_with("ann/")
                    && entry["type"] == "repository";
                assert!(own || entry["actions"] == serde_json::json!([]), "{scope} gives {entry}");
            }
            for target in
                ["/v2/bob/secret/manifests/v1", "/v2/bob/secret/tags/list", "/v2/_catalog"]
            {
                assert_refused(&world.ask_with(&token, "GET", target), scope);
            }
        }
    }
}

/// VO7, VO8, TG10; CVE-2024-5037: a token is good for one service, of one issuer.
#[test]
fn no_token_for_another_service_or_of_another_issuer_opens_anything() {
    let (world, other) = (World::new(), World::new());
    let scope = "repository:bob/secret:pull";
    let own = world.token("bob", scope);
    let mut parts: Vec<&str> = own.split('.').collect();
    let forged = format!("{}.{}.", BASE64_NONE, parts[1]);
    let strangers = other.token("bob", scope);
    parts[2] = strangers.split('.').nth(2).unwrap();
    for (what, token) in [
        ("for another service", world.token_for("elsewhere", "bob", scope)),
        ("of another server", strangers.clone()),
        ("with another's signature", parts.join(".")),
        ("without a signature", forged),
        ("cut", own[..own.len() - 1].to_owned()),
        ("with a space", format!(" {own}")),
        ("twice", format!("{own}.{own}")),
        ("with a name", format!("ann:{own}")),
    ] {
        let answer = world.ask_with(&token, "GET", "/v2/bob/secret/manifests/v1");
        assert_refused(&answer, what);
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{what}: {challenge}");
    }
    let refused = world.ask("GET", "/token?service=nobodys", &[&basic("bob", PASSWORD)]);
    assert_eq!(refused.status, 400, "nothing is signed for a service that is not ours");
    // As a password, or in the query, it is nothing (Gitea's CVE-2026-28699, AR14).
    assert_eq!(world.ask("GET", "/token?service=registry", &[&basic("bob", &own)]).status, 401);
    let in_query = format!("/v2/bob/secret/manifests/v1?access_token={own}");
    assert_refused(&world.ask("GET", &in_query, &[]), "in the query");
    assert_eq!(world.ask_with(&own, "GET", "/v2/bob/secret/manifests/v1").status, 200);
}

/// `{"alg":"none"}`
const BASE64_NONE: &str = "eyJhbGciOiJub25lIn0";
