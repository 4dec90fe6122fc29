//! The switch that makes a registry read only.

use super::{at, record};
use crate::{Change, Db};

pub(super) async fn the_switch_is_turned_once_and_each_turn_leaves_a_record(db: Db) {
    assert_eq!(db.read_only_since().await.unwrap(), None);
    let on = db.make_read_only(at(1), &record("read-only-on", 1)).await.unwrap();
    assert_eq!(on, Change::Done);
    let again = db.make_read_only(at(2), &record("read-only-on", 2)).await.unwrap();
    assert_eq!(again, Change::Unknown);
    assert_eq!(db.read_only_since().await.unwrap(), Some(at(1)));
    let off = db.make_writable(&record("read-only-off", 3)).await.unwrap();
    assert_eq!(off, Change::Done);
    assert_eq!(db.make_writable(&record("read-only-off", 4)).await.unwrap(), Change::Unknown);
    assert_eq!(db.read_only_since().await.unwrap(), None);
    let trail = db.latest_audit(9).await.unwrap();
    let actions: Vec<&str> = trail.iter().map(|entry| entry.record.action.as_str()).collect();
    assert_eq!(actions, ["read-only-off", "read-only-on"]);
}
