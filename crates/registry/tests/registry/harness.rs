//! A whole registry in this process, over either store, and what clients do with it.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use portpass_protocol::{
    Access, Challenge, Digest, DigestAlgorithm, Origin,
    challenge::{Bearer, Quotable},
};
use portpass_registry::{
    AccessController, ApiSettings, Caller, Credentials, Deletes, EventSink, Grant, Guard,
    PullNotes, ReadOnly, Registry, RegistryParts, Rules,
    controller::Denial,
    event::Event,
    gc::{Collector, GcSettings},
    groups::{GroupDirectory, GroupsUnavailable},
};
use portpass_state::Db;
use portpass_storage::{BlobStore, FsStore, Keys, MemoryStore, Object};
use portpass_token::{Clock, Random};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tower::ServiceExt as _;

/// Makes each of these functions a test over files and a test in memory.
macro_rules! on_both_stores {
    ($($name:ident,)*) => {
        mod on_files {
            $(#[tokio::test] async fn $name() { super::$name($crate::harness::Harness::on_files().await).await; })*
        }
        mod in_memory {
            $(#[tokio::test] async fn $name() { super::$name($crate::harness::Harness::in_memory().await).await; })*
        }
    };
}
pub(crate) use on_both_stores;

pub(crate) struct Harness {
    pub(crate) registry: Registry,
    pub(crate) db: Db,
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) pulls: Arc<PullNotes>,
    pub(crate) read_only: Arc<ReadOnly>,
    directory: Option<TempDir>,
}

/// All that the registry has told.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Vec<Event>>);

impl Seen {
    /// What was told since this was asked last.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl EventSink for Seen {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Harness {
    pub(crate) async fn on_files() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(FsStore::open(directory.path(), keys()).unwrap());
        let harness = Self::new(store, Guard::Open, Deletes::Enabled).await;
        Self { directory: Some(directory), ..harness }
    }

    pub(crate) async fn in_memory() -> Self {
        Self::guarded(Guard::Open, Deletes::Enabled).await
    }

    pub(crate) async fn guarded(guard: Guard, deletes: Deletes) -> Self {
        let store = MemoryStore::new(keys(), Arc::new(machine_time));
        Self::new(Arc::new(store), guard, deletes).await
    }

    /// With several connections to a database in a file, as servers have it.
    pub(crate) async fn with_its_database_on_disk() -> Self {
        Self::on_disk(|db| db).await
    }

    /// And with what was read of it in memory.
    pub(crate) async fn with_its_database_on_disk_and_in_memory() -> Self {
        Self::on_disk(Db::with_cache).await
    }

    async fn on_disk(opened: impl FnOnce(Db) -> Db) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = FsStore::open(directory.path().join("blobs"), keys()).unwrap();
        let db = opened(Db::open(&directory.path().join(DATABASE)).await.unwrap());
        let harness = Self::over(
            Arc::new(store),
            db,
            (Guard::Open, Deletes::Enabled),
            (ApiSettings::default(), Rules::default()),
        )
        .await;
        Self { directory: Some(directory), ..harness }
    }

    pub(crate) async fn new(store: Arc<dyn BlobStore>, guard: Guard, deletes: Deletes) -> Self {
        let harness = Self::over(
            store,
            Db::in_memory().await.unwrap(),
            (guard, deletes),
            (ApiSettings::default(), Rules::default()),
        )
        .await;
        harness.db.serving_since(harness.now()).await.unwrap();
        harness
    }

    pub(crate) async fn with_settings(settings: ApiSettings) -> Self {
        let store = Arc::new(MemoryStore::new(keys(), Arc::new(machine_time)));
        let db = Db::in_memory().await.unwrap();
        let chosen = (settings, Rules::default());
        Self::over(store, db, (Guard::Open, Deletes::Enabled), chosen).await
    }

    /// With rules about what repositories hold; whoever asks is who its token says: see [`AsNamed`].
    pub(crate) async fn ruled(rules: Rules) -> Self {
        let store = Arc::new(MemoryStore::new(keys(), Arc::new(machine_time)));
        let guard = (Guard::Controller(Arc::new(AsNamed)), Deletes::Enabled);
        let db = Db::in_memory().await.unwrap();
        Self::over(store, db, guard, (ApiSettings::default(), rules)).await
    }

    async fn over(
        store: Arc<dyn BlobStore>,
        db: Db,
        (guard, deletes): (Guard, Deletes),
        (settings, rules): (ApiSettings, Rules),
    ) -> Self {
        let clock = Arc::new(TestClock(Mutex::new(machine_time())));
        let (seen, pulls) = (Arc::new(Seen::default()), Arc::new(PullNotes::new()));
        let read_only = Arc::new(ReadOnly::read(false, &db).await.unwrap());
        let registry = Registry::new(RegistryParts {
            guard,
            db: db.clone(),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::new(Counter::default()),
            deletes,
            events: Arc::clone(&seen) as Arc<dyn EventSink>,
            notifications: None,
            pulls: Arc::clone(&pulls),
            read_only: Arc::clone(&read_only),
            settings,
            rules: Arc::new(rules),
            groups: Arc::new(Roster),
        });
        Self { registry, db, store, clock, seen, pulls, read_only, directory: None }
    }

    /// What collects its garbage.
    pub(crate) fn collector(&self, settings: GcSettings) -> Collector {
        self.registry.collector(settings)
    }

    /// The database, as another process has it open.
    pub(crate) async fn opened_again(&self) -> Db {
        Db::open(&self.directory().join(DATABASE)).await.unwrap()
    }

    /// Where a store of files lies.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.as_ref().expect("files").path()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.answer(request).await).await
    }

    /// Sends a request as the listener would: with the address that the client used.
    pub(crate) fn answer(
        &self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Response> + Send + 'static {
        let origin: Origin = Origin {
            scheme: "http".parse().unwrap(),
            authority: "registry.example:5000".parse().unwrap(),
        };
        request.extensions_mut().insert(origin);
        let registry = self.registry.clone();
        async move { registry.oneshot(request).await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, [], Body::empty())).await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send(request(Method::HEAD, path, [], Body::empty())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, [], Body::empty())).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        self.send(request(Method::POST, path, [], Body::empty())).await
    }

    pub(crate) async fn patch(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(request(Method::PATCH, path, [], body)).await
    }

    /// A chunk that says where it belongs.
    pub(crate) async fn chunk(&self, path: &str, range: &str, body: impl Into<Body>) -> Answer {
        let headers = [(header::CONTENT_RANGE, range)];
        self.send(request(Method::PATCH, path, headers, body)).await
    }

    pub(crate) async fn put(&self, path: &str, digest: &Digest, body: impl Into<Body>) -> Answer {
        let path = format!("{path}?digest={digest}");
        self.send(request(Method::PUT, &path, [], body)).await
    }

    /// Opens a session; gives its path.
    pub(crate) async fn session(&self, repository: &str) -> String {
        let answer = self.post(&format!("/v2/{repository}/blobs/uploads/")).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
        answer.location()
    }

    /// Stores a blob with one request; gives its path.
    pub(crate) async fn blob(&self, repository: &str, content: &[u8]) -> String {
        let digest = Digest::sha256(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let body = Body::from(content.to_vec());
        let answer = self.send(request(Method::POST, &path, [], body)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
        answer.location()
    }

    /// `Range` of a session: how far it is.
    pub(crate) async fn progress(&self, session: &str) -> String {
        let answer = self.get(session).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.location(), session);
        answer.header("range")
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The bytes of all objects.
    pub(crate) async fn stored(&self) -> u64 {
        self.objects().await.iter().map(|object| object.length).sum()
    }

    /// What the store holds.
    pub(crate) async fn objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        let mut cursor = None;
        loop {
            let listing = self.store.list(cursor).await.unwrap();
            objects.extend(listing.objects);
            cursor = listing.next;
            if cursor.is_none() {
                return objects;
            }
        }
    }

    /// Waits until `so` holds, which it must soon.
    #[expect(clippy::disallowed_methods, reason = "the runtime's time may be halted")]
    pub(crate) async fn until<F: Future<Output = bool>>(&self, so: impl Fn() -> F) {
        let start = Instant::now();
        while !so().await {
            assert!(start.elapsed() < Duration::from_secs(20), "this should have happened by now");
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    }

    /// Where to go on; always without scheme and host.
    pub(crate) fn location(&self) -> String {
        let location = self.header("location");
        assert!(location.starts_with("/v2/"), "{location:?} must be a path");
        location
    }

    /// The code of the one error.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        let errors = body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1);
        errors[0]["code"].as_str().unwrap().to_owned()
    }

    /// Status and code of a refusal; no refusal may name a path of the store.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        assert!(!text.contains("/tmp"), "{text}");
        (self.status.as_u16(), self.code())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, self.headers, self.body)
    }
}

