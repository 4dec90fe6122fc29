//! A portpass that asks a service.

pub(crate) use crate::asked::{PASSWORD, World};
use crate::{asked::RULES, service::TOKEN};

pub(crate) const TEAM: &str = "repository:team/app:push";

impl World {
    /// With these lines in the section `http`, behind local accounts.
    pub(crate) fn with(section: &str) -> Self {
        let world = Self::of(&format!("    - local: {{}}\n    - http:\n{section}"));
        world.manage(&["user", "add", "local", "--password-stdin"]).expect_success();
        world
    }

    /// With these sources.
    pub(crate) fn of(sources: &str) -> Self {
        Self::of_rules(sources, RULES)
    }

    /// With these sources and rules.
    pub(crate) fn of_rules(sources: &str, rules: &str) -> Self {
        Self::serve(sources, rules, ("token", TOKEN))
    }
}
