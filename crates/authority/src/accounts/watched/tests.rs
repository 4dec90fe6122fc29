use std::pin::pin;

use futures_util::{FutureExt as _, future::join_all};

use super::*;

/// Rows that are their own version.
#[derive(Debug, Default)]
struct Numbers(AtomicU64);

#[async_trait]
impl Table for Numbers {
    type Rows = u64;

    async fn version(&self) -> Result<u64, StateError> {
        Ok(self.0.load(Ordering::SeqCst))
    }

    async fn read(&self) -> Result<u64, StateError> {
        self.version().await
    }
}

fn watched() -> Watched<Numbers> {
    Watched::new(SourceName::local(), Numbers::default())
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_change_is_seen_after_a_second_or_when_the_latest_is_asked_for() {
    let watched = watched();
    assert_eq!(*watched.recent(at(0)).await.unwrap(), 0);
    watched.table.0.store(7, Ordering::SeqCst);
    assert_eq!(*watched.recent(at(0)).await.unwrap(), 0);
    assert_eq!(*watched.recent(at(1)).await.unwrap(), 7);
    watched.table.0.store(8, Ordering::SeqCst);
    assert_eq!(*watched.look().await.unwrap(), 8);
    assert_eq!(*watched.recent(at(1)).await.unwrap(), 7, "a look keeps nothing");
    assert_eq!(*watched.latest(at(1)).await.unwrap(), 8);
    assert_eq!(*watched.recent(at(1)).await.unwrap(), 8);
}

#[tokio::test]
async fn all_who_wait_for_a_look_go_on_when_it_is_done_and_not_one_after_the_other() {
    let watched = watched();
    watched.recent(at(0)).await.unwrap();
    let turn = watched.looking.lock().await;
    let mut latest = pin!(join_all((0..50).map(|_| watched.latest(at(0)))));
    assert!(latest.as_mut().now_or_never().is_none(), "somebody else looks");
    let mut stale = pin!(watched.recent(at(9)));
    assert!(stale.as_mut().now_or_never().is_none(), "what is known is too old");
    watched.renew(at(0)).await.unwrap();
    // The turn has not been given to anybody.
    assert!(latest.now_or_never().is_some());
    assert!(stale.now_or_never().is_some_and(|rows| rows.is_ok()));
    drop(turn);
}

/// A database that is slow to fail would else be waited for by one after the other.
#[tokio::test]
async fn a_look_that_fails_fails_for_all_who_wait_and_for_nobody_who_comes_later() {
    let watched = watched();
    let turn = watched.looking.lock().await;
    let mut waiting = pin!(join_all((0..3).map(|_| watched.recent(at(0)))));
    assert!(waiting.as_mut().now_or_never().is_none());
    let failed =
        Unavailable::Source { source_name: SourceName::local(), reason: "away".to_owned() };
    watched.looks.send_modify(|looks| looks.failed = Some((1, failed.clone())));
    watched.begun.store(1, Ordering::SeqCst);
    let answers = waiting.now_or_never().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().err() == Some(&failed)), "{answers:?}");
    drop(turn);
    assert!(watched.recent(at(0)).await.is_ok());
}