pub(crate) fn request<const N: usize>(
    method: Method,
    path: &str,
    headers: [(http::HeaderName, &str); N],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body.into()).unwrap()
}

/// A body that is sent piece by piece. Dropped, it ends; [`Wire::break_off`] breaks it off.
pub(crate) struct Wire(mpsc::Sender<Result<Bytes, &'static str>>);

impl Wire {
    pub(crate) fn new() -> (Self, Body) {
        let (sender, receiver) = mpsc::channel(1);
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        (Self(sender), Body::from_stream(pieces))
    }

    /// Returns when the other side has room for more.
    pub(crate) async fn send(&self, piece: impl Into<Bytes>) {
        self.0.send(Ok(piece.into())).await.unwrap();
    }

    /// Returns when all that was sent has been taken.
    pub(crate) async fn taken(&self) {
        drop(self.0.reserve().await.unwrap());
    }

    pub(crate) async fn break_off(self) {
        self.0.send(Err("connection reset by peer")).await.unwrap();
    }

    /// Whether nobody reads the body any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Bytes in which a shift or a swap shows.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_be_bytes()[7]).collect()
}

pub(crate) fn sha512(content: &[u8]) -> Digest {
    Digest::of(DigestAlgorithm::Sha512, content)
}

/// Time that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<SystemTime>);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "files are dated by the machine's clock")]
pub(crate) fn machine_time() -> SystemTime {
    SystemTime::now()
}

/// tokio's time, halted until it is moved: while a blocking task runs it does not move by itself.
pub(crate) struct Halted(Option<std::sync::mpsc::Sender<()>>);

impl Halted {
    pub(crate) fn time() -> Self {
        let (ends, ended) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || ended.recv());
        tokio::time::pause();
        Self(Some(ends))
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

const DATABASE: &str = "portpass.db";

/// Bits that are never the same twice.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, digit) in bytes.iter_mut().zip(number.iter().cycle()) {
            *byte = *digit;
        }
    }
}

