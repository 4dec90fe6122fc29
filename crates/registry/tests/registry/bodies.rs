//! Bodies of manifests that do not end: they take a bounded piece of memory, of their own account first.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::response::Response;
use http::{Method, StatusCode, header};
use portpass_protocol::{
    Access, AccessSet, Challenge, Origin, Scope,
    challenge::{Basic, Quotable},
};
use portpass_registry::{
    Deletes, Guard,
    access::{Caller, Grant, Presented},
    controller::{AccessController, Denial},
};
use tokio::task::JoinHandle;

use crate::harness::{Halted, Harness, Wire, machine_time, request};

const MIB: usize = 1024 * 1024;
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// A push that has sent all but the end of its manifest, where it was let.
struct Push {
    wire: Wire,
    answer: JoinHandle<Response>,
}

fn push(registry: &Harness, account: &str, announced: usize) -> Push {
    let (wire, body) = Wire::new();
    let length = announced.to_string();
    let authorization = format!("Bearer {account}");
    let headers = [
        (header::CONTENT_TYPE, OCI),
        (header::CONTENT_LENGTH, length.as_str()),
        (header::AUTHORIZATION, authorization.as_str()),
    ];
    let request = request(Method::PUT, "/v2/team/app/manifests/v1", headers, body);
    Push { wire, answer: tokio::spawn(registry.answer(request)) }
}

async fn registry() -> Harness {
    Harness::guarded(Guard::By(std::sync::Arc::new(AsNamed)), Deletes::Enabled).await
}

/// Whoever keeps the room of one account waits for nobody but itself.
#[tokio::test]
async fn half_sent_manifests_of_one_account_leave_room_for_others() {
    let registry = registry().await;
    let _halted = Halted::time();
    let held: Vec<Push> = (0..4).map(|_| push(&registry, "greedy", 4 * MIB)).collect();
    for push in &held {
        push.wire.send("{").await;
        push.wire.taken().await;
    }
    let refused = push(&registry, "greedy", 4 * MIB).answer;
    let other = push(&registry, "ann", 4 * MIB);
    other.wire.send("{").await;
    other.wire.taken().await;
    // What nearly all manifests are needs no room.
    let small = push(&registry, "greedy", 2);
    small.wire.send("{}").await;
    drop(small.wire);
    assert_eq!(small.answer.await.unwrap().status(), StatusCode::BAD_REQUEST);
    let refused = after_some_time(refused).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    // Room that is given back is taken again.
    drop(held);
    let again = push(&registry, "greedy", 4 * MIB);
    again.wire.send("{").await;
    again.wire.taken().await;
}

/// All together have an end too, however many accounts they are of.
#[tokio::test]
async fn half_sent_manifests_of_many_accounts_end_at_the_budget() {
    let registry = registry().await;
    let _halted = Halted::time();
    let mut held = Vec::new();
    for account in ["a", "b", "c", "d"] {
        for _ in 0..4 {
            let push = push(&registry, account, 4 * MIB);
            push.wire.send("{").await;
            push.wire.taken().await;
            held.push(push);
        }
    }
    let refused = push(&registry, "e", MIB).answer;
    assert_eq!(after_some_time(refused).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// Time goes by until there is an answer.
async fn after_some_time(answer: JoinHandle<Response>) -> Response {
    for _ in 0..10 {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(answer.is_finished(), "somebody waits for more than ten seconds");
    answer.await.unwrap()
}

/// A body that always moves, and never comes to its end.
#[tokio::test]
async fn a_body_that_drips_is_cut_off() {
    let registry = registry().await;
    let _halted = Halted::time();
    for (account, seconds) in [("ann", 120), ("ends-in-70", 70)] {
        let Push { wire, answer } = push(&registry, account, 1000);
        let begun = tokio::time::Instant::now();
        wire.send("{").await;
        while !answer.is_finished() {
            assert!(begun.elapsed() <= Duration::from_secs(seconds + 11), "{account}");
            tokio::time::advance(Duration::from_secs(10)).await;
            tokio::task::yield_now().await;
            if !wire.is_closed() {
                wire.send(" ").await;
            }
        }
        assert!(
            begun.elapsed() >= Duration::from_secs(seconds),
            "{account}: {:?}",
            begun.elapsed()
        );
        assert_eq!(answer.await.unwrap().status(), StatusCode::BAD_REQUEST, "{account}");
    }
}

/// Grants everything to whoever says a name; `ends-in-70` has a token that does.
#[derive(Debug)]
struct AsNamed;

#[async_trait]
impl AccessController for AsNamed {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        let Presented::Bearer(name) = caller.presented else { panic!("no name was said") };
        let scope = Scope::parse("repository:team/app:pull,push").unwrap();
        let access: AccessSet = [scope.into_access()].into_iter().collect();
        let grant = Grant::listed(name, access);
        let end: SystemTime = machine_time() + Duration::from_secs(70);
        Ok(if name == "ends-in-70" { grant.until(end) } else { grant })
    }

    fn challenge(&self, _: &Origin, _: &[Access], _: &Denial) -> Challenge {
        Basic::new(Quotable::new("realm", "test").unwrap()).into()
    }
}
