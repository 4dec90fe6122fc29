use std::sync::Arc;

use async_trait::async_trait;
use insta::assert_snapshot;
use portpass_protocol::{
    AccessSet, DigestAlgorithm,
    challenge::{Basic, Quotable},
};

use super::*;
use crate::{
    controller::{AccessController, MissingCredentials},
    credentials::CredentialsError,
    grant::tests::listed,
};

/// Whoever asks is granted what the token says, which is plain text here.
#[derive(Debug)]
struct Trusting;

#[async_trait]
impl AccessController for Trusting {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        match caller.credentials {
            Credentials::Bearer("*") => Ok(Grant::everything("root")),
            // The scope grammar has no entry without actions, and this test needs one.
            Credentials::Bearer(access) => Ok(Grant::listed("ann", listed(access))),
            _ => Err(Denial::Missing(MissingCredentials::Nothing)),
        }
    }

    fn challenge(&self, _: &Origin, _: &[Access], _: &Denial) -> Challenge {
        Basic::new(Quotable::new("realm", "test").unwrap()).into()
    }
}

async fn decide(token: &str, method: &str, path: &str) -> Result<Route, Box<Denied>> {
    let origin =
        Origin { scheme: "http".parse().unwrap(), authority: "localhost:5000".parse().unwrap() };
    let route = Route::parse(&method.parse().unwrap(), &path.parse().unwrap()).unwrap();
    let guard = Guard::Controller(Arc::new(Trusting));
    let credentials = if token == "-" { Credentials::Nothing } else { Credentials::Bearer(token) };
    let caller = Caller { address: None, credentials };
    authorize(&guard, caller, route, &origin).await.map(|authorized| authorized.into_parts().0)
}

const SHA512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

/// Each row: what is granted, what is asked, and whether it is served (VO11, SC5, SC6, AR1, AR6).
#[tokio::test]
async fn a_route_is_served_where_the_grant_covers_its_need() {
    for (granted, method, path, served) in [
        ("-", "GET", "/v2/", false),
        ("", "GET", "/v2/", true), // CL12: login has no scope
        ("a/b:pull", "GET", "/v2/a/b/manifests/v1", true),
        ("a/b:pull", "PUT", "/v2/a/b/manifests/v1", false),
        ("a/b:push", "PUT", "/v2/a/b/manifests/v1", false), // AR1: both
        ("a/b:push,pull", "PUT", "/v2/a/b/manifests/v1", true),
        ("a/b:pull,push", "DELETE", "/v2/a/b/manifests/v1", false),
        ("a/b:delete", "DELETE", "/v2/a/b/manifests/v1", true),
        ("a/b:*", "DELETE", "/v2/a/b/manifests/v1", true),
        ("a/b:*", "GET", "/v2/a/c/manifests/v1", false),
        ("a:pull", "GET", "/v2/a/b/manifests/v1", false),
        ("a/b:Pull", "GET", "/v2/a/b/manifests/v1", false),
        ("*:pull", "GET", "/v2/a/b/manifests/v1", false),
        ("a/b:pull", "GET", "/v2/a%2Fb/manifests/v1", true), // AR10
        ("a/b:*", "GET", "/v2/_catalog", false),
        ("*", "GET", "/v2/_catalog", true),
        ("*", "DELETE", "/v2/a/b/manifests/v1", true),
    ] {
        let decided = decide(granted, method, path).await;
        assert_eq!(decided.is_ok(), served, "{granted:?} {method} {path}");
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Mounts,
    Uploads,
    Challenged,
}

/// OC15, R7: a mount is never 403, and 401 only where asking for more may help.
#[tokio::test]
async fn a_mount_is_refused_only_where_asking_again_may_help() {
    use Outcome::{Challenged, Mounts, Uploads};
    for (granted, expected) in [
        ("a:pull,push b:pull", Mounts),
        ("a:* b:*", Mounts),
        ("*", Mounts),
        ("a:pull,push b:push", Uploads), // named without pull: it was asked for and refused
        ("a:pull,push b:", Uploads),
        ("a:pull,push", Challenged), // not named: not asked for yet
        ("a:pull,push c:pull", Challenged),
        ("a:pull b:pull", Challenged),
        ("a:push b:pull", Challenged),
        ("a: b:", Challenged),
        ("b:pull", Challenged),
        ("", Challenged),
        ("-", Challenged),
    ] {
        let path = format!("/v2/a/blobs/uploads/?mount={SHA512}&from=b");
        let outcome = match decide(granted, "POST", &path).await {
            Ok(Route::StartUpload { start: Start::Mount(_), .. }) => Mounts,
            Ok(Route::StartUpload { start: Start::Session(algorithm), .. }) => {
                assert_eq!(
                    algorithm,
                    DigestAlgorithm::Sha512,
                    "the blob comes anyway, and is hashed so"
                );
                Uploads
            }
            Ok(other) => panic!("{granted}: {other:?}"),
            Err(denied) => {
                let needed: AccessSet = denied.needed.iter().cloned().collect();
                assert_eq!(needed.to_string(), "repository:a:pull,push repository:b:pull");
                Challenged
            }
        };
        assert_eq!(outcome, expected, "{granted:?}");
    }
}

/// A mount from a repository to itself needs no more than an upload to it.
#[tokio::test]
async fn a_mount_within_one_repository_needs_what_an_upload_needs() {
    let path = format!("/v2/a/blobs/uploads/?mount={SHA512}&from=a");
    assert!(decide("a:pull,push", "POST", &path).await.is_ok());
}

#[tokio::test]
async fn nobody_guards_an_open_registry() {
    let origin =
        Origin { scheme: "http".parse().unwrap(), authority: "localhost".parse().unwrap() };
    let route =
        Route::parse(&http::Method::DELETE, &"/v2/a/manifests/v1".parse().unwrap()).unwrap();
    let caller =
        Caller { address: None, credentials: Credentials::Other(CredentialsError::Several) };
    let authorized = authorize(&Guard::Open, caller, route, &origin);
    assert_eq!(authorized.await.unwrap().grant().subject(), ""); // NO1
}

#[tokio::test]
async fn a_denial_tells_the_log_what_was_granted_and_what_is_lacking() {
    let denied = decide("a:pull b:", "POST", "/v2/a/blobs/uploads/").await.unwrap_err();
    assert_snapshot!(denied.denial, @"the caller is granted repository:a:pull, which does not cover repository:a:pull,push");
    assert_eq!(denied.subject.as_deref(), Some("ann"));
    let denied = decide("", "GET", "/v2/a/tags/list").await.unwrap_err();
    assert_snapshot!(denied.denial, @"the caller is granted nothing, which does not cover repository:a:pull");
}
