//! What is said of a service that nobody could ask.

use std::{fmt::Write as _, time::Duration};

use portpass_authority::accounts::http::Lookups;

use super::*;

fn folder(section: &str) -> Folder {
    let folder = Folder::new(&format!("token_service:\n  accounts:\n    - http:\n{section}"));
    folder.certify("ca");
    folder.certify("other");
    folder.write("token", "abc.DEF\n");
    folder.write("spaces", "a b\n");
    folder
}

fn source(section: &str) -> HttpSource {
    let config = folder(section).load().unwrap();
    let service = config.token_service.as_ref().unwrap();
    let [AccountSource::Http(source)] = &service.accounts[..] else { panic!("no service") };
    HttpSource::clone(source)
}

#[test]
fn a_service_is_understood() {
    let HttpSource { name, hook, lookups, cache } = source(
        "        name: people
        url: https://accounts.example.com/portpass
        ca: ca.crt
        client: { certificate: ca.crt, key: ca.key }
        bearer_token_file: token
        lookup: false
        cache: 1m
        timeout: 5s
        calls: 4
",
    );
    assert_eq!((name.as_str(), cache), ("people", Duration::from_mins(1)));
    assert_eq!(hook.url.as_str(), "https://accounts.example.com/portpass");
    assert_eq!((hook.web.authorities.len(), hook.web.timeout), (1, Duration::from_secs(5)));
    assert!(hook.web.identity.is_some() && hook.bearer.is_some());
    assert_eq!((hook.calls.get(), lookups), (4, Lookups::None));

    let HttpSource { name, hook, lookups, cache } = source("        url: http://127.0.0.1:8080/\n");
    assert_eq!((name.as_str(), cache), ("http", Duration::from_mins(5)));
    assert_eq!((hook.calls.get(), lookups), (16, Lookups::Answered));
    assert_eq!(hook.web.timeout, Duration::from_secs(3));
    assert!(hook.web.identity.is_none() && hook.bearer.is_none());
}

#[test]
fn mistakes_about_a_service_are_named_with_line_and_hint() {
    let url = "        url: https://a.example/\n";
    let mut said = String::new();
    for section in [
        "        name: people\n".to_owned(),
        "        url: http://accounts.example.com/\n".to_owned(),
        "        url: https://ann:secret@a.example/\n".to_owned(),
        "        url: accounts.example.com\n".to_owned(),
        "        url: ann:secret@a.example\n".to_owned(),
        "        url: ftp://a.example/\n".to_owned(),
        format!("{url}        name: ldap\n"),
        format!("{url}        name: A B\n"),
        format!("{url}        ca: missing.crt\n"),
        format!("{url}        ca: ca.key\n"),
        "        url: http://127.0.0.1/\n        ca: ca.crt\n".to_owned(),
        format!("{url}        client: {{ certificate: ca.crt }}\n"),
        format!("{url}        client: {{ certificate: ca.crt, key: other.key }}\n"),
        format!("{url}        bearer_token: abc\n        bearer_token_file: token\n"),
        format!("{url}        bearer_token: \"\"\n"),
        format!("{url}        bearer_token_file: spaces\n"),
        format!("{url}        timeout: 10ms\n"),
        format!("{url}        timeout: 2h\n"),
        format!("{url}        cache: 2d\n"),
        format!("{url}        calls: 0\n"),
        format!("{url}        calls: 1025\n"),
        format!("{url}        lookups: no\n"),
        format!("{url}    - http:\n{url}"),
    ] {
        let refusal = folder(&section).refusal();
        assert!(!refusal.contains("secret") && !refusal.contains("abc"), "{refusal}");
        writeln!(said, "── {}\n{refusal}", section.trim()).unwrap();
    }
    insta::assert_snapshot!(said);
}
