//! How large a token may be on its way through a proxy.

use super::{World, documented, swap};

/// T12: nginx takes a header line of 8 KB, others less.
#[tokio::test]
async fn tokens_are_half_as_large_as_a_proxy_takes() {
    let world = World::documented();
    for scopes in [
        &[][..],
        &["repository:admin/app:pull,push"],
        &["repository:admin/app:pull,push", "repository:admin/base:pull"],
        &["repository:public/1:pull", "repository:public/2:pull", "repository:public/3:pull"],
    ] {
        let token = world.token(scopes).await;
        assert!(token.len() < 4096, "{} bytes for {scopes:?}", token.len());
        let request = world.client().get(world.url("/v2/"));
        assert_eq!(request.bearer_auth(&token).send().await.unwrap().status(), 200, "{scopes:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_too_large_for_the_proxy_never_reaches_us() {
    let world = World::documented();
    let before = world.lines_with("path=\"/v2/\"");
    let request = world.client().get(world.url("/v2/")).bearer_auth("x".repeat(9000));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let page = answer.text().await.unwrap();
    assert!(page.contains("Request Header Or Cookie Too Large"), "{page}");
    assert_eq!(world.lines_with("path=\"/v2/\""), before);

    let wider = "client_max_body_size 0; large_client_header_buffers 4 32k";
    let server = swap(&documented("nginx"), "client_max_body_size 0", wider);
    let world = World::new(&documented("yaml"), &server);
    let request = world.client().get(world.url("/v2/")).bearer_auth("x".repeat(9000));
    assert_eq!(request.send().await.unwrap().status(), 401);
    world.portpass.wait_for_log(&["token-not-a-jwt"]);
}
