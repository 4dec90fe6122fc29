//! Rules that do not keep the path: clients ask at `/v2/` and at the realm, and nowhere else.

use portpass_testkit::Layout;

use super::{World, documented, swap};

/// `proxy_pass` with a slash behind the port replaces the location's own path. What answers then at
/// `/v2/` is our `/`, which asks nobody who they are.
#[test]
fn a_rule_that_cuts_the_path_lets_any_login_through_and_no_push() {
    let server = swap(&documented("nginx"), "location / {", "location /v2/ {");
    let server = swap(&server, "127.0.0.1:5000;", "127.0.0.1:5000/;");
    let mut world = World::new(&documented("yaml"), &server);
    world.login("any password at all").expect_success();

    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
    let refused = world.push(&layout.reference(), "admin/app:v1");
    assert!(
        refused.expect_failure().stderr.contains("no endpoint of this registry has this path"),
        "{refused}"
    );
    world.portpass.wait_for_log(&[
        "path-unknown",
        "path=\"/admin/app/blobs/",
        "a proxy in front cuts `/v2` off",
        "proxy_pass without a path",
    ]);
}

#[tokio::test]
async fn a_rule_that_puts_a_path_before_ours_is_named_with_it() {
    let server = swap(&documented("nginx"), "127.0.0.1:5000;", "127.0.0.1:5000/registry/;");
    let world = World::new(&documented("yaml"), &server);
    let answer = world.client().get(world.url("/v2/")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    world.portpass.wait_for_log(&[
        "path-unknown",
        "path=\"/registry/v2/\"",
        "a proxy in front puts `/registry` before `/v2/`",
    ]);
}

/// The challenge is right and leads to a page of the proxy's own.
#[tokio::test]
async fn a_proxy_for_the_registry_alone_leaves_a_log_that_ends_with_the_challenge() {
    let server = swap(&documented("nginx"), "location / {", "location /v2/ {");
    let mut world = World::new(&documented("yaml"), &server);
    assert_eq!(world.realm().await, world.url("/token"));
    let refused = world.login_as_admin();
    assert!(refused.expect_failure().stderr.contains("404 (Not Found)"), "{refused}");
    world.portpass.wait_for_log(&["credentials-missing", "skopeo"]);
    assert_eq!(world.lines_with("path=\"/token\""), 0);
}
