//! Decides whether a token is one of ours.
use std::{sync::Arc, time::{Duration, SystemTime}};
use portpass_jose::{Algorithms, KeySet, TrustRoots};
use crate::{Claims, Issuer, ServiceName};
/// What a verifier compares with.
#[derive(Debug, Clone)]
pub struct VerifierSettings {
    /// Must equal `iss`.
    pub issuer: Issuer,
    /// Must be in `aud`.
    pub audience: ServiceName,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Which algorithms may be used.
    pub allowed: Algorithms,
}
impl VerifierSettings {
    /// The leeway of 60 s and all public-key algorithms.
    pub fn new(_issuer: Issuer, _audience: ServiceName) -> Self { todo!() }
}
/// Whose signatures count.
#[derive(Debug)]
pub struct Trust { roots: TrustRoots, keys: KeySet }
impl Trust {
    /// `keys` and the keys of all `roots`.
    pub fn new(_roots: TrustRoots, _keys: KeySet) -> Self { todo!() }
    /// For x5c.
    pub fn roots(&self) -> &TrustRoots { &self.roots }
    /// For key ids.
    pub fn keys(&self) -> &KeySet { &self.keys }
    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool { todo!() }
}
/// Verifies tokens of one issuer for one service.
#[derive(Debug)]
pub struct Verifier { settings: VerifierSettings }
impl Verifier {
    /// With the first trust.
    pub fn new(_settings: VerifierSettings, _trust: Trust) -> Self { todo!() }
    /// What it compares with.
    pub fn settings(&self) -> &VerifierSettings { &self.settings }
    /// Atomic; cached verdicts of the old trust are forgotten.
    pub fn replace_trust(&self, _trust: Trust) { todo!() }
    /// The claims of a token that holds.
    pub fn verify(&self, _token: &str, _now: SystemTime) -> Result<Arc<Claims>, Invalid> { todo!() }
}
/// Why a token does not count: a full sentence with the values that disagreed, for logs only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {}
impl Invalid {
    /// Stable kebab-case word.
    pub fn id(&self) -> &'static str { todo!() }
}
