//! Which of a thousand rules can be about a caller and a repository at all.
//!
//! Two questions leave few candidates: how the path begins, and who is meant by name. A rule lies in
//! the bucket of its literal beginning (`team/app` for `team/app/**`) or, where it has none, of its last
//! word (`app` for `*/app`), and there under the users and groups that it names, if it is for nobody else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    effect::Effect,
    principal::{Caller, Principal},
    rule::{Rule, Target},
};

/// Places of rules in their list.
#[derive(Debug, Default)]
pub(super) struct Index {
    repositories: HashMap<Box<str>, Bucket>,
    /// Of rules that begin with a wildcard or a placeholder, by the last segment.
    endings: HashMap<Box<str>, Bucket>,
    catalog: Bucket,
    /// First segments that are plain words, with the rules of each.
    namespaces: BTreeMap<Box<str>, Vec<usize>>,
    /// What stands around `${account}` in the first segments of rules that give.
    own: BTreeSet<(Box<str>, Box<str>)>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Rules for `anyone`, `signed-in`, a pattern of names.
    open: Vec<usize>,
    users: HashMap<Box<str>, Vec<usize>>,
    robots: HashMap<Box<str>, Vec<usize>>,
    groups: HashMap<Box<str>, Vec<usize>>,
}

impl Index {
    /// Of those rules that count, each with its place.
    pub(super) fn new<'a>(rules: impl Iterator<Item = (usize, &'a Rule)>) -> Self {
        let mut index = Self::default();
        for (place, rule) in rules {
            let bucket = match &rule.target {
                Target::Catalog => &mut index.catalog,
                Target::Repository(pattern) => {
                    if let Some(first) = pattern.first_literal() {
                        index.namespaces.entry(first.into()).or_default().push(place);
                    }
                    if let Some((before, after)) = pattern.first_around_account()
                        && rule.effect == Effect::Allow
                    {
                        index.own.insert((before.into(), after.into()));
                    }
                    match (pattern.literal_beginning(), pattern.last_literal()) {
                        ("", Some(last)) => index.endings.entry(last.into()).or_default(),
                        (beginning, _) => index.repositories.entry(beginning.into()).or_default(),
                    }
                }
            };
            bucket.add(place, rule);
        }
        index
    }

    /// Rules that may be about this repository and caller; one may come twice.
    pub(super) fn on_repository<'a>(
        &'a self,
        name: &'a str,
        caller: Caller<'a>,
    ) -> impl Iterator<Item = usize> {
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        std::iter::once(0)
            .chain(ends)
            .filter_map(|end| self.repositories.get(&name[..end]))
            .chain(name.rsplit('/').next().and_then(|last| self.endings.get(last)))
            .flat_map(move |bucket| bucket.candidates(caller))
    }

    /// Rules that may be about the catalog and this caller; one may come twice.
    pub(super) fn on_catalog<'a>(
        &'a self,
        caller: Caller<'a>,
    ) -> impl Iterator<Item = usize> + use<'a> {
        self.catalog.candidates(caller)
    }

    /// First segments that are plain words, each with the rules that have it.
    pub(super) fn namespaces(&self) -> &BTreeMap<Box<str>, Vec<usize>> {
        &self.namespaces
    }

    /// What stands before and after `${account}` in the first segments of rules that give.
    pub(super) fn own(&self) -> &BTreeSet<(Box<str>, Box<str>)> {
        &self.own
    }
}

impl Bucket {
    fn add(&mut self, place: usize, rule: &Rule) {
        if rule.to.iter().any(|principal| exact(principal).is_none()) {
            self.open.push(place);
            return;
        }
        for name in rule.to.iter().filter_map(exact) {
            let (map, name) = match name {
                Exact::User(name) => (&mut self.users, name),
                Exact::Robot(name) => (&mut self.robots, name),
                Exact::Group(name) => (&mut self.groups, name),
            };
            map.entry(name.into()).or_default().push(place);
        }
    }

    fn candidates<'a>(&'a self, caller: Caller<'a>) -> impl Iterator<Item = usize> + use<'a> {
        let of_user = caller.name().and_then(|name| self.users.get(name));
        let of_robot = caller.robot().and_then(|name| self.robots.get(name));
        let named = of_user.into_iter().chain(of_robot).flatten();
        // Most buckets name no group, and then nobody's groups need to be looked up.
        let groups = (!self.groups.is_empty()).then(|| caller.groups()).into_iter().flatten();
        let of_groups = groups.filter_map(|group| self.groups.get(group));
        self.open.iter().chain(named).chain(of_groups.flatten()).copied()
    }
}

/// Who is meant, where it is one account's or one group's name.
enum Exact<'a> {
    User(&'a str),
    Robot(&'a str),
    Group(&'a str),
}

fn exact(principal: &Principal) -> Option<Exact<'_>> {
    match principal {
        Principal::User { name, .. } => name.literal().map(Exact::User),
        Principal::Robot(name) => name.literal().map(Exact::Robot),
        Principal::Group { name, .. } => name.literal().map(Exact::Group),
        Principal::Anyone | Principal::Anonymous | Principal::SignedIn => None,
    }
}
