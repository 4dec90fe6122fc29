use tokio::task::JoinHandle;

use super::*;
use crate::{Db, sql::sql};

async fn set(write: &mut Write, name: &str) -> Result<u64, StateError> {
    write.run(sql("INSERT INTO meta (name, value) VALUES ($1, '')").bind(name)).await
}

/// Parts stay together however slow the machine is.
const TIMEOUTS: Timeouts =
    Timeouts { queue: Duration::from_mins(1), group: Duration::from_mins(1) };

fn anybodys() -> WriteRequest {
    of("")
}

fn of(principal: &str) -> WriteRequest {
    WriteRequest { principal: principal.into(), pending: None }
}

async fn open() -> (tempfile::TempDir, Db, Writer) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(&directory.path().join("state.db")).await.unwrap();
    let writer = Writer::new(db.outside().0, TIMEOUTS);
    (directory, db, writer)
}

async fn names(db: &Db) -> Vec<String> {
    let rows = db.read().all(sql("SELECT name FROM meta ORDER BY name")).await.unwrap();
    rows.iter().map(|row| row.text("name").unwrap()).collect()
}

/// A writer that has its turn, and what becomes of it.
struct Standing {
    /// It has its turn, and has written.
    begun: oneshot::Receiver<()>,
    go: oneshot::Sender<End>,
    ended: JoinHandle<Result<(), StateError>>,
}

/// What a writer does at the end of its turn.
enum End {
    Commit,
    GoAway,
    /// Answers something that rests on what it has seen.
    Leave,
    /// Something goes wrong, and takes the transaction with it or not: SQLite does either.
    Break(&'static str),
}

const BROKEN: [&str; 2] = [
    "ROLLBACK",
    // More than it takes.
    "INSERT INTO meta (name, value) VALUES ('huge', zeroblob(2000000000))",
];

impl Standing {
    /// Puts a writer into the queue. It waits there when this returns.
    async fn new(writer: &Writer, name: &'static str) -> Self {
        let writer = writer.clone();
        Self::with(name, async move { writer.begin(anybodys()).await }).await
    }

    async fn with(
        name: &'static str,
        begin: impl Future<Output = Result<Write, StateError>> + Send + 'static,
    ) -> Self {
        let (written, has_turn) = oneshot::channel();
        let (go, told) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let mut write = begin.await?;
            set(&mut write, name).await?;
            let _ = written.send(());
            match told.await.unwrap() {
                End::Commit => write.commit().await,
                End::GoAway => Ok(()),
                End::Leave => write.roll_back().await,
                End::Break(how) => {
                    write.run(sql(how)).await?;
                    write.commit().await
                }
            }
        });
        // One thread: this lets it run until it waits.
        tokio::task::yield_now().await;
        Self { begun: has_turn, go, ended }
    }

    async fn end(self, end: End) -> Result<(), StateError> {
        let _ = self.go.send(end);
        self.ended.await.unwrap()
    }
}

/// Three that waited in the queue together, of whom the first has done its part.
async fn three(writer: &Writer) -> (JoinHandle<Result<(), StateError>>, Standing, Standing) {
    let before = writer.begin(anybodys()).await.unwrap();
    let [first, second, third] = [
        Standing::new(writer, "first").await,
        Standing::new(writer, "second").await,
        Standing::new(writer, "third").await,
    ];
    before.commit().await.unwrap();
    let _ = first.go.send(End::Commit);
    (first.ended, second, third)
}

