//! What there is to do is said in short sentences.

use crate::{Check, Report};

/// More than a person keeps in mind.
const MOST: usize = 34;

/// That no sentence of a fix is longer, without what stands in brackets and between backticks.
#[track_caller]
pub(crate) fn are_short(report: &Report) {
    // How to trust somebody, or to do without, is a list of files: one for each client.
    let lists = [Check::Net03, Check::Net04, Check::Net05];
    for finding in report.findings.iter().filter(|finding| !lists.contains(&finding.check)) {
        let fix = finding.fix.as_deref().unwrap_or_default();
        for sentence in bare(fix).split(". ") {
            let words = sentence.split_whitespace().count();
            assert!(words <= MOST, "{}: {words} words: {sentence}", finding.check);
        }
    }
}

fn bare(text: &str) -> String {
    let (mut depth, mut quoted) = (0_usize, false);
    let kept = text.chars().filter(|c| {
        match c {
            '`' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && !quoted
    });
    kept.collect()
}
