//! Lines into entries.

use std::{collections::hash_map, fmt::Write as _, sync::Arc};

use aws_lc_rs::digest;

use super::{Content, Entry};
use crate::format::{FormatError, Formats, PasswordHash};

/// A line that is skipped or whose account cannot log in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct Warning {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub kind: WarningKind,
}

/// What can be wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarningKind {
    /// The name is there again further down, and the last one counts (HT4).
    #[error("line {by} has the same name again; the server uses that line")]
    Superseded {
        /// The line that counts.
        by: usize,
    },
    /// The account is known and can never log in.
    #[error("this account cannot log in: {0}")]
    Hash(FormatError),
    /// The line is skipped.
    #[error("skipped: {0}")]
    Name(NameFault),
}

/// Why a text cannot be an account's name. The rule is that of the accounts in the database: letters
/// and digits of any script and `._@+-`, beginning with a letter or digit, 128 characters at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// It begins with something else.
    #[error("an account name begins with a letter or a digit")]
    Beginning,
    /// It holds something else.
    #[error("an account name contains only letters, digits and `._@+-`")]
    Character,
    /// Nothing stands before the `:`.
    #[error("the account name is empty")]
    Empty,
    /// It is too long.
    #[error("an account name has at most {MAX_NAME} characters")]
    Length,
    /// It is not text.
    #[error("the line is not UTF-8")]
    Utf8,
}

/// A line that is no entry at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoEntry {
    pub(super) line: usize,
}

/// HT4: blanks around a line are not part of it; empty lines and those that begin with `#` are no
/// entries; the name ends at the first `:`; of two lines with one name the last counts.
pub(super) fn parse(bytes: &[u8], formats: Formats) -> Result<Content, NoEntry> {
    let mut content = Content { digest: Some(super::digest(bytes)), ..Content::default() };
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let text = trim(text);
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        if !text.contains(&b':') {
            return Err(NoEntry { line });
        }
        match split(text) {
            Ok((name, hash)) => content.add(line, name, hash, formats),
            Err(fault) => content.warn(line, WarningKind::Name(fault)),
        }
    }
    content.warnings.sort_by_key(|warning| warning.line);
    Ok(content)
}

impl Content {
    fn add(&mut self, line: usize, name: &str, hash: &str, formats: Formats) {
        let version = version(name, hash);
        let hash = PasswordHash::parse(hash, formats).map(Arc::new);
        if let Err(error) = &hash {
            self.warn(line, WarningKind::Hash(error.clone()));
        }
        let entry = Arc::new(Entry { line, hash, version });
        match self.entries.entry(name.into()) {
            hash_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            hash_map::Entry::Occupied(mut place) => {
                let earlier = place.insert(entry).line;
                self.warn(earlier, WarningKind::Superseded { by: line });
            }
        }
    }

    fn warn(&mut self, line: usize, kind: WarningKind) {
        self.warnings.push(Warning { line, kind });
    }
}

