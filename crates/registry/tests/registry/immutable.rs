//! Tags that must not move.

use std::sync::Arc;

use axum::body::Body;
use futures_util::future::join_all;
use http::{Method, header};
use portpass_pattern::{PathPattern, WordPattern};
use portpass_registry::{
    Rules,
    immutable::{Exempt, ImmutableRule, ImmutableTags},
};

use crate::harness::{Answer, Harness, request};

const OCI: &str = "application/vnd.oci.image.index.v1+json";

async fn registry() -> Harness {
    let rule = ImmutableRule {
        name: "releases".into(),
        repositories: vec![PathPattern::parse_fixed("team/**").unwrap()],
        tags: vec![WordPattern::new("v*")],
        except_tags: vec![WordPattern::new("*-rc")],
        except: vec![
            Exempt::Account(WordPattern::new("bot")),
            Exempt::Group(WordPattern::new("admins")),
        ],
    };
    Harness::ruled(Rules { immutable: ImmutableTags(vec![rule]), ..Rules::default() }).await
}

/// An index of nothing, which differs by its number alone.
fn index(number: u32) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}","manifests":[],"annotations":{{"n":"{number}"}}}}"#
    )
}

async fn asks(registry: &Harness, who: &str, method: Method, path: &str, body: String) -> Answer {
    let bearer = format!("Bearer {who}");
    let mut headers = vec![(header::CONTENT_TYPE, OCI)];
    if !who.is_empty() {
        headers.push((header::AUTHORIZATION, &*bearer));
    }
    let mut sent = request(method, path, [], Body::from(body));
    for (name, value) in headers {
        sent.headers_mut().insert(name, value.parse().unwrap());
    }
    registry.send(sent).await
}

async fn puts(registry: &Harness, who: &str, reference: &str, number: u32) -> Answer {
    let path = format!("/v2/team/app/manifests/{reference}");
    asks(registry, who, Method::PUT, &path, index(number)).await
}

async fn deletes(registry: &Harness, who: &str, reference: &str) -> u16 {
    let path = format!("/v2/team/app/manifests/{reference}");
    asks(registry, who, Method::DELETE, &path, String::new()).await.status.as_u16()
}

#[tokio::test]
async fn an_immutable_tag_names_for_good_what_it_named_first() {
    let registry = registry().await;
    assert_eq!(puts(&registry, "ann", "v1", 1).await.status, 201);
    assert_eq!(puts(&registry, "ann", "v1", 1).await.status, 201, "the same again moves nothing");
    let refused = puts(&registry, "ann", "v1", 2).await;
    assert_eq!(refused.refusal(), (409, "DENIED".to_owned()));
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        text.contains("tag v1 of repository team/app is immutable by rule `releases`"),
        "{text}"
    );
    let kept = registry.get("/v2/team/app/manifests/v1").await;
    assert_eq!(kept.body, index(1));
    assert_eq!(puts(&registry, "ann", "v1-rc", 1).await.status, 201);
    assert_eq!(puts(&registry, "ann", "v1-rc", 2).await.status, 201, "the rule leaves these out");
    assert_eq!(puts(&registry, "", "v1", 2).await.status, 409, "nobody is no exception");
}

#[tokio::test]
async fn several_tags_at_once_move_together_or_not_at_all() {
    let registry = registry().await;
    assert_eq!(puts(&registry, "ann", "v1", 1).await.status, 201);
    let second = portpass_protocol::Digest::sha256(index(2).as_bytes());
    let both = puts(&registry, "ann", &format!("{second}?tag=latest&tag=v1"), 2).await;
    assert_eq!(both.status, 409);
    assert_eq!(registry.get("/v2/team/app/manifests/latest").await.status, 404);
}

#[tokio::test]
async fn an_immutable_tag_is_not_deleted_and_holds_its_manifest() {
    let registry = registry().await;
    assert_eq!(puts(&registry, "ann", "v1", 1).await.status, 201);
    assert_eq!(puts(&registry, "ann", "latest", 1).await.status, 201);
    let digest = registry.get("/v2/team/app/manifests/v1").await.header("docker-content-digest");
    assert_eq!(deletes(&registry, "ann", "v1").await, 409);
    assert_eq!(deletes(&registry, "ann", "v2").await, 404);
    assert_eq!(deletes(&registry, "ann", &digest).await, 409);
    assert_eq!(deletes(&registry, "ann", "latest").await, 202);
    assert_eq!(registry.get("/v2/team/app/manifests/v1").await.status, 200);
    assert_eq!(deletes(&registry, "bot", &digest).await, 202);
}

#[tokio::test]
async fn those_whom_the_rule_leaves_out_move_and_delete() {
    let registry = registry().await;
    for (number, who) in (1..).zip(["bot", "root"]) {
        assert_eq!(puts(&registry, who, "v1", 2 * number).await.status, 201, "{who}");
        assert_eq!(puts(&registry, who, "v1", 2 * number + 1).await.status, 201, "{who}");
        assert_eq!(deletes(&registry, who, "v1").await, 202, "{who}");
    }
    assert_eq!(puts(&registry, "root", "v2", 1).await.status, 201);
    let digest = registry.get("/v2/team/app/manifests/v2").await.header("docker-content-digest");
    assert_eq!(deletes(&registry, "root", &digest).await, 202);
}

#[tokio::test]
async fn where_nobody_can_say_who_is_in_the_group_it_is_no_refusal() {
    let registry = registry().await;
    assert_eq!(puts(&registry, "cloudy", "v1", 1).await.status, 201, "nobody has to be asked");
    assert_eq!(puts(&registry, "cloudy", "v1", 2).await.refusal(), (503, "UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn of_many_who_push_the_same_new_tag_one_wins() {
    let registry = Arc::new(registry().await);
    let pushes = (0..8).map(|number| {
        let registry = registry.clone();
        tokio::spawn(async move { puts(&registry, "ann", "v7", number).await.status.as_u16() })
    });
    let mut statuses: Vec<u16> =
        join_all(pushes).await.into_iter().map(|status| status.unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}
