//! Differences of two sets of rules: what is told of them, and that it is exact.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    properties::{Asked, anybody, some_rules},
    *,
};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(499_000) // 2026-12-04
}

fn services() -> Vec<ServiceName> {
    ["registry", "mirror"].map(ServiceName::new).into()
}

/// `gains push on team/** except team/frozen (- to rule 2)`
fn told(old: &[&str], new: &[&str], who: &str) -> Vec<String> {
    let (old, new) = (rules(old), rules(new));
    let side = |rules| Side { rules, anonymous: true };
    let mut comparison = Comparison::new(side(&old), side(&new), &services(), now());
    let changes = comparison.changes(&subject(who)).unwrap();
    changes.iter().map(text).collect()
}

fn text(change: &RightsChange) -> String {
    let RightsChange { kind, actions, on, when, old, new } = change;
    let kind = match kind {
        ChangeKind::Gained => "gains".to_owned(),
        ChangeKind::Lost => "loses".to_owned(),
        ChangeKind::Lifetime { old, new } => {
            let seconds = |lifetime: &Option<Lifetime>| lifetime.map(Lifetime::seconds);
            format!("{:?} {:?}", seconds(old), seconds(new))
        }
    };
    let list = |texts: Vec<String>| texts.join(" | ");
    let on = match on {
        ChangedResources::Catalog => "catalog".to_owned(),
        ChangedResources::Repositories(regions) => {
            list(regions.iter().map(ToString::to_string).collect())
        }
    };
    let when = match &when[..] {
        [] => String::new(),
        when => format!(" {}", list(when.iter().map(ToString::to_string).collect())),
    };
    let by = |by: &Option<DecidedBy>| match by {
        None => "-".to_owned(),
        Some(DecidedBy::Rule(rule)) => rule.number().to_string(),
        Some(DecidedBy::OwnPermission) => "own".to_owned(),
    };
    let actions = actions.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("{kind} {actions} on {on}{when} ({} to {})", by(old), by(new))
}

#[test]
fn differences_are_told_by_patterns_and_conditions() {
    let allow = "allow pull repository team/** to group:dev";
    let table: [(&[&str], &[&str], &[&str]); 16] = [
        (&[allow], &["allow pull repository team/** to signed-in"], &[]),
        (&[allow], &[], &["loses pull on team/** (1 to -)"]),
        (
            &[allow],
            &["allow * repository team/** to group:dev"],
            &["gains push,delete,* on team/** (- to 1)"],
        ),
        (
            &[allow],
            &[allow, "deny pull repository **/secret to signed-in"],
            &["loses pull on team/** and **/secret (1 to 2)"],
        ),
        (
            &[allow, "allow push repository team/app to group:dev"],
            &[
                allow,
                "allow push repository team/app to group:dev",
                "deny push repository team/** to anyone",
            ],
            &["loses push on team/app (2 to 3)"],
        ),
        (
            &[allow, "deny push repository team/frozen to anyone"],
            &[
                "allow pull,push repository team/** to group:dev",
                "deny push repository team/frozen to anyone",
            ],
            &["gains push on team/** except team/frozen (- to 1)"],
        ),
        (
            &["allow pull repository a/* to anyone"],
            &["allow pull repository a/** to anyone"],
            &["gains pull on a/** except a/* (- to 1)"],
        ),
        (
            &["allow pull,push repository a/* to anyone"],
            &["allow push repository a/* to anyone", "allow pull repository a/* to signed-in"],
            &[],
        ),
        (
            &["allow pull repository a to anyone from 10.0.0.0/8"],
            &["allow pull repository a to anyone from 10.0.0.0/8 192.0.2.0/24"],
            &["gains pull on a from 192.0.2.0/24 (- to 1)"],
        ),
        (
            &["allow pull repository a to anyone from 10.0.0.0/8"],
            &["allow pull repository a to anyone from 10.1.0.0/16"],
            &["loses pull on a from 10.0.0.0/8, not from 10.1.0.0/16 (1 to -)"],
        ),
        (
            &["allow pull repository a to anyone from 10.0.0.0/8"],
            &["allow pull repository a to anyone"],
            &["gains pull on a not from 10.0.0.0/8 (- to 1)"],
        ),
        (
            &["allow pull repository a to anyone"],
            &[
                "allow pull repository a to anyone",
                "deny pull repository a to anyone from 10.0.0.0/8",
            ],
            &["loses pull on a from 10.0.0.0/8 | from an unknown address (1 to 2)"],
        ),
        (
            &["allow pull repository a to anyone service registry"],
            &["allow pull repository a to anyone service mirror"],
            &[
                "gains pull on a service mirror (- to 1)",
                "loses pull on a service registry (1 to -)",
            ],
        ),
        (
            &["allow pull repository a to anyone between mon-fri"],
            &["allow pull repository a to anyone between mon-sat"],
            &["gains pull on a between mon-sat UTC, not between mon-fri UTC (- to 1)"],
        ),
        (
            &["allow pull repository a to anyone expiration 60"],
            &["allow pull repository a to anyone"],
            &["Some(60) None pull on a (1 to 1)"],
        ),
        (
            &[
                "allow pull repository ${account}/** to signed-in",
                "allow pull repository groups/${group}/x to group:*",
            ],
            &[
                "allow pull repository ${account}/* to signed-in",
                "allow pull repository groups/${group}/x to group:qa",
            ],
            &[
                "loses pull on ${account}/** except ${account}/* (1 to -)",
                "loses pull on groups/${group}/x (2 to -)",
            ],
        ),
    ];
    for (old, new, expected) in table {
        assert_eq!(told(old, new, "ann:dev"), expected, "{old:?} to {new:?}");
    }
}

