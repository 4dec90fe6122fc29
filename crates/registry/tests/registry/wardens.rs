//! Controllers as a server composes them, and what their callers bring.

use std::{
    fs,
    io::Write,
    num::NonZeroUsize,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use portpass_jose::{Algorithm, KeySet, SigningKey, TrustRoots};
use portpass_password::{
    CredentialCache, Formats, HashPool, HtpasswdFile, LimitSettings, Limits, PasswordCheck,
    PasswordHash, htpasswd::HtpasswdSettings, pool::PoolSettings,
};
use portpass_protocol::{
    Access, Challenge, Origin,
    challenge::{Bearer, Quotable},
};
use portpass_registry::{
    AccessController, Caller, Grant, Guard,
    controller::{Denial, HtpasswdController, Realm, SillyController, TokenController},
};
use portpass_token::{
    Audience, Claims, Clock, Issuer, KeyIdForm, Minter, ServiceName, Trust, Verifier,
    VerifierSettings,
};
use tempfile::NamedTempFile;
use tracing::subscriber::{DefaultGuard, NoSubscriber};

/// A token service with one key, and the registries that trust it.
pub(crate) struct Mint(SigningKey);

impl Mint {
    pub(crate) fn new() -> Self {
        Self(SigningKey::generate(Algorithm::Es256).unwrap())
    }

    /// A registry's guard with a realm of its own.
    pub(crate) fn guard(&self) -> Guard {
        self.guard_with(Realm::Fixed(quotable("https://auth.example/token")))
    }

    /// A registry's guard whose realm is a path at the registry's own address.
    pub(crate) fn guard_at_same_origin(&self, path: &str) -> Guard {
        self.guard_with(Realm::SameOrigin { path: quotable(path) })
    }

    /// A token for `ann` of this registry that ends so many seconds from now.
    pub(crate) fn token(&self, access: &str, seconds: i64) -> String {
        self.sign("registry", access, seconds)
    }

    /// A token for another service.
    pub(crate) fn token_for(&self, service: &str, access: &str) -> String {
        self.sign(service, access, 300)
    }

    fn sign(&self, service: &str, access: &str, seconds: i64) -> String {
        let offset = Duration::from_secs(seconds.unsigned_abs());
        let expires = if seconds < 0 { now() - offset } else { now() + offset };
        let claims = Claims {
            issuer: Issuer::new("portpass"),
            subject: "ann".to_owned(),
            audience: Audience::one(ServiceName::new(service)),
            expires: expires.into(),
            not_before: None,
            issued_at: None,
            id: None,
            access: access.parse().unwrap(),
        };
        Minter::mint(&self.0, KeyIdForm::Rfc7638, &claims).unwrap()
    }

    fn guard_with(&self, realm: Realm) -> Guard {
        let mut keys = KeySet::new();
        keys.insert(self.0.public().clone());
        let settings = VerifierSettings::new(Issuer::new("portpass"), ServiceName::new("registry"));
        let verifier = Verifier::with_settings(settings, Trust::new(TrustRoots::none(), keys));
        Guard::Controller(Arc::new(TokenController {
            verifier: Arc::new(verifier),
            realm,
            service: quotable("registry"),
            clock: Arc::new(StoppedClock),
        }))
    }
}

pub(crate) fn silly() -> Guard {
    let realm = quotable("https://auth.example/silly");
    Guard::Controller(Arc::new(SillyController::new(realm, quotable("silly-service"))))
}

/// A guard that knows one account, and its file.
pub(crate) fn htpasswd(name: &str, password: &str) -> (Guard, NamedTempFile) {
    let file = NamedTempFile::new().unwrap();
    let hash = PasswordHash::argon2id(password.as_bytes(), [7; 16]);
    fs::write(file.path(), format!("{name}:{}\n", hash.expose())).unwrap();
    let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 64 });
    let settings = HtpasswdSettings { path: file.path().to_owned(), formats: Formats::Current };
    let known = HtpasswdFile::open(settings, pool.source(), now()).unwrap();
    let cache = CredentialCache::new([1; 32], NonZeroUsize::MIN, Duration::from_mins(1));
    let controller = HtpasswdController {
        file: Arc::new(known),
        check: PasswordCheck::new(pool, Arc::new(cache)),
        limits: Arc::new(Limits::new(LimitSettings::default(), [2; 32])),
        realm: quotable("the registry"),
        clock: Arc::new(StoppedClock),
    };
    (Guard::Controller(Arc::new(controller)), file)
}

/// A controller whose source of accounts does not answer.
#[derive(Debug)]
pub(crate) struct Away(Duration);

impl Away {
    pub(crate) fn guard(retry_after: Duration) -> Guard {
        Guard::Controller(Arc::new(Self(retry_after)))
    }
}

#[async_trait]
impl AccessController for Away {
    async fn authorize(&self, _: Caller<'_>) -> Result<Grant, Denial> {
        let what = "the directory does not answer".to_owned();
        Err(Denial::Unavailable { what, retry_after: self.0 })
    }

    fn challenge(&self, _: &Origin, needed: &[Access], _: &Denial) -> Challenge {
        Bearer::new(quotable("https://auth.example/token"), quotable("registry"))
            .scope(needed)
            .into()
    }
}

pub(crate) fn quotable(text: &str) -> Quotable {
    Quotable::new("text", text).unwrap()
}

#[derive(Debug)]
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> SystemTime {
        now()
    }
}

/// What time it is for all of them.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

/// What this thread logs from `info` on, for as long as it lives.
pub(crate) struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _subscriber: DefaultGuard,
}

impl Log {
    pub(crate) fn start() -> Self {
        SECOND_LISTENER.get_or_init(|| tracing::Dispatch::new(NoSubscriber::new()));
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        Self { written, _subscriber: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn lines(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

/// As long as tracing knows of one subscriber alone, the first thread that comes by a log line
/// decides for all threads whether anybody listens. With a second one it asks them all.
static SECOND_LISTENER: OnceLock<tracing::Dispatch> = OnceLock::new();

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
