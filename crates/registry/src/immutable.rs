//! Tags that must not move: which rule says so, and who may move them all the same.

use portpass_pattern::{PathPattern, WordPattern};
use portpass_protocol::{RepositoryName, Tag};

/// The rules of `registry.immutable`. A tag is immutable if one of them says so.
#[derive(Debug, Clone, Default)]
pub struct ImmutableTags(pub Vec<ImmutableRule>);

/// Tags of some repositories that name for good what they named first.
#[derive(Debug, Clone)]
pub struct ImmutableRule {
    /// What refusals call it.
    pub name: Box<str>,
    /// In which repositories: one of these has to mean it.
    pub repositories: Vec<PathPattern>,
    /// Which tags: one of these has to match.
    pub tags: Vec<WordPattern>,
    /// Tags that it is not about, although one of `tags` matches.
    pub except_tags: Vec<WordPattern>,
    /// Who may move and delete them.
    pub except: Vec<Exempt>,
}

/// Whom an immutable tag does not bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exempt {
    /// Accounts of this name.
    Account(WordPattern),
    /// Accounts in this group.
    Group(WordPattern),
    /// The retention of this registry.
    Retention,
}

impl ImmutableTags {
    /// The rule that binds this account to a tag; `groups` are those that the account is known to be in.
    pub fn rule(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        actor: &Actor<'_>,
    ) -> Option<&ImmutableRule> {
        self.about(repository).find(|rule| rule.names(tag) && !rule.exempts(actor))
    }

    /// The rule that binds retention to a tag.
    pub(crate) fn rule_for_retention(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Option<&ImmutableRule> {
        let binds =
            |rule: &&ImmutableRule| rule.names(tag) && !rule.except.contains(&Exempt::Retention);
        self.about(repository).find(binds)
    }

    fn about(&self, repository: &RepositoryName) -> impl Iterator<Item = &ImmutableRule> {
        let means = move |rule: &&ImmutableRule| {
            rule.repositories.iter().any(|pattern| pattern.means(repository.as_str()))
        };
        self.0.iter().filter(means)
    }
}

impl ImmutableRule {
    /// Whether it lets the members of a group move what it is about.
    pub(crate) fn has_groups(&self) -> bool {
        self.except.iter().any(|exempt| matches!(exempt, Exempt::Group(_)))
    }

    fn names(&self, tag: &Tag) -> bool {
        let matches = |patterns: &[WordPattern]| patterns.iter().any(|p| p.matches(tag.as_str()));
        matches(&self.tags) && !matches(&self.except_tags)
    }

    fn exempts(&self, actor: &Actor<'_>) -> bool {
        self.except.iter().any(|exempt| match exempt {
            Exempt::Account(name) => !actor.subject.is_empty() && name.matches(actor.subject),
            Exempt::Group(name) => actor.groups.iter().any(|group| name.matches(group)),
            Exempt::Retention => false,
        })
    }
}

/// Who moves a tag.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Empty for an anonymous caller.
    pub subject: &'a str,
    /// The groups that the account is known to be in.
    pub groups: &'a [String],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> ImmutableTags {
        let word = |text: &&str| WordPattern::new(text);
        ImmutableTags(vec![ImmutableRule {
            name: "releases".into(),
            repositories: vec![PathPattern::parse_fixed("team/**").unwrap()],
            tags: ["v*", "latest-?"].iter().map(word).collect(),
            except_tags: vec![word(&"*-rc")],
            except: vec![Exempt::Account(word(&"release-*")), Exempt::Group(word(&"admins"))],
        }])
    }

    #[test]
    fn a_tag_is_bound_by_the_rule_that_means_it() {
        let table = [
            ("team/app", "v1", "ann", &[][..], true),
            ("team/app", "latest-1", "ann", &[], true),
            ("team/app", "latest", "ann", &[], false),
            ("team/app", "v1-rc", "ann", &[], false),
            ("other/app", "v1", "ann", &[], false),
            ("team", "v1", "ann", &[], false),
            ("team/app", "v1", "", &[], true),
            ("team/app", "v1", "release-bot", &[], false),
            ("team/app", "v1", "ann", &["admins"], false),
            ("team/app", "v1", "ann", &["administrators"], true),
        ];
        for (repository, tag, subject, groups, bound) in table {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            let actor = Actor { subject, groups: &groups };
            let rules = rule();
            let found = rules.rule(&repository.parse().unwrap(), &tag.parse().unwrap(), &actor);
            assert_eq!(found.is_some(), bound, "{repository}:{tag} for {subject:?} in {groups:?}");
        }
    }
}
