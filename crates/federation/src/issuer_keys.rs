//! The keys of an issuer: fetched when they are first needed, kept, and renewed.
//!
//! ```text
//! age of the keys   0 ───── fresh (an hour) ───── stale (a day)
//!                   used    used, and renewed      not used: nobody of this issuer gets in
//!                           beside the request     until it answers
//! a token names a key that is not there            fetched at once, at most once a minute
//! ```

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use portpass_jose::KeySet;

use crate::{
    discovery::{self, DiscoveryError},
    issuer_url::IssuerUrl,
    web::{Web, WebSettings},
};

/// The keys of one issuer.
#[derive(Debug)]
pub struct IssuerKeys(Source);

#[derive(Debug)]
enum Source {
    /// From a file; the issuer is never asked.
    Fixed(Arc<KeySet>),
    Discovered(Arc<Discovered>),
}

#[derive(Debug)]
struct Discovered {
    issuer: IssuerUrl,
    web: Web,
    fresh: Duration,
    state: Mutex<State>,
    /// One fetches for all who wait.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// When it was last tried, and what came of it where nothing did.
    tried: Option<(SystemTime, Option<DiscoveryError>)>,
}

#[derive(Debug, Clone)]
struct Known {
    keys: Arc<KeySet>,
    fetched: SystemTime,
}

/// Nobody knows the issuer's keys at the moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the keys of {issuer} are not known: {why}")]
pub struct KeysUnavailable {
    /// Whose.
    pub issuer: String,
    /// Why.
    pub why: DiscoveryError,
}

impl IssuerKeys {
    /// Keys that were read from a file.
    pub fn fixed(keys: KeySet) -> Self {
        Self(Source::Fixed(Arc::new(keys)))
    }

    /// Keys that the issuer publishes; they are renewed when they are older than `fresh`.
    pub fn discovered(issuer: IssuerUrl, web: WebSettings, fresh: Duration) -> Self {
        let (state, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Source::Discovered(Arc::new(Discovered {
            issuer,
            web: Web::new(web),
            fresh,
            state,
            turn,
        })))
    }

    /// The keys as they are known, or as they are fetched now.
    pub(crate) async fn current(&self, now: SystemTime) -> Result<Arc<KeySet>, KeysUnavailable> {
        let discovered = match &self.0 {
            Source::Fixed(keys) => return Ok(Arc::clone(keys)),
            Source::Discovered(discovered) => discovered,
        };
        if let Some(known) = discovered.known(now) {
            if age(known.fetched, now) >= discovered.fresh && discovered.may_try(now, ASK_AGAIN) {
                let discovered = Arc::clone(discovered);
                tokio::spawn(async move { discovered.fetch(now, ASK_AGAIN).await });
            }
            return Ok(known.keys);
        }
        discovered.fetch(now, ASK_AGAIN_FOR_ANY).await;
        discovered.known(now).map(|known| known.keys).ok_or_else(|| discovered.unavailable())
    }

    /// Other keys than these, for a token that names none of them; `None` where there are no others yet.
    pub(crate) async fn renewed(&self, old: &Arc<KeySet>, now: SystemTime) -> Option<Arc<KeySet>> {
        let Source::Discovered(discovered) = &self.0 else { return None };
        let others = || {
            let known = discovered.known(now)?;
            (!Arc::ptr_eq(&known.keys, old)).then_some(known.keys)
        };
        if let Some(keys) = others() {
            return Some(keys);
        }
        discovered.fetch(now, ASK_AGAIN).await;
        others()
    }
}

impl Discovered {
    /// What is known and not too old to be believed.
    fn known(&self, now: SystemTime) -> Option<Known> {
        self.state().known.clone().filter(|known| age(known.fetched, now) < STALE)
    }

    fn may_try(&self, now: SystemTime, again: Duration) -> bool {
        self.state().tried.as_ref().is_none_or(|(tried, _)| age(*tried, now) >= again)
    }

    /// Asks the issuer, unless somebody did so a moment ago.
    async fn fetch(&self, now: SystemTime, again: Duration) {
        let _turn = self.turn.lock().await;
        if !self.may_try(now, again) {
            return;
        }
        let fetched = discovery::fetch(&self.web, &self.issuer).await;
        let mut state = self.state();
        match fetched {
            Ok(keys) => {
                tracing::info!(issuer = %self.issuer, keys = keys.len(), skipped = keys.skipped().len(), "fetched the keys of an issuer");
                state.tried = Some((now, None));
                state.known = Some(Known { keys: Arc::new(keys), fetched: now });
            }
            Err(error) => {
                tracing::warn!(issuer = %self.issuer, "the keys of an issuer cannot be fetched: {error}");
                state.tried = Some((now, Some(error)));
            }
        }
    }

    fn unavailable(&self) -> KeysUnavailable {
        let tried = self.state().tried.clone();
        let why = tried.and_then(|(_, why)| why).unwrap_or(DiscoveryError::NoKeys);
        KeysUnavailable { issuer: self.issuer.to_string(), why }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests bring their own `now`, so one may be a little earlier.
fn age(then: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_else(|earlier| earlier.duration())
}

/// For a key that is not among those known, and for keys that are getting old.
const ASK_AGAIN: Duration = Duration::from_mins(1);
/// Where no key is known at all.
const ASK_AGAIN_FOR_ANY: Duration = Duration::from_secs(5);
/// How long keys are believed while the issuer does not answer.
pub const STALE: Duration = Duration::from_hours(24);
