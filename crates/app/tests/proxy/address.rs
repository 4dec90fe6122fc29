//! How clients called: the scheme and the host, which the proxy alone has seen.

use portpass_testkit::{Client as _, Layout, RegistryAddress};

use super::{World, documented, swap, with_http, without};

#[tokio::test]
async fn a_client_that_checks_certificates_logs_in_pushes_and_pulls_as_documented() {
    let mut world = World::documented();
    assert_eq!(world.realm().await, world.url("/token"));
    world.login("wrong").expect_failure();
    world.login_as_admin().expect_success();

    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(&scratch.path().join("in"), &["amd64", "arm64"]);
    world.push(&layout.reference(), "admin/app:v1").expect_success();
    let image = world.place().image("admin/app:v1");
    let pulled = world.skopeo.pull(&image);
    pulled.ran.expect_success();
    assert_eq!(pulled.digest, Layout::digest_of_tag(&scratch.path().join("in")).to_string());

    let unaware = RegistryAddress::tls(world.host(), scratch.path()).image("admin/app:v1");
    let refused = world.skopeo.pull(&unaware).ran;
    assert!(refused.expect_failure().stderr.contains("certificate"), "{refused}");
    world.login_with_ours().expect_success();
    assert_eq!(world.lines_with("X-Forwarded"), 0, "nothing is wrong with it");
}

#[tokio::test]
async fn what_the_documented_proxy_forwards_is_its_own_word_and_not_the_clients() {
    let world = World::documented();
    let request = world.client().get(world.url("/v2/"));
    let answer = request
        .header("X-Forwarded-Host", "elsewhere.example")
        .header("X-Forwarded-Proto", "http")
        .header("X-Request-Id", "forged")
        .send()
        .await
        .unwrap();
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(&world.url("/token")), "{challenge}");
    let id = answer.headers()["x-request-id"].to_str().unwrap();
    assert_eq!(id.len(), 32, "nginx made it: {id}");
    world.portpass.wait_for_log(&["access", id]);
}

#[tokio::test]
async fn an_upload_goes_on_at_a_path_of_whatever_host_the_client_called() {
    let world = World::documented();
    let token = world.token(&["repository:admin/app:pull,push"]).await;
    let request = world.client().post(world.url("/v2/admin/app/blobs/uploads/"));
    let answer = request.bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    // R10
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.starts_with("/v2/admin/app/blobs/uploads/"), "{location}");
    let request = world.client().patch(world.url(location)).body("layer");
    assert_eq!(request.bearer_auth(&token).send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn a_proxy_that_is_not_listed_is_named_once_with_the_setting_that_cures_it() {
    let listed = documented("yaml");
    let mut world = World::new(&without(&listed, "trusted_proxies"), &documented("nginx"));
    for _ in 0..3 {
        assert_eq!(world.realm().await, format!("http://{}/token", world.host()));
    }
    let refused = world.login_as_admin();
    assert!(refused.expect_failure().stderr.contains("400 (Bad Request)"), "{refused}");
    let refused = world.login_with_ours();
    assert!(refused.expect_failure().stderr.contains("but its realm"), "{refused}");
    world.portpass.wait_for_log(&["WARN", "127.0.0.1", "not in http.trusted_proxies"]);
    assert_eq!(world.lines_with("http.trusted_proxies"), 1);

    world.restart_with(&listed);
    assert_eq!(world.realm().await, world.url("/token"));
    world.login_as_admin().expect_success();
    assert_eq!(world.lines_with("http.trusted_proxies"), 0);
}

#[tokio::test]
async fn a_proxy_without_the_scheme_is_told_what_to_send_and_http_host_cures_it() {
    let server = without(&documented("nginx"), "X-Forwarded-Proto");
    let mut world = World::new(&documented("yaml"), &server);
    for _ in 0..3 {
        assert_eq!(world.realm().await, format!("http://{}/token", world.host()));
    }
    let refused = world.login_as_admin();
    assert!(refused.expect_failure().stderr.contains("400 (Bad Request)"), "{refused}");
    world.portpass.wait_for_log(&["WARN", "sends no X-Forwarded-Proto", "or set http.host"]);
    assert_eq!(world.lines_with("sends no X-Forwarded-Proto"), 1);

    let host = format!("host: {}", world.url(""));
    world.restart_with(&with_http(&documented("yaml"), &host));
    assert_eq!(world.realm().await, world.url("/token"));
    world.login_as_admin().expect_success();
    assert_eq!(world.lines_with("X-Forwarded"), 0);
}

#[tokio::test]
async fn a_proxy_that_keeps_the_host_to_itself_is_told_so_and_http_host_cures_it() {
    let server = without(&documented("nginx"), "$http_host");
    let mut world = World::new(&documented("yaml"), &server);
    let own = world.portpass.address();
    for _ in 0..3 {
        assert_eq!(world.realm().await, format!("https://{own}/token"));
    }
    let refused = world.login_as_admin();
    assert!(
        refused.expect_failure().stderr.contains("server gave HTTP response to HTTPS client"),
        "{refused}"
    );
    world.portpass.wait_for_log(&["WARN", "does not say which host", "Host $http_host"]);
    assert_eq!(world.lines_with("does not say which host"), 1);

    let host = format!("host: {}", world.url(""));
    world.restart_with(&with_http(&documented("yaml"), &host));
    assert_eq!(world.realm().await, world.url("/token"));
    world.login_as_admin().expect_success();
}

/// One of the two is enough, and the second counts for more.
#[tokio::test]
async fn the_host_may_come_under_either_name() {
    for dropped in ["proxy_set_header Host", "X-Forwarded-Host"] {
        let world = World::new(&documented("yaml"), &without(&documented("nginx"), dropped));
        assert_eq!(world.realm().await, world.url("/token"), "without {dropped}");
        assert_eq!(world.lines_with("does not say which host"), 0, "without {dropped}");
    }
}

/// `$host`, which many configurations have, is right on the scheme's own port alone.
#[tokio::test]
async fn a_proxy_that_loses_the_port_sends_clients_to_another_one() {
    let server = swap(&documented("nginx"), "$http_host", "$host");
    let world = World::new(&documented("yaml"), &server);
    assert_eq!(world.realm().await, "https://127.0.0.1/token");
}

/// nginx as it is without a line of advice: there is nothing to know it by, so the address has to be given.
#[tokio::test]
async fn a_bare_proxy_needs_http_host() {
    let server = without(&documented("nginx"), "proxy_set_header");
    let mut world = World::new(&documented("yaml"), &server);
    let own = world.portpass.address();
    assert_eq!(world.realm().await, format!("http://{own}/token"));
    assert_eq!(world.lines_with("WARN"), 0, "it looks like any client");

    let host = format!("host: {}", world.url(""));
    world.restart_with(&with_http(&documented("yaml"), &host));
    assert_eq!(world.realm().await, world.url("/token"));
    world.login_as_admin().expect_success();
}

/// What is left to say of a proxy that is not listed: its clients are one to the login limits.
#[tokio::test]
async fn http_host_wins_over_what_a_proxy_says_and_leaves_the_limits_to_warn_of() {
    let configuration = without(&documented("yaml"), "trusted_proxies");
    let configuration = with_http(&configuration, "host: https://registry.example:8443");
    let world = World::new(&configuration, &documented("nginx"));
    assert_eq!(world.realm().await, "https://registry.example:8443/token");
    let line = world.portpass.wait_for_log(&["http.trusted_proxies"]);
    assert!(line.contains("share one login limit") && !line.contains("challenges"), "{line}");
}
