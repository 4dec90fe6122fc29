//! What an endpoint is told, and when.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
};

use axum::{Router, http::StatusCode};
use portpass_federation::{
    web::{Redirects, WebSettings},
    webhook::WebhookSettings,
};
use portpass_state::{Change, EventId, NewEvent};
use tokio::net::TcpListener;

use super::*;

/// A server that takes events, or does not.
struct Receiver {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    refuses: Option<&'static str>,
    /// The documents of each message.
    told: Vec<String>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let seen = Arc::clone(&state);
        let handler = move |body: String| {
            let mut state = seen.lock().unwrap();
            let refused = state.refuses.is_some_and(|text| body.contains(text));
            if !refused {
                state.told.push(body);
            }
            let status =
                if refused { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT };
            std::future::ready(status)
        };
        let router = Router::new().fallback(handler);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    /// What it was told since it was asked last.
    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().told)
    }

    fn refuse(&self, text: Option<&'static str>) {
        self.state.lock().unwrap().refuses = text;
    }

    fn delivery(&self, db: &Db, interest: Interest) -> Delivery {
        let web = WebSettings {
            authorities: Vec::new(),
            identity: None,
            timeout: Duration::from_secs(9),
            redirects: Redirects::Refused,
        };
        let webhook = WebhookSettings {
            url: self.address.parse().unwrap(),
            web,
            headers: http::HeaderMap::new(),
            secret: None,
        };
        let endpoint = NotificationEndpoint {
            name: "ci".to_owned(),
            webhook,
            interest,
            threshold: NonZeroUsize::new(2).unwrap(),
            backoff: Duration::from_secs(3),
        };
        Delivery::new(endpoint, db.clone())
    }
}

