//! Refusals as clients and operators see them: docs/protocol.md §1, §3, §7, §9; R1 to R9, R11.

use std::time::Duration;

use crate::harness::{Harness, request};
use crate::wardens::{Away, Log, Mint, htpasswd, silly};
use axum::{body::Body, response::Response};
use http::{HeaderName, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use insta::assert_snapshot;
use portpass_protocol::RequestOutcome;
use portpass_registry::{Deletes, Guard};
use proptest::prelude::*;

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async fn guarded(guard: Guard) -> Harness {
    Harness::guarded(guard, Deletes::Enabled).await
}

async fn ask(registry: &Harness, method: &str, path: &str, authorization: &[&str]) -> Response {
    let mut request = request(method.parse().unwrap(), path, [], Body::empty());
    for value in authorization {
        request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
    }
    registry.answer(request).await
}

/// Status, what a client is to do, and the body.
async fn told(response: Response) -> String {
    let (head, body) = response.into_parts();
    let mut lines = vec![head.status.to_string()];
    for name in [header::WWW_AUTHENTICATE, header::ALLOW, header::RETRY_AFTER] {
        for value in head.headers.get_all(&name) {
            lines.push(format!("{name}: {}", value.to_str().unwrap()));
        }
    }
    let body = body.collect().await.unwrap().to_bytes();
    lines.push(String::from_utf8(body.to_vec()).unwrap());
    lines.join("\n").trim_end().to_owned()
}

fn refusal_of(response: &Response) -> (&'static str, String) {
    let handled = response.extensions().get::<RequestOutcome>().unwrap();
    let refusal = handled.refusal.clone().unwrap();
    (refusal.id, refusal.text)
}

/// R5
/// CH1, CH3, CH4, CH9, R1, R2: what is needed stands in the challenge and in the body.
#[tokio::test]
async fn a_challenge_says_what_the_request_needs() {
    let registry = guarded(Mint::new().guard()).await;
    let mount = format!("/v2/a/blobs/uploads/?mount={SHA256}&from=b/c");
    assert_snapshot!(told(ask(&registry, "GET", "/v2/", &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/_catalog", &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry",scope="registry:catalog:*"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"registry","Class":"","Name":"catalog","Action":"*"}]}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/a/b/manifests/v1", &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"a/b","Action":"pull"}]}]}
"#);
    assert_snapshot!(told(ask(&registry, "PUT", "/v2/a/b/manifests/v1", &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"a/b","Action":"pull"},{"Type":"repository","Class":"","Name":"a/b","Action":"push"}]}]}
