//! Rules for groups that nobody can be in.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::subject::Group;

/// Accounts of htpasswd files are in the groups of the configuration alone.
#[test]
fn a_group_that_nobody_can_be_in_is_refused_where_all_are_known() {
    let known: BTreeMap<SourceName, BTreeSet<Group>> = [
        (SourceName::htpasswd(), ["dev", "qa"].map(|group| group.parse().unwrap()).into()),
        (SourceName::robot(), ["ci".parse().unwrap()].into()),
    ]
    .into();
    let parse = |text: &str, sources: &[SourceName]| {
        let context = RuleContext { sources: sources.to_vec(), groups: known.clone(), ..context() };
        RuleSet::parse(&[rule(text)], &context).map(drop).map_err(|error| error.problem)
    };
    let (file, database) = (SourceName::htpasswd(), SourceName::local());
    for (word, closed, open) in [
        ("group:dev", true, true),
        ("group:ci", true, true),
        ("group:d*", true, true),
        ("group:x*", false, true),
        ("group:devs", false, true),
        ("group:htpasswd/dev", true, true),
        ("group:htpasswd/ci", false, false),
        ("group:htpasswd/devs", false, false),
    ] {
        for text in [
            format!("allow pull repository a/** to {word}"),
            format!("deny pull repository a/** to user:ann {word}"),
            format!("deny push repository a/** to signed-in except {word}"),
        ] {
            let sources = [file.clone(), database.clone()];
            for (sources, is_accepted) in [(&sources[..1], closed), (&sources[..], open)] {
                let parsed = parse(&text, sources);
                let is_refused = matches!(&parsed, Err(RuleProblem::Group { .. }));
                assert_eq!((parsed.is_ok(), is_refused), (is_accepted, !is_accepted), "{text}");
            }
        }
    }
    let refused = parse("allow pull repository a/** to group:devs", &[file]).unwrap_err();
    assert_eq!(refused.to_string(), "nobody can be in `group:devs`; there are: ci, dev, qa");
    assert_eq!(refused.unknown_name().unwrap().0, "devs");
}

#[test]
fn a_rule_for_groups_where_nobody_has_one_is_for_nobody() {
    let parse = |text: &str, source: SourceName| {
        let closed = (source == SourceName::htpasswd()).then(|| (source.clone(), [].into()));
        let groups = closed.into_iter().collect();
        let context = RuleContext { sources: vec![source], groups, ..context() };
        RuleSet::parse(&[rule(text)], &context).map(drop)
    };
    let text = "allow pull repository ${group}/** to signed-in";
    let error = parse(text, SourceName::htpasswd()).unwrap_err();
    assert!(matches!(error.problem, RuleProblem::Nobody { .. }), "{text}: {error}");
    assert_eq!(parse(text, SourceName::local()), Ok(()), "{text}");
    let error = parse("allow pull repository a/** to group:dev", SourceName::htpasswd());
    assert!(error.unwrap_err().to_string().contains("no account is in a group"));
    let text = "deny push repository ${group}/** to signed-in";
    assert_eq!(parse(text, SourceName::htpasswd()), Ok(()), "{text}");
}
