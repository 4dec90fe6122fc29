//! Text from outside, made fit to be printed.

/// Whether a terminal or a page obeys a character in place of showing it: it moves the cursor, ends a line,
/// turns the direction of reading, or is there and cannot be seen. Nothing of the kind that others wrote is
/// printed as it is.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Somebody else's text, fit for a line of a terminal and no longer than so many characters.
pub fn on_one_line(text: &str, length: usize) -> String {
    let visible = |c: char| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
    let mut rest = text.chars().map(visible);
    let mut line: String = rest.by_ref().take(length).collect();
    if rest.next().is_some() {
        line.push('…');
    }
    line
}

/// Text from outside for an error message: never longer than a line.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 64;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_others_is_cut_and_moves_no_cursor() {
        assert_eq!(on_one_line("abc", 3), "abc");
        assert_eq!(on_one_line("abcd", 3), "abc…");
        assert_eq!(on_one_line("a\u{1b}[2J\n", 9), "a\u{fffd}[2J\u{fffd}");
    }

    /// By `\u{202e}` a name reads from right to left, and `\u{2028}` is a new line to some.
    #[test]
    fn the_text_of_others_is_read_as_it_is_written() {
        for c in [
            '\u{202e}', '\u{2066}', '\u{61c}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{85}',
            '\u{feff}',
        ] {
            assert_eq!(on_one_line(&format!("a{c}b"), 9), "a\u{fffd}b", "{c:?}");
        }
        let spoken = "ação 日本語 עברית العربية नमस्ते é 😀";
        assert_eq!(on_one_line(spoken, 99), spoken);
    }
}
