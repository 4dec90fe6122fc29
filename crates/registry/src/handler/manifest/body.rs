//! The bodies of manifests that are on their way: all together take a bounded piece of memory, and none of them takes
//! for ever.
//!
//! ```text
//! up to 16 KiB (nearly all)    read at once
//! more                         waits for a place: 64 MiB for all, 16 MiB of them for one account
//!                              no place within five seconds ─> 503
//! all of it within two minutes, and before the token ends, or it breaks off
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, header};
use portpass_protocol::manifest::MAX_LENGTH;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::Error;

/// The room that bodies share. Permits are KiB.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    all: Arc<Semaphore>,
    /// Of each account that has a body under way.
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The room of one body; given back when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    _of_all: OwnedSemaphorePermit,
    _of_share: OwnedSemaphorePermit,
}

/// A body that has arrived, and its room for as long as it is in memory.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) bytes: Bytes,
    pub(super) room: Option<Room>,
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL_KIB)), shares: Mutex::default() }
    }
}

impl BodyBudget {
    /// Waits for room, first within the account's own share: whoever has used that up waits for nobody but itself.
    async fn room(&self, account: &str, bytes: usize) -> Result<Room, Error> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let share = self.share(account);
        let both = async {
            let of_share = share.acquire_many_owned(kib).await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_many_owned(kib).await.ok()?;
            Some(Room { _of_all: of_all, _of_share: of_share })
        };
        match timeout(WAIT, both).await {
            Ok(Some(room)) => Ok(room),
            Ok(None) | Err(_) => Err(Error::ManifestsBusy),
        }
    }

    fn share(&self, account: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(account).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(SHARE_KIB));
        shares.insert(account.to_owned(), Arc::downgrade(&share));
        share
    }
}

/// Reads a body, of which never more than a manifest may have is held (OC16, CVE-2017-11468). `left` is how long the
/// caller's token is still good.
pub(super) async fn collect(
    budget: &BodyBudget,
    account: &str,
    left: Option<Duration>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Arrived, Error> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_LENGTH) {
        return Err(Error::ManifestTooLong);
    }
    let (within, why) = match left {
        Some(left) if left < WHOLE => (left, "the token ended before the body did".to_owned()),
        _ => (WHOLE, format!("it was not complete after {} s", WHOLE.as_secs())),
    };
    let mut room = match announced {
        Some(length) if length > FREE => Some(budget.room(account, length).await?),
        _ => None,
    };
    let reading = async {
        let mut pieces = super::super::stream(body);
        // What was announced and does not come takes no memory: its pages are never written to.
        let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default());
        while let Some(piece) = pieces.try_next().await.map_err(broken)? {
            let length = bytes.len() + piece.len();
            if length > MAX_LENGTH {
                return Err(Error::ManifestTooLong);
            }
            if room.is_none() && length > FREE {
                room = Some(budget.room(account, MAX_LENGTH).await?);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    };
    let bytes = timeout(within, reading).await.unwrap_or(Err(Error::BodyBroken { reason: why }))?;
    Ok(Arrived { bytes, room })
}

#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error, as for `map_err`")]
fn broken(reason: portpass_storage::BodyError) -> Error {
    Error::BodyBroken { reason: reason.to_string() }
}

/// All bodies under way.
const ALL_KIB: usize = 64 * 1024;
/// Those of one account: four of the longest.
const SHARE_KIB: usize = ALL_KIB / 4;
/// What needs no room: thousands of such bodies are small beside the connections that they come by.
const FREE: usize = 16 * 1024;
/// How long a body waits for room. Its client has sent the head and waits too.
const WAIT: Duration = Duration::from_secs(5);
/// How long a body may take. The longest manifest comes in that time by a line of 36 KB/s.
const WHOLE: Duration = Duration::from_mins(2);