#[test]
fn what_never_can_be_is_no_difference() {
    let table: [(&[&str], &[&str]); 5] = [
        // No name is so.
        (&[], &["allow pull repository Team/App to anyone"]),
        // It is over.
        (&[], &["allow pull repository a to anyone between @@@before=2026-12-01"]),
        // It never comes together.
        (
            &["allow pull repository a to anyone between mon-fri"],
            &[
                "allow pull repository a to anyone between mon-fri",
                "deny pull repository a to anyone between sat,sun",
            ],
        ),
        // Another place in the list.
        (
            &["allow pull repository a to anyone", "deny pull repository b to anyone"],
            &["deny pull repository b to anyone", "allow pull repository a to anyone"],
        ),
        // Not for this caller.
        (&[], &["allow pull repository a to user:bob"]),
    ];
    for (old, new) in table {
        assert_eq!(told(old, new, "ann:dev"), [""; 0], "{old:?} to {new:?}");
    }
}

#[test]
fn a_caller_who_is_no_longer_admitted_loses_all() {
    let rules =
        rules(&["allow pull repository public/** to anyone", "allow * registry catalog to anyone"]);
    let (old, new) =
        (Side { rules: &rules, anonymous: true }, Side { rules: &rules, anonymous: false });
    let mut comparison = Comparison::new(old, new, &services(), now());
    let changes = comparison.changes(&Subject::Anonymous).unwrap();
    let told: Vec<String> = changes.iter().map(text).collect();
    assert_eq!(told, ["loses pull on public/** (1 to -)", "loses * on catalog (2 to -)"]);
    assert_eq!(*comparison.changes(&subject("ann")).unwrap(), []);
}

/// It may pull by the rule for a minute, and everything by its own permission for as long as any.
#[test]
fn a_rule_for_a_part_of_what_a_robot_has_anyway_is_no_difference_of_the_whole() {
    let (old, new) = (rules(&["allow pull repository a to user:* expiration 60"]), rules(&[]));
    let side = |rules| Side { rules, anonymous: true };
    let mut comparison = Comparison::new(side(&old), side(&new), &services(), now());
    let Subject::SignedIn(account) = subject("a") else { unreachable!() };
    let mut robot = Account { kind: AccountKind::Robot, ..Account::clone(&account) };
    robot.ceiling = Some(Arc::new(ceiling("**:*")));
    let changes = comparison.changes(&Subject::from(robot)).unwrap();
    let told: Vec<String> = changes.iter().map(text).collect();
    assert_eq!(told, ["Some(60) None pull on a (1 to own)"]);
}

/// Rules that are partly the same, in another order.
fn some_pairs() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    (some_rules(), some_rules(), some_rules(), any::<bool>()).prop_map(
        |(both, old, new, is_reversed)| {
            let mut after = [&new[..], &both[..]].concat();
            if is_reversed {
                after.reverse();
            }
            ([both, old].concat(), after)
        },
    )
}

