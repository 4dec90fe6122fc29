use super::{at, record};
use crate::{Db, KeyFileRow};

pub(super) async fn a_replaced_certificate_is_kept_until_its_last_token_ends(db: Db) {
    assert_eq!(db.key_files().await.unwrap(), []);
    let audit = [record("promoted", 0)];
    db.replace_key_files(&[row("a")], at(100), at(0), &audit).await.unwrap();
    assert_eq!(db.key_files().await.unwrap(), [row("a")]);
    assert_eq!(db.latest_audit(10).await.unwrap().len(), 1);

    db.replace_key_files(&[row("b")], at(200), at(100), &[]).await.unwrap();
    db.replace_key_files(&[row("c")], at(300), at(150), &[]).await.unwrap();
    let all = db.key_files().await.unwrap();
    assert_eq!(all, [until("a", 200), until("b", 300), row("c")]);

    db.replace_key_files(&[row("c")], at(400), at(200), &[]).await.unwrap();
    assert_eq!(db.key_files().await.unwrap(), all, "at its end it may still be asked for");
    db.replace_key_files(&[row("c")], at(400), at(201), &[]).await.unwrap();
    assert_eq!(db.key_files().await.unwrap(), [until("b", 300), row("c")]);
}

/// Each signs for a service of its own, and only one of them is replaced.
pub(super) async fn several_certificates_sign_at_once(db: Db) {
    let replace = async |names: [&str; 2], now| {
        let rows = names.map(row);
        db.replace_key_files(&rows, at(now + 100), at(now), &[]).await.unwrap();
    };
    replace(["a", "b"], 0).await;
    replace(["a", "c"], 10).await;
    let mut all = db.key_files().await.unwrap();
    assert_eq!(all.remove(0), until("b", 110));
    all.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(all, [row("a"), row("c")]);
}

/// Somebody puts the old pair back.
pub(super) async fn a_certificate_that_comes_back_signs_again(db: Db) {
    for (name, now) in [("a", 0), ("b", 10), ("a", 20)] {
        db.replace_key_files(&[row(name)], at(now + 100), at(now), &[]).await.unwrap();
    }
    assert_eq!(db.key_files().await.unwrap(), [until("b", 120), row("a")]);
}

fn row(name: &str) -> KeyFileRow {
    KeyFileRow {
        certificate: name.as_bytes().to_vec(),
        id: format!("key {name}"),
        algorithm: "ES256".to_owned(),
        until: None,
    }
}

fn until(name: &str, seconds: u64) -> KeyFileRow {
    KeyFileRow { until: Some(at(seconds)), ..row(name) }
}
