//! Tags that rules keep and drop: in a real database, and told of.

use std::time::Duration;

use axum::body::Body;
use http::{Method, StatusCode, header};
use portpass_pattern::{PathPattern, WordPattern};
use portpass_protocol::{Digest, RepositoryChange};
use portpass_registry::{Retention, RetentionRule, Rules, retention::Done};
use serde_json::{Value, json};

use crate::harness::{Harness, request};

const OCI: &str = "application/vnd.oci.image.index.v1+json";
const HOUR: Duration = Duration::from_hours(1);

async fn registry(rules: impl IntoIterator<Item = RetentionRule>) -> Harness {
    let retention = Retention { rules: rules.into_iter().collect(), interval: HOUR };
    Harness::ruled(Rules { retention, ..Rules::default() }).await
}

/// About builds, in all repositories.
fn rule(name: &str) -> RetentionRule {
    RetentionRule {
        name: name.into(),
        repositories: vec![PathPattern::parse_fixed("**").unwrap()],
        tags: vec![WordPattern::new("build-*")],
        ..RetentionRule::default()
    }
}

/// Pushes an index of nothing, which differs by its name alone.
async fn push(registry: &Harness, name: &str, reference: Option<&str>, document: &Value) -> Digest {
    let bytes = document.to_string();
    let digest = Digest::sha256(bytes.as_bytes());
    let reference = reference.map_or_else(|| digest.to_string(), str::to_owned);
    let path = format!("/v2/{name}/manifests/{reference}");
    let headers = [(header::CONTENT_TYPE, OCI)];
    let answer = registry.send(request(Method::PUT, &path, headers, Body::from(bytes))).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    registry.clock.advance(HOUR);
    digest
}

fn index(name: &str) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI, "manifests": [], "annotations": { "n": name } })
}

fn signature(of: &Digest) -> Value {
    let mut index = index("signature");
    index["subject"] = json!({ "mediaType": OCI, "digest": of, "size": 2 });
    index
}

async fn tags(registry: &Harness, name: &str) -> Vec<String> {
    let answer = registry.get(&format!("/v2/{name}/tags/list")).await;
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    let tags = list["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

async fn is_there(registry: &Harness, digest: &Digest) -> bool {
    registry.get(&format!("/v2/team/app/manifests/{digest}")).await.status == StatusCode::OK
}

#[tokio::test]
async fn what_goes_takes_its_referrers_with_it_and_is_told_of() {
    let registry = registry([RetentionRule { keep_last: Some(1), ..rule("builds") }]).await;
    let app = "team/app";
    let old = push(&registry, app, Some("build-1"), &index("old")).await;
    let signed = push(&registry, app, None, &signature(&old)).await;
    let shared = push(&registry, app, Some("build-2"), &index("shared")).await;
    push(&registry, app, Some("v1"), &index("shared")).await;
    let new = push(&registry, app, Some("build-3"), &index("new")).await;
    let kept = push(&registry, app, None, &signature(&new)).await;
    registry.seen.take();

    let done = registry.registry.retain().await.unwrap();
    assert_eq!(done, Done { tags: 2, manifests: 2 });
    assert_eq!(tags(&registry, app).await, ["build-3", "v1"]);
    for (digest, stays) in
        [(old, false), (signed, false), (shared, true), (new, true), (kept, true)]
    {
        assert_eq!(is_there(&registry, &digest).await, stays, "{digest}");
    }
    let referrers = registry.get(&format!("/v2/{app}/referrers/{new}")).await;
    assert!(String::from_utf8_lossy(&referrers.body).contains(&kept.to_string()));

    let told = registry.seen.take();
    assert!(told.iter().all(|event| event.subject == "retention"), "{told:?}");
    let deleted = |digest| RepositoryChange::ManifestDeleted { digest, tags: Vec::new() };
    let tag = |text: &str| RepositoryChange::TagDeleted { tag: text.parse().unwrap() };
    let mut changes: Vec<_> = told.into_iter().map(|event| event.change).collect();
    for expected in [tag("build-1"), tag("build-2"), deleted(old), deleted(signed)] {
        let before = changes.len();
        changes.retain(|change| *change != expected);
        assert_eq!(changes.len() + 1, before, "{expected:?}");
    }
    assert!(changes.is_empty(), "{changes:?}");
    assert_eq!(registry.registry.retain().await.unwrap(), Done::default());
}

/// By a slip in a rule, all would be gone overnight.
#[tokio::test]
async fn by_itself_no_rule_drops_everything_and_no_repository_loses_every_tag() {
    let young = Some(HOUR.saturating_mul(24));
    let fixes = vec![WordPattern::new("fix-*")];
    let rules = [
        RetentionRule { tags: fixes, keep_younger: young, ..rule("fixes") },
        RetentionRule { keep_younger: young, ..rule("builds") },
    ];
    let registry = registry(rules).await;
    push(&registry, "team/app", Some("build-1"), &index("a")).await;
    push(&registry, "team/app", Some("fix-1"), &index("b")).await;
    push(&registry, "team/idle", Some("build-1"), &index("c")).await;
    push(&registry, "team/idle", Some("build-2"), &index("d")).await;
    registry.clock.advance(HOUR.saturating_mul(48));
    push(&registry, "team/app", Some("build-2"), &index("e")).await;

    assert_eq!(registry.registry.retain().await.unwrap(), Done { tags: 1, manifests: 1 });
    assert_eq!(tags(&registry, "team/app").await, ["build-2", "fix-1"]);
    assert_eq!(tags(&registry, "team/idle").await, ["build-1", "build-2"]);
}
