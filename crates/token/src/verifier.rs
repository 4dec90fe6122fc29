//! Decides whether a token is good for one service.

mod error;
mod revocations;
mod seen;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use portpass_jose::{Algorithms, Compact, KeyError, KeySet, TrustRoots};

use self::seen::Seen;
pub use self::{error::Invalid, revocations::Revocations};
use crate::{Claims, Issuer, ServiceName};

/// How far apart the clocks of a token service and a registry may be (JW6).
pub const LEEWAY: Duration = Duration::from_mins(1);

/// What a verifier compares tokens with.
#[derive(Debug, Clone)]
pub struct VerifierSettings {
    /// Must be `iss`, letter for letter.
    pub issuer: Issuer,
    /// Must be in `aud`, letter for letter.
    pub audience: ServiceName,
    /// By how much `exp` may be past, and `nbf` ahead.
    pub leeway: Duration,
    /// What tokens may be signed by, whatever their key could do.
    pub allowed: Algorithms,
}

impl VerifierSettings {
    /// With a leeway of [`LEEWAY`] and every algorithm of public keys.
    pub fn new(issuer: Issuer, audience: ServiceName) -> Self {
        Self { issuer, audience, leeway: LEEWAY, allowed: Algorithms::PUBLIC_KEY }
    }
}

/// Whose signatures count.
#[derive(Debug)]
pub struct Trust {
    roots: TrustRoots,
    keys: KeySet,
}

impl Trust {
    /// Certificates, the keys in them, and keys beside them.
    pub fn new(roots: TrustRoots, keys: KeySet) -> Self {
        let mut all = roots.keys();
        all.extend(keys);
        Self { roots, keys: all }
    }

    /// The certificates of a registry's bundle (`rootcertbundle`), and the keys in them.
    ///
    /// # Errors
    /// If the text holds no certificate, or one that cannot be used.
    pub fn from_pem<P: AsRef<[u8]> + ?Sized>(bundle: &P) -> Result<Self, KeyError> {
        TrustRoots::from_pem(bundle).map(Self::from)
    }

    /// For tokens that bring their certificates.
    pub fn roots(&self) -> &TrustRoots {
        &self.roots
    }

    /// For tokens that name their key.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Whether nobody is trusted, so that every token would be refused.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl From<TrustRoots> for Trust {
    fn from(roots: TrustRoots) -> Self {
        Self::new(roots, KeySet::new())
    }
}

impl From<KeySet> for Trust {
    fn from(keys: KeySet) -> Self {
        Self::new(TrustRoots::none(), keys)
    }
}

/// Verifies tokens of one issuer for one service, and remembers those that held.
#[derive(Debug)]
pub struct Verifier {
    settings: VerifierSettings,
    generation: ArcSwap<Generation>,
    /// None while there are none: then a request does not even hash the subject.
    revocations: ArcSwapOption<Revocations>,
}

/// What is trusted, and the verdicts that rest on it: they are replaced together, so no verdict
/// outlives the keys that it rests on.
#[derive(Debug)]
struct Generation {
    trust: Trust,
    seen: Seen,
}

impl Verifier {
    /// Accepts tokens of `issuer` for `audience` that `trust` vouches for, with the usual settings
    /// ([`VerifierSettings::new`]).
    pub fn new(issuer: impl Into<Issuer>, audience: impl Into<ServiceName>, trust: Trust) -> Self {
        Self::with_settings(VerifierSettings::new(issuer.into(), audience.into()), trust)
    }

    /// Accepts tokens by these settings that `trust` vouches for.
    pub fn with_settings(settings: VerifierSettings, trust: Trust) -> Self {
        let generation = ArcSwap::from_pointee(Generation::of(trust));
        Self { settings, generation, revocations: ArcSwapOption::empty() }
    }

    /// What it compares tokens with.
    pub fn settings(&self) -> &VerifierSettings {
        &self.settings
    }

    /// Trusts something else from now on; what was remembered is forgotten.
    pub fn replace_trust(&self, trust: Trust) {
        self.generation.store(Arc::new(Generation::of(trust)));
    }

    /// Refuses other subjects' old tokens from now on, also those that were verified before.
    pub fn replace_revocations(&self, revocations: Revocations) {
        self.revocations.store(Some(revocations).filter(|some| !some.is_empty()).map(Arc::new));
    }

    /// The claims of a token that holds at `now`.
    ///
    /// The order is: the cache of verified tokens; otherwise length, parts, header, key, algorithm, signature,
    /// claims (VO6); then issuer, audience, `exp` and `nbf`, and whether it was revoked. A token from the cache has
    /// its times checked again, and whether it was revoked.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Arc<Claims>, Invalid> {
        let generation = self.generation.load();
        let key = Seen::key(token);
        if let Some(claims) = generation.seen.get(&key, now) {
            self.check_times(&claims, now)?;
            self.check_revocations(&claims)?;
            return Ok(claims);
        }
        let compact = Compact::parse(token)?;
        let Trust { roots, keys } = &generation.trust;
        let verified = compact.verify(keys, roots, self.settings.allowed, now)?;
        let claims = Claims::from_json(verified.payload())?;
        self.check_parties(&claims)?;
        self.check_times(&claims, now)?;
        self.check_revocations(&claims)?;
        let signer = verified.signer();
        if let Some(warning) = &signer.warning {
            tracing::warn!(key = signer.key_id.as_str(), "accepted by key id, but {warning}");
        }
        let claims = Arc::new(claims);
        generation.seen.insert(key, claims.clone(), signer.valid_until, token.len());
        Ok(claims)
    }

    /// Until when a token with these claims holds, what is forgiven included; `None` beyond all times.
    pub fn holds_until(&self, claims: &Claims, now: SystemTime) -> Option<SystemTime> {
        let end = match claims.expires.since(now) {
            Some(ago) => now.checked_sub(ago),
            None => now.checked_add(claims.expires.until(now).unwrap_or_default()),
        };
        end?.checked_add(self.settings.leeway)
    }

    fn check_parties(&self, claims: &Claims) -> Result<(), Invalid> {
        let VerifierSettings { issuer, audience, .. } = &self.settings;
        if claims.issuer != *issuer {
            return Err(Invalid::issuer(&claims.issuer, issuer));
        }
        if !claims.audience.contains(audience) {
            return Err(Invalid::audience(&claims.audience, audience));
        }
        Ok(())
    }

    fn check_revocations(&self, claims: &Claims) -> Result<(), Invalid> {
        match &*self.revocations.load() {
            Some(revocations) => revocations.check(claims),
            None => Ok(()),
        }
    }

    fn check_times(&self, claims: &Claims, now: SystemTime) -> Result<(), Invalid> {
        let leeway = self.settings.leeway;
        if let Some(ago) = claims.expires.since(now).filter(|ago| *ago > leeway) {
            return Err(Invalid::Expired { ago, leeway });
        }
        let ahead = claims.not_before.and_then(|not_before| not_before.until(now));
        if let Some(ahead) = ahead.filter(|ahead| *ahead > leeway) {
            return Err(Invalid::NotYetValid { ahead, leeway });
        }
        Ok(())
    }
}

impl Generation {
    fn of(trust: Trust) -> Self {
        Self { trust, seen: Seen::new() }
    }
}

#[cfg(test)]
mod tests;
