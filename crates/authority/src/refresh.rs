//! Refresh tokens: opaque, reusable, stored as their SHA-256.

use secrecy::SecretString;

/// A refresh token as a client presents it; not looked up yet.
#[derive(Debug, Clone)]
pub struct RefreshSecret(SecretString);