#[tokio::test]
async fn nobody_is_told_before_the_last_of_the_group_is_done() {
    let (_directory, db, writer) = open().await;
    let (first, second, third) = three(&writer).await;
    let second = {
        let _ = second.go.send(End::Commit);
        second.ended
    };
    third.begun.await.unwrap();
    assert!(!first.is_finished() && !second.is_finished());
    assert_eq!(names(&db).await, [""; 0], "nothing is seen before it is durable");
    let _ = third.go.send(End::Commit);
    third.ended.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(names(&db).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn who_goes_away_takes_only_its_own_part_along() {
    let (_directory, db, writer) = open().await;
    let (first, second, third) = three(&writer).await;
    second.end(End::GoAway).await.unwrap();
    third.end(End::Commit).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(names(&db).await, ["first", "third"]);
}

#[tokio::test]
async fn the_last_of_a_group_may_go_away_too() {
    let (_directory, db, writer) = open().await;
    let (first, second, third) = three(&writer).await;
    second.end(End::GoAway).await.unwrap();
    third.end(End::GoAway).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(names(&db).await, ["first"]);
}

#[tokio::test]
async fn a_constraint_undoes_only_its_own_statement() {
    let (_directory, db, writer) = open().await;
    let mut write = writer.begin(anybodys()).await.unwrap();
    set(&mut write, "once").await.unwrap();
    assert!(matches!(set(&mut write, "once").await, Err(StateError::Unavailable(_))));
    set(&mut write, "twice").await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(names(&db).await, ["once", "twice"]);
}

#[tokio::test]
async fn a_transaction_that_is_lost_is_lost_to_all_and_to_nobody_after_them() {
    for how in BROKEN {
        let (_directory, db, writer) = open().await;
        let (first, second, third) = three(&writer).await;
        second.end(End::Break(how)).await.unwrap_err();
        third.end(End::Commit).await.unwrap();
        first.await.unwrap().unwrap_err();
        assert_eq!(names(&db).await, ["third"], "{how}");
    }
}

#[tokio::test]
async fn nothing_is_written_where_the_transaction_is_lost() {
    let (_directory, db, writer) = open().await;
    let mut write = writer.begin(anybodys()).await.unwrap();
    write.run(sql(BROKEN[1])).await.unwrap_err();
    set(&mut write, "late").await.unwrap_err();
    write.commit().await.unwrap_err();
    assert_eq!(names(&db).await, [""; 0]);
}

/// What it has seen may be what others have done, and that is not durable yet.
#[tokio::test]
async fn who_answers_without_a_change_waits_for_what_it_has_seen() {
    let (_directory, db, writer) = open().await;
    let (first, second, third) = three(&writer).await;
    let _ = second.go.send(End::Leave);
    third.begun.await.unwrap();
    assert!(!second.ended.is_finished());
    let _ = third.go.send(End::Commit);
    second.ended.await.unwrap().unwrap();
    first.await.unwrap().unwrap();
    third.ended.await.unwrap().unwrap();
    assert_eq!(names(&db).await, ["first", "third"]);
}

#[tokio::test]
async fn nobody_waits_for_what_takes_long() {
    let (_directory, db, writer) = open().await;
    let before = writer.begin(anybodys()).await.unwrap();
    let first = Standing::new(&writer, "first").await;
    let long = {
        let writer = writer.clone();
        Standing::with("long", async move { writer.begin_own_transaction(anybodys()).await }).await
    };
    before.commit().await.unwrap();
    first.end(End::Commit).await.unwrap();
    long.begun.await.unwrap();
    assert_eq!(names(&db).await, ["first"], "and it is at it still");
    let _ = long.go.send(End::Commit);
    long.ended.await.unwrap().unwrap();
    assert_eq!(names(&db).await, ["first", "long"]);
}

#[tokio::test]
async fn what_is_being_committed_is_made_so_whoever_goes_away() {
    let (_directory, db, writer) = open().await;
    let mut write = writer.begin(anybodys()).await.unwrap();
    set(&mut write, "kept").await.unwrap();
    // Polled once, and dropped.
    tokio::select! {
        biased;
        _ = write.commit() => panic!("it is done only when another task has done it"),
        () = async {} => {}
    }
    // Waits behind it in the queue.
    writer.begin(anybodys()).await.unwrap().commit().await.unwrap();
    assert_eq!(names(&db).await, ["kept"]);
}

#[tokio::test]
async fn nobody_stands_in_line_for_ever() {
    let (_directory, db, _) = open().await;
    let writer = Writer::new(db.outside().0, Timeouts { queue: Duration::ZERO, ..TIMEOUTS });
    let held = writer.begin(anybodys()).await.unwrap();
    let late = writer.begin(anybodys()).await.map(drop);
    assert!(late.unwrap_err().to_string().contains("timed out"));
    held.commit().await.unwrap();
}

/// One account's parts make the others wait for one of them at a time, and for the transaction it is in.
#[tokio::test]
async fn accounts_take_turns() {
    let (_directory, db, _) = open().await;
    let writer = Writer::new(db.outside().0, Timeouts { group: Duration::ZERO, ..TIMEOUTS });
    let before = writer.begin(anybodys()).await.unwrap();
    let mut greedy = Vec::new();
    for name in ["first", "second", "third"] {
        let writer = writer.clone();
        greedy.push(Standing::with(name, async move { writer.begin(of("greedy")).await }).await);
    }
    let other = {
        let writer = writer.clone();
        Standing::with("other", async move { writer.begin(of("other")).await }).await
    };
    before.commit().await.unwrap();
    let mut greedy = greedy.into_iter();
    let mut first = greedy.next().unwrap();
    (&mut first.begun).await.unwrap();
    first.end(End::Commit).await.unwrap();
    other.end(End::Commit).await.unwrap();
    assert_eq!(names(&db).await, ["first", "other"], "and the others stand there still");
    for standing in greedy {
        standing.end(End::Commit).await.unwrap();
    }
}
