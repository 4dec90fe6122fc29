//! Issuers that sign for everybody: anybody can have a job there, and a token with any audience.

use super::{condition::Mapping, glob::Glob};

/// A claim that says whose a job is, and how many leading segments of its value do.
type Owner = (&'static str, usize);

impl Mapping {
    /// What has to be among its conditions with an issuer that signs for everybody, lest anybody be this account; `None`
    /// where it is there, or where the issuer signs for its own alone.
    pub fn missing_owner(&self, issuer: &str) -> Option<&'static str> {
        let (_, owners, example) = SHARED.iter().find(|(shared, ..)| *shared == issuer)?;
        let names_owner = |(claim, segments): &Owner| {
            let condition = self.when.iter().find(|condition| condition.claim.as_str() == *claim);
            let written_out = |glob: &Glob| glob.literal_segments() >= *segments;
            condition.is_some_and(|condition| condition.globs.iter().all(written_out))
        };
        (!owners.iter().any(names_owner)).then_some(*example)
    }
}

/// The issuer, the claims of which one names an owner, and what to write.
const SHARED: &[(&str, &[Owner], &str)] = &[
    (
        "https://token.actions.githubusercontent.com",
        &[
            ("repository", 1),
            ("repository_id", 1),
            ("repository_owner", 1),
            ("repository_owner_id", 1),
            ("enterprise", 1),
            ("enterprise_id", 1),
            // repo:OWNER/…
            ("sub", 2),
        ],
        "repository: OWNER/*",
    ),
    (
        "https://gitlab.com",
        &[
            ("namespace_id", 1),
            ("namespace_path", 1),
            ("project_id", 1),
            ("project_path", 1),
            // project_path:GROUP/…
            ("sub", 2),
        ],
        "project_path: GROUP/**",
    ),
    (
        "https://agent.buildkite.com",
        &[
            ("organization_id", 1),
            ("organization_slug", 1),
            ("pipeline_id", 1),
            // organization:SLUG:…
            ("sub", 2),
        ],
        "organization_slug: ORGANIZATION",
    ),
    (
        "https://accounts.google.com",
        &[("sub", 1), ("email", 1), ("azp", 1), ("hd", 1)],
        "email: ACCOUNT@PROJECT.iam.gserviceaccount.com",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{ClaimPath, Condition};

    #[test]
    fn with_a_public_issuer_the_owner_has_to_be_written_out() {
        let (github, own) =
            ("https://token.actions.githubusercontent.com", "https://gitlab.example.com");
        for (claim, globs, named) in [
            ("repository", &["acme/*"][..], true),
            ("repository", &["acme/app", "other/app"], true),
            ("repository", &["acme/app", "*/app"], false),
            ("repository", &["**"], false),
            ("repository_owner", &["acme"], true),
            ("repository_owner", &["acme*"], false),
            ("sub", &["repo:acme/*:ref:refs/heads/main"], true),
            ("sub", &["repo:*"], false),
            ("ref", &["refs/heads/main"], false),
            ("job_workflow_ref", &["acme/ci/.github/workflows/push.yml@*"], false),
        ] {
            let condition = Condition {
                claim: ClaimPath::new(claim).unwrap(),
                globs: globs.iter().map(|glob| Glob::new(glob)).collect(),
            };
            let mapping = Mapping {
                when: vec![condition],
                name: "ci".parse().unwrap(),
                groups: Vec::new(),
                labels: Vec::new(),
            };
            assert_eq!(mapping.missing_owner(github).is_none(), named, "{claim} {globs:?}");
            assert_eq!(mapping.missing_owner(own), None);
        }
    }
}
