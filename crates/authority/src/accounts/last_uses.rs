//! When accounts and their secrets were used last.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use portpass_state::{Db, StateError, Used};

/// Notes uses in memory; whoever composes the process has them written now and then. A crash loses what was noted
/// since, and a token costs no write.
#[derive(Debug)]
pub struct LastUses {
    db: Db,
    noted: Mutex<HashMap<Used, SystemTime>>,
}

impl LastUses {
    /// Nothing was used yet.
    pub fn new(db: Db) -> Self {
        Self { db, noted: Mutex::default() }
    }

    /// Something was used now.
    pub fn note(&self, used: Used, now: SystemTime) {
        let mut noted = self.noted();
        let latest = noted.entry(used).or_insert(now);
        *latest = now.max(*latest);
    }

    /// Writes down what was noted. What cannot be written stays noted.
    pub async fn flush(&self) -> Result<(), StateError> {
        let noted = self.noted().clone();
        self.db.record_uses(&noted).await?;
        self.noted().retain(|used, at| noted.get(used) != Some(at));
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Used, SystemTime>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portpass_state::AccountKey;

    use super::*;

    #[tokio::test]
    async fn of_many_uses_the_latest_is_written_and_what_fails_is_written_later() {
        let db = Db::in_memory().await.unwrap();
        let uses = LastUses::new(db.clone());
        let ann = AccountKey { source: "htpasswd".into(), id: "ann".into() };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for seconds in [3, 9, 5] {
            uses.note(Used::Account(ann.clone()), at(seconds));
        }
        assert!(db.account_uses().await.unwrap().is_empty());
        uses.flush().await.unwrap();
        assert_eq!(db.account_uses().await.unwrap(), HashMap::from([(ann.clone(), at(9))]));
        assert!(uses.noted().is_empty());

        uses.note(Used::Account(ann), at(12));
        db.close().await;
        uses.flush().await.unwrap_err();
        assert_eq!(uses.noted().values().collect::<Vec<_>>(), [&at(12)]);
    }
}
