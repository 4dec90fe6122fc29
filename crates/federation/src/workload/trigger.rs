//! Jobs that a stranger can have run: their tokens name a project that did not mean to vouch for them.

use std::fmt;

use portpass_jose::json::{Map, Value};

use super::claims::ClaimPath;

/// A claim that says that the job may run for a stranger, or with a stranger's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Which claim.
    pub claim: &'static str,
    /// What it says.
    pub value: &'static str,
    /// Who can have such a job run.
    pub who: &'static str,
}

/// The trigger that the token tells of, if any.
pub(super) fn of(claims: &Map<String, Value>) -> Option<Trigger> {
    TRIGGERS.iter().copied().find(|trigger| {
        let path = ClaimPath::new(trigger.claim);
        path.is_some_and(|path| path.texts(claims).iter().any(|text| text == trigger.value))
    })
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, value, who } = self;
        write!(
            f,
            "its claim `{claim}` is {value:?}: {who}; to accept it, write `{claim}: {value}` under `when`"
        )
    }
}

const FORK: &str = "the job may be for a pull request from a fork";

/// GitHub: <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>
/// and <https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/>; crates.io refuses
/// `pull_request_target` and `workflow_run` too. Gitea and Forgejo have the same words.
///
/// GitLab: a member of the parent project can run a fork's merge request there
/// (<https://docs.gitlab.com/ci/pipelines/merge_request_pipelines/#use-with-forked-projects>), and older
/// versions then sign the parent's name (<https://gitlab.com/gitlab-org/gitlab/-/issues/563038>).
///
/// CircleCI: <https://circleci.com/docs/openid-connect-tokens/>, `oidc.circleci.com/ssh-rerun`.
const TRIGGERS: &[Trigger] = &[
    Trigger { claim: "event_name", value: "pull_request", who: FORK },
    Trigger { claim: "event_name", value: "pull_request_review", who: FORK },
    Trigger { claim: "event_name", value: "pull_request_review_comment", who: FORK },
    Trigger {
        claim: "event_name",
        value: "pull_request_target",
        who: "the job runs with the rights of the repository for a pull request that may be from a fork",
    },
    Trigger {
        claim: "event_name",
        value: "workflow_run",
        who: "the job runs with the rights of the repository after a workflow that may be for a pull request from a fork",
    },
    Trigger {
        claim: "event_name",
        value: "issue_comment",
        who: "anybody who comments can have the job run",
    },
    Trigger {
        claim: "pipeline_source",
        value: "merge_request_event",
        who: "the job may be for a merge request from a fork",
    },
    Trigger { claim: "pipeline_source", value: "external_pull_request_event", who: FORK },
    Trigger {
        claim: "oidc.circleci.com/ssh-rerun",
        value: "true",
        who: "somebody is logged in to the job by SSH",
    },
];

#[cfg(test)]
mod tests {
    use portpass_jose::json;

    use super::*;

    #[test]
    fn each_is_found_by_its_claim_as_issuers_write_it() {
        for (claims, found) in [
            (r#"{"event_name":"pull_request"}"#, Some("pull_request")),
            (r#"{"event_name":"workflow_run"}"#, Some("workflow_run")),
            (r#"{"pipeline_source":"merge_request_event"}"#, Some("merge_request_event")),
            (r#"{"oidc.circleci.com/ssh-rerun":true}"#, Some("true")),
            (r#"{"oidc.circleci.com/ssh-rerun":false}"#, None),
            (r#"{"event_name":"push","pipeline_source":"push"}"#, None),
        ] {
            let claims = json::parse_object(claims.as_bytes()).unwrap();
            assert_eq!(of(&claims).map(|trigger| trigger.value), found);
        }
    }
}
