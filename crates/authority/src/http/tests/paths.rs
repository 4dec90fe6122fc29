//! The key set, and where anything is answered at all.

use super::*;

#[tokio::test]
async fn the_key_set_is_cached_and_revalidated() {
    let fixture = Fixture::new().await;
    let ask = |method: &str, tag: Option<String>| {
        let mut request =
            Request::builder().method(method).uri(JWKS_PATH).body(Body::empty()).unwrap();
        if let Some(tag) = tag {
            request.headers_mut().insert(header::IF_NONE_MATCH, tag.parse().unwrap());
        }
        send(&fixture, request)
    };
    let first = ask("GET", None).await;
    assert_eq!(first.header("cache-control"), "public, max-age=300");
    assert_eq!(first.header("content-type"), "application/jwk-set+json");
    let key = &first.json()["keys"][0];
    assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));
    assert!(key.get("d").is_none(), "the private half stays here");
    let tag = first.header("etag").to_owned();
    for list in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
        let again = ask("GET", Some(list)).await;
        assert_eq!((again.status, again.header("etag")), (304, &*tag));
    }
    assert_eq!(ask("GET", Some("\"x\"".into())).await.status, 200);
    let head = ask("HEAD", None).await;
    assert_eq!((head.status, head.header("etag")), (200, &*tag));
    let posted = ask("POST", None).await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
}

/// TG9
/// The Fetch standard: a browser takes no answer but a 2xx for leave to send the request itself. Without credentials,
/// which it never sends along.
#[tokio::test]
async fn what_browsers_ask_beforehand_is_answered_everywhere() {
    let fixture = Fixture::new().await;
    for (path, allowed) in [
        ("/token", "GET, POST"),
        (REVOKE_PATH, "POST"),
        (JWKS_PATH, "GET, HEAD"),
        (INTROSPECT_PATH, "POST"),
    ] {
        let request = Request::builder().method("OPTIONS").uri(path);
        let request = request.header("origin", "https://ui.example");
        let request = request.header("access-control-request-method", "GET");
        let answer = send(&fixture, request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.header("allow")), (204, allowed), "{path}");
        assert!(answer.body.is_empty());
    }
}

#[tokio::test]
async fn nothing_else_is_answered_here() {
    let fixture = Fixture::new().await;
    for path in ["/", "/v2/", "/token/", "/tokens", "/.well-known/openid-configuration"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(send(&fixture, request).await.status, 404, "{path}");
    }
    let path: TokenPath = "/registry/v1/token".parse().unwrap();
    let moved = router(Arc::clone(&fixture.service), &path, None);
    let request = Request::builder().uri("/registry/v1/token").body(Body::empty()).unwrap();
    assert_eq!(answer(moved, request).await.status, 200);
}

#[test]
fn a_token_path_is_plain_and_free() {
    for text in ["/token", "/registry/v1/token", "/auth", "/t/"] {
        assert_eq!(text.parse::<TokenPath>().unwrap().as_str(), text);
    }
    for text in [
        "",
        "token",
        "/",
        "/v2",
        "/v2/token",
        "/a//b",
        "/{x}",
        "/*x",
        "/a b",
        "/a?b",
        JWKS_PATH,
        REVOKE_PATH,
        INTROSPECT_PATH,
        METADATA_PATH,
        "/.well-known/oauth-authorization-server/a",
    ] {
        assert!(text.parse::<TokenPath>().is_err(), "{text}");
    }
}
