//! The globs of Go's `path.Match`, with all that is peculiar about them.

/// Whether the pattern means the whole text. A pattern that Go refuses means nothing.
///
/// `*` is any run of characters without `/`, `?` one character but `/`, `[a-z]` and `[^a]` one character of those
/// or none of those (a `/` too), `\x` the character `x`. A `*` is content with the first place where what follows
/// it up to the next `*` fits, and never moves on from there.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.as_bytes(), text.as_bytes());
    while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        if star && chunk.is_empty() {
            return !text.contains(&b'/');
        }
        // The last piece has to reach the end.
        let fits = |left: &&[u8]| !rest.is_empty() || left.is_empty();
        let first = chunk_fits(chunk, text).filter(fits);
        let skipped = text.iter().take_while(|byte| star && **byte != b'/').count();
        let later = || (1..=skipped).find_map(|at| chunk_fits(chunk, &text[at..]).filter(fits));
        match first.or_else(later) {
            Some(left) => (pattern, text) = (rest, left),
            None => return false,
        }
    }
    text.is_empty()
}

/// Whether the pattern is a text that only means itself.
pub(super) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\'])
}

/// Whether a `*` comes first, what follows it up to the next `*`, and what is behind that.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let behind = &pattern[stars..];
    let (mut in_class, mut at) = (false, 0);
    while let Some(byte) = behind.get(at) {
        match byte {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        at += 1;
    }
    let (chunk, rest) = behind.split_at(at.min(behind.len()));
    (stars > 0, chunk, rest)
}

/// What is left of a text that begins as a piece without `*` says; `None` where it does not, or the piece is
/// broken.
fn chunk_fits<'a>(mut chunk: &[u8], mut text: &'a [u8]) -> Option<&'a [u8]> {
    while let Some(wanted) = chunk.first() {
        let found = text.first()?;
        match wanted {
            b'[' => {
                let (character, length) = first_character(text);
                let (is_in, rest) = class_has(&chunk[1..], character)?;
                if !is_in {
                    return None;
                }
                (chunk, text) = (rest, &text[length..]);
            }
            b'?' if *found == b'/' => return None,
            b'?' => (chunk, text) = (&chunk[1..], &text[first_character(text).1..]),
            _ => {
                let literal = chunk.strip_prefix(b"\\").unwrap_or(chunk);
                if literal.first() != Some(found) {
                    return None;
                }
                (chunk, text) = (&literal[1..], &text[1..]);
            }
        }
    }
    Some(text)
}

/// Whether the class, read behind its `[`, has the character, and what stands behind its `]`; `None` for a broken
/// one.
fn class_has(mut class: &[u8], character: u32) -> Option<(bool, &[u8])> {
    let negated = class.first() == Some(&b'^');
    if negated {
        class = &class[1..];
    }
    let (mut found, mut ranges) = (false, 0);
    loop {
        if class.first() == Some(&b']') && ranges > 0 {
            return Some((found != negated, &class[1..]));
        }
        let (low, rest) = class_character(class)?;
        let (high, rest) = match rest.strip_prefix(b"-") {
            Some(rest) => class_character(rest)?,
            None => (low, rest),
        };
        found |= (low..=high).contains(&character);
        ranges += 1;
        class = rest;
    }
}

/// One end of a range; something must stand behind it.
fn class_character(class: &[u8]) -> Option<(u32, &[u8])> {
    let class = match class.first()? {
        b'-' | b']' => return None,
        b'\\' => &class[1..],
        _ => class,
    };
    class.first()?;
    let (character, length) = first_character(class);
    let rest = &class[length..];
    (!rest.is_empty()).then_some((character, rest))
}

/// The first character and its length in bytes. Within a character it is one byte, as Go reads it.
fn first_character(text: &[u8]) -> (u32, usize) {
    let length = match text[0] {
        byte if byte.is_ascii() => return (u32::from(byte), 1),
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return (u32::from(char::REPLACEMENT_CHARACTER), 1),
    };
    let character = text.get(..length).and_then(|bytes| str::from_utf8(bytes).ok());
    match character.and_then(|text| text.chars().next()) {
        Some(character) => (u32::from(character), length),
        None => (u32::from(char::REPLACEMENT_CHARACTER), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.19 says of each.
    #[test]
    fn a_pattern_means_what_it_means_in_go() {
        let table = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*", "a/b", false),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("a[^b]c", "a/c", true),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x-]", "x", false),
            ("[]a]", "]", false),
            ("[^]a]", "b", false),
            ("[-]", "-", false),
            ("[", "a", false),
            ("[^bc", "a", false),
            ("a[", "a", false),
            ("a[", "ab", false),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("a\\", "a", false),
            ("**", "a/b", false),
            ("a/**", "a/b/c", false),
            ("{a,b}", "a", false),
            ("//", "//", true),
            ("*[/x]*y", "x/y", false),
            ("*??", "日", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }
}
