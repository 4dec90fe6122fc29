//! Issuers that do not answer.

use portpass_testkit::WorkloadIssuer;
use reqwest::StatusCode;
use serde_json::json;

use super::world::{PASSWORD, World};

const SCOPE: &str = "repository:acme/app:pull";

#[tokio::test]
async fn an_issuer_that_is_down_stops_neither_the_start_nor_others() {
    let world = World::with(WorkloadIssuer::stop);
    let job = world.github_token(&json!({}));
    let refused = world.get_token("oidc", &job, SCOPE).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    world.portpass.wait_for_log(&["accounts-unavailable", world.github.url()]);
    let pod = world.cluster_token(&json!({}));
    assert_eq!(world.get_token("oidc", &pod, SCOPE).await.status(), StatusCode::OK);
    assert_eq!(world.get_token("ann", PASSWORD, SCOPE).await.status(), StatusCode::OK);
    world.assert_untold(&job);
}

#[tokio::test]
async fn keys_that_are_known_are_believed_while_their_issuer_is_down() {
    let world = World::new();
    let job = || world.github_token(&json!({}));
    assert_eq!(world.github.fetched(), 0, "an issuer is asked when somebody comes");
    assert_eq!(world.get_token("oidc", &job(), SCOPE).await.status(), StatusCode::OK);
    world.github.stop();
    assert_eq!(world.get_token("oidc", &job(), SCOPE).await.status(), StatusCode::OK);
    assert_eq!(world.github.fetched(), 1);
}