/// Blanks of any script, as distribution trims them; bytes that are no text are nobody's blanks.
fn trim(text: &[u8]) -> &[u8] {
    match str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

fn split(text: &[u8]) -> Result<(&str, &str), NameFault> {
    let text = str::from_utf8(text).map_err(|_| NameFault::Utf8)?;
    let (name, hash) = text.split_once(':').ok_or(NameFault::Character)?;
    check_name(name)?;
    Ok((name, hash))
}

fn check_name(name: &str) -> Result<(), NameFault> {
    let mut characters = name.chars();
    match characters.next() {
        None => return Err(NameFault::Empty),
        Some(first) if !first.is_alphanumeric() => return Err(NameFault::Beginning),
        Some(_) => {}
    }
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
    if !characters.all(legal) {
        return Err(NameFault::Character);
    }
    if name.chars().count() > MAX_NAME {
        return Err(NameFault::Length);
    }
    Ok(())
}

fn version(name: &str, hash: &str) -> Box<str> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [name, ":", hash] {
        context.update(part.as_bytes());
    }
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.into()
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const MAX_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

    fn read(text: impl AsRef<[u8]>) -> Content {
        parse(text.as_ref(), Formats::Current).unwrap()
    }

    fn names(content: &Content) -> Vec<&str> {
        let mut names: Vec<_> = content.entries.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    fn warnings(content: &Content) -> Vec<String> {
        content.warnings.iter().map(ToString::to_string).collect()
    }

    /// HT4.
    #[test]
    fn blanks_comments_and_line_ends_are_not_part_of_an_entry() {
        let content = read(format!(
            "\u{feff}# users\r\n\r\nann:{HASH}\r\n\t bob:{HASH} \n   # no user\n\u{a0}carol:{HASH}\u{2003}\n\ndan:{HASH}"
        ));
        assert_eq!(names(&content), ["ann", "bob", "carol", "dan"]);
        assert_eq!(warnings(&content), Vec::<String>::new());
        let lines = ["ann", "bob", "carol", "dan"].map(|name| content.entries[name].line);
        assert_eq!(lines, [3, 4, 6, 8]);
        assert!(content.entries.values().all(|entry| entry.hash.is_ok()));
    }

    /// HT4, but for the text of the line, which may be a password.
    #[test]
    fn a_line_without_a_colon_spoils_the_file() {
        for (text, line) in
            [("ann", 1), ("ann:x\n\n  hunter2 \nbob:y", 3), ("ann:x\nbo", 2), ("\u{0}", 1)]
        {
            assert_eq!(parse(text.as_bytes(), Formats::Current).unwrap_err(), NoEntry { line });
        }
    }

    /// HT4.
    #[test]
    fn of_two_lines_with_one_name_the_last_counts() {
        let content = read(format!("ann:{HASH}\nbob:{HASH}\nann:gone\n"));
        assert!(content.entries["ann"].hash.is_err());
        assert_eq!(content.entries["ann"].line, 3);
        assert_eq!(
            warnings(&content),
            [
                "line 1: line 3 has the same name again; the server uses that line",
                "line 3: this account cannot log in: what is neither bcrypt nor argon2id is never accepted; make a hash with `htpasswd -B`",
            ]
        );
    }

    /// HT4
    #[test]
    fn lines_whose_name_could_not_be_an_accounts_are_skipped_with_a_warning() {
        let long = "a".repeat(129);
        let mut text = Vec::new();
        for name in ["", "a/b", "*", "a b", "-a", "a\u{200b}", "a\0", "${account}", "a*", &long] {
            text.extend_from_slice(format!("{name}:{HASH}\n").as_bytes());
        }
        text.extend_from_slice(b"\xff\xfe:x\n");
        text.extend_from_slice(format!("Анна:{HASH}\nann.lee_2+ci@example.com:{HASH}").as_bytes());
        let content = read(&text);
        assert_eq!(names(&content), ["ann.lee_2+ci@example.com", "Анна"]);
        assert_eq!(
            warnings(&content),
            [
                "line 1: skipped: the account name is empty",
                "line 2: skipped: an account name contains only letters, digits and `._@+-`",
                "line 3: skipped: an account name begins with a letter or a digit",
                "line 4: skipped: an account name contains only letters, digits and `._@+-`",
                "line 5: skipped: an account name begins with a letter or a digit",
                "line 6: skipped: an account name contains only letters, digits and `._@+-`",
                "line 7: skipped: an account name contains only letters, digits and `._@+-`",
                "line 8: skipped: an account name begins with a letter or a digit",
                "line 9: skipped: an account name contains only letters, digits and `._@+-`",
                "line 10: skipped: an account name has at most 128 characters",
                "line 11: skipped: the line is not UTF-8",
            ]
        );
    }

    /// Distribution's own test file: only the bcrypt lines can ever log in (HT5).
    #[test]
    fn other_schemes_are_entries_that_never_log_in() {
        let content = read(format!(
            "bilbo:{{SHA}}5siv5c0SHx681xU6GiSx9ZQryqs=\nfrodo:{HASH}\nDeokMan:공주님\n"
        ));
        assert_eq!(names(&content), ["DeokMan", "bilbo", "frodo"]);
        assert!(content.entries["frodo"].hash.is_ok());
        assert!(content.entries["bilbo"].hash.is_err());
        assert!(content.entries["DeokMan"].hash.is_err());
        assert_eq!(content.warnings.len(), 2);
        let legacy = parse(b"bilbo:{SHA}5siv5c0SHx681xU6GiSx9ZQryqs=", Formats::Legacy).unwrap();
        assert!(legacy.entries["bilbo"].hash.is_ok());
    }

    #[test]
    fn the_version_is_the_sha_256_of_the_line() {
        let content = read("ann:x\nbob:x");
        // printf ann:x | sha256sum
        assert_eq!(
            content.entries["ann"].version(),
            "83e747f265f72144f93c4d6ba941abc9cf836414e46ff183f54c8ce4fdd37305"
        );
        assert_ne!(content.entries["ann"].version(), content.entries["bob"].version());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, Formats::Legacy);
        }

        #[test]
        fn what_is_written_is_read(names in prop::collection::btree_set("[a-z0-9][a-zA-Zé0-9._@+-]{0,20}", 0..10)) {
            let lines: Vec<_> = names.iter().map(|name| format!("{name}:{HASH}")).collect();
            let content = read(lines.join("\n"));
            prop_assert_eq!(content.entries.len(), names.len());
            prop_assert!(names.iter().all(|name| content.entries.contains_key(&**name)));
            prop_assert!(content.warnings.is_empty());
        }
    }
}
