//! The ways to get a token.

/// How a token was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFlow {
    /// GET, without credentials.
    Anonymous,
    /// GET with a password as `Basic` (TG2).
    Basic,
    /// POST `grant_type=password` (TP5).
    Password,
    /// POST `grant_type=refresh_token` (TP4).
    Refresh,
}

impl TokenFlow {
    /// For messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymously",
            Self::Basic => "with a password by GET",
            Self::Password => "with a password by POST",
            Self::Refresh => "with the identity token",
        }
    }
}