"#);
    assert_snapshot!(told(ask(&registry, "DELETE", "/v2/a/b/manifests/v1", &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:delete"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"a/b","Action":"delete"}]}]}
"#);
    assert_snapshot!(told(ask(&registry, "POST", &mount, &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry",scope="repository:a:pull,push repository:b/c:pull"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"a","Action":"pull"},{"Type":"repository","Class":"","Name":"a","Action":"push"},{"Type":"repository","Class":"","Name":"b/c","Action":"pull"}]}]}
"#);
}

/// CH12: what is no name is in no challenge.
#[tokio::test]
async fn what_is_no_repository_name_is_never_echoed() {
    let registry = guarded(Mint::new().guard()).await;
    for from in ["A+b%22c", "b:pull+repository:c", "b%0d%0aX:y", "../b", "B"] {
        let path = format!("/v2/a/blobs/uploads/?mount={SHA256}&from={from}");
        let answer = ask(&registry, "POST", &path, &[]).await;
        let challenge = answer.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.ends_with(r#",scope="repository:a:pull,push""#), "{challenge}");
    }
}

/// CH10, R2, R13
#[tokio::test]
async fn a_head_is_challenged_like_a_get() {
    let registry = guarded(Mint::new().guard()).await;
    for path in ["/v2/", "/v2/a/manifests/v1", &format!("/v2/a/blobs/{SHA256}")] {
        let get = ask(&registry, "GET", path, &[]).await;
        let head = ask(&registry, "HEAD", path, &[]).await;
        for name in [header::WWW_AUTHENTICATE, header::CONTENT_TYPE] {
            assert_eq!(get.headers().get(&name), head.headers().get(&name), "{path}");
        }
        let length = head.headers()[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
        let body = get.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(length, body.len().to_string());
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

/// CH7, R3, VO13
/// CH6, CH8, VO1 to VO11, R6, AR14: the client is told which of three things is wrong; the log is
/// told which of all.
#[tokio::test]
async fn every_way_to_be_refused_has_its_error_and_its_reason() {
    let mint = Mint::new();
    let registry = guarded(mint.guard()).await;
    let valid = mint.token("repository:a:pull", 300);
    let other = mint.token("repository:b:pull", 300);
    let (signed, _) = valid.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{signature}");
    let unsigned = "eyJhbGciOiJub25lIn0.e30.";
    for (sent, error, id) in [
        (vec![], "", "credentials-missing"),
        (vec![String::new()], "", "credentials-missing"),
        (vec!["Basic YW5uOnNlY3JldA==".into()], "", "token-missing"),
        (vec!["Bearer".into()], "", "token-empty"),
        (vec!["Bearer ".into()], "", "token-empty"),
        (vec![valid.clone()], "", "authorization-scheme"),
        (vec![format!("Bearer {valid}"); 2], "", "authorization-repeated"),
        (vec!["Bearer opaque".into()], "invalid_token", "token-not-a-jwt"),
        (vec!["Bearer two.parts".into()], "invalid_token", "token-not-a-jwt"),
        (vec![format!("Bearer  {valid}")], "invalid_token", "token-not-base64url"),
        (vec![format!("Bearer {unsigned}")], "invalid_token", "token-algorithm-unknown"),
        (vec![format!("Bearer {forged}")], "invalid_token", "token-signature-wrong"),
        (
            vec![format!("Bearer {}", Mint::new().token("repository:a:pull", 300))],
            "invalid_token",
            "token-key-unknown",
        ),
        (
            vec![format!("Bearer {}", mint.token("repository:a:pull", -120))],
            "invalid_token",
            "token-expired",
        ),
        (
            vec![format!("Bearer {}", mint.token_for("other", "repository:a:pull"))],
            "invalid_token",
            "token-audience-mismatch",
        ),
        (
            vec![format!("Bearer {}", mint.token("repository:b:pull", 300))],
            "insufficient_scope",
            "insufficient-scope",
        ),
        (
            vec![format!("Bearer {}", mint.token("", 300))],
            "insufficient_scope",
            "insufficient-scope",
        ),
    ] {
        let values: Vec<&str> = sent.iter().map(String::as_str).collect();
        let answer = ask(&registry, "GET", "/v2/a/manifests/v1", &values).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{id}");
        let challenges: Vec<_> =
            answer.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(challenges.len(), 1, "R2");
        let challenge = challenges[0].to_str().unwrap();
        let expected = match error {
            "" => r#",scope="repository:a:pull""#.to_owned(),
            error => format!(r#",scope="repository:a:pull",error="{error}""#),
        };
        assert!(challenge.ends_with(&expected), "{id}: {challenge}");
        let (told, text) = refusal_of(&answer);
        assert_eq!(told, id, "{text}");
        assert!(!text.contains(&valid), "{text}");
    }
    let answer = ask(&registry, "GET", "/v2/a/manifests/v1", &[&format!("bearer {valid}")]).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        answer.extensions().get::<RequestOutcome>().unwrap().subject.as_deref(),
        Some("ann")
    );
}

/// AR12
/// CL12: `docker login` asks for nothing.
#[tokio::test]
async fn any_valid_token_is_good_for_the_base() {
    let mint = Mint::new();
    let registry = guarded(mint.guard()).await;
    let token = format!("Bearer {}", mint.token("", 300));
    let answer = ask(&registry, "GET", "/v2/", &[&token]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.extensions().get::<RequestOutcome>(), Some(&RequestOutcome::served("ann")));
    assert_snapshot!(told(ask(&registry, "GET", "/v2/_catalog", &[&token]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/token",service="registry",scope="registry:catalog:*",error="insufficient_scope"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"registry","Class":"","Name":"catalog","Action":"*"}]}]}
"#);
}

/// The story that began this project: the token service answered without a token, the client went
/// on without one, and the registry's log said that a token is required; while in truth there was
/// one, of the wrong form. Each of the three has a reason of its own here.
#[tokio::test]
async fn a_missing_token_is_told_from_an_empty_and_from_a_malformed_one() {
    let registry = guarded(Mint::new().guard()).await;
    let mut told = Vec::new();
    for sent in [vec![], vec!["Bearer "], vec!["Bearer opaque"], vec!["Bearer a.b"]] {
        let answer = ask(&registry, "GET", "/v2/library/alpine/manifests/v1", &sent).await;
        let (id, text) = refusal_of(&answer);
        told.push(format!("{id}: {text}"));
    }
    assert_snapshot!(told.join("\n"), @r#"
credentials-missing: no credentials were sent: the request has no Authorization header (clients begin so; the challenge tells them how to go on)
token-empty: the Authorization header says Bearer, but no token follows: the token service may have answered without `token` or `access_token`
token-not-a-jwt: token has 1 part, expected 3: it is not a JWT
token-not-a-jwt: token has 2 parts, expected 3: it is not a JWT
"#);
}

/// R7: a mount whose source was refused to the caller is an ordinary upload, and the log says why.
#[tokio::test]
async fn a_mount_from_what_was_refused_is_an_upload_that_the_log_explains() {
    let mint = Mint::new();
    let registry = guarded(mint.guard()).await;
    let token = format!("Bearer {}", mint.token("repository:a:pull,push repository:b:", 300));
    let mount = format!("/v2/a/blobs/uploads/?mount={SHA256}&from=b");
    let log = Log::start();
    let answer = ask(&registry, "POST", &mount, &[&token]).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert!(answer.headers().contains_key(header::LOCATION));
    assert_snapshot!(log.lines(), @r#" INFO portpass_registry::access: blob is not mounted: the caller may not pull from its source; an ordinary upload begins subject="ann" repository=a from=b digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"#);
}

/// CH13: the realm is where the client came from, and never what a header says.
#[tokio::test]
async fn the_realm_is_at_the_address_that_the_client_used() {
    let registry = guarded(Mint::new().guard_at_same_origin("/token")).await;
    let mut request = request(Method::GET, "/v2/", [], Body::empty());
    let headers = request.headers_mut();
    headers.insert(header::HOST, "evil.example".parse().unwrap());
    headers.insert("x-forwarded-proto", "ht\"tp".parse().unwrap());
    let answer = registry.answer(request).await;
    assert_eq!(
        answer.headers()[header::WWW_AUTHENTICATE],
        r#"Bearer realm="http://registry.example:5000/token",service="registry""#
    );
}

/// SI1, CH14
#[tokio::test]
async fn silly_believes_whoever_says_anything() {
    let registry = guarded(silly()).await;
    let mount = format!("/v2/a/blobs/uploads/?mount={SHA256}&from=b");
    assert_snapshot!(told(ask(&registry, "POST", &mount, &[]).await).await, @r#"
401 Unauthorized
www-authenticate: Bearer realm="https://auth.example/silly",service="silly-service",scope="repository:a:pull repository:a:push repository:b:pull"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"a","Action":"pull"},{"Type":"repository","Class":"","Name":"a","Action":"push"},{"Type":"repository","Class":"","Name":"b","Action":"pull"}]}]}
"#);
    for sent in ["Bearer x", "Basic x", "anything", "Basic YW5uOnNlY3JldA=="] {
        let answer = ask(&registry, "GET", "/v2/_catalog", &[sent]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{sent}");
        assert_eq!(
            answer.extensions().get::<RequestOutcome>(),
            Some(&RequestOutcome::served("silly"))
        );
    }
    assert_eq!(ask(&registry, "GET", "/v2/", &[""]).await.status(), StatusCode::UNAUTHORIZED);
}

/// HT1, HT2, CH14
#[tokio::test]
async fn htpasswd_asks_for_a_password_and_grants_everything() {
    let (guard, _file) = htpasswd("ann", "secret");
    let registry = guarded(guard).await;
    let missing = told(ask(&registry, "GET", "/v2/a/manifests/v1", &[]).await).await;
    assert_snapshot!(missing, @r#"
401 Unauthorized
www-authenticate: Basic realm="the registry"
{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"a","Action":"pull"}]}]}
"#);
    for (sent, id) in [
        ("Bearer a.b.c", "password-missing"),
        ("Basic !", "basic-malformed"),
        ("Basic Ym9iOnNlY3JldA==", "wrong-password"), // bob:secret
        ("Basic YW5uOndyb25n", "wrong-password"),     // ann:wrong
        ("Basic YW5uOg==", "wrong-password"),         // ann:
    ] {
        let answer = ask(&registry, "GET", "/v2/a/manifests/v1", &[sent]).await;
        let (told_id, text) = refusal_of(&answer);
        assert_eq!(told_id, id);
        assert!(!text.contains("secret") && !text.contains("wrong\""), "{text}");
        assert_eq!(told(answer).await, missing, "HT2: {sent}");
    }
    for path in ["/v2/", "/v2/_catalog"] {
        let answer = ask(&registry, "GET", path, &["basic YW5uOnNlY3JldA=="]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(
            answer.extensions().get::<RequestOutcome>(),
            Some(&RequestOutcome::served("ann"))
        );
    }
}

/// AR13
/// Unavailable is not a no.
#[tokio::test]
async fn a_source_that_does_not_answer_is_neither_a_no_nor_a_pass() {
    let registry = guarded(Away::guard(Duration::from_millis(2500))).await;
    for sent in [vec![], vec!["Bearer a.b.c"]] {
        let answer = ask(&registry, "GET", "/v2/a/manifests/v1", &sent).await;
        assert_eq!(refusal_of(&answer), ("unavailable", "the directory does not answer".into()));
        let told = told(answer).await;
        insta::allow_duplicates! {
            assert_snapshot!(told, @r#"
503 Service Unavailable
retry-after: 3
{"errors":[{"code":"UNAVAILABLE","message":"service unavailable"}]}
"#);
        }
    }
}

/// So is a database that does not answer; the client learns no more than that.
#[tokio::test]
async fn a_database_that_does_not_answer_is_503() {
    let registry = guarded(Guard::Open).await;
    registry.db.close().await;
    for (method, path) in [
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/a/tags/list"),
        ("GET", "/v2/a/manifests/v1"),
        ("HEAD", "/v2/a/manifests/v1"),
        ("DELETE", "/v2/a/manifests/v1"),
        ("GET", &format!("/v2/a/referrers/{SHA256}")),
        ("GET", &format!("/v2/a/blobs/{SHA256}")),
        ("POST", "/v2/a/blobs/uploads/"),
    ] {
        let answer = ask(&registry, method, path, &[]).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{method} {path}");
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(refusal_of(&answer).0, "database-unavailable");
    }
    assert_snapshot!(told(ask(&registry, "GET", "/v2/_catalog", &[]).await).await, @r#"
503 Service Unavailable
retry-after: 5
{"errors":[{"code":"UNAVAILABLE","message":"service unavailable"}]}
"#);
}

/// OC27
/// AR8, OC6, OC19, `OC27b`, OC28, OC29, R11: what is no request at all is answered before anybody is
/// asked who they are, and tells nothing of what is stored.
#[tokio::test]
async fn what_is_no_request_is_refused_alike_with_and_without_credentials() {
    let mint = Mint::new();
    let registry = guarded(mint.guard()).await;
    let token = format!("Bearer {}", mint.token("repository:a:pull,push", 300));
    let tags = (0..65).map(|n| format!("tag=v{n}")).collect::<Vec<_>>().join("&");
    for (method, path, status, code) in [
        ("GET", "/v2/nope".to_owned(), 404, "UNSUPPORTED"),
        ("GET", "/v2/A/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/localhost:5000/a/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", format!("/v2/{}/tags/list", "a".repeat(256)), 400, "NAME_INVALID"),
        ("GET", "/v2/a%ff/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/a/manifests/sha256:abc".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/a/manifests/.INVALID_MANIFEST_NAME".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("PUT", "/v2/a/manifests/sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        ("PUT", format!("/v2/a/manifests/{}", "x".repeat(129)), 400, "TAG_INVALID"),
        ("GET", "/v2/a/tags/list?n=x".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("PUT", "/v2/a/blobs/uploads/x".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", format!("/v2/a/blobs/uploads/{}", "x".repeat(3000)), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PUT", format!("/v2/a/manifests/{SHA256}?{tags}"), 414, "TAG_INVALID"),
        ("POST", "/v2/".to_owned(), 405, "UNSUPPORTED"),
        ("DELETE", "/v2/a/tags/list".to_owned(), 405, "UNSUPPORTED"),
    ] {
        for sent in [vec![], vec![token.as_str()], vec!["Bearer opaque"]] {
            let answer = ask(&registry, method, &path, &sent).await;
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
            assert_eq!(answer.headers().contains_key(header::ALLOW), status == 405);
            let body = told(answer).await;
            assert!(body.contains(&format!(r#""code":"{code}""#)), "{body}");
            assert_eq!(body.matches("errors").count(), 1, "OC28: {body}");
        }
    }
    assert_snapshot!(told(ask(&registry, "GET", "/v2/nope", &[]).await).await, @r#"
404 Not Found
{"errors":[{"code":"UNSUPPORTED","message":"no endpoint of this registry has this path"}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/A/tags/list", &[]).await).await, @r#"
400 Bad Request
{"errors":[{"code":"NAME_INVALID","message":"repository name component \"A\" must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes"}]}
"#);
    assert_snapshot!(told(ask(&registry, "PATCH", "/v2/a/manifests/v1", &[]).await).await, @r#"
405 Method Not Allowed
allow: GET, HEAD, PUT, DELETE
{"errors":[{"code":"UNSUPPORTED","message":"the path supports GET, HEAD, PUT, DELETE, not PATCH"}]}
"#);
    assert_snapshot!(told(ask(&registry, "OPTIONS", "/v2/a/manifests/v1", &[]).await).await, @r#"
200 OK
allow: GET, HEAD, PUT, DELETE
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/a/manifests/sha256:abc", &[]).await).await, @r#"
404 Not Found
{"errors":[{"code":"MANIFEST_UNKNOWN","message":"\"sha256:abc\" is not a digest; a digest is `sha256:` and 64 lower-case hex digits, or `sha512:` and 128"}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/_catalog?n=99999", &[]).await).await, @r#"
400 Bad Request
{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"`n` must be at most 10000"}]}
"#);
}

/// OC27
/// OC26: what an authorized client is told.
#[tokio::test]
async fn error_bodies_have_code_message_and_detail() {
    let registry = guarded(Guard::Open).await;
    let manifest = format!("/v2/a/manifests/{SHA256}");
    assert_snapshot!(told(ask(&registry, "GET", &manifest, &[]).await).await, @r#"
404 Not Found
{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 is not in repository a","detail":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/a/manifests/v1", &[]).await).await, @r#"
404 Not Found
{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest v1 is not in repository a","detail":"v1"}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", "/v2/a/tags/list", &[]).await).await, @r#"
404 Not Found
{"errors":[{"code":"NAME_UNKNOWN","message":"there is no repository a","detail":{"name":"a"}}]}
"#);
    assert_snapshot!(told(ask(&registry, "GET", &format!("/v2/a/blobs/{SHA256}"), &[]).await).await, @r#"
404 Not Found
{"errors":[{"code":"BLOB_UNKNOWN","message":"blob sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 is not in repository a","detail":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]}
"#);
    assert_snapshot!(told(ask(&registry, "PUT", "/v2/a/manifests/v1", &[]).await).await, @r#"
400 Bad Request
{"errors":[{"code":"MANIFEST_INVALID","message":"a manifest needs a `Content-Type`"}]}
"#);
}

/// A listener that forgets to say how the client came is a fault of ours, not a way in.
#[tokio::test]
async fn without_an_origin_nothing_is_served() {
    let registry = guarded(Guard::Open).await;
    let request = request(Method::GET, "/v2/", [], Body::empty());
    let answer = registry.registry.handle(request).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(refusal_of(&answer).0, "fault");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// OC6, `OC27b`, OC28, CH10: no path, query, method or credentials panic or are our fault.
    #[test]
    fn nothing_that_a_client_sends_is_our_fault(
        asked in proptest::collection::vec(
            (
                "(GET|HEAD|PUT|POST|PATCH|DELETE|OPTIONS|TRACE)",
                "/v2/[a-zA-Z0-9%/._:;@-]{0,60}(/(tags/list|manifests/[a-z0-9:%]{0,12}|blobs/uploads/?[a-f0-9-]{0,36}|referrers/x|blobs/sha256:[a-f0-9]{0,64}))?",
                "(\\?[a-zA-Z=&%0-9;+:-]{0,60})?",
                "[ -~]{0,60}",
            ),
            1..20,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for guard in [Guard::Open, Mint::new().guard(), silly()] {
                let registry = guarded(guard).await;
                for (method, path, query, authorization) in &asked {
                    let target = format!("{path}{query}");
                    if target.parse::<http::Uri>().is_err() {
                        continue;
                    }
                    let answer = ask(&registry, method, &target, &[authorization]).await;
                    let status = answer.status();
                    prop_assert!(!status.is_server_error(), "{status} for {method} {target}");
                    let version = HeaderName::from_static("docker-distribution-api-version");
                    prop_assert_eq!(&answer.headers()[version], "registry/2.0");
                    prop_assert_eq!(&answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
                    if status.is_client_error() {
                        prop_assert_eq!(&answer.headers()[header::CONTENT_TYPE], "application/json");
                        prop_assert!(answer.extensions().get::<RequestOutcome>().unwrap().refusal.is_some());
                    }
                }
            }
            Ok(())
        })?;
    }
}
