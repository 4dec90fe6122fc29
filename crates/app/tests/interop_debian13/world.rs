//! One registry with its token service, and what a client's home needs there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use portpass_protocol::Digest;
use portpass_testkit::{
    Client as _, CommandOutput, Home, Image, Layout, Portpass, RegistryAddress, Skopeo, run,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::{
    audit::Auditor,
    ledger,
    stage::{ACCOUNT, PASSWORD, add_account, serve},
};

pub(crate) struct World {
    pub(crate) portpass: Portpass,
    pub(crate) place: RegistryAddress,
    pub(crate) auditor: Auditor,
    scratch: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let portpass = serve(
            "registry: {}\ntoken_service:\n  policy:
    - { allow: [pull, push, delete], repository: \"${account}/**\", to: signed-in }
    - { allow: [\"*\"], registry: catalog, to: \"user:ann\" }\n",
        );
        add_account(&portpass, ACCOUNT);
        let place = RegistryAddress::plain(portpass.address());
        let auditor = Auditor::of(&place);
        Self { portpass, place, auditor, scratch: tempfile::tempdir().unwrap() }
    }

    /// The image `NAME` below the account's own name.
    pub(crate) fn image(&self, name: &str) -> Image {
        self.place.image(&format!("{ACCOUNT}/{name}"))
    }

    /// A layout that prints its greeting when it is run.
    pub(crate) fn layout(&self, greeting: &str) -> Layout {
        Layout::runnable(&self.scratch.path().join(greeting), greeting)
    }

    /// skopeo, logged in.
    pub(crate) fn skopeo(&self) -> Skopeo {
        let mut skopeo = Skopeo::at_home(Home::in_debian13());
        skopeo.login(&self.place, ACCOUNT, PASSWORD).unwrap().expect_success();
        skopeo
    }

    /// The digest of what a tag points at.
    pub(crate) async fn digest(&self, image: &Image) -> Digest {
        self.auditor.manifest(image).await.expect("the tag is there").digest
    }

    /// What refers to an image, as the registry lists it (distribution specification, "Listing Referrers").
    pub(crate) async fn referrers(&self, image: &Image) -> Vec<Referrer> {
        let digest = self.digest(image).await;
        let path = format!("/v2/{}/referrers/{digest}", image.repository());
        let answer = self.auditor.get(&self.place, &path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let index: Value = answer.json().await.unwrap();
        let list = index["manifests"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        list.map(|referrer| Referrer {
            kind: word(&referrer["artifactType"]),
            digest: word(&referrer["digest"]),
        })
        .collect()
    }

    /// Whether the registry has mounted a blob into an image's repository: a POST ends with 201 then (OC15).
    pub(crate) fn mounted(&self, image: &Image) -> bool {
        let path = format!("method=POST path=\"/v2/{}/blobs/uploads/\"", image.repository());
        let log = self.portpass.log();
        log.lines().any(|line| line.contains(&path) && line.contains("status=201"))
    }

    /// Requests of the token endpoint by a program that tells its name, as the log has them: their methods.
    pub(crate) fn token_requests(&self, agents: &[&str]) -> Vec<String> {
        let agents: Vec<String> =
            agents.iter().map(|agent| format!("agent=\"{agent}").to_lowercase()).collect();
        let log = self.portpass.log();
        let asked = log.lines().filter(|line| {
            let line = line.to_lowercase();
            line.contains("path=\"/token\"") && agents.iter().any(|agent| line.contains(agent))
        });
        let methods = asked.filter_map(|line| line.split("method=").nth(1)?.split(' ').next());
        methods.map(str::to_owned).collect()
    }

    /// Writes into the page, or holds against it, that a command of a client did what it should.
    pub(crate) fn saw(client: &str, command: &str) {
        ledger::confirm_row("What newer clients do besides", &[client, command], "yes");
    }
}

/// An entry of the list of referrers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Referrer {
    pub(crate) kind: String,
    pub(crate) digest: String,
}

/// A program of Debian 13 with a home of its own, which is where it works.
pub(crate) struct Tool {
    pub(crate) home: Home,
    program: &'static str,
}

impl Tool {
    pub(crate) fn new(program: &'static str) -> Self {
        Self { home: Home::in_debian13(), program }
    }

    pub(crate) fn run(&self, words: &[&str]) -> CommandOutput {
        self.run_with_input(words, "")
    }

    pub(crate) fn run_with_input(&self, words: &[&str], input: &str) -> CommandOutput {
        run(self.home.command(self.program).args(words), input)
    }

    /// Puts a file into its home.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.at(name), content).unwrap();
    }

    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }
}
