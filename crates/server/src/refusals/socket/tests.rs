use std::os::unix::{fs::MetadataExt as _, net::UnixStream as StdStream};

use portpass_token::{Random, SystemClock};

use super::*;
use crate::request::id::RequestIds;

#[derive(Debug)]
struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn refusals() -> Arc<RefusalLog> {
    Arc::new(RefusalLog::new(Arc::new(RequestIds::new(&Sevens)), Arc::new(SystemClock)))
}

#[tokio::test]
async fn whoever_owns_the_directory_is_answered_and_nobody_is_when_the_desk_is_gone() {
    let data = tempfile::tempdir().unwrap();
    let desk = RefusalSocket::open(data.path()).await.unwrap();
    assert_eq!(fs::metadata(data.path().join(SOCKET)).unwrap().mode() & 0o777, 0o600);
    let serving = tokio::spawn(desk.serve(refusals()));
    let told = query(data.path(), &Query::Latest(1)).await.unwrap();
    assert_eq!((told.process.as_str(), told.found.len()), ("0707070707070707", 0));
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(!data.path().join(SOCKET).exists());
    let refused = query(data.path(), &Query::Latest(1)).await.unwrap_err();
    assert!(matches!(refused, QueryError::NotRunning { .. }), "{refused}");
    assert!(refused.to_string().contains("--data"), "{refused}");
}

#[tokio::test]
async fn a_socket_that_a_crash_left_is_nobodys_and_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    // A `RefusalSocket` would remove the file.
    drop(StdListener::bind(data.path().join(SOCKET)).unwrap());
    let refused = query(data.path(), &Query::Latest(1)).await.unwrap_err();
    assert!(matches!(refused, QueryError::NotRunning { .. }), "{refused}");
    let desk = RefusalSocket::open(data.path()).await.unwrap();
    let serving = tokio::spawn(desk.serve(refusals()));
    assert!(query(data.path(), &Query::Latest(1)).await.is_ok());
    serving.abort();
}

#[tokio::test]
async fn a_path_that_is_too_long_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("d".repeat(120));
    fs::create_dir(&data).unwrap();
    let refused = RefusalSocket::open(&data).await.unwrap_err().to_string();
    assert!(refused.contains("the system allows about 100"), "{refused}");
    assert_eq!(query(&data, &Query::Latest(1)).await.unwrap_err().to_string(), refused);
}

#[tokio::test]
async fn many_ask_at_once_and_those_who_say_nothing_keep_nobody_waiting() {
    let data = tempfile::tempdir().unwrap();
    let desk = RefusalSocket::open(data.path()).await.unwrap();
    let serving = tokio::spawn(desk.serve(refusals()));
    let silent: Vec<_> =
        (1..AT_ONCE).map(|_| StdStream::connect(data.path().join(SOCKET)).unwrap()).collect();
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let data = data.path().to_path_buf();
        asking.spawn(async move { query(&data, &Query::Latest(1)).await });
    }
    for told in asking.join_all().await {
        assert!(told.is_ok(), "{told:?}");
    }
    drop(silent);
    serving.abort();
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_not_answered() {
    let data = tempfile::tempdir().unwrap();
    let serving = tokio::spawn(RefusalSocket::open(data.path()).await.unwrap().serve(refusals()));
    for query in ["\n".to_owned(), "{\"drop\":1}\n".to_owned(), "x".repeat(10_000)] {
        let mut stream = UnixStream::connect(data.path().join(SOCKET)).await.unwrap();
        // The server may have closed the connection before the end.
        let _ = stream.write_all(query.as_bytes()).await;
        let mut told = String::new();
        let _ = stream.read_to_string(&mut told).await;
        assert_eq!(told, "");
    }
    assert!(query(data.path(), &Query::Latest(1)).await.is_ok());
    serving.abort();
}
