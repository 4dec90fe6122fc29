use portpass_protocol::Scope;
use proptest::prelude::*;

use super::*;

fn parts(texts: &[&str], wanted: &[usize]) -> Vec<(Vec<usize>, String)> {
    let patterns: Vec<PathPattern> =
        texts.iter().map(|text| PathPattern::parse(text).unwrap()).collect();
    let families: Vec<&[PathPattern]> = patterns.iter().map(std::slice::from_ref).collect();
    let wanted = wanted.iter().copied().collect();
    let parts = partition(&families, &wanted).unwrap();
    parts.into_iter().map(|part| (part.meant_by, part.example)).collect()
}

#[test]
fn names_are_parted_by_the_patterns_that_mean_them() {
    /// Patterns, and the parts of the first.
    type Case<'a> = (&'a [&'a str], &'a [(&'a [usize], &'a str)]);
    let table: [Case<'_>; 9] = [
        (&["team/**", "**/app"], &[(&[0], "team/x"), (&[0, 1], "team/app")]),
        (&["team/*", "prod/**"], &[(&[0], "team/x")]),
        (&["**", "a/b"], &[(&[0], "x"), (&[0, 1], "a/b")]),
        (&["a*", "*b"], &[(&[0], "a"), (&[0, 1], "ab")]),
        // Only the middle is both, which no example of either shows.
        (&["a*c*", "*b*d"], &[(&[0], "ac"), (&[0, 1], "abcd")]),
        (&["a/**/z", "a/z", "a/*/z"], &[(&[0, 1], "a/z"), (&[0, 2], "a/x/z"), (&[0], "a/x/x/z")]),
        // No name is so, also behind a host.
        (&["a/B", "a/b"], &[]),
        (&["-a/b"], &[]),
        (&["host:5000/*", "host:*/a"], &[(&[0], "host:5000/x"), (&[0, 1], "host:5000/a")]),
    ];
    for (texts, expected) in table {
        let expected: Vec<(Vec<usize>, String)> =
            expected.iter().map(|(places, name)| (places.to_vec(), (*name).to_owned())).collect();
        assert_eq!(parts(texts, &[0]), expected, "{texts:?}");
    }
}

#[test]
fn a_placeholder_that_is_left_stands_for_any_text() {
    let found = parts(&["my-${account}-x/**"], &[0]);
    assert_eq!(found, [(vec![0], "my-x-x/x".to_owned())]);
}

#[test]
fn a_thousand_namespaces_are_parted_at_once() {
    let texts: Vec<String> = (0..1000)
        .map(|number| format!("team-{number}/app-*/**"))
        .chain(["**".to_owned()])
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(parts(&texts, &[1000]).len(), 1001);
}

#[test]
fn patterns_that_overlap_in_all_ways_are_refused_in_the_end() {
    let texts: Vec<String> = ('a'..='z').map(|letter| format!("**/{letter}/**")).collect();
    let patterns: Vec<PathPattern> =
        texts.iter().map(|text| PathPattern::parse(text).unwrap()).collect();
    let families: Vec<&[PathPattern]> = patterns.iter().map(std::slice::from_ref).collect();
    assert_eq!(partition(&families, &(0..26).collect()), Err(Tangled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every name is in a part, and in the part of exactly those patterns that match it.
    #[test]
    fn parts_agree_with_matching(
        texts in prop::collection::vec(
            "(a|b|\\*|a\\*|\\*b|a\\?|\\*\\*|a\\.b|a:5)(/(a|b|\\*|b\\*|\\*a\\*|\\*\\*)){0,3}", 1..6
        ),
        wanted in prop::collection::btree_set(0_usize..5, 1..5),
        name in "([ab]{1,3}|a\\.b|a:5|B)(/[ab]{1,3}){0,4}",
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let meant_by = |name: &str| {
            let means = |(_, text): &(usize, &&str)| PathPattern::parse(text).unwrap().means(name);
            texts.iter().enumerate().filter(means).map(|(place, _)| place).collect::<Vec<_>>()
        };
        let is_name = |name: &str| {
            Scope::parse(&format!("repository:{name}:pull")).unwrap().with_valid_name().is_ok()
        };
        let wanted: Vec<usize> = wanted.into_iter().filter(|place| *place < texts.len()).collect();
        let parts = parts(&texts, &wanted);
        for (places, example) in &parts {
            prop_assert!(is_name(example), "{example}");
            prop_assert_eq!(&meant_by(example), places, "{}", example);
        }
        let of_name = meant_by(&name);
        let is_wanted = of_name.iter().any(|place| wanted.contains(place)) && is_name(&name);
        prop_assert!(!is_wanted || parts.iter().any(|(places, _)| *places == of_name), "{name}: {parts:?}");
    }
}