fn limited(mut asked: Asked, limit: &str) -> Asked {
    let Subject::SignedIn(account) = &asked.subject else { return asked };
    let mut account = Account::clone(account);
    account.ceiling = (!limit.is_empty()).then(|| Arc::new(ceiling(limit)));
    asked.subject = Subject::from(account);
    asked
}

/// What the rules say of one request, and for how long.
fn decided(rules: &RuleSet, asked: &Asked, access: &Access) -> (bool, Option<Lifetime>) {
    let decision = decide_for(rules, &asked.request(), access);
    let is_granted = access.actions.iter().all(|action| decision.granted.contains(action));
    let shortest = Lifetime::from_seconds(60).unwrap();
    let lives = |default: Lifetime| decision.lifetime(default);
    // An action of which no rule says anything lives as long as the default says, whatever that is.
    (is_granted, lives(shortest).filter(|one| is_granted && lives(Lifetime::MAX) == Some(*one)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A change is told for a caller, a repository, an action and a request if, and only if, the decisions differ
    /// there.
    #[test]
    fn changes_are_told_where_decisions_differ_and_nowhere_else(
        (old, new) in some_pairs(),
        asked in anybody(),
        limit in "((a|b|\\*|a/\\*\\*|\\*\\*):(pull|push,delete|\\*))?",
        name in "[ab](/[ab]){0,2}",
        action in "(pull|push|delete|\\*)",
    ) {
        let parse = |texts: &[String]| rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let (old, new) = (parse(&old), parse(&new));
        let asked = limited(asked, &limit);
        let side = |rules| Side { rules, anonymous: true };
        let mut comparison = Comparison::new(side(&old), side(&new), &services(), now());
        let changes = comparison.changes(&asked.subject).unwrap();
        for (resource, name) in [(Access::repository(&name, []).resource, Some(&name)), (Resource::catalog(), None)] {
            let access = Access { resource, actions: vec![Action::from(&*action)].into() };
            let (before, after) = (decided(&old, &asked, &access), decided(&new, &asked, &access));
            let is_meant = |change: &&RightsChange| {
                let on = match (&change.on, name) {
                    (ChangedResources::Repositories(regions), Some(name)) => regions.iter().any(|region| region.means(name)),
                    (ChangedResources::Catalog, None) => true,
                    _ => false,
                };
                on && change.actions.contains(&Action::from(&*action))
                    && (change.when.is_empty() || change.when.iter().any(|when| when.holds(&asked.request())))
            };
            let told: Vec<&RightsChange> = changes.iter().filter(is_meant).collect();
            let expected = match (before, after) {
                ((false, _), (true, _)) => Some(ChangeKind::Gained),
                ((true, _), (false, _)) => Some(ChangeKind::Lost),
                ((true, old), (true, new)) if old != new => Some(ChangeKind::Lifetime { old, new }),
                _ => None,
            };
            prop_assert_eq!(told.iter().map(|change| change.kind).collect::<Vec<_>>(), Vec::from_iter(expected), "{:?}", changes);
        }
        // And each has an example that it means.
        for change in changes.iter() {
            if let ChangedResources::Repositories(regions) = &change.on {
                prop_assert!(!regions.is_empty());
                prop_assert!(regions.iter().all(|region| region.means(&region.example)), "{change:?}");
            }
        }
    }

    /// Of requests at moments that nobody chose: the times of the rules come together in no way that was missed.
    #[test]
    fn no_way_in_which_times_come_together_is_missed(
        texts in prop::collection::vec(
            "((mon-fri|sat|sun,mon)?@((08:00-18:00|22:00-06:00|00:00-12:30))?@(Europe/Berlin|America/New_York|Asia/Kolkata)?(@after=2027-0[1-5]-11)?(@before=2028-0[1-5]-11T03:30)?)",
            1..5
        ),
        hours in 0_u64..30_000,
        minute in 0_u64..60,
    ) {
        let times: Vec<Times> = texts.iter().filter_map(|text| Times::parse(&times(text)).ok()).collect();
        let times: Vec<&Times> = times.iter().collect();
        let moment = now() + Duration::from_hours(hours) + Duration::from_mins(minute);
        let apply: Vec<usize> = (0..times.len()).filter(|place| times[*place].include(moment)).collect();
        let found = times::moments(&times, now());
        prop_assert!(found.iter().any(|(all, _)| *all == apply), "{texts:?} at {moment:?}: {apply:?}");
        for (all, moment) in found {
            prop_assert!(all.iter().all(|place| times[*place].include(moment)));
        }
    }
}