async fn append(db: &Db, events: &[(&'static str, &str)]) {
    let event = |(action, document): &(&'static str, &str)| NewEvent {
        id: EventId::from_random([0; 16]),
        at: std::time::SystemTime::UNIX_EPOCH,
        action,
        repository: "a/b".parse().unwrap(),
        media_type: "text/plain".to_owned(),
        document: (*document).to_owned(),
    };
    db.append_events(&events.iter().map(event).collect::<Vec<_>>()).await.unwrap();
}

async fn next(delivery: &Delivery) -> Next {
    delivery.next(&mut None).await.unwrap()
}

#[tokio::test]
async fn what_an_endpoint_wants_comes_in_order_and_a_new_one_begins_with_what_is_new() {
    let (db, receiver) = (Db::in_memory().await.unwrap(), Receiver::start().await);
    append(&db, &[("push", "0")]).await;
    let interest =
        Interest { ignored_actions: vec!["pull".parse().unwrap()], ..Interest::default() };
    let delivery = receiver.delivery(&db, interest);
    assert_eq!(next(&delivery).await, Next::Wait);
    append(&db, &[("push", "1"), ("pull", "2"), ("delete", "3"), ("pull", "4")]).await;
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(receiver.told(), [r#"{"events":[1,3]}"#]);
    append(&db, &[("pull", "5")]).await;
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(next(&delivery).await, Next::Wait);
    assert!(receiver.told().is_empty());
    assert_eq!(db.event_endpoint("ci").await.unwrap().delivered, 6);
}

#[tokio::test]
async fn nothing_is_passed_over_by_an_endpoint_that_fails_and_its_pauses_grow() {
    let (db, receiver) = (Db::in_memory().await.unwrap(), Receiver::start().await);
    let delivery = receiver.delivery(&db, Interest::default());
    assert_eq!(next(&delivery).await, Next::Wait);
    append(&db, &[("push", "1"), ("push", "22"), ("push", "3")]).await;
    receiver.refuse(Some("22"));
    let mut pauses = Vec::new();
    let three = Duration::from_secs(3);
    assert_eq!(next(&delivery).await, Next::Pause(three));
    // One at a time by now.
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(receiver.told(), [r#"{"events":[1]}"#]);
    for _ in 0..12 {
        let Next::Pause(pause) = next(&delivery).await else { panic!("it was taken") };
        pauses.push(pause.as_secs());
    }
    assert_eq!(pauses, [3, 3, 6, 12, 24, 48, 96, 192, 300, 300, 300, 300]);
    let known = db.event_endpoint("ci").await.unwrap();
    assert_eq!((known.delivered, known.failures), (1, 12));
    assert!(known.failure.unwrap().ends_with("/ answered 500 Internal Server Error"));
    receiver.refuse(None);
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(receiver.told(), [r#"{"events":[22]}"#, r#"{"events":[3]}"#]);
    let known = db.event_endpoint("ci").await.unwrap();
    assert_eq!((known.delivered, known.failures, known.failure), (3, 0, None));
}

#[tokio::test]
async fn a_message_is_no_longer_than_a_megabyte_but_for_one_long_event() {
    let (db, receiver) = (Db::in_memory().await.unwrap(), Receiver::start().await);
    let delivery = receiver.delivery(&db, Interest::default());
    assert_eq!(next(&delivery).await, Next::Wait);
    let long = format!("\"{}\"", "x".repeat(MOST_BYTES));
    append(&db, &[("push", "1"), ("push", &long), ("push", "3")]).await;
    for expected in [r#"{"events":[1]}"#, &format!(r#"{{"events":[{long}]}}"#), r#"{"events":[3]}"#]
    {
        assert_eq!(next(&delivery).await, Next::GoOn);
        assert_eq!(receiver.told(), [expected]);
    }
    assert_eq!(next(&delivery).await, Next::Wait);
}

#[tokio::test]
async fn an_operator_has_an_event_told_once_more() {
    let (db, receiver) = (Db::in_memory().await.unwrap(), Receiver::start().await);
    let delivery = receiver.delivery(&db, Interest::default());
    assert_eq!(next(&delivery).await, Next::Wait);
    append(&db, &[("push", "1"), ("push", "2")]).await;
    assert_eq!(next(&delivery).await, Next::GoOn);
    receiver.told();
    assert_eq!(db.redeliver("ci", 1).await.unwrap(), Change::Done);
    receiver.refuse(Some("1"));
    assert!(matches!(next(&delivery).await, Next::Pause(_)));
    receiver.refuse(None);
    append(&db, &[("push", "3")]).await;
    for expected in [r#"{"events":[3]}"#, r#"{"events":[1]}"#] {
        assert_eq!(next(&delivery).await, Next::GoOn);
        assert_eq!(receiver.told(), [expected]);
    }
    assert_eq!(db.redeliver("ci", 2).await.unwrap(), Change::Done);
    db.remove_events(2).await.unwrap();
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(next(&delivery).await, Next::Wait);
    assert!(receiver.told().is_empty());
}

#[tokio::test]
async fn what_went_before_it_was_told_is_counted() {
    let (db, receiver) = (Db::in_memory().await.unwrap(), Receiver::start().await);
    let delivery = receiver.delivery(&db, Interest::default());
    assert_eq!(next(&delivery).await, Next::Wait);
    append(&db, &[("push", "1"), ("push", "2"), ("push", "3"), ("push", "4")]).await;
    let names = ["ci".to_owned()];
    shorten(&db, &names, 1, 3).await.unwrap();
    assert_eq!(db.event_bounds().await.unwrap(), (2, 4));
    assert_eq!(next(&delivery).await, Next::GoOn);
    assert_eq!(receiver.told(), [r#"{"events":[2,3,4]}"#]);
    assert_eq!(db.event_endpoint("ci").await.unwrap().lost, 1);
    shorten(&db, &names, 1, 3).await.unwrap();
    assert_eq!(db.event_bounds().await.unwrap(), (4, 4), "one is kept");
    shorten(&db, &[], 1, 3).await.unwrap();
    assert!(db.event_endpoints().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_bell_wakes_a_delivery_that_waits() {
    let (db, receiver) = (Db::in_memory().await.unwrap(), Receiver::start().await);
    let delivery = receiver.delivery(&db, Interest::default());
    assert_eq!(next(&delivery).await, Next::Wait);
    let bell = watch::Sender::new(());
    let running = tokio::spawn(delivery.run(bell.subscribe()));
    append(&db, &[("push", "1")]).await;
    bell.send_replace(());
    while db.event_endpoint("ci").await.unwrap().delivered < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.told(), [r#"{"events":[1]}"#]);
    running.abort();
}
