//! Errands while the server is in trouble, and again when it is not.

use portpass_testkit::SeededRng;
use reqwest::{StatusCode, header::RETRY_AFTER};

use crate::{
    errand::Errand,
    goods::Goods,
    pusher::Pusher,
    wire::{Answer, Lost},
};

/// Draws and does so many errands, and returns those that were refused: with an answer that says that
/// the server cannot, and when to come back.
pub(crate) async fn try_errands(
    pusher: &mut Pusher,
    goods: &Goods,
    rng: &mut SeededRng,
    number: usize,
) -> Vec<Errand> {
    let mut refused = Vec::new();
    for _ in 0..number {
        let errand = Errand::draw(rng, goods, &pusher.held);
        match pusher.perform(&errand).await {
            Ok(()) => {}
            Err(Lost::Refused(answer)) => {
                is_clear(&answer);
                refused.push(errand);
            }
            // A blob that could not be read to its end.
            Err(Lost::Unanswered) => refused.push(errand),
            Err(Lost::NeverSent) => panic!("the server is gone"),
        }
    }
    refused
}

/// Demands that everything is done now.
pub(crate) async fn do_again(pusher: &mut Pusher, errands: &[Errand]) {
    for errand in errands {
        pusher.perform(errand).await.unwrap_or_else(|lost| panic!("{errand:?}: {lost:?}"));
    }
}

/// Nobody's fault, and nothing of ours is told.
fn is_clear(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.headers.contains_key(RETRY_AFTER), "{answer:?}");
    let body = String::from_utf8_lossy(&answer.body);
    assert!(!body.contains('/'), "{body}");
    assert_eq!(answer.json()["errors"][0]["code"], "UNAVAILABLE", "{body}");
}
