//! What statements cost: none walks through rows that grow with what happened before, or with what others
//! have.
//!
//! The tests of this module's parent run every statement there is, which is seen by where it is written;
//! SQLite is asked for the plan of each. A plan may do three things:
//!
//! ```text
//! look up       all columns of a unique index are given                  one row
//! walk          along an index of which the first column is given        the rows of one owner
//! take a piece  along an index from a place on, with a LIMIT             a page
//!               or along an index of the very rows that it takes out     what a sweep has to do
//! ```
//! Whatever else is wanted stands in [`EXCEPTIONS`], with the reason.

use std::{collections::BTreeSet, fs, path::Path};

use sqlx::{AssertSqlSafe, Row as _};

use super::{TESTS, copies, databases};
use crate::{Db, sql::run};

/// What may look at more, by the first words of the plan's step and a part of the statement.
struct Exception {
    step: &'static str,
    statement: &'static str,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        step: "SEARCH audit USING INTEGER PRIMARY KEY (rowid>?)",
        statement: "SELECT MAX(sequence) FROM audit WHERE sequence > 0",
        why: "the last row of the trail: SQLite looks for the MAX of a key at the end of its tree",
    },
    Exception {
        step: "SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)",
        statement: "DELETE FROM audit WHERE sequence <= $1",
        why: "the oldest rows of the trail: the batch that was just chosen, and nothing else is before its end",
    },
    Exception {
        step: "SEARCH event USING INTEGER PRIMARY KEY (rowid<?)",
        statement: "DELETE FROM event WHERE sequence <= $1",
        why: "the oldest events: the batch that was just chosen, and nothing else is before its end",
    },
    Exception {
        step: "SCAN sqlite_sequence",
        statement: "FROM sqlite_sequence WHERE name = 'event'",
        why: "one row for each table that counts its rows: a handful",
    },
    Exception {
        step: "SCAN event_endpoint",
        statement: "FROM event_endpoint",
        why: "the endpoints of the configuration: a handful",
    },
    Exception {
        step: "SEARCH refresh_token USING INDEX refresh_token_account_name",
        statement: "WHERE account_name = $1",
        why: "`session list` and `session revoke` of one account; its dead are bounded in number",
    },
    Exception {
        step: "SCAN a USING INDEX sqlite_autoindex_account_2",
        statement: "n.subject = a.name\n             ORDER BY a.name",
        why: "all accounts, read into memory when their version has changed",
    },
    Exception {
        step: "SCAN r USING INDEX sqlite_autoindex_robot_2",
        statement: "ON n.subject = 'robot-' || r.name ORDER BY r.name",
        why: "all robots, read into memory when their version has changed",
    },
    Exception {
        step: "SCAN api_key",
        statement: "SELECT * FROM api_key ORDER BY created_at, id",
        why: "all API keys, read into memory when their version has changed",
    },
    Exception {
        step: "USE TEMP B-TREE FOR ORDER BY",
        statement: "SELECT * FROM api_key ORDER BY created_at, id",
        why: "all API keys, read into memory when their version has changed",
    },
    Exception {
        step: "SCAN account_use",
        statement: "SELECT source, account, used_at FROM account_use",
        why: "`user list`: one row for each account that was ever used",
    },
    Exception {
        step: "SCAN refresh_token",
        statement: "SELECT * FROM refresh_token ORDER BY created_at DESC",
        why: "`session list` of all accounts; the dead among them are bounded",
    },
    Exception {
        step: "USE TEMP B-TREE FOR",
        statement: "SELECT * FROM refresh_token",
        why: "`session list`",
    },
    Exception {
        step: "SCAN n",
        statement: "LEFT JOIN not_before n ON 1 = 1",
        why: "the accounts that were changed within a day, read into memory when the list has changed",
    },
    Exception {
        step: "SEARCH not_before USING INDEX not_before_at",
        statement: "DELETE FROM not_before WHERE at",
        why: "the very rows that it takes out",
    },
    Exception {
        step: "SEARCH ended_secret USING INDEX ended_secret_ended_at",
        statement: "DELETE FROM ended_secret WHERE ended_at",
        why: "the very rows that it takes out",
    },
    Exception {
        step: "SCAN key_file",
        statement: "key_file",
        why: "a handful of certificates: those that were replaced within a day",
    },
    Exception {
        step: "USE TEMP B-TREE FOR ORDER BY",
        statement: "SELECT * FROM key_file",
        why: "a handful of certificates: those that were replaced within a day",
    },
    Exception {
        step: "SCAN k",
        statement: "LEFT JOIN signing_key k ON 1 = 1",
        why: "the ring: a handful of keys, always read as a whole",
    },
    Exception {
        step: "USE TEMP B-TREE FOR ORDER BY",
        statement: "LEFT JOIN signing_key k ON 1 = 1",
        why: "the ring: a handful of keys, always read as a whole",
    },
    Exception {
        step: "DELETE ALL",
        statement: "DELETE FROM signing_key",
        why: "the ring: a handful of keys, always replaced as a whole",
    },
    Exception {
        step: "SCAN garbage",
        statement: "SELECT location, marked_at, digest, size, released_by FROM garbage",
        why: "`gc --dry-run`: asked for by an operator, never by the server itself",
    },
    Exception {
        step: "SCAN o",
        statement: "FROM orphan o CROSS JOIN repository r",
        why: "`gc --dry-run`: asked for by an operator, never by the server itself",
    },
    Exception {
        step: "DELETE ALL",
        statement: "DELETE FROM upload",
        why: "backup: on the copy, which nobody else uses",
    },
    Exception {
        step: "DELETE ALL",
        statement: "DELETE FROM garbage",
        why: "backup: on the copy, which nobody else uses",
    },
    Exception {
        step: "DELETE ALL",
        statement: "DELETE FROM event",
        why: "backup: on the copy, which nobody else uses",
    },
    Exception {
        step: "SCAN blob",
        statement: "DELETE FROM blob WHERE NOT EXISTS",
        why: "backup: on the copy, which nobody else uses",
    },
    Exception {
        step: "USE TEMP B-TREE FOR ORDER BY",
        statement: "WHERE b.digest = $1 ORDER BY r.name",
        why: "backup: the holders of one blob, to name those that miss it",
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_grows_with_dead_or_foreign_rows() {
    for test in TESTS {
        test(databases::in_memory().await).await;
    }
    let (_directory, db) = databases::in_a_file().await;
    copies::a_copy_has_all_of_one_moment_and_nothing_of_what_came_later(db.clone()).await;
    db.ping().await.unwrap();
    db.forget_foreign_writes().await.unwrap();
    let written = written();
    let mut run_at = BTreeSet::new();
    let (mut faults, mut used) = (Vec::new(), BTreeSet::new());
    for (file, line, text) in run::statements() {
        let place = format!("{}:{line}", file.trim_start_matches("crates/state/"));
        if !written.contains(&place) {
            continue; // a test's own
        }
        let plan = plan(&db, text).await;
        for step in &plan {
            if is_bounded(step, &plan, text, &db).await {
                continue;
            }
            match EXCEPTIONS.iter().position(|exception| exception.covers(step, text)) {
                Some(exception) => drop(used.insert(exception)),
                None => faults.push(format!("{place}: {step}\n{text}\n")),
            }
        }
        run_at.insert(place);
    }
    assert!(faults.is_empty(), "these grow with what is there:\n\n{}", faults.join("\n"));
    let never_run: Vec<&String> = written.difference(&run_at).collect();
    assert!(never_run.is_empty(), "no test of `conformance` runs these: {never_run:#?}");
    for (index, exception) in EXCEPTIONS.iter().enumerate() {
        assert!(used.contains(&index), "nothing needs it any more: {}", exception.why);
    }
}

/// What makes it so is not to be forgotten when a statement is added that goes another way.
#[test]
fn statements_are_made_in_one_place() {
    let allowed = ["sql.rs", "migrate.rs", "writer.rs", "db.rs"];
    for (name, text) in sources() {
        let other = ["sqlx::query", "query_as", "query_scalar", "raw_sql"];
        let found = other.into_iter().find(|word| text.contains(word));
        assert!(found.is_none() || allowed.contains(&name.as_str()), "{name}: {found:?}");
    }
}

impl Exception {
    fn covers(&self, step: &str, text: &str) -> bool {
        step.starts_with(self.step) && text.contains(self.statement)
    }
}

/// An index, as the step of a plan uses it.
struct Index {
    /// As in `repository=? AND digest>?`.
    given: String,
    columns: usize,
    is_unique: bool,
    is_partial: bool,
    table: String,
}

impl Index {
    /// Whether it leads to a bounded number of rows.
    fn is_bounded(&self, takes_a_page: bool) -> bool {
        let looks_up = self.is_unique && self.given.matches("=?").count() == self.columns;
        let walks = OWNERS.iter().any(|owner| self.given.starts_with(owner));
        let dead = MORTAL.contains(&self.table.as_str()) && !self.is_partial;
        let begins_at = self.given.starts_with(|c: char| c.is_ascii_alphabetic())
            && !self.given.split(" AND ").any(|term| term.ends_with("=?"));
        looks_up || (walks && !dead) || (begins_at && (takes_a_page || self.is_partial))
    }

    async fn read(step: &str, db: &Db) -> Option<Self> {
        let (_, rest) = step.split_once("INDEX ")?;
        let (name, rest) = rest.split_once(" (")?;
        let given = rest.split(')').next()?.to_owned();
        let about =
            "SELECT tbl_name, sql, (SELECT COUNT(*) FROM pragma_index_info(sqlite_master.name)) AS columns
             FROM sqlite_master WHERE name = $1";
        let row = sqlx::query(about).bind(name).fetch_one(&db.read().0).await.unwrap();
        let text: Option<String> = row.get("sql");
        Some(Self {
            given,
            columns: usize::try_from(row.get::<i64, _>("columns")).unwrap(),
            // SQLite's own indexes, for PRIMARY KEY and UNIQUE, have no text.
            is_unique: text.is_none(),
            is_partial: text.is_some_and(|text| text.contains(" WHERE ")),
            table: row.get("tbl_name"),
        })
    }
}

/// Whether a step of a plan is one of the three things that it may be.
async fn is_bounded(step: &str, plan: &[String], text: &str, db: &Db) -> bool {
    let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
    let takes_a_page = text.contains("LIMIT $") && !sorts;
    match step.split(' ').next() {
        Some("SEARCH") if step.contains("USING INTEGER PRIMARY KEY (rowid=?)") => true,
        Some("SEARCH") if step.contains("USING INTEGER PRIMARY KEY (rowid>?") => takes_a_page,
        Some("SEARCH") => {
            let index = Index::read(step, db).await;
            index.is_some_and(|index| index.is_bounded(takes_a_page))
        }
        Some("SCAN") if step.ends_with("-ROW VALUES CLAUSE") => true,
        Some("SCAN") => takes_a_page && !text.contains("WHERE"),
        Some("COMPOUND" | "CORRELATED" | "CREATE" | "LEFT-MOST" | "LIST" | "SCALAR") => true,
        _ => step == "UNION ALL",
    }
}

async fn plan(db: &Db, text: &str) -> Vec<String> {
    let statement = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let rows = sqlx::query(statement).fetch_all(&db.read().0).await.unwrap();
    let mut plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    // Of this SQLite has nothing to say.
    if text.starts_with("DELETE") && !text.contains("WHERE") {
        plan.push("DELETE ALL".to_owned());
    }
    plan
}

/// The places where statements are written, as `src/FILE:LINE`.
fn written() -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    for (name, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let before = line.find("sql(").map(|at| &line[..at]);
            let makes = before.is_some_and(|before| {
                !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    && !before.ends_with("fn ")
                    && !before.starts_with("//")
            });
            if makes {
                written.insert(format!("src/{name}:{}", index + 1));
            }
        }
    }
    assert!(written.len() > 50, "{written:?}");
    written
}

/// What this crate is made of, without its tests: names below `src`, and texts.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sources, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if name.starts_with("conformance") || name.ends_with("tests.rs") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let ours = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                sources.push((name, ours.to_owned()));
            }
        }
    }
    sources
}

/// Whose rows a walk may be along, as the beginning of what is given of an index.
const OWNERS: &[&str] =
    &["repository=?", "source=? AND account=?", "account=?", "digest=?", "robot=?", "endpoint=?"];

/// Tables of which rows stay when they are dead.
const MORTAL: &[&str] = &["refresh_token"];