pub(crate) fn keys() -> Keys {
    let next = AtomicU64::new(1);
    Arc::new(move || {
        let number = u128::from(next.fetch_add(1, Ordering::Relaxed));
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    })
}

/// Grants what the token says: `Authorization: Bearer repository:a:pull`.
#[derive(Debug)]
pub(crate) struct AsTheTokenSays;

#[async_trait]
impl AccessController for AsTheTokenSays {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        match caller.credentials {
            Credentials::Bearer(token) => Ok(Grant::listed("tester", token.parse().unwrap())),
            _ => Ok(Grant::listed("", portpass_protocol::AccessSet::default())),
        }
    }

    fn challenge(&self, _: &Origin, needed: &[Access], _: &Denial) -> Challenge {
        let realm = Quotable::new("realm", "http://token.example/token").unwrap();
        let service = Quotable::new("service", "registry").unwrap();
        Bearer::new(realm, service).scope(needed).into()
    }
}

/// Lets everybody do everything, under the name that the token is.
#[derive(Debug)]
pub(crate) struct AsNamed;

#[async_trait]
impl AccessController for AsNamed {
    async fn authorize(&self, caller: Caller<'_>) -> Result<Grant, Denial> {
        match caller.credentials {
            Credentials::Bearer(name) => Ok(Grant::everything(name)),
            _ => Ok(Grant::everything("")),
        }
    }

    fn challenge(&self, origin: &Origin, needed: &[Access], denial: &Denial) -> Challenge {
        AsTheTokenSays.challenge(origin, needed, denial)
    }
}

/// `root` is in `admins`, nobody else is in any group, and of `cloudy` nobody can say.
#[derive(Debug)]
struct Roster;

#[async_trait]
impl GroupDirectory for Roster {
    async fn groups_of(&self, subject: &str) -> Result<Vec<String>, GroupsUnavailable> {
        match subject {
            "root" => Ok(vec!["admins".to_owned()]),
            "cloudy" => Err(GroupsUnavailable { reason: "the directory is away".to_owned() }),
            _ => Ok(Vec::new()),
        }
    }
}
