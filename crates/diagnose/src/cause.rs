//! Which failure the others come from.

use std::collections::BTreeMap;

use super::{Check, Finding, Needs, Stage};

/// All checks in flow order, each answered: what nobody asked is left out because of the cause, and
/// later failures are folded under it.
pub(super) fn fold(mut findings: BTreeMap<Check, Finding>) -> Vec<Finding> {
    let cause = among(findings.values());
    // The first failure that every pull meets; all after it come from it, and so from what it comes from.
    let first = findings.values().find(|found| found.failed() && Met::by(found.check) == Met::All);
    let first = first.map(|finding| finding.check);
    Check::ALL
        .iter()
        .map(|check| {
            let mut finding = findings.remove(check).unwrap_or_else(|| left_out(*check, cause));
            if let Some(cause) = cause.filter(|cause| *cause != finding.check)
                && finding.failed()
                && finding.follows_from.is_none()
                && follows(finding.check, cause, first)
            {
                finding.follows_from = Some(cause);
            }
            finding
        })
        .collect()
}

/// The cause, once what follows from what is written down: a failure that every pull meets, else one that others
/// come from, else the one that most meet.
pub(super) fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Check> {
    let failed: Vec<&Finding> = findings.into_iter().filter(|finding| finding.failed()).collect();
    let unexplained = || failed.iter().filter(|finding| finding.follows_from.is_none());
    let has_others = |check| failed.iter().any(|other| other.follows_from == Some(check));
    let checks = || unexplained().map(|finding| finding.check);
    checks()
        .find(|check| Met::by(*check) == Met::All)
        .or_else(|| checks().find(|check| has_others(*check)))
        .or_else(|| checks().min_by_key(|check| Met::by(*check)))
}

/// The cause, before that: the first failure that every pull meets, or the fault beside it that explains it. Such
/// faults alone are a cause where nothing else fails.
fn among<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Check> {
    let failed =
        findings.into_iter().filter(|found| found.failed() && found.follows_from.is_none());
    let failed: Vec<Check> = failed.map(|finding| finding.check).collect();
    let seen = failed.iter().copied().min_by_key(|check| Met::by(*check))?;
    let beside = failed.iter().copied().filter(|check| Met::by(*check) > Met::by(seen));
    beside.into_iter().find(|beside| explains(*beside, seen)).or(Some(seen))
}

fn left_out(check: Check, cause: Option<Check>) -> Finding {
    let needs = cause.filter(|cause| *cause < check).map(Needs::Check);
    Finding::skip(check, needs.unwrap_or(Needs::Nothing("there was nothing to check")))
}

/// Whether a failure may come from the cause. `first` is the first one that every pull meets.
fn follows(later: Check, cause: Check, first: Option<Check>) -> bool {
    let behind = later > cause && first.is_none_or(|first| later >= first);
    match (Met::by(later), Met::by(cause)) {
        (Met::All, _) | (Met::Some, Met::All) => behind,
        (Met::Some, Met::Some) => later > cause,
        (Met::Some, Met::Here) => behind && first.is_some(),
        (Met::Here, cause_is) => cause_is == Met::Here && later > cause,
    }
}

/// What meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    /// Every pull.
    All,
    /// What a plain pull does not do: several scopes at once, a wrong password, a POST that is no login. The token
    /// that it has got is no worse for it.
    Some,
    /// What is done from this machine.
    Here,
}

impl Met {
    fn by(check: Check) -> Self {
        match check {
            _ if check.stage() == Stage::Local => Self::Here,
            Check::Tok05 | Check::Tok06 | Check::Tok08 | Check::Tok10 => Self::Some,
            _ => Self::All,
        }
    }
}

