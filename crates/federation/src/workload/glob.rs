//! Patterns for the values of claims.

use std::{collections::HashSet, fmt};

/// A value with wildcards: `*` stands for anything within a segment, between `/` and `:`; `**` for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// This character.
    Character(char),
    /// `*`
    WithinSegment,
    /// `**`
    Anything,
}

impl Glob {
    /// Reads a pattern. There is no way to write a literal `*`, which no issuer's names have.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' if characters.next_if_eq(&'*').is_some() => Part::Anything,
                '*' => Part::WithinSegment,
                other => Part::Character(other),
            });
        }
        Self { text: text.into(), parts: parts.into() }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one value alone.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Character(_)))
    }

    /// How many of its leading segments are written out: `acme/*` has one, `acme*` none.
    pub(super) fn literal_segments(&self) -> usize {
        let wildcard = self.parts.iter().position(|part| part.repeats());
        let ends = |part: &&Part| matches!(part, Part::Character('/' | ':'));
        match wildcard {
            Some(at) => self.parts[..at].iter().filter(ends).count(),
            None if self.parts.is_empty() => 0,
            None => self.parts.iter().filter(ends).count() + 1,
        }
    }

    /// Whether the whole value is as the pattern says.
    pub fn matches(&self, value: &str) -> bool {
        if self.is_literal() {
            return *self.text == *value;
        }
        // The positions in the pattern that what was read so far can lead to.
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        self.skip_wildcards(&mut reached);
        for character in value.chars() {
            let mut next = vec![false; reached.len()];
            for (position, part) in self.parts.iter().enumerate() {
                if reached[position] && part.takes(character) {
                    next[if part.repeats() { position } else { position + 1 }] = true;
                }
            }
            self.skip_wildcards(&mut next);
            reached = next;
        }
        reached[self.parts.len()]
    }

    /// A wildcard may stand for nothing.
    fn skip_wildcards(&self, reached: &mut [bool]) {
        for (position, part) in self.parts.iter().enumerate() {
            if reached[position] && part.repeats() {
                reached[position + 1] = true;
            }
        }
    }

    /// Whether there is a value that both match.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut open, mut seen) = (vec![(0, 0)], HashSet::new());
        while let Some((left, right)) = open.pop() {
            if !seen.insert((left, right)) {
                continue;
            }
            match (self.parts.get(left), other.parts.get(right)) {
                (None, None) => return true,
                (Some(part), rest) if part.repeats() => {
                    open.push((left + 1, right));
                    if let Some(Part::Character(next)) = rest
                        && part.takes(*next)
                    {
                        open.push((left, right + 1));
                    } else if rest.is_some_and(|part| part.repeats()) {
                        open.push((left, right + 1));
                    }
                }
                (rest, Some(part)) if part.repeats() => {
                    open.push((left, right + 1));
                    if let Some(Part::Character(next)) = rest
                        && part.takes(*next)
                    {
                        open.push((left + 1, right));
                    }
                }
                (Some(here), Some(there)) if here == there => open.push((left + 1, right + 1)),
                _ => {}
            }
        }
        false
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    fn takes(self, character: char) -> bool {
        match self {
            Self::Character(own) => own == character,
            Self::WithinSegment => !matches!(character, '/' | ':'),
            Self::Anything => true,
        }
    }

    fn repeats(self) -> bool {
        !matches!(self, Self::Character(_))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stays_in_a_segment_and_two_cross() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("acme/*", &["acme/app", "acme/"], &["acme", "acme/a/b", "evil/acme/app", "acme/a:b"]),
            ("acme/**", &["acme/app", "acme/a/b", "acme/a:b"], &["acme"]),
            ("refs/heads/release-*", &["refs/heads/release-1"], &["refs/heads/release-1/x"]),
            (
                "repo:acme/*:ref:refs/heads/main",
                &["repo:acme/app:ref:refs/heads/main"],
                &[
                    "repo:acme/app:environment:x:ref:refs/heads/main",
                    "repo:acme/a/b:ref:refs/heads/main",
                ],
            ),
            ("*", &["", "main", "a.b"], &["a/b", "a:b"]),
            ("**", &["", "a/b:c"], &[]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "acb"]),
            ("", &[""], &["a"]),
            ("main", &["main"], &["Main", "main "]),
        ];
        for (pattern, yes, no) in table {
            let glob = Glob::new(pattern);
            yes.iter().for_each(|value| assert!(glob.matches(value), "{pattern} {value}"));
            no.iter().for_each(|value| assert!(!glob.matches(value), "{pattern} {value}"));
        }
    }

    /// All texts of at most four of three characters: longer than any witness that the patterns below need.
    fn texts() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..6 {
            last = last
                .iter()
                .flat_map(|text| ["a", "b", "/"].map(|c| format!("{text}{c}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn two_patterns_overlap_where_one_text_matches_both(
            left in "[ab/*]{0,3}", right in "[ab/*]{0,3}",
        ) {
            let (left, right) = (Glob::new(&left), Glob::new(&right));
            let witness = texts().into_iter().find(|text| left.matches(text) && right.matches(text));
            prop_assert_eq!(left.overlaps(&right), witness.is_some(), "{:?}", witness);
            prop_assert_eq!(left.overlaps(&right), right.overlaps(&left));
        }

        #[test]
        fn a_literal_matches_itself_alone(text in "[^*]{0,12}", other in "[^*]{0,12}") {
            prop_assert!(Glob::new(&text).matches(&text));
            prop_assert_eq!(Glob::new(&text).matches(&other), text == other);
        }

        #[test]
        fn foreign_text_never_panics(pattern in ".{0,24}", value in ".{0,24}") {
            let _ = Glob::new(&pattern).matches(&value);
        }
    }
}
