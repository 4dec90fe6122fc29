//! Rows of the catalogue that a pull or a push meets after a login that works, before real registries.

use std::net::SocketAddr;

use portpass_testkit::{
    Action, Client as _, InterceptingProxy, Layout, Portpass, RegistryAddress, Skopeo,
    intercepting_proxy::{ProxyBuilder, Request, Response},
};

use crate::{
    asked::{Diagnosis, diagnose},
    stage::{ACCOUNT, PASSWORD, add_account, distribution, serve, token_service},
};

/// Distribution, with an image in it, behind a front that is changed by the test.
fn before_distribution(
    plan: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
    flags: &[&str],
) -> Diagnosis {
    let tokens = token_service("libtrust");
    let registry = distribution(&tokens, &tokens.folder().join("data/root.crt"));
    diagnosed(registry.address(), plan, flags)
}

fn diagnosed(
    registry: SocketAddr,
    plan: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
    flags: &[&str],
) -> Diagnosis {
    push(&RegistryAddress::plain(registry));
    let front = plan(InterceptingProxy::before(registry)).start();
    diagnose(&format!("{}/ann/app:v1", front.address()), flags)
}

fn push(place: &RegistryAddress) {
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::multi_arch(scratch.path(), &["amd64"]);
    let mut skopeo = Skopeo::default();
    skopeo.login(place, ACCOUNT, PASSWORD).unwrap().expect_success();
    skopeo.push(&layout, &place.image("ann/app:v1")).expect_success();
}

fn page(status: u16) -> Response {
    Response::new(status, "<html><h1>proxy</h1></html>").with("Content-Type", "text/html")
}

fn begins_upload(request: &Request) -> bool {
    request.method == "POST" && request.path().ends_with("/blobs/uploads/")
}

#[test]
fn a_front_that_changes_nothing_changes_nothing() {
    before_distribution(|plan| plan, &["--write"]).nothing_fails();
}

/// F121
#[test]
fn a_proxy_that_forgets_the_port_sends_uploads_elsewhere() {
    let elsewhere = |_: &Request, response: &mut Response| {
        response.change("location", |value| {
            let path = value.split("/v2/").nth(1).unwrap_or_default();
            format!("http://127.0.0.1/v2/{path}")
        });
    };
    let diagnosis = before_distribution(|plan| plan.response(elsewhere), &["--write"]);
    diagnosis.is_caused_by("OPS-03", "F121");
}

/// F122
#[test]
fn a_proxy_that_takes_a_megabyte_breaks_pushes() {
    let limit = |request: &mut Request| {
        if request.body.len() > 1024 * 1024 { Action::Respond(page(413)) } else { Action::Forward }
    };
    let diagnosis = before_distribution(|plan| plan.request(limit), &["--write"]);
    diagnosis.is_caused_by("OPS-07", "F122");
}

/// F106
#[test]
fn a_mount_that_is_forbidden_breaks_pushes() {
    let forbid = |request: &Request, response: &mut Response| {
        if begins_upload(request) && response.status == 401 && request.target.contains("from=") {
            *response = Response::json(403, &serde_json::json!({ "errors": [] }));
        }
    };
    let diagnosis = before_distribution(|plan| plan.response(forbid), &["--write"]);
    diagnosis.is_caused_by("OPS-05", "F106");
}

/// F124: the second registry has a secret of its own.
#[test]
fn two_registries_that_share_no_secret_lose_uploads() {
    let lose = |request: &mut Request| {
        let commits = request.method == "PUT" && request.target.contains("digest=");
        if commits {
            // What the other one says to a state that it has not signed.
            request.target = request.target.replace("_state=", "_state=x");
        }
        Action::Forward
    };
    let diagnosis = before_distribution(|plan| plan.request(lose), &["--write"]);
    diagnosis.is_caused_by("OPS-04", "F124");
}

/// F125
#[test]
fn a_storage_in_the_registrys_domain_gets_its_tokens() {
    let storage = InterceptingProxy::before(([127, 0, 0, 1], 9).into())
        // As S3, which takes one way to prove who one is.
        .request(|request| match request.header("authorization") {
            Some(_) => Action::Respond(Response::new(400, "Only one auth mechanism allowed")),
            None => Action::Respond(Response::new(200, "{}")),
        })
        .start();
    let url = storage.url("/bucket/blob?X-Amz-Signature=0");
    let redirect = move |request: &Request, response: &mut Response| {
        if request.method == "GET" && request.path().contains("/blobs/") {
            *response = Response::new(307, "").with("Location", url.clone());
        }
    };
    let diagnosis = before_distribution(|plan| plan.response(redirect), &[]);
    diagnosis.is_caused_by("OPS-02", "F125");
    let seen = storage.seen();
    let shown: Vec<_> = seen.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(shown, [None, Some("Bearer garbage")]);
}

/// F126
#[test]
fn a_proxy_that_answers_with_pages_hides_the_registry() {
    let broken = |request: &mut Request| {
        if request.path().contains("/manifests/") {
            Action::Respond(page(502))
        } else {
            Action::Forward
        }
    };
    let diagnosis = before_distribution(|plan| plan.request(broken), &[]);
    diagnosis.is_caused_by("OPS-01", "F126");
}

/// F108
#[test]
fn nothing_is_pushed_where_deletes_are_not_granted() {
    let portpass: Portpass = serve(
        "registry: {}\ntoken_service:\n  policy:
    - { allow: [pull, push], repository: \"${account}/**\", to: signed-in }\n",
    );
    add_account(&portpass, ACCOUNT);
    let diagnosis = diagnosed(portpass.address(), |plan| plan, &["--write"]);
    diagnosis.nothing_fails();
    assert_eq!(diagnosis.verdict("OPS-04"), "warn");
    assert_eq!(diagnosis.check("OPS-04")["rows"][0], "F108");
    let log = portpass.log();
    let committed =
        log.lines().filter(|line| line.contains("method=PUT") && line.contains("uploads"));
    // The image itself came past the front.
    assert!(committed.count() > 0 && !diagnosis.json.to_string().contains("PUT "), "{log}");
}