/// What not everybody meets explains what comes of it alone, and nothing that others answer to everybody.
fn explains(beside: Check, seen: Check) -> bool {
    use Check::{
        Acc01, Cfg01, Cfg02, Cfg03, Cfg04, Cfg05, Exp03, Net02, Net03, Net04, Net05, Ops05, Ops08,
        Ping03, Ping04, Tok01, Tok02, Tok03, Tok04, Tok06, Tok08, Tok09, Tok11, Use02, Use03,
    };
    let of = match beside {
        // Without its credential a client asks as nobody does.
        Cfg01 | Cfg02 | Cfg03 => {
            [Tok01, Tok02, Tok03, Tok04, Acc01, Use02, Use03, Ops08].as_slice()
        }
        Cfg04 => &[Net02, Net03, Net04, Net05, Ping03, Ping04, Tok09, Tok11],
        Cfg05 => &[Net04, Net05],
        Tok06 | Tok08 => &[Ops05, Exp03],
        _ => &[],
    };
    of.contains(&seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cause, and what is folded under it, of these failures.
    fn folded(failed: &[Check]) -> (Option<Check>, Vec<Check>) {
        let findings = failed.iter().map(|check| (*check, Finding::fail(*check, "")));
        let findings = fold(findings.collect());
        assert_eq!(findings.len(), Check::ALL.len());
        let cause = of(&findings);
        let under = findings.iter().filter(|finding| finding.follows_from.is_some());
        for finding in under.clone() {
            assert_eq!(finding.follows_from, cause);
        }
        (cause, under.map(|finding| finding.check).collect())
    }

    #[test]
    fn the_first_failure_in_flow_order_is_the_cause_and_the_others_come_from_it() {
        use Check::{Acc01, Chal04, Clm01, Resp03, Use03};
        assert_eq!(folded(&[]), (None, vec![]));
        assert_eq!(folded(&[Resp03]), (Some(Resp03), vec![]));
        assert_eq!(
            folded(&[Use03, Clm01, Acc01, Chal04]),
            (Some(Chal04), vec![Clm01, Acc01, Use03])
        );
    }

    #[test]
    fn a_missing_credential_is_the_cause_of_a_refused_pull_and_of_nothing_else() {
        use Check::{Acc01, Cfg02, Cfg03, Chal03, Clm01, Net02, Tok03, Use03};
        assert_eq!(folded(&[Cfg02]), (Some(Cfg02), vec![]));
        assert_eq!(folded(&[Cfg02, Tok03, Use03]), (Some(Cfg02), vec![Tok03, Use03]));
        assert_eq!(folded(&[Cfg02, Cfg03, Tok03]), (Some(Cfg02), vec![Cfg03, Tok03]));
        assert_eq!(folded(&[Cfg02, Acc01, Use03]), (Some(Cfg02), vec![Acc01, Use03]));
        // Both have to be mended, and one of them comes first for everybody.
        assert_eq!(folded(&[Cfg02, Net02, Tok03]), (Some(Net02), vec![Tok03]));
        assert_eq!(folded(&[Cfg02, Chal03]), (Some(Chal03), vec![]));
        assert_eq!(folded(&[Cfg02, Clm01, Use03]), (Some(Clm01), vec![Use03]));
    }

    /// A token that is refused is not refused because of how several scopes, or a wrong password, are answered.
    #[test]
    fn what_a_plain_pull_does_not_meet_is_no_cause_of_its_failure() {
        use Check::{Cfg02, Chal04, Key06, Ops05, Tok05, Tok06, Tok08, Tok10, Use02, Use03};
        assert_eq!(folded(&[Tok08]), (Some(Tok08), vec![]));
        assert_eq!(folded(&[Tok10, Key06, Use02]), (Some(Key06), vec![Use02]));
        assert_eq!(folded(&[Tok05, Tok06, Use03]), (Some(Use03), vec![]));
        assert_eq!(folded(&[Tok08, Ops05]), (Some(Tok08), vec![Ops05]));
        assert_eq!(folded(&[Chal04, Tok10]), (Some(Chal04), vec![Tok10]));
        // This machine's own faults come last.
        assert_eq!(folded(&[Cfg02, Tok10]), (Some(Tok10), vec![]));
        assert_eq!(folded(&[Cfg02, Tok08, Use03]), (Some(Cfg02), vec![Use03]));
    }

    #[test]
    fn a_proxy_of_the_environment_is_the_cause_of_what_does_not_arrive() {
        use Check::{Cfg04, Cfg05, Net02, Net04, Resp03, Tok11};
        assert_eq!(folded(&[Cfg04, Net02]), (Some(Cfg04), vec![Net02]));
        assert_eq!(folded(&[Cfg04, Tok11]), (Some(Cfg04), vec![Tok11]));
        assert_eq!(folded(&[Cfg04, Resp03]), (Some(Resp03), vec![]));
        assert_eq!(folded(&[Cfg04, Cfg05, Net04]), (Some(Cfg04), vec![Cfg05, Net04]));
    }

    #[test]
    fn what_says_itself_where_it_comes_from_is_believed() {
        let mut later = Finding::fail(Check::Use03, "");
        later.follows_from = Some(Check::Tok03);
        let findings = [Finding::fail(Check::Chal04, ""), later];
        let findings = fold(findings.map(|finding| (finding.check, finding)).into());
        assert_eq!(of(&findings), Some(Check::Chal04));
        let later = findings.iter().find(|finding| finding.check == Check::Use03);
        assert_eq!(later.and_then(|finding| finding.follows_from), Some(Check::Tok03));
    }

    #[test]
    fn what_nobody_asked_waits_for_the_cause_if_it_comes_after_it() {
        let findings = fold([(Check::Resp03, Finding::fail(Check::Resp03, ""))].into());
        let summary =
            |check| findings.iter().find(|finding| finding.check == check).unwrap().summary.clone();
        assert_eq!(summary(Check::Use02), "not checked: fix RESP-03 first");
        assert_eq!(summary(Check::Net06), "not checked: there was nothing to check");
    }
}
