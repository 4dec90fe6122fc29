//! Signature algorithms.
use std::{fmt, str::FromStr};
/// An algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Algorithm { EdDsa, Es256, Es384, Es512, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512 }
/// The kind of key an algorithm needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Shape { Ed25519, Octets, P256, P384, P521, Rsa }
impl Algorithm {
    /// As in `alg`.
    pub const fn name(self) -> &'static str { todo!() }
    /// The kind of key it needs.
    pub const fn shape(self) -> Shape { todo!() }
}
impl fmt::Display for Algorithm { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() } }
/// No such algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm {0:?}")]
pub struct UnknownAlgorithm(pub String);
impl FromStr for Algorithm { type Err = UnknownAlgorithm; fn from_str(_: &str) -> Result<Self, UnknownAlgorithm> { todo!() } }
/// A set of algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Algorithms(u16);
impl Algorithms {
    /// ES*, RS*, PS*, EdDSA: the default list of a verifier; HS* only by name.
    pub const PUBLIC_KEY: Self = Self(0);
    /// None.
    pub const fn none() -> Self { Self(0) }
    /// Whether it is one of them.
    pub const fn contains(self, _a: Algorithm) -> bool { todo!() }
    /// Whether there is none.
    pub const fn is_empty(self) -> bool { self.0 == 0 }
    /// In order.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> { std::iter::empty() }
}
impl FromIterator<Algorithm> for Algorithms { fn from_iter<I: IntoIterator<Item = Algorithm>>(_: I) -> Self { todo!() } }
impl fmt::Display for Algorithms { fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() } }
