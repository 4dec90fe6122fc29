//! An X.509 certificate, read once.
use std::time::SystemTime;
use crate::{VerifyingKey, signing::KeyError};
/// A certificate, read once.
#[derive(Debug, Clone)]
pub struct Certificate { der: Vec<u8> }
impl Certificate {
    /// From DER.
    pub fn from_der(_der: &[u8]) -> Result<Self, KeyError> { todo!() }
    /// DER.
    pub fn der(&self) -> &[u8] { &self.der }
    /// One PEM block.
    pub fn to_pem(&self) -> String { todo!() }
    /// Distinguished name, as text.
    pub fn subject(&self) -> &str { todo!() }
    /// Distinguished name, as text.
    pub fn issuer(&self) -> &str { todo!() }
    /// First moment of validity.
    pub fn not_before(&self) -> SystemTime { todo!() }
    /// Last moment of validity.
    pub fn not_after(&self) -> SystemTime { todo!() }
    /// Whether it may sign certificates (v3, CA:TRUE, keyCertSign where stated).
    pub fn is_authority(&self) -> bool { todo!() }
    /// 1, 2 or 3.
    pub fn version(&self) -> u32 { todo!() }
    /// Its key.
    pub fn key(&self) -> &VerifyingKey { todo!() }
}
