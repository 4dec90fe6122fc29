//! What each user sees when something is wrong with the service.

use std::{net::TcpListener, time::Duration};

use portpass_testkit::http::{Reply, Served, redirect, reply};

use crate::{
    service::Service,
    world::{PASSWORD, TEAM, World},
};

/// With a time limit of a second, and without a memory.
fn world(url: &str) -> World {
    World::with(&format!(
        "        url: {url}\n        bearer_token_file: token\n        timeout: 1s\n        cache: 0s\n"
    ))
}

/// A local account, a name that the service would have to know, nobody's credentials.
async fn only_its_own_names_are_affected(world: &World, reason: &str) {
    let answer = world.token("ann", PASSWORD, TEAM).await;
    world.explains(answer.is_unavailable(), &[reason, "accounts-unavailable"]);
    assert!(answer.took < Duration::from_secs(30), "{answer:?}");
    let line = world.portpass.wait_for_log(&["access:", &answer.request]);
    assert!(line.contains(reason), "{reason:?} is not in {line}");
    world.token("nobody", PASSWORD, TEAM).await.is_unavailable();
    let local = world.token("local", PASSWORD, "repository:local/app:push").await;
    assert_eq!(local.granted(), ["push"]);
    world.token("local", "wrong", "").await.is_refused();
    assert!(!world.portpass.log().contains(PASSWORD));
}

#[tokio::test]
async fn a_service_that_is_down_is_unavailable_also_at_the_start_and_comes_back() {
    let mut service = Service::start();
    service.end();
    let world = world(&service.url());
    only_its_own_names_are_affected(&world, "cannot be reached: Connection refused").await;
    service.go_on();
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    let session = world.login("ann", PASSWORD).await.refresh_token().to_owned();
    service.end();
    // Neither is who came in before refused, nor let in.
    world.refresh(&session, TEAM).await.is_unavailable();
    world.token("ann", PASSWORD, TEAM).await.is_unavailable();
    service.go_on();
    assert_eq!(world.refresh(&session, TEAM).await.granted(), ["push"]);
}

#[tokio::test]
async fn a_service_that_is_silent_costs_no_more_than_its_time_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world(&format!("http://{}/", silent.local_addr().unwrap()));
    only_its_own_names_are_affected(&world, "did not answer within 1000 ms (`timeout`)").await;
}

#[tokio::test]
async fn a_service_that_does_not_know_our_token_says_nothing() {
    let service = Service::start();
    let world = World::with(&format!(
        "        url: {}\n        bearer_token: another\n        cache: 0s\n",
        service.url()
    ));
    only_its_own_names_are_affected(&world, "it does not take the bearer token").await;
}

#[tokio::test]
async fn an_answer_that_is_none_is_neither_a_yes_nor_a_no() {
    let elsewhere = Served::always(reply(200, r#"{"answer":"yes"}"#)).await;
    let long = format!(r#"{{"answer":"yes","account":{{"groups":["{}"]}}}}"#, "x".repeat(70_000));
    let answers: [(Reply, &str); 6] = [
        (redirect(307, elsewhere.url("/")), "redirects are not followed"),
        (reply(200, long), "answered with more than 65536 bytes"),
        (reply(200, "<html>"), "answered what nobody can read"),
        (reply(200, r#"{"answer":"yes","account":{"celing":{}}}"#), "the member `celing`"),
        (reply(500, "Traceback"), "answered 500 Internal Server Error"),
        (reply(200, r#"{"answer":"unavailable","reason":"no database"}"#), "no database"),
    ];
    for (answer, reason) in answers {
        let served = Served::always(answer).await;
        only_its_own_names_are_affected(&world(&served.url("/")), reason).await;
    }
    assert!(elsewhere.seen().is_empty(), "a password went elsewhere");
}
