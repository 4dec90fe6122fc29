//! What a decision by one of 1 000 rules costs, with every condition that a rule can have. By hand:
//! `cargo bench -p portpass-authority --bench policy`.
//!
//! ```text
//! a thousand rules   for persons, groups of a source, robots; with labels, networks, services, times, lifetimes
//! a few              what `portpass serve` has without a configuration
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run says why"
)]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_authority::{
    ceiling::Ceiling,
    policy::{Request, RuleContext, RuleSet, RuleText, TimesText, decide_for},
    subject::{Account, AccountId, AccountKind, CredentialVersion, Labels, SourceName, Subject},
};
use portpass_protocol::access::{Access, Action};
use portpass_token::ServiceName;
use tokio::time::Instant;

fn main() {
    let many = rules((0..1000).map(rule));
    let few = rules((0..3).map(rule));
    let service = ServiceName::new("registry");
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_004);
    println!("| who | repository | granted | 1 000 rules, µs | 3 rules, µs |");
    println!("| --- | --- | --- | --- | --- |");
    for (who, subject) in subjects() {
        for repository in ["team-995/app", "team-7/app", "red/996", "ci-998/app", "nobody/else"] {
            let address = Some("10.1.2.3".parse().unwrap());
            let request = Request { subject: &subject, service: &service, address, now };
            let asked = Access::repository(repository, [Action::Pull, Action::Push]);
            let granted = decide_for(&many, &request, &asked).granted;
            let [many, few] = [&many, &few].map(|rules| microseconds(rules, &request, &asked));
            println!("| {who} | {repository} | {granted} | {many:.2} | {few:.2} |");
        }
    }
}

/// Of one decision: the best of several rounds.
fn microseconds(rules: &RuleSet, request: &Request<'_>, asked: &Access) -> f64 {
    let round = || {
        let begin = Instant::now();
        for _ in 0..DECISIONS {
            std::hint::black_box(decide_for(rules, request, std::hint::black_box(asked)));
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// One of ten kinds, in turn.
fn rule(number: usize) -> RuleText {
    let words = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let allow = |repository: String, to: &str| RuleText {
        allow: Some(words(&["pull", "push"])),
        repository: Some(repository),
        to: words(&[to]),
        ..RuleText::default()
    };
    let team = format!("team-{number}/**");
    match number % 10 {
        0 => allow(format!("home-{number}/${{account}}/**"), "signed-in"),
        1 => allow(team, &format!("user:person-{number}")),
        2 => allow(team, &format!("robot:ci-{}*", number / 100)),
        3 => RuleText {
            from: words(&["10.0.0.0/8", "192.0.2.0/24"]),
            ..allow(team, "group:local/dev")
        },
        4 => RuleText {
            service: words(&["registry"]),
            ..allow(team, &format!("group:team-{number}"))
        },
        5 => RuleText {
            between: Some(working_hours()),
            expiration: Some(7200),
            ..allow(team, "group:local/*")
        },
        6 => RuleText {
            except: words(&["user:mallory"]),
            ..allow(format!("${{label:team}}/{number}"), "signed-in")
        },
        7 => allow(format!("groups-{number}/${{group}}/*"), "group:*"),
        8 => {
            RuleText { from: words(&["10.0.0.0/8"]), ..allow(format!("ci-{number}/**"), "robot:*") }
        }
        _ => RuleText {
            allow: None,
            deny: Some(words(&["push"])),
            from: words(&["203.0.113.0/24"]),
            ..allow(format!("*/frozen-{number}"), "signed-in")
        },
    }
}

fn working_hours() -> TimesText {
    TimesText {
        days: vec!["mon-sun".to_owned()],
        hours: vec!["00:00-24:00".to_owned()],
        zone: Some("Europe/Berlin".to_owned()),
        ..TimesText::default()
    }
}

fn rules(texts: impl Iterator<Item = RuleText>) -> RuleSet {
    let context = RuleContext {
        sources: vec![SourceName::local(), SourceName::robot()],
        services: vec![ServiceName::new("registry"), ServiceName::new("mirror")],
        anonymous: true,
        ..RuleContext::default()
    };
    RuleSet::parse(&texts.collect::<Vec<_>>(), &context).unwrap()
}

fn subjects() -> [(&'static str, Subject); 3] {
    let mut labels = Labels::default();
    labels.insert("team", "red").unwrap();
    let ceiling = Ceiling::parse(&["pull".to_owned()], &["ci-*/**".to_owned()]).unwrap();
    let person = Account {
        source: SourceName::local(),
        id: AccountId::new("1"),
        version: CredentialVersion::new("1"),
        name: "ann".parse().unwrap(),
        groups: (0..20).map(|number| format!("group-{number}").parse().unwrap()).collect(),
        labels,
        kind: AccountKind::Person,
        ceiling: None,
        valid_until: None,
    };
    let robot = Account {
        source: SourceName::robot(),
        name: "robot-ci-9".parse().unwrap(),
        groups: [].into(),
        kind: AccountKind::Robot,
        ceiling: Some(Arc::new(ceiling)),
        ..person.clone()
    };
    [
        ("anonymous", Subject::Anonymous),
        ("ann, in 20 groups", person.into()),
        ("a robot", robot.into()),
    ]
}

const DECISIONS: u32 = 20_000;
const ROUNDS: usize = 5;
