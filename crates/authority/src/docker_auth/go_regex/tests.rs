use super::*;

/// What Go 1.19 says of each.
#[test]
fn an_expression_means_what_it_means_in_go() {
    let table = [
        ("a", "xax", true),
        ("^a$", "xax", false),
        ("a|b", "b", true),
        ("\\d", "٣", false),
        ("\\d", "3", true),
        ("\\w", "é", false),
        ("\\w", "_", true),
        ("\\s", "\u{a0}", false),
        ("\\s", "\u{b}", false),
        ("\\bé", "aé", true),
        ("\\ba", "éa", true),
        ("\\Aab\\z", "ab", true),
        ("[\\d-z]", "-", true),
        ("[^\\D]", "7", true),
        ("[\\w.]+$", "a.b", true),
        ("[[:alpha:]]", "é", false),
        ("[[:^digit:]]", "1", false),
        ("[a&&b]", "&", true),
        ("[a[b]", "[", true),
        ("[a[b]]", "b]", true),
        ("[]a]", "]", true),
        ("[^]a]", "b", true),
        ("[a-]", "-", true),
        ("\\pL", "é", true),
        ("\\p{Lu}", "a", false),
        ("\\P{Nd}", "1", false),
        ("\\p{^Lu}", "a", true),
        ("\\x41", "A", true),
        ("\\x{e9}", "é", true),
        ("\\101", "A", true),
        ("\\12", "\n", true),
        ("\\Qa.b\\E", "a.b", true),
        ("\\Qa.b", "axb", false),
        ("a{2}", "aa", true),
        ("a{,3}", "a{,3}", true),
        ("a{02}", "aa", false),
        ("a{02}", "a{02}", true),
        ("{", "{", true),
        ("a{1,2}b", "aab", true),
        ("(?i)k", "\u{212a}", true),
        ("(?i)[^k]", "K", false),
        ("(?i)\\w", "\u{17f}", true),
        ("(?i:a)b", "Ab", true),
        ("(?i:a)b", "AB", false),
        ("(?s).", "\n", true),
        (".", "\n", false),
        ("(?m)^b$", "a\nb\nc", true),
        ("^b$", "a\nb\nc", false),
        ("b$", "b\n", false),
        ("(?U)a+", "aa", true),
        ("(?P<x>a)", "a", true),
        ("(?-i)a", "A", false),
        ("#a b", "#a b", true),
        ("~~", "~~", true),
        ("\\_", "_", true),
        ("()", "", true),
        ("a||b", "", true),
    ];
    for (go, text, expected) in table {
        let regex = compile(go, Size::OfConfiguration).unwrap_or_else(|e| panic!("{go}: {e}"));
        assert_eq!(regex.is_match(text), expected, "{go:?} {text:?}");
    }
}

/// Go refuses them too.
#[test]
fn what_is_no_expression_in_go_is_none_here() {
    for go in [
        "*",
        "a**",
        "a+*",
        "a??*",
        "a{2}{3}",
        "a{1001}",
        "a{2,1}",
        "(",
        "a)",
        "[",
        "[a",
        "[z-a]",
        "[a--b]",
        "[[:foo:]]",
        "\\1",
        "\\8",
        "\\k",
        "\\é",
        "\\C",
        "\\Z",
        "\\x4",
        "\\x{110000}",
        "[\\b]",
        "[\\A]",
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(?x)a",
        "(?z)",
        "(?i",
        "(?-)",
        "(?P<a-b>x)",
        "\\p{greek}",
        "\\p{Foo}",
        "\\",
    ] {
        assert!(compile(go, Size::OfConfiguration).is_err(), "{go:?}");
    }
}

/// Go takes them; what they mean there differs with its version, or is no use for names.
#[test]
fn what_go_alone_takes_is_refused_with_a_reason() {
    for (go, expected) in [
        (r"a\Bb", r"`\B` is not supported"),
        (r"\p{Greek}", r"`\p{Greek}` is not supported"),
        (r"[\pC]", r"`\pC` is not supported"),
        ("a(?i)*", "it is no regular expression"),
        ("(?:(?:(?:a{1000}){1000}){1000})", "too large"),
    ] {
        let problem = compile(go, Size::OfConfiguration).unwrap_err().to_string();
        assert!(problem.contains(expected), "{go}: {problem}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_reader(go in "[\\\\\\[\\](){}^$|*+?a-f0-9,:<>=!PpQExUims &~é-]{0,24}") {
        if let Ok(regex) = compile(&go, Size::OfRequest) {
            regex.is_match("team/app");
        }
    }
}
