//! The flow as a sequence diagram, in words and boxes: it has to fit on a telephone, and a picture would not.

use super::{all, link};
use crate::{Check, Finding, Needs, Report, Verdict};

/// One message between two of the three, or what the client has in its hands.
struct Step {
    /// Which way it goes; the name of a class.
    way: &'static str,
    words: &'static str,
    /// Which checks are about it: the beginnings of their ids.
    about: &'static [&'static str],
}

const fn step(way: &'static str, words: &'static str, about: &'static [&'static str]) -> Step {
    Step { way, words, about }
}

/// In the order of the flow. Each check is about one of them.
const STEPS: &[Step] = &[
    step("here", "login, proxies and certificates of this machine", &["CFG-"]),
    step("to registry", "GET /v2/", &["NET-01", "NET-02", "NET-03", "NET-04"]),
    step("from registry", "names the token service", &["NET-06", "NET-07", "PING-", "CHAL-"]),
    step("to service", "asks for a token", &["NET-05"]),
    step("from service", "sends a token", &["TOK-", "RESP-"]),
    step("here", "the token", &["JWT-", "CLM-", "KEY-", "ACC-"]),
    step("to registry", "sends the token", &["USE-01"]),
    step("from registry", "serves or refuses", &["USE-0", "OPS-"]),
    step("to service", "asks for the next token", &["EXP-"]),
];

pub(super) fn of(report: &Report) -> String {
    let cause = report.cause().map(|cause| cause.check);
    let steps = all(STEPS.iter().enumerate(), |(at, step)| {
        let about = report.findings.iter().filter(|found| place(found.check) == Some(at));
        // The registry got only a made-up token.
        let unsent = step.about.contains(&"USE-01") && report.lacks_token();
        drawn(step, &about.collect::<Vec<_>>(), cause, unsent)
    });
    format!(
        "<div class=\"parties\"><span>client</span><span>registry</span><span>token service</span></div>\n<ol class=\"sequence\">\n{steps}</ol>\n"
    )
}

/// The step that a check is about: the first that names it.
fn place(check: Check) -> Option<usize> {
    let names = |step: &Step| step.about.iter().any(|start| check.id().starts_with(start));
    STEPS.iter().position(names)
}

fn drawn(step: &Step, about: &[&Finding], cause: Option<Check>, unsent: bool) -> String {
    let any = |word: &str| about.iter().any(|found| found.verdict.as_str() == word);
    let (class, sign) = if about.iter().any(|found| Some(found.check) == cause) {
        ("broken", "✗")
    } else if any("fail") {
        ("fail", "✗")
    } else if any("warn") {
        ("warn", "!")
    } else if any("pass") && !unsent {
        ("pass", "✓")
    } else {
        ("skip", "·")
    };
    // Of a registry without a token service, half the flow does not exist.
    let is_none = |found: &&Finding| matches!(found.verdict, Verdict::Skip(Needs::Nothing(_)));
    let nothing = class == "skip" && about.iter().all(is_none);
    let note = match class {
        "skip" if nothing => " <small>does not apply here</small>".to_owned(),
        "skip" => " <small>not checked</small>".to_owned(),
        // Beside the cause, nothing else in this step matters.
        "broken" => cause.map_or_else(String::new, |cause| format!(" {}", link(cause))),
        _ => {
            let told =
                about.iter().filter(|found| matches!(found.verdict, Verdict::Fail | Verdict::Warn));
            all(told, |found| format!(" {}", link(found.check)))
        }
    };
    let Step { way, words, .. } = step;
    format!("<li class=\"{class} {way}\"><span>{sign} {words}{note}</span></li>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_place_and_every_place_a_check() {
        for check in Check::ALL {
            assert!(place(*check).is_some(), "{check}");
        }
        for at in 0..STEPS.len() {
            assert!(Check::ALL.iter().any(|check| place(*check) == Some(at)), "{at}");
        }
    }
}
