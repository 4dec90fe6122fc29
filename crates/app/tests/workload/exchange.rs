//! A workload's token for one of ours (RFC 8693).

use portpass_testkit::workload_issuer::LIFETIME;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use super::world::World;

pub(crate) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(crate) async fn exchange(world: &World, token: &str, more: &[(&str, &str)]) -> Response {
    let form =
        [&[("grant_type", GRANT), ("subject_token", token), ("subject_token_type", JWT)], more]
            .concat();
    let url = format!("{}/token", world.portpass.url());
    Client::builder().build().unwrap().post(url).form(&form).send().await.unwrap()
}

async fn body(response: Response) -> (StatusCode, Value) {
    (response.status(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_token_is_exchanged_and_reaches_what_the_rules_allow() {
    let world = World::new();
    let token = world.github_token(&json!({}));
    let scope = [("scope", "repository:acme/app:pull,push repository:team/app:pull")];
    let client = Client::builder().build().unwrap();
    let url = format!("{}/.well-known/oauth-authorization-server", world.portpass.url());
    let (_, metadata) = body(client.get(url).send().await.unwrap()).await;
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&json!(GRANT)), "{metadata}");
    let (status, body) = body(exchange(&world, &token, &scope).await).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], "repository:acme/app:pull,push");
    assert!(body.get("refresh_token").is_none(), "{body}");
    assert!(body["expires_in"].as_u64().unwrap() <= LIFETIME.as_secs(), "{body}");
    let url = format!("{}/v2/acme/app/tags/list", world.portpass.url());
    let access = body["access_token"].as_str().unwrap();
    let listed = client.get(url).bearer_auth(access).send().await;
    // Allowed, and not there yet.
    assert_eq!(listed.unwrap().status(), StatusCode::NOT_FOUND);
    world.assert_untold(&token);
}

#[tokio::test]
async fn our_token_never_outlives_the_one_it_was_given_for() {
    let world = World::new();
    let now = super::world::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let short = world.github_token(&json!({ "exp": now.as_secs() + 90 }));
    let (_, exchanged) = body(exchange(&world, &short, &[]).await).await;
    let lives = exchanged["expires_in"].as_u64().unwrap();
    assert!((1..=90).contains(&lives), "{exchanged}");
    let (_, got) = body(world.get_token("oidc", &short, "").await).await;
    assert!(got["expires_in"].as_u64().unwrap() <= 90, "{got}");
    let inspected = world
        .portpass
        .command(&["token", "inspect", "--json", "-"], got["token"].as_str().unwrap());
    let inspected: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
    assert!(inspected["claims"]["exp"].as_u64().unwrap() <= now.as_secs() + 90, "{inspected}");
    assert_eq!(inspected["claims"]["sub"], "ci.acme.app");
}

#[tokio::test]
async fn what_is_wrong_with_an_exchange_has_the_words_of_the_rfc() {
    let world = World::new();
    let good = world.github_token(&json!({}));
    let bad = world.github_token(&json!({ "ref": "refs/heads/dev" }));
    for (token, more, error) in [
        (&bad, &[][..], "invalid_request"),
        (&"opaque".to_owned(), &[], "invalid_request"),
        (&good, &[("audience", "elsewhere")], "invalid_target"),
        (&good, &[("actor_token", "x")], "invalid_request"),
    ] {
        let (status, body) = body(exchange(&world, token, more).await).await;
        assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!(error)), "{body}");
    }
    let (status, _) = body(exchange(&world, &good, &[("audience", "other")]).await).await;
    assert_eq!(status, StatusCode::OK);
    world.portpass.wait_for_log(&["workload-claims", "refs/heads/dev"]);
    world.assert_untold(&bad);
}
