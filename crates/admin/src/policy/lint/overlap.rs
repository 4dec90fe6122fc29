//! What two rules have to do with each other, as far as their texts tell.

use portpass_authority::policy::{
    ActionBits, Effect, PathPattern, Placeholder, Principal, Rule, Target,
};
use portpass_protocol::access::Action;

use super::are_within;

/// Whether `wide` says all that `narrow` says.
pub(super) fn covers(wide: &Rule, narrow: &Rule) -> bool {
    let lives_as_long = narrow.lifetime.is_none() || wide.lifetime >= narrow.lifetime;
    wide.effect == narrow.effect
        && lives_as_long
        && cover(wide.actions, narrow.actions)
        && is_about_all(&wide.target, &narrow.target)
        && are_for_all(wide, narrow)
        && are_within(&narrow.conditions, &wide.conditions)
}

/// Whether `deny` takes all that `allow` gives, from everybody.
pub(super) fn denies_all(deny: &Rule, allow: &Rule) -> bool {
    deny.effect == Effect::Deny
        && cover(deny.actions, allow.actions)
        && is_about_all(&deny.target, &allow.target)
        && binds_all(deny, allow)
        && are_within(&allow.conditions, &deny.conditions)
}

/// Whether there is a resource and an action that both are about.
pub(super) fn speak_of_the_same(one: &Rule, other: &Rule) -> bool {
    let actions = [Action::Pull, Action::Push, Action::Delete, Action::Any];
    let share =
        actions.iter().any(|action| one.actions.covers(action) && other.actions.covers(action))
            || other.actions.contains(&Action::Any);
    share
        && match (&one.target, &other.target) {
            (Target::Catalog, Target::Catalog) => true,
            (Target::Repository(one), Target::Repository(other)) => {
                match open(one).zip(open(other)) {
                    Some((one, other)) => one.common_example(&other).is_some(),
                    None => true,
                }
            }
            _ => false,
        }
}

/// With `*` in place of all placeholders.
fn open(pattern: &PathPattern) -> Option<PathPattern> {
    pattern.resolved(|_: &Placeholder| Some("*".to_owned()))
}

fn cover(wide: ActionBits, narrow: ActionBits) -> bool {
    let actions = [Action::Pull, Action::Push, Action::Delete, Action::Any];
    actions.iter().all(|action| !narrow.contains(action) || wide.covers(action))
}

fn is_about_all(wide: &Target, narrow: &Target) -> bool {
    match (wide, narrow) {
        (Target::Catalog, Target::Catalog) => true,
        (Target::Repository(wide), Target::Repository(narrow)) => wide.contains(narrow),
        _ => false,
    }
}

/// Whether everybody that `narrow` is for is one that `wide` is for.
fn are_for_all(wide: &Rule, narrow: &Rule) -> bool {
    narrow.to.iter().all(|to| wide.to.iter().any(|wide| wide.contains(to)))
        && wide.except.iter().all(|except| narrow.except.iter().any(|also| also.contains(except)))
}

/// A deny for everybody with an account binds callers without one too.
fn binds_all(deny: &Rule, allow: &Rule) -> bool {
    let binds =
        |wide: &Principal, to: &Principal| *wide == Principal::SignedIn || wide.contains(to);
    allow.to.iter().all(|to| deny.to.iter().any(|wide| binds(wide, to)))
        && deny.except.iter().all(|except| allow.except.iter().any(|also| also.contains(except)))
}
