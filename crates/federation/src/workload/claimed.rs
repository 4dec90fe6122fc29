//! Tokens that nobody has checked yet.

use portpass_jose::unverified::Unverified;
use secrecy::{ExposeSecret, SecretString};

/// A text that has the form of a token and names its issuer, believed by nobody yet.
///
/// It is read once, where it arrives: who is asked about it depends on the issuer alone.
#[derive(Debug, Clone)]
pub struct ClaimedToken {
    text: SecretString,
    issuer: Box<str>,
}

impl ClaimedToken {
    /// Reads one; `None` where the text is something else, as a password is.
    pub fn parse(text: &str) -> Option<Self> {
        // A JSON object in base64url begins so; passwords do not.
        let resembles = text.starts_with("eyJ") && text.split('.').count() == 3;
        let issuer = resembles.then(|| Unverified::parse(text).ok()?.issuer()).flatten()?;
        Some(Self { text: SecretString::from(text), issuer: issuer.into() })
    }

    /// Whom it names as its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// As it arrived.
    pub fn text(&self) -> &SecretString {
        &self.text
    }

    /// As it arrived, for the one who checks it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_token() {
        for (text, issuer) in [
            (
                "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSJ9.",
                Some("https://a.example"),
            ),
            ("eyJhbGciOiJub25lIn0.e30.", None),
            ("correct horse battery staple", None),
            ("eyJ.eyJ.eyJ", None),
            ("a.b.c", None),
        ] {
            let token = ClaimedToken::parse(text);
            assert_eq!(token.as_ref().map(ClaimedToken::issuer), issuer, "{text}");
            assert!(token.is_none_or(|token| !format!("{token:?}").contains(text)));
        }
    }
}
