use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> = path.split('/').collect();
    PathPattern::parse(pattern).unwrap().matches(&path, |placeholder, text| match placeholder {
        Placeholder::Account => text == "ann",
        Placeholder::Group => text == "a*/b",
        Placeholder::Label(name) => **name == *"team" && ["red", "blue"].contains(&text),
    })
}

#[test]
fn patterns_match_segment_by_segment() {
    let table = [
        ("public/**", "public/a", true),
        ("public/**", "public/a/b/c", true),
        ("public/**", "public", false), // everything below, not itself
        ("public/**", "publicity/a", false),
        ("**", "a", true),
        ("**", "a/b/c", true),
        ("**/**", "a", true),
        ("**/app", "app", true),
        ("**/app", "x/y/app", true),
        ("**/app", "x/y/apple", false),
        ("a/**/z", "a/z", true),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "a/b/c/z/y", false),
        ("a/**/m/**/z", "a/m/m/z/z", true),
        ("a/**/m/**/z", "a/b/z", false),
        ("team/*/app", "team/red/app", true),
        ("team/*/app", "team/red/blue/app", false),
        ("team/*", "team", false),
        ("*", "a", true),
        ("*", "a/b", false), // `*` stays in a segment
        ("dev-*/x", "dev-/x", true),
        ("dev-*-ci", "dev-a-ci-b-ci", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("host:5000/a/*", "host:5000/a/b", true), // SC2
        ("A/b", "a/b", false),                    // SC6
        ("${account}/**", "ann/x", true),
        ("${account}/**", "ann", false),
        ("${account}/**", "anna/x", false),
        ("${account}", "ann", true),
        ("home-${account}-x/y", "home-ann-x/y", true),
        ("home-${account}-x/y", "home-a-x/y", false),
        ("${group}/x", "a*/x", false), // a group's `*` and `/` are text
        ("${group}/x", "aaa/x", false),
        ("${label:team}/x", "red/x", true),
        ("${label:team}/x", "blue/x", true),
        ("${label:team}/x", "green/x", false),
        ("${label:tea}/x", "red/x", false),
        ("a-${label:team}/**/${account}", "a-red/b/ann", true),
        ("${account}/**/${account}", "ann/ann", true),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
    }
}

#[test]
fn a_placeholder_for_everything_is_still_a_part_of_its_segment() {
    let pattern = PathPattern::parse("x-${account}/**").unwrap();
    assert!(!pattern.matches(&["x-a", "b"], |_, _| false));
    assert!(pattern.matches(&["x-a", "b"], |_, _| true));
    assert!(!pattern.matches(&["x-", "b"], |_, _| true));
    assert!(!pattern.matches(&["y-a", "b"], |_, _| true));
}

#[test]
fn what_is_no_pattern_says_what_to_write() {
    let errors: Vec<String> = [
        "",
        "/a",
        "a/",
        "a//b",
        "a**/b",
        "a/b**",
        "${account}*",
        "${account}-${group}",
        "${name}/x",
        "${label:}/x",
        "${label:a b}/x",
        "${group}/x/${group}",
        "${label:a}/${label:b}/${label:a}",
        "${account/x",
        "a b",
        "[ab]/c",
        "{a,b}/c",
        "ä/x",
    ]
    .iter()
    .map(|text| format!("{text:22} {}", PathPattern::parse(text).unwrap_err()))
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn words_match_whole_characters() {
    for (pattern, word, expected) in [
        ("ci-*", "ci-7", true),
        ("ci-*", "ci", false),
        ("?nn", "änn", true),
        ("*ä", "bä", true),
        ("??", "ä", false),
        ("", "", true),
        ("a", "b", false),
    ] {
        assert_eq!(WordPattern::new(pattern).matches(word), expected, "{pattern} on {word}");
    }
}

#[test]
fn many_wildcards_do_not_take_exponential_time() {
    let pattern = PathPattern::parse(&"**/a/".repeat(40).as_str()[..40 * 5 - 1]).unwrap();
    let path = vec!["a"; 120].into_iter().chain(["b"]).collect::<Vec<_>>();
    assert!(!pattern.matches(&path, |_, _| false));
    assert!(!WordPattern::new(&"*a".repeat(60)).matches(&("a".repeat(250) + "b")));
}

proptest! {
    /// The walk against the obvious definition by recursion.
    #[test]
    fn the_walk_agrees_with_its_definition(
        pattern in "(a|b|\\*|\\*\\*)(/(a|b|\\*|\\*\\*)){0,4}",
        path in "[ab](/[ab]){0,5}",
    ) {
        fn defined(pattern: &[&str], path: &[&str]) -> bool {
            match (pattern.split_first(), path.split_first()) {
                (None, None) => true,
                (Some((&"**", [])), _) => !path.is_empty(),
                (Some((&"**", rest)), Some((_, below))) => defined(rest, path) || defined(pattern, below),
                (None, Some(_)) | (Some(_), None) => false,
                (Some((first, rest)), Some((segment, below))) => (*first == "*" || first == segment) && defined(rest, below),
            }
        }
        // `**/**` is one `**`.
        let mut segments: Vec<&str> = pattern.split('/').collect();
        segments.dedup_by(|a, b| *a == "**" && *b == "**");
        let path: Vec<&str> = path.split('/').collect();
        prop_assert_eq!(matches(&pattern, &path.join("/")), defined(&segments, &path));
    }

    #[test]
    fn parsing_and_matching_never_panic(pattern in "\\PC{0,30}", path in "\\PC{0,30}") {
        if let Ok(pattern) = PathPattern::parse(&pattern) {
            pattern.matches(&path.split('/').collect::<Vec<_>>(), |_, text| text == path);
        }
    }
}

#[test]
fn upper_case_is_found_outside_of_placeholders() {
    let table = [
        ("team/**", None),
        ("Team/**", Some('T')),
        ("a/*B*/c", Some('B')),
        ("my${account}/X", Some('X')),
        ("${account}/**", None),
    ];
    for (text, expected) in table {
        assert_eq!(PathPattern::parse(text).unwrap().upper_case(), expected, "{text}");
    }
}
