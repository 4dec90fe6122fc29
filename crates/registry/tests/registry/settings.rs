//! What operators choose of the API.

use http::{Method, StatusCode, header::CONTENT_TYPE};
use portpass_protocol::Digest;
use portpass_registry::{ApiSettings, UploadUrls};
use portpass_state::AbsentChildren;

use crate::harness::{Harness, request};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn index_of(child: &str) -> String {
    let digest = Digest::sha256(child.as_bytes());
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":7}}]}}"#
    )
}

async fn put_index(registry: &Harness) -> StatusCode {
    let index = index_of("not here");
    let headers = [(CONTENT_TYPE, INDEX)];
    registry.send(request(Method::PUT, "/v2/a/b/manifests/v1", headers, index)).await.status
}

#[tokio::test]
async fn an_index_may_name_what_is_not_there_where_that_was_chosen() {
    assert_eq!(put_index(&Harness::in_memory().await).await, StatusCode::BAD_REQUEST);
    let settings =
        ApiSettings { absent_children: AbsentChildren::Allowed, ..ApiSettings::default() };
    let registry = Harness::with_settings(settings).await;
    assert_eq!(put_index(&registry).await, StatusCode::CREATED);
    assert_eq!(registry.get("/v2/a/b/manifests/v1").await.body, index_of("not here"));
}

#[tokio::test]
async fn a_page_of_the_catalog_is_as_long_as_was_chosen() {
    let catalog_limit = 2.try_into().unwrap();
    let settings = ApiSettings {
        catalog_limit,
        absent_children: AbsentChildren::Allowed,
        ..ApiSettings::default()
    };
    let registry = Harness::with_settings(settings).await;
    for name in ["a", "b", "c"] {
        let index = index_of("x");
        let path = format!("/v2/{name}/manifests/v1");
        let put = request(Method::PUT, &path, [(CONTENT_TYPE, INDEX)], index);
        assert_eq!(registry.send(put).await.status, StatusCode::CREATED);
    }
    let page = registry.get("/v2/_catalog").await;
    assert_eq!(page.body, "{\"repositories\":[\"a\",\"b\"]}\n");
    assert_eq!(page.headers["link"], r#"</v2/_catalog?last=b&n=2>; rel="next""#);
    let refused = registry.get("/v2/_catalog?n=3").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let said = String::from_utf8_lossy(&refused.body);
    assert!(said.contains("`n` must be at most 2"), "{said}");
}

#[tokio::test]
async fn the_url_of_an_upload_has_a_query_where_that_was_chosen() {
    let settings = ApiSettings { upload_urls: UploadUrls::WithQuery, ..ApiSettings::default() };
    let registry = Harness::with_settings(settings).await;
    let begun = registry.send(request(Method::POST, "/v2/a/b/blobs/uploads/", [], "")).await;
    let url = begun.headers["location"].to_str().unwrap().to_owned();
    assert!(url.contains("?_state="), "{url}");
    let part = registry.send(request(Method::PATCH, &url, [], "some ")).await;
    assert_eq!(part.status, StatusCode::ACCEPTED);
    // As scripts do it.
    let url = format!(
        "{}&digest={}",
        part.headers["location"].to_str().unwrap(),
        Digest::sha256(b"some bytes")
    );
    let put = registry.send(request(Method::PUT, &url, [], "bytes")).await;
    assert_eq!(put.status, StatusCode::CREATED);
    assert!(!put.headers["location"].to_str().unwrap().contains('?'));
}
