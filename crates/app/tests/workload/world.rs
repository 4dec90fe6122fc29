//! A portpass that trusts two issuers.

use std::{fs, path::Path, time::SystemTime};

use portpass_jose::Algorithm;
use portpass_testkit::{
    CommandOutput, Portpass, RegistryAddress, WorkloadIssuer, workload_issuer::Shape,
};
use reqwest::Response;
use serde_json::Value;

use super::PROGRAM;

pub(crate) const AUDIENCE: &str = "registry.example.com";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

const CONFIGURATION: &str = r#"
data: {folder}/data
http: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  issuer: https://registry.example.com
  services: [ { name: registry }, { name: other } ]
  accounts:
    - local: {}
    - workload:
        name: github
        issuer: {github}
        audience: registry.example.com
        accounts:
          - name: "ci/${claim:repository}"
            when: { repository: "acme/*", ref: refs/heads/main }
            groups: [ci]
    - workload:
        name: cluster
        issuer: {cluster}
        audience: [registry.example.com]
        accounts:
          - name: "k8s/${claim:kubernetes.io/namespace}@${claim:kubernetes.io/serviceaccount/name}"
            when: { "kubernetes.io/namespace": build, "kubernetes.io/serviceaccount/name": pu* }
  policy:
    - { allow: [pull, push], repository: "acme/**", to: "group:ci" }
    - { allow: [pull], repository: "acme/**", to: "user:cluster/k8s.build@pusher" }
    - { allow: ["*"], repository: "**", to: "user:local/ann" }
"#;

/// A server, and those who vouch for its workloads.
pub(crate) struct World {
    pub(crate) portpass: Portpass,
    pub(crate) github: WorkloadIssuer,
    pub(crate) cluster: WorkloadIssuer,
}

impl World {
    /// With issuers that run, and a local account.
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// With something done to the issuers before the server starts.
    pub(crate) fn with(before: impl FnOnce(&WorkloadIssuer)) -> Self {
        let github = WorkloadIssuer::start(Algorithm::Rs256);
        let cluster = WorkloadIssuer::start(Algorithm::Es256);
        before(&github);
        let folder = tempfile::tempdir().unwrap();
        let text = CONFIGURATION
            .replace("{folder}", folder.path().to_str().unwrap())
            .replace("{github}", github.url())
            .replace("{cluster}", cluster.url());
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        let arguments = ["--config", "{folder}/portpass.yml"];
        let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
        let world = Self { portpass, github, cluster };
        world.command(&["user", "add", "ann", "--password-stdin"], PASSWORD);
        world
    }

    /// Where clients find it.
    pub(crate) fn place(&self) -> RegistryAddress {
        RegistryAddress::plain(self.portpass.address())
    }

    /// A token as GitHub Actions signs it, with these members in place of its own.
    pub(crate) fn github_token(&self, claims: &Value) -> String {
        self.github.token(Shape::GithubActions, AUDIENCE, now(), claims)
    }

    /// A token as a cluster signs it.
    pub(crate) fn cluster_token(&self, claims: &Value) -> String {
        self.cluster.token(Shape::Kubernetes, AUDIENCE, now(), claims)
    }

    /// What another command of the same configuration prints.
    pub(crate) fn command(&self, words: &[&str], input: &str) -> String {
        self.run(words, input).expect_success().stdout.clone()
    }

    /// What another command of the same configuration does.
    pub(crate) fn run(&self, words: &[&str], input: &str) -> CommandOutput {
        let words = [words, &["--config", "{folder}/portpass.yml"]].concat();
        self.portpass.command(&words, input)
    }

    /// A token request, as docker and skopeo send it.
    pub(crate) async fn get_token(&self, name: &str, password: &str, scope: &str) -> Response {
        let url = format!("{}/token?service=registry", self.portpass.url());
        let request = reqwest::Client::builder().build().unwrap().get(url);
        request.basic_auth(name, Some(password)).query(&[("scope", scope)]).send().await.unwrap()
    }

    /// That no part of a token by which it could be used is in the log, or in the trail.
    pub(crate) fn assert_untold(&self, token: &str) {
        let (_, signature) = token.rsplit_once('.').unwrap();
        let log = self.portpass.log();
        assert!(!log.contains(signature), "a token is in the log:\n{log}");
        let trail = self.command(&["audit", "--json"], "");
        assert!(!trail.contains(signature), "a token is in the trail:\n{trail}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the server has the machine's clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
