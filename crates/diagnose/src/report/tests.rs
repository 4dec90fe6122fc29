use std::collections::BTreeMap;

use insta::{assert_json_snapshot, assert_snapshot};
use portpass_protocol::challenge::KnownClient;
use proptest::prelude::*;

use super::*;
use crate::Needs;

/// A token service that has its token under a name of its own.
fn origin_story() -> Report {
    report([
        Finding::warn(Check::Cfg02, "no credential is kept for registry.example.com:5000")
            .fix("`docker login registry.example.com:5000`"),
        Finding::pass(Check::Net01, "registry.example.com is 192.0.2.7"),
        Finding::pass(Check::Net02, "192.0.2.7:5000 accepts connections"),
        Finding::pass(Check::Ping01, "401 without credentials"),
        Finding::pass(Check::Chal01, "one challenge: Bearer"),
        Finding::pass(Check::Tok03, "200"),
        Finding::fail(
            Check::Resp03,
            "the answer has no token: its keys are \"jwt\" and \"expires_in\"",
        )
        .evidence("GET https://auth.example.com/token?service=registry&scope=repository:team/app:pull")
        .evidence("200: {\"expires_in\":300,\"jwt\":\"… (712 characters)\"}")
        .evidence("docker and containerd say: authorization server did not include a token in the response")
        .evidence("the registry logs \"authorization token required\": that is how every login begins, also a good one")
        .breaks(&KnownClient::ALL)
        .fix("give the token under both of its names, `{\"token\": \"…\", \"access_token\": \"…\", \"expires_in\": 300}`")
        .rows(&["F60"]),
        Finding::fail(Check::Exp02, "there is no token to use"),
        Finding::skip(Check::Key01, Needs::Input("--bundle FILE or --jwks FILE")),
        Finding::skip(Check::Key02, Needs::Input("--bundle FILE or --jwks FILE")),
        Finding::skip(Check::Key05, Needs::Input("--token-key FILE")),
    ])
}

/// Nothing wrong that would stop anybody today.
fn with_warnings() -> Report {
    let passed = Check::ALL.iter().map(|check| Finding::pass(*check, "as it should be"));
    report(
        passed.chain([Finding::warn(Check::Exp01, "a token lives 120 seconds")
            .evidence("expires_in 120")
            .fix("let it live 300 seconds: a large layer takes longer")
            .rows(&["F63", "F123"])]),
    )
}

/// A fault of this machine that explains nothing of what the registry does.
fn two_faults() -> Report {
    report([
        Finding::fail(Check::Cfg03, "docker-credential-desktop is not on the path")
            .fix("take `credsStore` out of config.json")
            .rows(&["F140"]),
        Finding::fail(Check::Chal03, "the realm is \"\u{1b}[2J<script>alert(1)</script>\"")
            .rows(&["F28", "F29"]),
    ])
}

fn report(findings: impl IntoIterator<Item = Finding>) -> Report {
    let findings: BTreeMap<Check, Finding> =
        findings.into_iter().map(|finding| (finding.check, finding)).collect();
    Report {
        target: "registry.example.com:5000/team/app:v1".parse().unwrap(),
        provenance: Provenance {
            at: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000),
            command: "portpass diagnose registry.example.com:5000/team/app:v1".to_owned(),
        },
        wrote: false,
        findings: cause::fold(findings),
        exchanges: vec![Exchange {
            request: vec!["GET https://registry.example.com:5000/v2/".to_owned()],
            answer: vec![
                "401 Unauthorized (3 ms)".to_owned(),
                "x-said: <b>\u{9b}1m</b>".to_owned(),
            ],
        }],
    }
}

fn plain(report: &Report) -> String {
    report.text(Detail::Short, |_, text| text.to_owned())
}

#[test]
fn a_person_sees_the_broken_place_the_cause_and_the_way_out() {
    assert_snapshot!(plain(&origin_story()));
}

#[test]
fn where_nothing_is_broken_the_warnings_say_what_to_do() {
    assert_snapshot!(plain(&with_warnings()));
}

#[test]
fn a_fault_of_this_machine_stands_beside_one_that_it_does_not_explain() {
    assert_snapshot!(plain(&two_faults()));
}

