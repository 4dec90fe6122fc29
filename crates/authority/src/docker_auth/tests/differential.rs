//! 500 pairs of a list and a request: every one decided as the reference decides it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
};

use portpass_protocol::access::{Access, Action, Resource};

use super::{
    super::{Acl, EntryText},
    generate::{Asked, Rng},
    reference, request,
};
use crate::policy::Policy as _;

/// Which entry decides, and what is granted.
pub(super) fn decide(acl: &[EntryText], asked: &Asked) -> (usize, BTreeSet<String>) {
    let acl = Acl::parse(acl.to_vec()).unwrap_or_else(|error| panic!("{acl:#?}: {error}"));
    let resource = Resource {
        resource_type: asked.resource_type.as_str().into(),
        name: asked.name.as_str().into(),
    };
    let actions = asked.actions.iter().map(|word| Action::from(word.as_str())).collect();
    let requested = Access { resource, actions };
    let decision = request(asked, |request| acl.decide(request, &requested));
    let by = decision.applied_rules.first().map_or(0, |applied| applied.rule.number());
    let granted = decision.granted.iter().map(ToString::to_string).collect();
    (usize::try_from(by).unwrap(), granted)
}

#[test]
fn five_hundred_pairs_are_decided_as_the_reference_decides_them() {
    let seed = match std::env::var_os("PORTPASS_ACL_SEED") {
        Some(seed) => seed.to_str().and_then(|seed| seed.parse().ok()).unwrap(),
        None => RandomState::new().hash_one("acl"),
    };
    println!("PORTPASS_ACL_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut decided: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pair = 0;
    while pair < 500 {
        let (acl, asked) = (rng.acl(), rng.asked());
        // docker_auth does not start on what is no expression.
        if !reference::is_taken(&acl) {
            assert!(Acl::parse(acl.clone()).is_err(), "pair {pair} of {seed}: {acl:#?}");
            continue;
        }
        pair += 1;
        let expected = reference::decide(&acl, &asked);
        assert_eq!(decide(&acl, &asked), expected, "pair {pair} of {seed}: {asked:#?} {acl:#?}");
        let (by, granted) = expected;
        let kind = match (by, granted.is_empty()) {
            (0, _) => "nobody",
            (_, true) => "denied",
            (1, false) => "by the first",
            (_, false) => "by a later one",
        };
        *decided.entry(kind).or_default() += 1;
    }
    // Otherwise it would be all the same what the code does.
    assert!(decided.len() == 4 && decided.values().all(|count| *count > 15), "{decided:?}");
}
