//! The claims of real issuers, member by member, with where they are documented.

use serde_json::{Value, json};

use super::LIFETIME;

/// Whose tokens they look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `https://agent.buildkite.com`
    Buildkite,
    /// `https://oidc.circleci.com/org/ORGANIZATION`
    CircleCi,
    /// `https://token.actions.githubusercontent.com`
    GithubActions,
    /// `https://gitlab.com`
    GitlabCi,
    /// The API server of a cluster.
    Kubernetes,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Buildkite, Self::CircleCi, Self::GithubActions, Self::GitlabCi, Self::Kubernetes];

    /// All claims of a token that was issued at `now`.
    pub fn claims(self, issuer: &str, audience: &str, now: u64) -> Value {
        let expires = now + LIFETIME.as_secs();
        let mut claims = match self {
            Self::Buildkite => buildkite(),
            Self::CircleCi => circle_ci(),
            Self::GithubActions => github_actions(),
            Self::GitlabCi => gitlab_ci(),
            Self::Kubernetes => kubernetes(),
        };
        let own = match self {
            Self::GithubActions => json!({ "nbf": now - 600, "iat": now, "exp": expires }),
            Self::GitlabCi => json!({ "nbf": now - 5, "iat": now, "exp": now + 3600 }),
            Self::CircleCi => json!({ "iat": now, "exp": now + 3600 }),
            Self::Kubernetes => json!({ "nbf": now, "iat": now, "exp": now + 3607 }),
            Self::Buildkite => json!({ "nbf": now, "iat": now, "exp": expires }),
        };
        let audience = match self {
            Self::Kubernetes | Self::CircleCi => json!([audience]),
            Self::Buildkite | Self::GithubActions | Self::GitlabCi => json!(audience),
        };
        for (name, value) in own.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims["iss"] = issuer.into();
        claims["aud"] = audience;
        claims
    }
}

/// <https://docs.github.com/en/actions/reference/security/oidc>, "OIDC token claims" and its example.
fn github_actions() -> Value {
    json!({
        "jti": "4a1e2f8c-6a0c-4f3b-9d9a-1f4a0b8f5b11",
        "sub": "repo:acme/app:ref:refs/heads/main",
        "ref": "refs/heads/main",
        "sha": "1af2cd2b0fb1f7b8ce1c6b5f7a4c0f3c0c8b2a11",
        "repository": "acme/app",
        "repository_owner": "acme",
        "repository_owner_id": "65",
        "run_id": "9001",
        "run_number": "10",
        "run_attempt": "2",
        "repository_visibility": "private",
        "repository_id": "74",
        "actor_id": "12",
        "actor": "ann",
        "workflow": "release",
        "head_ref": "",
        "base_ref": "",
        "event_name": "push",
        "ref_protected": "true",
        "ref_type": "branch",
        "workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main",
        "workflow_sha": "1af2cd2b0fb1f7b8ce1c6b5f7a4c0f3c0c8b2a11",
        "job_workflow_ref": "acme/app/.github/workflows/release.yml@refs/heads/main",
        "job_workflow_sha": "1af2cd2b0fb1f7b8ce1c6b5f7a4c0f3c0c8b2a11",
        "runner_environment": "github-hosted",
    })
}

/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload>. Most numbers are texts there, and
/// `runner_id` is a number.
fn gitlab_ci() -> Value {
    json!({
        "namespace_id": "72",
        "namespace_path": "acme",
        "project_id": "20",
        "project_path": "acme/app",
        "user_id": "1",
        "user_login": "ann",
        "user_email": "ann@example.com",
        "user_access_level": "developer",
        "user_identities": [{ "provider": "github", "extern_uid": "2435223452345" }],
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "groups_direct": ["acme", "acme/developers"],
        "environment": "production",
        "environment_protected": "true",
        "deployment_tier": "production",
        "environment_action": "start",
        "runner_id": 1,
        "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "project_visibility": "private",
        "ci_config_ref_uri": "gitlab.example.com/acme/app//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
        "sub": "project_path:acme/app:ref_type:branch:ref:main",
    })
}

/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>, "Schema for service account
/// private claims". `aud` is a list.
fn kubernetes() -> Value {
    json!({
        "jti": "aed34954-b33a-4142-b1ec-389d6bbb4936",
        "kubernetes.io": {
            "namespace": "build",
            "node": { "name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1" },
            "pod": { "name": "push-7d9f", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3" },
            "serviceaccount": { "name": "pusher", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798" },
        },
        "sub": "system:serviceaccount:build:pusher",
    })
}

/// <https://buildkite.com/docs/agent/v3/cli-oidc>, "Claims" and the example below it. `build_number` is a number.
fn buildkite() -> Value {
    json!({
        "sub": "organization:acme:pipeline:app:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:build",
        "organization_slug": "acme",
        "pipeline_slug": "app",
        "build_number": 1,
        "build_branch": "main",
        "build_tag": "v1.0.0",
        "build_commit": "9f3182061f1e2cca4702c368cbc039b7dc9d4485",
        "step_key": "build",
        "job_id": "0184990a-477b-4fa8-9968-496074483cee",
        "agent_id": "0184990a-4782-42b5-afc1-16715b10b8ff",
        "build_source": "ui",
        "runner_environment": "buildkite-hosted",
    })
}

/// <https://circleci.com/docs/openid-connect-tokens/>, "Format of the OpenID Connect ID token". The names of its own
/// claims have a `/`.
fn circle_ci() -> Value {
    json!({
        "sub": "org/6c1d2e8a-1a2b-4c3d-9e8f-0a1b2c3d4e5f/project/8a9b0c1d-2e3f-4a5b-8c7d-6e5f4a3b2c1d/user/f1e2d3c4-b5a6-4978-8a6b-5c4d3e2f1a0b",
        "oidc.circleci.com/project-id": "8a9b0c1d-2e3f-4a5b-8c7d-6e5f4a3b2c1d",
        "oidc.circleci.com/context-ids": ["0b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e"],
        "oidc.circleci.com/job-id": "2f1e0d9c-8b7a-4659-9483-726150f4e3d2",
        "oidc.circleci.com/pipeline-definition-id": "7d6c5b4a-3928-4170-8f6e-5d4c3b2a1908",
        "oidc.circleci.com/pipeline-id": "19283746-5564-4738-a291-0f1e2d3c4b5a",
        "oidc.circleci.com/ssh-rerun": false,
        "oidc.circleci.com/vcs-origin": "github.com/acme/app",
        "oidc.circleci.com/vcs-ref": "refs/heads/main",
        "oidc.circleci.com/workflow-id": "5a4b3c2d-1e0f-4a9b-8c7d-6e5f4a3b2c1d",
    })
}
