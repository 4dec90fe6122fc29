//! How a refresh token of portpass looks. Whoever reads names and passwords knows it, so that one that comes in the wrong
//! place is not repeated.

/// Begins every refresh token: **p**ort**p**ass **r**efresh.
pub const PREFIX: &str = "ppr_";

/// Whether a text is a refresh token or was one, such as one that was cut off. No name and no password begins so by chance.
pub fn resembles(text: &str) -> bool {
    const LEAST: usize = 16;
    let rest = text.trim_start().strip_prefix(PREFIX).unwrap_or_default();
    rest.bytes().take_while(u8::is_ascii_hexdigit).take(LEAST).count() == LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_a_refresh_token_is_told_from_a_name_and_a_password() {
        let secret = format!("{PREFIX}{}", "07".repeat(36));
        for (text, is_one) in [
            (&*secret, true),
            (&secret[..40], true),
            (&format!(" {secret}"), true),
            (&format!("{PREFIX}{}", "AB".repeat(36)), true),
            ("ppr_", false),
            ("ppr_feedbeef", false),
            ("ppr_decade of facade and beef", false),
            ("correct horse battery staple", false),
            ("", false),
        ] {
            assert_eq!(resembles(text), is_one, "{text}");
        }
    }
}
