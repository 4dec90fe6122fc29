//! Distinguished names, compared as names and not as texts (RFC 4514).

use std::fmt::{self, Write as _};

/// A distinguished name in one spelling: types and values in lower case, no spaces around the signs, and
/// only the escapes that are needed. A directory answers `cn=Smith\2C John` for what was stored as
/// `CN=Smith\, John`; here both are the same.
///
/// Case is dropped from all values: directories compare nearly all of what names hold without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dn {
    text: String,
    /// The value of the first part, as it was written.
    first: String,
    /// Where each further part begins in `text`.
    parts: Vec<usize>,
}

impl Dn {
    /// Reads a name of at least one part; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let (mut canonical, mut first, mut parts) = (String::new(), String::new(), Vec::new());
        loop {
            let part = reader.part()?;
            if parts.is_empty() && canonical.is_empty() {
                first.clone_from(&part.first()?.1);
            } else {
                canonical.push(',');
                parts.push(canonical.len());
            }
            write_part(&mut canonical, part);
            if reader.rest.is_empty() {
                return Some(Self { text: canonical, first, parts });
            }
            // `;` is what older directories write (RFC 2253, section 4).
            reader.rest = reader.rest.strip_prefix([',', ';'])?;
        }
    }

    /// In the one spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value of its first part, in the case that it was written in: `Developers` of
    /// `CN=Developers,DC=example,DC=org`.
    pub fn first_value(&self) -> &str {
        &self.first
    }

    /// How many parts it has.
    pub fn depth(&self) -> usize {
        self.parts.len() + 1
    }

    /// Whether it is that name, or lies below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self == base || self.text == base.text || {
            let above = self.parts.iter().map(|start| &self.text[*start..]);
            above.into_iter().any(|above| above == base.text)
        }
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// `type=value` and what is joined to it by `+`.
    fn part(&mut self) -> Option<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        loop {
            pairs.push((self.kind()?, self.value()?));
            match self.rest.strip_prefix('+') {
                Some(rest) => self.rest = rest,
                None => return Some(pairs),
            }
        }
    }

    fn kind(&mut self) -> Option<String> {
        let (kind, rest) = self.rest.split_once('=')?;
        let kind = kind.trim_matches(' ');
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        if kind.is_empty() || !kind.bytes().all(legal) {
            return None;
        }
        self.rest = rest.trim_start_matches(' ');
        Some(kind.to_ascii_lowercase())
    }

    /// Up to the next sign that is not escaped. Spaces at the end count only where they are escaped.
    fn value(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let (mut kept, mut position, text) = (0, 0, self.rest.as_bytes());
        while let Some(&byte) = text.get(position) {
            match byte {
                b',' | b';' | b'+' => break,
                b'\\' => {
                    let (unescaped, length) = escaped(&text[position + 1..])?;
                    bytes.push(unescaped);
                    position += 1 + length;
                    kept = bytes.len();
                }
                // Not legal without an escape.
                b'"' | b'<' | b'>' | 0 => return None,
                _ => {
                    bytes.push(byte);
                    position += 1;
                    if byte != b' ' {
                        kept = bytes.len();
                    }
                }
            }
        }
        bytes.truncate(kept);
        self.rest = self.rest.get(position..)?;
        String::from_utf8(bytes).ok()
    }
}

/// What stands behind a backslash: a sign, or two hexadecimal digits.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    let first = *text.first()?;
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match (digit(first), text.get(1).and_then(|second| digit(*second))) {
        (Some(high), Some(low)) => Some((16 * high + low, 2)),
        _ if first.is_ascii_punctuation() || first == b' ' => Some((first, 1)),
        _ => None,
    }
}

/// The pairs of a part have no order, so they get one.
fn write_part(text: &mut String, mut pairs: Vec<(String, String)>) {
    for (_, value) in &mut pairs {
        *value = value.to_lowercase();
    }
    pairs.sort();
    for (number, (kind, value)) in pairs.iter().enumerate() {
        if number > 0 {
            text.push('+');
        }
        text.push_str(kind);
        text.push('=');
        write_value(text, value);
    }
}

fn write_value(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (position, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            '#' | ' ' if position == 0 => text.extend(['\\', character]),
            ' ' if position == last => text.push_str("\\ "),
            // Writing to a String cannot fail.
            c if c.is_ascii_control() => drop(write!(text, "\\{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        Dn::parse(text).unwrap_or_else(|| panic!("{text:?} is a name")).to_string()
    }

    #[test]
    fn one_name_has_one_spelling() {
        for (text, is) in [
            (
                "CN=Developers, OU=Groups,DC=Example,DC=org",
                "cn=developers,ou=groups,dc=example,dc=org",
            ),
            (r"cn=Smith\2C John,dc=x", r"cn=smith\, john,dc=x"),
            (r"cn=Smith\, John , dc = x", r"cn=smith\, john,dc=x"),
            (r"cn=\20a\20,dc=x", r"cn=\ a\ ,dc=x"),
            (r"cn=\ a\  ,dc=x", r"cn=\ a\ ,dc=x"),
            ("uid=b+CN=A,dc=x", "cn=a+uid=b,dc=x"),
            (r"cn=J\C3\BCrgen,dc=x", "cn=jürgen,dc=x"),
            ("cn=JÜRGEN;dc=x", "cn=jürgen,dc=x"),
            (r"cn=\#1,dc=x", r"cn=\#1,dc=x"),
            ("cn=a#1,dc=x", "cn=a#1,dc=x"),
            ("cn=,dc=x", "cn=,dc=x"),
        ] {
            assert_eq!(canonical(text), is, "{text}");
        }
        assert_eq!(Dn::parse("CN=Domain Users,DC=x").unwrap().first_value(), "Domain Users");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in [
            "",
            "ann",
            "ann@example.org",
            r"EXAMPLE\ann",
            "=a",
            "cn",
            "cn=a,",
            ",cn=a",
            "c n=a",
            r"cn=a\",
            r"cn=a\zz",
            "cn=\"a\"",
            r"cn=\ff",
        ] {
            assert_eq!(Dn::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_lies_below_another_part_by_part() {
        let within =
            |name: &str, base: &str| Dn::parse(name).unwrap().is_within(&Dn::parse(base).unwrap());
        assert!(within("cn=a,OU=Groups,dc=x", "ou=groups, DC=X"));
        assert!(within("dc=x", "dc=x") && within("CN=A,dc=x", "cn=a,dc=x"));
        assert!(!within("ou=groups,dc=x", "cn=a,ou=groups,dc=x"));
        assert!(!within(r"cn=a\,dc=x", "dc=x") && !within("cn=a,dc=xx", "dc=x"));
        assert!(!within(r"cn=a\,ou=groups,dc=x", "ou=groups,dc=x"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not_and_its_spelling_reads_as_itself(text in "\\PC{0,40}|([a-zA-Z]{1,3}=[ -~ü]{0,8},?){1,4}") {
            if let Some(dn) = Dn::parse(&text) {
                let again = Dn::parse(dn.as_str()).expect("its own spelling is a name");
                prop_assert_eq!(dn.as_str(), again.as_str());
                prop_assert!(again.is_within(&dn));
            }
        }

        #[test]
        fn an_escaped_value_stays_one_part(value in "\\PC{1,20}") {
            let text = format!("cn={},dc=x", ldap3::dn_escape(value.as_str()));
            let dn = Dn::parse(&text).expect("an escaped value");
            prop_assert_eq!(dn.depth(), 2);
            prop_assert_eq!(dn.first_value(), value);
        }
    }
}
