//! What whoever keeps a record is told: what was changed, once, and nothing that was not.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, header};
use portpass_protocol::{ClientAddress, Digest, RepositoryChange, RequestId};
use portpass_registry::{Deletes, Guard, event::Event};
use serde_json::{Value, json};

use crate::harness::{AsTheTokenSays, Harness, request};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const ALL: &str = "repository:team/app:pull,push,delete repository:team/base:pull,push";

/// A caller who may do everything there, behind a listener.
async fn asks(registry: &Harness, method: Method, path: &str, body: impl Into<Body>) -> u16 {
    let headers = [(header::AUTHORIZATION, &*format!("Bearer {ALL}")), (header::CONTENT_TYPE, OCI)];
    let mut request = request(method, path, headers, body);
    request.extensions_mut().insert(ClientAddress([192, 0, 2, 7].into()));
    request.extensions_mut().insert(RequestId("request-1".to_owned()));
    registry.send(request).await.status.as_u16()
}

async fn pushed(registry: &Harness, repository: &str, content: &[u8]) -> Digest {
    let digest = Digest::sha256(content);
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    assert_eq!(asks(registry, Method::POST, &path, content.to_vec()).await, 201);
    digest
}

fn manifest(config: &Digest) -> Vec<u8> {
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2
    });
    let manifest =
        json!({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [config]});
    manifest.to_string().into_bytes()
}

fn signature_of(config: &Digest, subject: &Digest) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(&manifest(config)).unwrap();
    manifest["subject"] = json!({ "mediaType": OCI, "digest": subject, "size": 2 });
    manifest.to_string().into_bytes()
}

/// The one thing that was told, by and from whom it must be.
fn change(seen: Vec<Event>, registry: &Harness) -> RepositoryChange {
    let [event] = <[Event; 1]>::try_from(seen).unwrap();
    assert_eq!(event.at, registry.now());
    assert_eq!(event.address, Some(ClientAddress([192, 0, 2, 7].into())));
    assert_eq!(event.request, Some(RequestId("request-1".to_owned())));
    assert_eq!((event.subject.as_str(), event.repository.as_str()), ("tester", "team/app"));
    event.change
}

/// AR12
#[tokio::test]
async fn pushes_mounts_and_deletes_are_told_with_whose_they_are() {
    let guard = Guard::Controller(Arc::new(AsTheTokenSays));
    let registry = Harness::guarded(guard, Deletes::Enabled).await;
    let base = pushed(&registry, "team/base", b"{}").await;
    assert_eq!(registry.seen.take(), [], "a blob alone is nothing that anybody can pull by a name");

    let mount = format!("/v2/team/app/blobs/uploads/?mount={base}&from=team/base");
    assert_eq!(asks(&registry, Method::POST, &mount, "").await, 201);
    let from = "team/base".parse().unwrap();
    assert_eq!(
        change(registry.seen.take(), &registry),
        RepositoryChange::BlobMounted { digest: base, from }
    );
    assert_eq!(asks(&registry, Method::POST, &mount, "").await, 201);
    assert_eq!(registry.seen.take(), [], "it was there already");

    let image = manifest(&base);
    let (digest, tag) = (Digest::sha256(&image), "v1".parse::<portpass_protocol::Tag>().unwrap());
    let path = |reference: &str| format!("/v2/team/app/manifests/{reference}");
    assert_eq!(asks(&registry, Method::PUT, &path("v1"), image.clone()).await, 201);
    let told = change(registry.seen.take(), &registry);
    let pushed = |tags| RepositoryChange::ManifestPushed { digest, tags, subject: None };
    assert_eq!(told, pushed(vec![tag.clone()]));
    assert_eq!(asks(&registry, Method::PUT, &path(&digest.to_string()), image.clone()).await, 201);
    let told = change(registry.seen.take(), &registry);
    assert_eq!(told, pushed(vec![]));
    let signature = signature_of(&base, &digest);
    let signed = Digest::sha256(&signature);
    let path_of_signature = path(&signed.to_string());
    assert_eq!(asks(&registry, Method::PUT, &path_of_signature, signature).await, 201);
    let told = change(registry.seen.take(), &registry);
    let subject = Some(digest);
    assert_eq!(told, RepositoryChange::ManifestPushed { digest: signed, tags: vec![], subject });

    assert_eq!(asks(&registry, Method::DELETE, &path("v1"), "").await, 202);
    assert_eq!(
        change(registry.seen.take(), &registry),
        RepositoryChange::TagDeleted { tag: tag.clone() }
    );
    assert_eq!(asks(&registry, Method::PUT, &path("v1"), image).await, 201);
    registry.seen.take();
    assert_eq!(asks(&registry, Method::DELETE, &path(&digest.to_string()), "").await, 202);
    let told = change(registry.seen.take(), &registry);
    assert_eq!(told, RepositoryChange::ManifestDeleted { digest, tags: vec![tag] });

    let blob = format!("/v2/team/app/blobs/{base}");
    assert_eq!(asks(&registry, Method::DELETE, &blob, "").await, 202);
    assert_eq!(
        change(registry.seen.take(), &registry),
        RepositoryChange::BlobDeleted { digest: base }
    );
}

#[tokio::test]
async fn what_is_refused_or_only_read_is_not_told() {
    let guard = Guard::Controller(Arc::new(AsTheTokenSays));
    let registry = Harness::guarded(guard, Deletes::Enabled).await;
    let missing = Digest::sha256(b"nowhere");
    for (method, path, status) in [
        (Method::PUT, "/v2/team/app/manifests/v1".to_owned(), 400),
        (Method::DELETE, "/v2/team/app/manifests/v1".to_owned(), 404),
        (Method::DELETE, format!("/v2/team/app/blobs/{missing}"), 404),
        (Method::POST, format!("/v2/team/app/blobs/uploads/?mount={missing}&from=team/base"), 202),
        (Method::PUT, "/v2/other/app/manifests/v1".to_owned(), 401),
        (Method::GET, "/v2/team/app/manifests/v1".to_owned(), 404),
    ] {
        let answer = asks(&registry, method.clone(), &path, manifest(&missing)).await;
        assert_eq!(answer, status, "{method} {path}");
    }
    assert_eq!(registry.seen.take(), []);
}
