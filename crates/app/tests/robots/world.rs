//! A registry with its token service, and one person.

use std::{fs, path::Path};

use portpass_testkit::{CommandOutput, Image, Portpass, RegistryAddress};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::PROGRAM;

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct World {
    pub(crate) portpass: Portpass,
    pub(crate) place: RegistryAddress,
}

/// What a command prints once.
pub(crate) struct Issued {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) secret: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "data: {}\nhttp: {{ addr: \"127.0.0.1:0\" }}\n{SECTIONS}",
            folder.path().join("data").display()
        );
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        let arguments = ["--config", "{folder}/portpass.yml"];
        let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
        let place = RegistryAddress::plain(portpass.address());
        let world = Self { portpass, place };
        world.manage(&["user", "add", "ann", "--group", "developers", "--password-stdin"]);
        world
    }

    /// Runs a command of management; it must succeed.
    pub(crate) fn manage(&self, words: &[&str]) -> CommandOutput {
        let ran = self.run(words);
        ran.expect_success();
        ran
    }

    pub(crate) fn run(&self, words: &[&str]) -> CommandOutput {
        let words = [words, &["--config", "{folder}/portpass.yml"]].concat();
        self.portpass.command(&words, PASSWORD)
    }

    /// Runs a command that makes a secret.
    pub(crate) fn issue(&self, words: &[&str]) -> Issued {
        let ran = self.manage(&[words, &["--json"]].concat());
        let json: Value = serde_json::from_str(&ran.stdout).unwrap();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        assert!(!ran.stderr.contains(&text("secret")), "{ran}");
        Issued { id: text("id"), username: text("username"), secret: text("secret") }
    }

    /// A robot that may pull and push `team/app-*`.
    pub(crate) fn robot(&self) -> Issued {
        self.issue(&["robot", "add", "ci", "--allow", "pull,push", "--repository", "team/app-*"])
    }

    pub(crate) fn image(&self, name: &str) -> Image {
        self.place.image(&format!("{name}:1.0.0"))
    }

    /// Asks for a token as crane does: by GET, with the secret at the realm.
    pub(crate) async fn token(&self, username: &str, secret: &str, scope: &str) -> Answer {
        let client = Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/token", self.portpass.url());
        let query = [("service", "registry"), ("scope", scope), ("offline_token", "true")];
        let asked = client.get(url).query(&query).basic_auth(username, Some(secret));
        let response = asked.send().await.unwrap();
        let status = response.status();
        let body = response.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&body).unwrap_or_default() }
    }

    /// What the registry answers to a token.
    pub(crate) async fn ask(&self, path: &str, token: &str) -> StatusCode {
        let client = Client::builder().no_proxy().build().unwrap();
        let url = format!("{}{path}", self.portpass.url());
        client.get(url).bearer_auth(token).send().await.unwrap().status()
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn token(&self) -> &str {
        self.body["token"].as_str().unwrap()
    }
}

const SECTIONS: &str = "\
registry: {}
token_service:
  services: [ { name: registry } ]
  accounts: [ local: {} ]
  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push, delete], repository: \"team/**\", to: \"group:developers\" }
    - { deny: [push], repository: \"team/app-frozen\", to: signed-in }
";
