//! Text that is no configuration, and nearly one.

use proptest::prelude::*;

use super::*;

/// Lines of a configuration, right and wrong, for any place and in any order.
fn line() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "data",
        "http",
        "addr",
        "tls",
        "registry",
        "auth",
        "token",
        "none",
        "realm",
        "token_service",
        "policy",
        "allow",
        "repository",
        "to",
        "services",
        "accounts",
        "local",
        "x",
        "<<",
        "? ",
        "&a",
        "*a",
        "!!binary",
    ]);
    let value = prop::sample::select(vec![
        "",
        "{}",
        "[]",
        "none",
        "5",
        "-1",
        "1e999",
        "true",
        "~",
        "'",
        "\"",
        "|",
        "127.0.0.1:0",
        "http://r.example/t",
        "[pull]",
        "${account}/**",
        "{ local: {} }",
        "*a",
        "&a [x]",
        "\u{feff}",
        "\t",
    ]);
    (0..3_usize, prop::option::of(Just("- ")), word, value).prop_map(
        |(depth, dash, word, value)| {
            format!("{}{}{word}: {value}\n", "  ".repeat(depth), dash.unwrap_or_default())
        },
    )
}

#[test]
fn what_a_file_says_moves_no_cursor_when_it_is_refused() {
    for text in
        ["regist\ty: {}", "\"\\e[2J\": 1", "log: { level: \"\\e[2J\" }", "http: { addr: \"\\a\" }"]
    {
        refused_in_a_sentence(text);
        assert!(Folder::new(text).load().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn lines_in_any_order_are_taken_or_refused_in_a_sentence(lines in prop::collection::vec(line(), 0..12)) {
        refused_in_a_sentence(&lines.concat());
    }

    #[test]
    fn any_text_is_taken_or_refused_in_a_sentence(text in "(\\PC|[:{}\\[\\]&*!|>'\"%@`,\n -]){0,60}") {
        refused_in_a_sentence(&text);
    }

    /// A variable is one more door to the same values.
    #[test]
    fn any_variable_is_taken_or_refused_in_a_sentence(
        variable in prop::sample::select(variables().map(|help| help.name).collect::<Vec<_>>()),
        value in "\\PC{0,20}|[0-9]{1,30}|[a-z:/,\\[\\]]{0,20}",
    ) {
        if let Err(error) = without_file(&[(variable, &value)]) {
            sentence(&error);
        }
    }
}

fn refused_in_a_sentence(text: &str) {
    if let Err(error) = ConfigFile::parse("portpass.yml", text) {
        sentence(&error);
    }
    if let Err(error) = Folder::new(text).load() {
        sentence(&error);
    }
}

/// It can be shown on any terminal, and read.
fn sentence(error: &ConfigError) {
    let text = format!("{error}\n{}", error.hints().join("\n"));
    assert!(!text.is_empty() && text.len() < 16 * 1024, "{} bytes", text.len());
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
