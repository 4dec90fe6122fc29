//! Accounts whose names are patterns, paths or placeholders, under the rule `${account}/**`.

use crate::world::{PASSWORD, World, basic, claims, encoded};

/// Names that would reach further than one namespace, if anybody could be called so.
const PATTERNS: &[&str] = &[
    "*",
    "**",
    "?",
    "b*",
    "b?b",
    "bob/secret",
    "bob/",
    "/bob",
    "/",
    ".",
    "..",
    "../bob",
    "${account}",
    "$account",
    "{bob}",
    "[ab]ob",
    "bob%2Fsecret",
    "bob ",
    " bob",
    "bob\u{0}",
    "bob\t",
    "",
    "-",
    "@",
    "\u{202e}bob",
    "bob\\",
    "a,b",
    "user:bob",
];

/// A line of an htpasswd file with one of these names is no account. A request with the name is refused like a
/// wrong password.
#[test]
fn nobody_is_called_like_a_pattern() {
    let lines: Vec<&str> = PATTERNS.iter().copied().chain(["ann", "bob"]).collect();
    let world = World::with_accounts(&lines);
    for name in PATTERNS {
        let target = "/token?service=registry&scope=repository:bob/secret:pull";
        // A carriage return or a NUL is no part of a header, but of what is encoded in it.
        let answer = world.ask("GET", target, &[&basic(name, PASSWORD)]);
        assert_eq!(answer.status, 401, "{name:?}: {answer:?}");
        let form = format!(
            "grant_type=password&service=registry&scope=repository:bob/secret:pull&username={}&password={PASSWORD}",
            encoded(name)
        );
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let answer = world.send(&crate::wire::request("POST", "/token", &[kind], form.as_bytes()));
        assert_eq!(answer.status, 401, "{name:?}: {answer:?}");
    }
    let token = world.token("bob", "repository:bob/secret:pull");
    assert_eq!(claims(&token)["sub"], "bob", "the others are still there");
}

/// Names with dots, dashes and signs are legal, and reach their own namespace and no other.
#[test]
fn a_name_with_signs_reaches_no_further_than_itself() {
    let names = ["b.b", "b+b", "b_b", "bob-", "bob.", "Bob", "b@b"];
    let world = World::with_accounts(&[&names[..], &["ann", "bob"]].concat());
    for name in names {
        for repository in ["bob/secret", "bxb/secret", "bob-x/secret", "ann/app"] {
            let token = world.token(name, &format!("repository:{repository}:pull,push"));
            let access = &claims(&token)["access"][0];
            assert_eq!(access["actions"], serde_json::json!([]), "{name} reaches {access}");
        }
    }
}
