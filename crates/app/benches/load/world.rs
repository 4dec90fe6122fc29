//! What all callers of a run share: the server's addresses, the counts, and how much may be written.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use portpass_testkit::Portpass;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

/// Which blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    Small,
    Large,
    All,
}

impl Mix {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "1 to 16 KiB",
            Self::Large => "200 MB",
            Self::All => "1 KiB to 200 MB",
        }
    }

    /// Sizes, and how often each comes.
    pub(crate) fn sizes(self) -> &'static [(usize, usize)] {
        match self {
            Self::Small => &[(1 << 10, 1), (16 << 10, 1)],
            Self::Large => &[(200_000_000, 1)],
            Self::All => &[
                (1 << 10, 30),
                (16 << 10, 25),
                (256 << 10, 20),
                (2 << 20, 15),
                (16 << 20, 8),
                (200_000_000, 2),
            ],
        }
    }

    /// What may be written at once, so that all pushers are at it, and then each second: disks end.
    fn budget(self) -> (u64, u64) {
        match self {
            Self::Small => (u64::MAX / 2, 0),
            Self::Large => (PUSHERS * 200_000_000, 20 << 20),
            Self::All => (1 << 30, 20 << 20),
        }
    }
}

/// What all callers of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) mix: Mix,
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) administrator: String,
    began: Instant,
    over: AtomicBool,
    written: AtomicU64,
    pub(crate) images: Mutex<Vec<String>>,
    pub(crate) counts: Counts,
    pub(crate) errors: Mutex<Vec<String>>,
    pub(crate) cached: Mutex<Vec<Duration>>,
    pub(crate) refreshed: Mutex<Vec<Duration>>,
    pub(crate) guesses: Guesses,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pushes: AtomicU64,
    pub(crate) pushed_bytes: AtomicU64,
    pub(crate) pulls: AtomicU64,
    pub(crate) pulled_bytes: AtomicU64,
}

/// What became of the wrong passwords.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    /// 401: they were hashed.
    pub(crate) hashed: AtomicU64,
    /// 429: too many.
    pub(crate) limited: AtomicU64,
    /// 503: the pool was full.
    pub(crate) busy: AtomicU64,
}

impl World {
    pub(crate) fn new(mix: Mix, portpass: &Portpass) -> Self {
        let password = fs::read_to_string(portpass.folder().join("data/admin-password")).unwrap();
        Self {
            mix,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: portpass.url(),
            administrator: password.trim().to_owned(),
            began: Instant::now(),
            over: AtomicBool::new(false),
            written: AtomicU64::new(0),
            images: Mutex::default(),
            counts: Counts::default(),
            errors: Mutex::default(),
            cached: Mutex::default(),
            refreshed: Mutex::default(),
            guesses: Guesses::default(),
        }
    }

    /// Ends the run: everybody finishes what they are at.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self, error: String) {
        self.errors.lock().unwrap().push(error);
    }

    /// Whether so much may be written now.
    pub(crate) fn may_write(&self, size: usize) -> bool {
        let (at_once, each_second) = self.mix.budget();
        let allowed = at_once + each_second * self.began.elapsed().as_secs();
        let size = size as u64;
        let before = self.written.fetch_add(size, Ordering::Relaxed);
        if before + size <= allowed {
            return true;
        }
        self.written.fetch_sub(size, Ordering::Relaxed);
        false
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.url)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/v2/{REPOSITORY}/{path}", self.url))
    }

    pub(crate) async fn administrators_token(&self) -> Result<String, String> {
        let scope = format!("repository:{REPOSITORY}:pull,push");
        let query = [("service", "registry"), ("scope", &scope)];
        let request = self.http.get(self.token_url()).query(&query);
        let request = request.basic_auth("admin", Some(&self.administrator));
        let answer = expect(request, StatusCode::OK).await?.json::<Value>().await;
        Ok(answer.map_err(|error| error.to_string())?["token"].as_str().unwrap().to_owned())
    }
}

/// The answer, if it has the status that it should have.
pub(crate) async fn expect(
    request: RequestBuilder,
    status: StatusCode,
) -> Result<Response, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    if response.status() == status {
        return Ok(response);
    }
    Err(format!("{} of {}", response.status(), response.url().path()))
}

/// How many push at a time.
pub(crate) const PUSHERS: u64 = 24;

/// Anyone pulls it.
pub(crate) const REPOSITORY: &str = "public/load";
