//! What two patterns have to do with each other, and names that they mean: for looking rules over, where no
//! decision hangs on it.

use std::collections::HashSet;

use portpass_protocol::RepositoryName;

use super::{PathPattern, Placeholder, Segment, Step, WordKind, WordPattern, walk};

impl PathPattern {
    /// Whether all that `other` means is meant here too, whoever asks. Where the texts alone do not tell,
    /// it is denied.
    pub fn contains(&self, other: &Self) -> bool {
        walk(&self.segments, &other.segments, |wide, narrow| match (wide, narrow) {
            (Segment::Deep, _) => Step::Many,
            (Segment::Word(wide), Segment::Word(narrow)) if wide.contains(narrow) => Step::Yes,
            (Segment::Word(wide), Segment::Named { .. }) if wide.kind == WordKind::Anything => {
                Step::Yes
            }
            (Segment::Named { .. }, Segment::Named { .. }) if wide == narrow => Step::Yes,
            _ => Step::No,
        })
    }

    /// The same with patterns of one segment in place of the placeholders; `None` where one stands for nothing.
    pub fn resolved(&self, stands_for: impl Fn(&Placeholder) -> Option<String>) -> Option<Self> {
        let segment = |segment: &Segment| match segment {
            Segment::Deep | Segment::Word(_) => Some(segment.clone()),
            Segment::Named { before, placeholder, after } => {
                let text = stands_for(placeholder)?;
                // A value that no segment can hold stands for no repository.
                let word = WordPattern::parse_path_segment(&format!("{before}{text}{after}"));
                word.ok().map(Segment::Word)
            }
        };
        let segments = self.segments.iter().map(segment).collect::<Option<_>>()?;
        Self::from_segments(&self.text, segments).ok()
    }

    /// The same for each way in which placeholders can stand for these texts; one that stands for any text (`None`)
    /// is left.
    pub fn with<'a>(&self, values: impl Fn(&Placeholder) -> Option<Vec<&'a str>>) -> Vec<Self> {
        let mut patterns = vec![self.clone()];
        for placeholder in &self.placeholders {
            let Some(values) = values(placeholder) else { continue };
            // A wildcard in a value is text, which no name of a repository has.
            let values = values.into_iter().filter(|value| !value.contains(['*', '?']));
            let with = |value: &str| {
                patterns.iter().filter_map(|one| one.with_value(placeholder, value)).collect()
            };
            patterns = values.map(with).collect::<Vec<Vec<Self>>>().concat();
        }
        patterns
    }

    /// `None` where no name of a repository can be so.
    fn with_value(&self, placeholder: &Placeholder, value: &str) -> Option<Self> {
        let segment = |segment: &Segment| match segment {
            Segment::Named { before, placeholder: named, after } if named == placeholder => {
                let text = format!("{before}{value}{after}");
                WordPattern::parse_path_segment(&text).ok().map(Segment::Word)
            }
            other => Some(other.clone()),
        };
        let segments = self.segments.iter().map(segment).collect::<Option<_>>()?;
        let text = self.text.replace(&placeholder.to_string(), value);
        Self::from_segments(&text, segments).ok()
    }

    /// Some repositories that it means; none where a placeholder is left, or no name can be as it says.
    pub fn examples(&self) -> Vec<RepositoryName> {
        let name = |deep: Option<&str>| {
            let segment = |segment: &Segment| match segment {
                Segment::Deep => Some(deep.map(str::to_owned)),
                Segment::Word(word) => Some(Some(word.example())),
                Segment::Named { .. } => None,
            };
            let segments: Option<Vec<Option<String>>> = self.segments.iter().map(segment).collect();
            segments?.into_iter().flatten().collect::<Vec<_>>().join("/").parse().ok()
        };
        let mut names: Vec<RepositoryName> =
            [None, Some("y")].into_iter().filter_map(name).collect();
        names.dedup();
        names
    }

    /// A repository that both mean; `None` where none is found, or a placeholder is left.
    pub fn common_example(&self, other: &Self) -> Option<RepositoryName> {
        let mut path = Vec::new();
        let mut meeting = Meeting { failed: HashSet::new() };
        let found = meeting.walk(&self.segments, &other.segments, &mut path);
        found.then(|| path.join("/").parse().ok()).flatten()
    }

    /// A segment that no repository's name can have.
    pub fn impossible_segment(&self) -> Option<String> {
        let cannot_be = |(place, segment): (usize, &Segment)| match segment {
            Segment::Deep => None,
            // A host may have a port.
            Segment::Word(word) if place == 0 && word.as_str().contains(':') => None,
            Segment::Word(word) => {
                word.example().parse::<RepositoryName>().is_err().then(|| word.as_str().to_owned())
            }
            Segment::Named { before, after, .. } => {
                let example = format!("{before}x{after}");
                example.parse::<RepositoryName>().is_err().then(|| format!("{before}…{after}"))
            }
        };
        self.segments.iter().enumerate().find_map(cannot_be)
    }
}

impl WordPattern {
    /// Whether every word that `other` means is meant here too, as far as the texts tell.
    pub fn contains(&self, other: &Self) -> bool {
        match self.kind {
            WordKind::Anything => true,
            WordKind::Literal | WordKind::Glob => {
                self == other || other.literal().is_some_and(|word| self.matches(word))
            }
        }
    }

    fn example(&self) -> String {
        self.text.replace(['*', '?'], "x")
    }

    /// A word that both mean.
    fn common_example(&self, other: &Self) -> Option<String> {
        let beside = |one: &Self, other: &Self| one.text.replace('*', &other.text.replace('*', ""));
        let candidates = [
            self.example(),
            other.example(),
            beside(self, other).replace('?', "x"),
            beside(other, self).replace('?', "x"),
        ];
        candidates.into_iter().find(|word| self.matches(word) && other.matches(word))
    }
}

