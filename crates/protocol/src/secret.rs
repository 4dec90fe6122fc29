//! How the secrets of portpass look. Whoever reads names and passwords knows it, so that one that comes in the wrong
//! place is not repeated.

/// A kind of secret that portpass draws and gives to a client once.
///
/// Each is a prefix, 256 random bits and a checksum of 32 bits, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretForm {
    /// An API key of a person.
    ApiKey,
    /// A refresh token, which docker calls an identity token.
    RefreshToken,
    /// The secret of a robot.
    Robot,
}

impl SecretForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ApiKey, Self::RefreshToken, Self::Robot];

    /// Begins every secret of this kind: **p**ort**p**ass **k**ey, **r**efresh, **b**ot. Secret scanners look for it.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "ppk_",
            Self::RefreshToken => "ppr_",
            Self::Robot => "ppb_",
        }
    }

    /// Which secret a text is, or was, such as one that was cut off. No name and no password begins so by chance.
    pub fn of(text: &str) -> Option<Self> {
        const LEAST: usize = 16;
        let text = text.trim_start();
        let form = Self::ALL.into_iter().find(|form| text.starts_with(form.prefix()))?;
        let rest = &text[form.prefix().len()..];
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).take(LEAST).count();
        (digits == LEAST).then_some(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_a_secret_is_told_from_a_name_and_a_password() {
        for form in SecretForm::ALL {
            let prefix = form.prefix();
            let secret = format!("{prefix}{}", "07".repeat(36));
            for text in [
                &*secret,
                &secret[..40],
                &format!(" {secret}"),
                &format!("{prefix}{}", "AB".repeat(36)),
            ] {
                assert_eq!(SecretForm::of(text), Some(form), "{text}");
            }
        }
        for text in [
            "ppr_",
            "ppb_feedbeef",
            "ppk_decade of facade and beef",
            "ppx_0707070707070707070707070707",
            "correct horse battery staple",
            "",
        ] {
            assert_eq!(SecretForm::of(text), None, "{text}");
        }
    }
}
