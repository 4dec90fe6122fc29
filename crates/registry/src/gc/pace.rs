//! A collection's share of the writer: all of it where nobody else writes, a tenth of the time where others do.

use std::time::Duration;

use portpass_state::{Db, StateError};
use tokio::time::{Instant, sleep};

use super::Speed;

/// Rests between steps, as long as others write.
#[derive(Debug)]
pub(super) struct Pace {
    db: Db,
    speed: Speed,
    /// Turns that writers of this process had taken before the last step.
    turns: u64,
}

impl Pace {
    pub(super) fn new(db: &Db, speed: Speed) -> Self {
        Self { db: db.clone(), speed, turns: db.write_turns() }
    }

    /// Takes a step, which is one turn; and a rest of nine times as long if others have written since the last step, in
    /// this process or in another.
    pub(super) async fn step<T>(
        &mut self,
        step: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        let begun = Instant::now();
        let done = step.await?;
        if self.speed == Speed::Full {
            return Ok(done);
        }
        let took = begun.elapsed();
        let foreign = self.db.forget_foreign_writes().await?;
        // The step's own turn, and that of the question.
        let others = self.db.write_turns() - self.turns > 2;
        if foreign || others {
            sleep((took * RESTS).min(LONGEST_REST)).await;
        }
        self.turns = self.db.write_turns();
        Ok(done)
    }
}

const RESTS: u32 = 9;
/// Where a step had to wait for long, the disk is at its end; but a collection has to come to its own.
const LONGEST_REST: Duration = Duration::from_secs(10);