/// Two patterns that are walked at once.
struct Meeting {
    /// What is left of both, by length, where it is known to lead nowhere.
    failed: HashSet<(usize, usize)>,
}

impl Meeting {
    /// Whether one path fits both; what of it is found is pushed.
    fn walk(&mut self, one: &[Segment], other: &[Segment], path: &mut Vec<String>) -> bool {
        let left = (one.len(), other.len());
        if self.failed.contains(&left) {
            return false;
        }
        let length = path.len();
        let found = match (one.split_first(), other.split_first()) {
            (None, None) => !path.is_empty(),
            (Some((Segment::Deep, rest)), _) => {
                self.walk(rest, other, path)
                    || take(other, path).is_some_and(|other| self.walk(one, other, path))
            }
            (_, Some((Segment::Deep, rest))) => {
                self.walk(one, rest, path)
                    || take(one, path).is_some_and(|one| self.walk(one, other, path))
            }
            (Some((Segment::Word(word), one)), Some((Segment::Word(with), other))) => {
                word.common_example(with).is_some_and(|word| {
                    path.push(word);
                    self.walk(one, other, path)
                })
            }
            _ => false,
        };
        if !found {
            path.truncate(length);
            self.failed.insert(left);
        }
        found
    }
}

/// A `**` of the other pattern takes the first segment of this one; gives the rest.
fn take<'a>(segments: &'a [Segment], path: &mut Vec<String>) -> Option<&'a [Segment]> {
    match segments.split_first()? {
        (Segment::Word(word), rest) => {
            path.push(word.example());
            Some(rest)
        }
        (Segment::Deep, rest) => Some(rest),
        (Segment::Named { .. }, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_contains_what_it_means_and_more() {
        let table = [
            ("**", "a/b/*", true),
            ("**", "**", true),
            ("**", "${account}/**", true),
            ("team/**", "team/*/app", true),
            ("team/**", "team", false),
            ("team/*", "team/**", false),
            ("team/**", "**", false),
            ("*/app", "team/app", true),
            ("app-*", "app-1", true),
            ("app-*", "app-*", true),
            ("app-*", "a*", false),
            ("${account}/**", "${account}/x", true),
            ("${account}/**", "ann/x", false),
            ("${group}/x", "${account}/x", false),
            ("**/app", "**/x/app", true),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(pattern(wide).contains(&pattern(narrow)), expected, "{wide} and {narrow}");
        }
    }

    #[test]
    fn patterns_that_overlap_have_a_name_in_common() {
        let table = [
            ("team/*", "*/app", Some("team/app")),
            ("team/**", "**/app", Some("team/app")),
            ("**", "a/b", Some("a/b")),
            ("app-*", "*-ci", Some("app-x-ci")),
            ("a/*/c", "a/**", Some("a/x/c")),
            ("team/*", "prod/**", None),
            ("a/b", "a/b/c", None),
            ("Team/*", "Team/x", None), // no repository is called so
        ];
        for (one, other, expected) in table {
            let common = pattern(one).common_example(&pattern(other));
            let matches = |name: &RepositoryName| {
                pattern(one).means(name.as_str()) && pattern(other).means(name.as_str())
            };
            assert_eq!(common.is_some(), expected.is_some(), "{one} and {other}: {common:?}");
            assert!(common.iter().all(matches), "{one} and {other}: {common:?}");
        }
    }

    #[test]
    fn placeholders_are_resolved_where_they_stand() {
        let own = pattern("my-${account}/**");
        let ann = own.resolved(|_| Some("ann".to_owned())).unwrap();
        assert!(ann.means("my-ann/x") && ann.means("my-ann/x/y") && !ann.means("my-bob/x"));
        assert_eq!(
            ann.examples().iter().map(RepositoryName::as_str).collect::<Vec<_>>(),
            ["my-ann/x", "my-ann/x/y"]
        );
        assert_eq!(own.examples(), []);
        assert_eq!(own.resolved(|_| None), None);
        assert_eq!(own.resolved(|_| Some("a/b".to_owned())), None);
    }

    #[test]
    fn segments_that_no_name_has_are_found() {
        let table = [
            ("team/**", None),
            ("Team/**", Some("Team")),
            ("a/-x", Some("-x")),
            ("a/b..c", Some("b..c")),
            ("host:5000/a", None),
            ("a/host:5000", Some("host:5000")),
            ("a/*-ci", None),
            ("-${account}/x", Some("-…")),
        ];
        for (text, expected) in table {
            assert_eq!(pattern(text).impossible_segment().as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn examples_are_meant_and_containing_agrees_with_matching(
            one in "(a|b|\\*|a\\*|\\*b|\\*\\*)(/(a|b|\\*|b\\*|\\*\\*)){0,3}",
            other in "(a|b|\\*|a\\*|\\*b|\\*\\*)(/(a|b|\\*|b\\*|\\*\\*)){0,3}",
            name in "[ab]{1,2}(/[ab]{1,2}){0,3}",
        ) {
            let (one, other) = (pattern(&one), pattern(&other));
            for example in one.examples() {
                prop_assert!(one.means(example.as_str()), "{one} means {example}");
            }
            if one.contains(&other) {
                prop_assert!(!other.means(&name) || one.means(&name), "{one} contains {other}: {name}");
            }
            match one.common_example(&other) {
                Some(common) => prop_assert!(one.means(common.as_str()) && other.means(common.as_str())),
                None => prop_assert!(!(one.means(&name) && other.means(&name)), "{one} and {other}: {name}"),
            }
        }
    }
}
