//! Who asks, and how far they reach.

use std::time::{Duration, SystemTime};

use portpass_protocol::{Access, AccessSet, Action, RepositoryName, Resource};

/// Who asks, and how far they reach. Controllers make them; only [`authorize`] compares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    subject: String,
    reach: Reach,
    until: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Everything,
    Listed(AccessSet),
}

impl Grant {
    /// Everything there is, to a caller of this name.
    pub fn everything(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), reach: Reach::Everything, until: None }
    }

    /// What is listed, and nothing else.
    pub fn listed(subject: impl Into<String>, access: AccessSet) -> Self {
        Self { subject: subject.into(), reach: Reach::Listed(access), until: None }
    }

    /// The same, which ends at this time: what takes longer is cut off.
    #[must_use]
    pub fn until(self, end: SystemTime) -> Self {
        Self { until: Some(end), ..self }
    }

    /// How long it is good for from `now` on; `None` where it does not end.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.until.map(|end| end.duration_since(now).unwrap_or_default())
    }

    /// Who asks; empty for an anonymous caller.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// In which repositories this caller may look for a blob that a mount names without its source
    /// (OC15; zot's CVE-2024-39897).
    pub fn readable(&self) -> Readable {
        let listed = match &self.reach {
            Reach::Everything => return Readable::All,
            Reach::Listed(listed) => listed,
        };
        let repositories = listed
            .iter()
            .filter(|access| &*access.resource.resource_type == Resource::REPOSITORY)
            .filter(|access| access.actions.grants(&Action::Pull))
            .filter_map(|access| access.resource.name.parse().ok())
            .collect();
        Readable::Among(repositories)
    }

    /// For the log.
    pub(crate) fn listing(&self) -> AccessSet {
        match &self.reach {
            Reach::Everything => AccessSet::new(),
            Reach::Listed(listed) => listed.clone(),
        }
    }

    pub(crate) fn covers(&self, needed: &Access) -> bool {
        match &self.reach {
            Reach::Everything => true,
            Reach::Listed(listed) => listed.covers(needed),
        }
    }

    /// Whether the grant says anything of a repository, and be it that nothing is allowed there.
    pub(crate) fn names(&self, repository: &RepositoryName) -> bool {
        match &self.reach {
            Reach::Everything => true,
            Reach::Listed(listed) => {
                listed.actions_on(&Resource::repository(repository.as_str())).is_some()
            }
        }
    }
}

/// The repositories that a caller may pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// Whatever there is.
    All,
    /// These.
    Among(Vec<RepositoryName>),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn listed(access: &str) -> AccessSet {
        access.split(' ').filter(|entry| !entry.is_empty()).map(access_of).collect()
    }

    fn access_of(entry: &str) -> Access {
        let (name, actions) = entry.split_once(':').unwrap();
        Access::repository(
            name,
            actions.split(',').filter(|action| !action.is_empty()).map(Action::from),
        )
    }

    /// OC15; zot's CVE-2024-39897: a blob without a named source is looked for only where the caller may pull.
    #[test]
    fn readable_are_the_repositories_that_may_be_pulled() {
        let granted = Grant::listed("ann", listed("a:pull b:push c:* d: Bad:pull"));
        let names = ["a", "c"].map(|name| name.parse().unwrap());
        assert_eq!(granted.readable(), Readable::Among(names.to_vec()));
        assert_eq!(Grant::everything("root").readable(), Readable::All);
        let catalog = [Access::catalog()].into_iter().collect();
        assert_eq!(Grant::listed("ann", catalog).readable(), Readable::Among(vec![]));
    }
}
