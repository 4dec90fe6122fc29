//! Tokens of others that may be used once.

use super::at;
use crate::{Db, FirstUse};

pub(super) async fn a_token_is_used_once_and_forgotten_when_it_has_expired(db: Db) {
    let uses =
        async |name: u8, now| db.use_token_once(&[name; 32], at(3600), at(now)).await.unwrap();
    assert_eq!(uses(1, 0).await, FirstUse::Yes);
    assert_eq!(uses(1, 0).await, FirstUse::No);
    assert_eq!(uses(2, 0).await, FirstUse::Yes);
    assert_eq!(uses(1, 3600).await, FirstUse::No, "it counts to its last second");
    // Nobody accepts it any more: it need not be known.
    assert_eq!(uses(1, 3601).await, FirstUse::Yes);
}

pub(super) async fn of_many_uses_at_once_one_is_the_first(db: Db) {
    let uses = (0..8).map(|_| {
        let db = db.clone();
        tokio::spawn(async move { db.use_token_once(&[7; 32], at(60), at(0)).await })
    });
    let mut first = 0;
    for one in uses.collect::<Vec<_>>() {
        first += u32::from(one.await.unwrap().unwrap() == FirstUse::Yes);
    }
    assert_eq!(first, 1);
}
