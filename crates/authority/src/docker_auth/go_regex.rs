//! Go's regular expressions, rewritten for the crate `regex`. Both are RE2 at heart; what differs is written out
//! or refused: `\d`, `\s`, `\w` and `\b` are ASCII in Go, a class has no operators there, `{,3}` is text, and
//! `a**` is an error.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

/// How much memory a compiled expression may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// Of the configuration, compiled once.
    OfConfiguration,
    /// Made of what a request says.
    OfRequest,
}

/// Compiles what stands between the slashes.
pub(super) fn compile(go: &str, size: Size) -> Result<Regex, RegexProblem> {
    let limit = match size {
        Size::OfConfiguration => 1 << 20,
        Size::OfRequest => 1 << 17,
    };
    let mut translator = Translator { rest: go, out: String::with_capacity(go.len() * 2) };
    translator.expression()?;
    RegexBuilder::new(&translator.out).size_limit(limit).dfa_size_limit(limit).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => RegexProblem::TooBig,
            _ => RegexProblem::Syntax,
        },
    )
}

/// Why a text is no regular expression that docker_auth and we understand alike.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexProblem {
    /// A group that does not say how it matches.
    #[error(
        "`(?{0}` begins no group that Go knows: there are `(?:`, `(?P<name>` and the flags i, m, s, U"
    )]
    Group(Box<str>),
    /// A back-slash before a character that has no meaning then.
    #[error("`\\{0}` has no meaning in Go's regular expressions")]
    Escape(Box<str>),
    /// Of what Go supports, what we do not.
    #[error(
        "`{0}` is not supported; write the characters that are meant, as in `[a-z0-9._-]` (names of repositories are ASCII)"
    )]
    Unsupported(Box<str>),
    /// Two repetitions of one thing, or more than a thousand.
    #[error("`{0}` is no repetition of Go's: one thing is repeated once, and at most 1000 times")]
    Repetition(Box<str>),
    /// Anything else that both refuse.
    #[error("it is no regular expression: check its brackets, parentheses and repetitions")]
    Syntax,
    /// It takes too much memory.
    #[error("the regular expression is too large: repeat fewer times")]
    TooBig,
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Translator<'a> {
    fn expression(&mut self) -> Result<(), RegexProblem> {
        let mut repeated = false;
        while let Some(next) = self.rest.chars().next() {
            let written = self.rest;
            let repeats = match next {
                '*' | '+' | '?' => Some(self.take(1).to_owned()),
                '{' => self.counted()?,
                _ => None,
            };
            if let Some(repetition) = repeats {
                if repeated {
                    return Err(RegexProblem::Repetition(head(written, 2)));
                }
                self.out.push_str(&repetition);
                if self.eat("?") {
                    self.out.push('?');
                }
                repeated = true;
                continue;
            }
            repeated = false;
            match next {
                '(' => self.group()?,
                '[' => self.class()?,
                '\\' => self.escape()?,
                ')' | '|' | '^' | '$' | '.' => self.copy(1),
                literal => {
                    self.take(literal.len_utf8());
                    self.literal(literal);
                }
            }
        }
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}` and nothing else; another `{` is text.
    fn counted(&mut self) -> Result<Option<String>, RegexProblem> {
        let Some((inner, _)) = self.rest[1..].split_once('}') else { return Ok(None) };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits && (text == "0" || !text.starts_with('0'))
        };
        let (low, high) = match inner.split_once(',') {
            None => (inner, Some(inner)),
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
        };
        if !number(low) || !high.is_none_or(number) {
            return Ok(None);
        }
        let small = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= MAX_REPETITION);
        let fits = match (small(low), high.map(small)) {
            (Some(low), Some(Some(high))) => low <= high,
            (Some(_), None) => true,
            (None, _) | (_, Some(None)) => false,
        };
        let whole = self.take(inner.len() + 2);
        if fits { Ok(Some(whole.to_owned())) } else { Err(RegexProblem::Repetition(whole.into())) }
    }

    fn group(&mut self) -> Result<(), RegexProblem> {
        self.take(1);
        if !self.rest.starts_with('?') {
            self.out.push('(');
            return Ok(());
        }
        let named = self.rest.strip_prefix("?P<").or_else(|| self.rest.strip_prefix("?<"));
        if let Some((name, behind)) = named.and_then(|rest| rest.split_once('>')) {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if !name.is_empty() && name.bytes().all(legal) {
                // Captures are asked for by number alone.
                self.out.push('(');
                self.rest = behind;
                return Ok(());
            }
        }
        self.take(1);
        let flags = self.rest.find([':', ')']).unwrap_or(self.rest.len());
        let unknown = || RegexProblem::Group(head(self.rest, flags.max(1)));
        let (on, off) = match self.rest[..flags].split_once('-') {
            None => (&self.rest[..flags], None),
            Some((on, off)) => (on, Some(off)),
        };
        let known = |text: &str| text.chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U'));
        let empty = off == Some("") || (flags == 0 && !self.rest.starts_with(':'));
        if empty || !known(on) || !off.is_none_or(known) {
            return Err(unknown());
        }
        self.out.push_str("(?");
        self.copy(flags);
        if !self.rest.is_empty() {
            self.copy(1);
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexProblem> {
        let letter = self.rest[1..].chars().next();
        match letter {
            Some('A' | 'z') => self.copy(2),
            Some('b') => {
                self.take(2);
                self.out.push_str(r"(?-u:\b)");
            }
            Some('B') => return Err(RegexProblem::Unsupported("\\B".into())),
            Some('Q') => {
                self.take(2);
                let (quoted, behind) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                quoted.chars().for_each(|literal| self.literal(literal));
                self.rest = behind;
            }
            _ => {
                if let Some(class) = self.named_class()? {
                    let wrapped = format!("[{class}]");
                    self.out.push_str(&wrapped);
                } else {
                    let literal = self.escaped_character()?;
                    self.literal(literal);
                }
            }
        }
        Ok(())
    }

    /// `\d`, `\S`, `\pL`, `\P{Lu}`: what it is inside a class of ours.
    fn named_class(&mut self) -> Result<Option<String>, RegexProblem> {
        let mut letters = self.rest[1..].chars();
        let Some(letter) = letters.next() else { return Ok(None) };
        let class = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            's' => r"\t\n\x0C\r ",
            'w' => "0-9A-Za-z_",
            'p' => return self.unicode_class(letter == 'P').map(Some),
            _ => return Ok(None),
        };
        self.take(2);
        let negated = letter.is_ascii_uppercase();
        Ok(Some(if negated { format!("[^{class}]") } else { class.to_owned() }))
    }

    fn unicode_class(&mut self, negated: bool) -> Result<String, RegexProblem> {
        let behind = &self.rest[2..];
        let (name, length) = if let Some(inner) = behind.strip_prefix('{') {
            let end = inner.find('}').ok_or(RegexProblem::Syntax)?;
            (&inner[..end], end + 2)
        } else {
            let length = behind.chars().next().ok_or(RegexProblem::Syntax)?.len_utf8();
            (&behind[..length], length)
        };
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (!negated, name),
            None => (negated, name),
        };
        if !CATEGORIES.contains(&name) {
            return Err(RegexProblem::Unsupported(head(self.rest, length + 2)));
        }
        let name = name.to_owned();
        self.take(length + 2);
        Ok(format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }))
    }

    /// One character written with a back-slash.
    fn escaped_character(&mut self) -> Result<char, RegexProblem> {
        let written = self.rest;
        let unknown = || RegexProblem::Escape(head(&written[1..], 1));
        let letter = written[1..].chars().next().ok_or_else(unknown)?;
        self.take(1 + letter.len_utf8());
        Ok(match letter {
            'a' => '\x07',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            'x' => self.hexadecimal().ok_or_else(unknown)?,
            '0'..='7' => {
                let is_octal = |byte: &u8| (b'0'..=b'7').contains(byte);
                let more = self.rest.bytes().take(2).take_while(is_octal).count();
                if letter != '0' && more == 0 {
                    return Err(unknown());
                }
                let digits = &written[1..2 + more];
                self.take(more);
                let code = u32::from_str_radix(digits, 8).ok();
                code.and_then(char::from_u32).ok_or_else(unknown)?
            }
            plain if plain.is_ascii() && !plain.is_ascii_alphanumeric() => plain,
            _ => return Err(unknown()),
        })
    }

    /// Behind `\x`: two digits, or any number in braces.
    fn hexadecimal(&mut self) -> Option<char> {
        let (digits, length) = match self.rest.strip_prefix('{') {
            Some(inner) => {
                let end = inner.find('}')?;
                (&inner[..end], end + 2)
            }
            None => (self.rest.get(..2)?, 2),
        };
        let legal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let code = legal.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
        self.take(length);
        char::from_u32(code)
    }

    fn class(&mut self) -> Result<(), RegexProblem> {
        self.take(1);
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.is_empty() {
                return Err(RegexProblem::Syntax);
            }
            if let Some(name) = self.posix_class()? {
                self.out.push_str(name);
                continue;
            }
            if self.rest.starts_with('\\')
                && let Some(class) = self.named_class()?
            {
                self.out.push_str(&class);
                continue;
            }
            let low = self.class_character()?;
            self.code(low);
            let behind = self.rest.strip_prefix('-');
            if behind.is_some_and(|behind| !behind.is_empty() && !behind.starts_with(']')) {
                self.take(1);
                let high = self.class_character()?;
                self.out.push('-');
                self.code(high);
            }
        }
        self.copy(1);
        Ok(())
    }

    /// `[:alpha:]`, inside a class.
    fn posix_class(&mut self) -> Result<Option<&'a str>, RegexProblem> {
        let Some(end) = self.rest.strip_prefix("[:").and_then(|rest| rest.find(":]")) else {
            return Ok(None);
        };
        let name = &self.rest[2..end + 2];
        if !POSIX.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(RegexProblem::Syntax);
        }
        Ok(Some(self.take(end + 4)))
    }

    fn class_character(&mut self) -> Result<char, RegexProblem> {
        match self.rest.chars().next() {
            None => Err(RegexProblem::Syntax),
            Some('\\') => self.escaped_character(),
            Some(plain) => {
                self.take(plain.len_utf8());
                Ok(plain)
            }
        }
    }

    fn literal(&mut self, literal: char) {
        self.out.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
    }

    fn code(&mut self, character: char) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "\\x{{{:X}}}", u32::from(character));
    }

    /// Writes what is the same in both.
    fn copy(&mut self, length: usize) {
        let same = self.take(length);
        self.out.push_str(same);
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// The first characters, as many as begin in so many bytes.
fn head(text: &str, length: usize) -> Box<str> {
    text.char_indices()
        .take_while(|(at, _)| *at < length)
        .map(|(_, c)| c)
        .collect::<String>()
        .into()
}

const MAX_REPETITION: u32 = 1000;

/// What means the same in both; Go's `C` lacks the code points that no character has.
const CATEGORIES: [&str; 33] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "Cc",
    "Cf",
];

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

#[cfg(test)]
mod tests;
