//! Whether the trail is what was written.
//!
//! Each row proves those before it. So a change, a row that is gone and two that changed places are seen by
//! whoever computes the hashes again; what is missing at the end, and a trail that somebody has computed anew
//! from a change on, are seen only by whoever noted an [`AuditHead`] elsewhere.

use crate::{
    Db, StateError,
    audit::{RowHash, chain::Fields, retention::Anchor},
    page::capped,
    sql::{Row, sql},
};

/// A row's place and its hash: enough to know later whether the trail still leads through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// The place in the trail.
    pub sequence: i64,
    /// Of that row.
    pub hash: RowHash,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Rows before this place and at it were removed because of their age or for want of room; zero if none.
    pub removed: i64,
    /// Rows that are older than the chain: nothing is known of them.
    pub unchained: u64,
    /// Rows of the chain.
    pub chained: u64,
    /// The last row, where it has a hash.
    pub head: Option<AuditHead>,
    /// What is not as it was written, by place; at most [`Verified::MOST`].
    pub faults: Vec<Fault>,
    /// Whether there are more than that.
    pub more: bool,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The row was changed, or the hash of the one before it was.
    Changed {
        /// Which.
        sequence: i64,
    },
    /// Rows are gone.
    Missing {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A row without a hash behind one that has one.
    Unchained {
        /// Which.
        sequence: i64,
    },
    /// The trail ends before the head that was noted.
    Cut {
        /// Where it ends.
        last: i64,
    },
    /// The row at the head that was noted is another one: what leads there was written anew.
    Rewritten {
        /// Where.
        sequence: i64,
    },
    /// The head that was noted has been removed for its age, and with it what could be said of it.
    Removed {
        /// Where it was.
        sequence: i64,
    },
}

impl Verified {
    /// Faults that are listed.
    pub const MOST: usize = 100;

    fn found(&mut self, fault: Fault) {
        if self.faults.len() < Self::MOST {
            self.faults.push(fault);
        } else {
            self.more = true;
        }
    }
}

impl Db {
    /// Computes the whole chain again, and holds it against a head that was noted earlier. Reads every row,
    /// some at a time; others write meanwhile.
    pub async fn verify_audit(&self, noted: Option<&AuditHead>) -> Result<Verified, StateError> {
        let anchor = self.audit_anchor().await?;
        let mut walk = Walk::from(anchor, noted.copied());
        loop {
            let statement =
                sql("SELECT * FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2");
            let statement = statement.bind(walk.sequence).bind(capped(AT_ONCE));
            let rows = self.read().all(statement).await?;
            if rows.is_empty() {
                return Ok(walk.finish());
            }
            for row in &rows {
                let fields = read(row)?;
                if fields.sequence != walk.sequence + 1 {
                    // Rows that were removed for their age since this began are no fault.
                    walk.follow_anchor(self.audit_anchor().await?);
                }
                walk.see(&fields, row)?;
            }
        }
    }
}

/// Where a verification is.
struct Walk {
    sequence: i64,
    hash: Option<RowHash>,
    noted: Option<AuditHead>,
    verified: Verified,
}

impl Walk {
    fn from(anchor: Anchor, noted: Option<AuditHead>) -> Self {
        let verified = Verified {
            removed: anchor.sequence,
            unchained: 0,
            chained: 0,
            head: None,
            faults: Vec::new(),
            more: false,
        };
        let mut walk = Self { sequence: anchor.sequence, hash: anchor.hash, noted, verified };
        walk.head(anchor.sequence, anchor.hash);
        if let Some(gone) = walk.noted.take_if(|noted| noted.sequence < anchor.sequence) {
            walk.verified.found(Fault::Removed { sequence: gone.sequence });
        }
        walk
    }

    fn follow_anchor(&mut self, anchor: Anchor) {
        if anchor.sequence > self.sequence {
            (self.sequence, self.hash) = (anchor.sequence, anchor.hash);
            self.head(anchor.sequence, anchor.hash);
        }
    }

    fn see(&mut self, fields: &Fields, row: &Row) -> Result<(), StateError> {
        let sequence = fields.sequence;
        if sequence > self.sequence + 1 {
            self.verified.found(Fault::Missing { from: self.sequence + 1, to: sequence - 1 });
        }
        let contiguous = sequence == self.sequence + 1;
        let kept = row.optional_bytes("hash")?.map(|bytes| RowHash::read(&bytes)).transpose()?;
        match kept {
            None if self.hash.is_none() => self.verified.unchained += 1,
            None => self.verified.found(Fault::Unchained { sequence }),
            Some(kept) => {
                self.verified.chained += 1;
                // Behind a gap nothing is known of the row before.
                if contiguous && fields.hash(self.hash) != kept {
                    self.verified.found(Fault::Changed { sequence });
                }
                self.hash = Some(kept);
            }
        }
        self.sequence = sequence;
        self.head(sequence, kept);
        Ok(())
    }

    fn head(&mut self, sequence: i64, hash: Option<RowHash>) {
        if let Some(hash) = hash {
            self.verified.head = Some(AuditHead { sequence, hash });
        }
        if let Some(noted) = self.noted.take_if(|noted| noted.sequence == sequence)
            && hash != Some(noted.hash)
        {
            self.verified.found(Fault::Rewritten { sequence });
        }
    }

    fn finish(mut self) -> Verified {
        match self.noted {
            Some(noted) if noted.sequence > self.sequence => {
                self.verified.found(Fault::Cut { last: self.sequence });
            }
            // Its row is one of those that are missing.
            Some(_) | None => {}
        }
        self.verified
    }
}

fn read(row: &Row) -> Result<Fields, StateError> {
    Ok(Fields {
        sequence: row.integer("sequence")?,
        at: row.integer("at")?,
        action: row.text("action")?,
        actor: row.optional_text("actor")?,
        object: row.optional_text("object")?,
        address: row.optional_text("address")?,
        request: row.optional_text("request")?,
        detail: row.text("detail")?,
    })
}

const AT_ONCE: usize = 1000;