#[test]
fn a_program_finds_every_check_in_flow_order() {
    let json = origin_story().json(false);
    let checks = json["checks"].as_array().unwrap();
    assert_eq!(checks.len(), Check::ALL.len());
    let answered = checks.iter().filter(|check| check["verdict"] != "skip");
    let answered: Vec<_> = answered.collect();
    assert_json_snapshot!(serde_json::json!({
        "schema": json["schema"],
        "target": json["target"],
        "verdict": json["verdict"],
        "cause": json["cause"],
        "checks": answered,
    }));
    assert_eq!(json.get("exchanges"), None);
    let traced = origin_story().json(true);
    assert_eq!(traced["exchanges"][0]["request"][0], "GET https://registry.example.com:5000/v2/");
}

#[test]
fn a_page_has_all_of_it_and_loads_nothing() {
    let page = origin_story().html();
    assert_snapshot!(page.split_once("</style>").unwrap().1);
    for word in ["<script", "src=", "url(", "@import", "onclick"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn every_id_is_a_link_and_every_link_leads_to_one_place_of_the_page() {
    for report in [origin_story(), with_warnings(), two_faults()] {
        let page = report.html();
        for check in Check::ALL {
            assert_eq!(page.matches(&format!("id=\"{check}\"")).count(), 1, "{check}");
            assert!(page.contains(&format!("<a href=\"#{check}\">{check}</a>")), "{check}");
        }
        for link in page.split("href=\"").skip(1) {
            let (target, _) = link.split_once('"').unwrap();
            let id = target.strip_prefix('#').unwrap_or_else(|| panic!("{target}"));
            assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}

/// The cause first, one arrow red, and what holds behind a click.
#[test]
fn a_page_begins_with_the_cause_and_draws_one_broken_arrow() {
    let page = origin_story().html();
    let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("{words}"));
    assert!(place("<section class=\"cause\"") < place("<ol class=\"sequence\""));
    assert!(place("<ol class=\"sequence\"") < place("<summary>Passed"));
    assert_eq!(page.matches("<li class=\"broken").count(), 1);
    assert!(page.contains("<li class=\"broken from service\"><span>✗ sends a token"));
    assert_eq!(with_warnings().html().matches("<li class=\"broken").count(), 0);
}

/// A token service without a token, at a registry that refuses made-up tokens.
fn without_a_token(more: Finding) -> Report {
    report([
        Finding::pass(Check::Chal01, "one challenge: Bearer"),
        Finding::fail(Check::Resp03, "the response has no token"),
        Finding::pass(Check::Use01, "the registry calls a made-up token invalid"),
        Finding::pass(Check::Use04, "it reads tokens like distribution 2"),
        more,
    ])
}

/// Its response to a made-up token says nothing about the token that it never got.
#[test]
fn a_registry_that_got_no_token_is_not_checked() {
    let report = without_a_token(Finding::pass(Check::Ops09, "the catalog requires its scope"));
    let text = plain(&report);
    assert!(text.contains("✗ token service ─ · token ─ · registry\n"), "{text}");
    assert!(text.contains("Not checked: token, registry (fix RESP-03 first)."), "{text}");
    assert!(text.contains("\n4 passed, 1 failed,"), "{text}");
    let page = report.html();
    let step = |words: &str| page.contains(words);
    assert!(step("<span>· sends the token <small>not checked</small></span>"), "{page}");
    assert!(step("<span>✓ serves or refuses</span>"), "{page}");
}

#[test]
fn what_the_registry_does_wrong_without_a_token_still_counts() {
    let report = without_a_token(Finding::warn(Check::Ops09, "everybody can read the catalog"));
    let text = plain(&report);
    assert!(text.contains("✗ token service ─ · token ─ ! registry\n"), "{text}");
    assert!(text.contains("Not checked: token (fix RESP-03 first)."), "{text}");
    assert!(report.html().contains("<span>! serves or refuses <a"), "{text}");
}

/// Who gets a report knows of what, when and how it was made.
#[test]
fn a_report_says_how_it_was_made() {
    let json = origin_story().json(false);
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["time"], "2026-09-21T14:13:20Z");
    assert_eq!(json["command"], "portpass diagnose registry.example.com:5000/team/app:v1");
    let page = origin_story().html();
    for key in ["version", "time", "command"] {
        assert!(page.contains(json[key].as_str().unwrap()), "{key}");
    }
}

#[test]
fn what_was_not_asked_is_one_line_unless_somebody_wants_more() {
    for report in [origin_story(), with_warnings(), two_faults()] {
        let (short, full) = (plain(&report), report.text(Detail::Full, |_, text| text.to_owned()));
        let of =
            |line: &&str| line.starts_with("Not checked") || line.contains("checks were not made");
        assert!(short.lines().filter(of).count() <= 1, "{short}");
        let unasked = report.findings.iter().any(|found| found.verdict.as_str() == "skip");
        assert_eq!(full.contains("\nNot checked\n"), unasked, "{full}");
        assert!(full.contains("\nPassed\n") || report.held().count() == 0);
    }
    assert_snapshot!(origin_story().text(Detail::Full, |_, text| text.to_owned()));
}

#[test]
fn every_exchange_can_be_read() {
    assert_snapshot!(origin_story().trace(), @r"
    # 1
    > GET https://registry.example.com:5000/v2/
    < 401 Unauthorized (3 ms)
    < x-said: <b> 1m</b>
    ");
}

#[test]
fn colours_change_nothing_but_the_colour() {
    for report in [origin_story(), with_warnings(), two_faults()] {
        let painted = report.text(Detail::Short, |tone, text| format!("[{tone:?}|{text}|]"));
        let mut bare = painted.replace("|]", "");
        for tone in [Tone::Good, Tone::Warning, Tone::Bad, Tone::Heading, Tone::Faint] {
            bare = bare.replace(&format!("[{tone:?}|"), "");
        }
        assert_eq!(bare, plain(&report));
    }
}

#[test]
fn neighbouring_checks_are_drawn_together() {
    use Check::{Chal09, Tok01, Tok02, Tok03, Tok05};
    assert_eq!(
        text::ranges(&[Chal09, Tok01, Tok02, Tok03, Tok05]),
        "CHAL-09, TOK-01 to TOK-03, TOK-05"
    );
}

/// A report in which a server has said this everywhere.
fn saying(words: &str) -> Report {
    let mut report = report(Check::ALL.iter().map(|check| {
        let finding = match check {
            Check::Chal03 | Check::Use02 => Finding::fail(*check, words),
            Check::Exp01 => Finding::warn(*check, words),
            _ => Finding::pass(*check, words),
        };
        finding.evidence(words).fix(words).rows(&["F28"])
    }));
    let said = vec![words.to_owned()];
    report.exchanges = vec![Exchange { request: said.clone(), answer: said }];
    report
}

fn markup(page: &str) -> String {
    let mut within = false;
    let kept = page.chars().filter(|c| {
        let marks = matches!(c, '<' | '>');
        within = if marks { *c == '<' } else { within };
        within || marks
    });
    kept.collect()
}

proptest! {
    #[test]
    fn no_words_of_a_server_become_markup(words in ".{1,60}|[<>&\"'/a-z =-]{1,60}") {
        let page = saying(&words).html();
        prop_assert_eq!(markup(&page), markup(&saying("x").html()));
        prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn no_words_of_a_server_move_the_cursor(words in ".{1,60}|[\\x00-\\x1f\\x7f-\\u{9f}a-z]{1,60}") {
        let report = saying(&words);
        let texts = [plain(&report), report.trace(), report.json(true).to_string()];
        for text in texts {
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn lines_fit_on_the_screen_and_lose_no_word(words in "([a-z]{1,20} ){0,60}[a-z]") {
        let text = plain(&saying(&words));
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert!(one_line.contains(&words), "{text}");
    }
}

#[test]
fn what_is_to_be_copied_stays_on_one_line() {
    let command = format!("`docker login {}`", "x".repeat(70));
    let text = plain(&saying(&format!("{} {command}", "word ".repeat(9))));
    assert!(text.contains(&command), "{text}");
}
