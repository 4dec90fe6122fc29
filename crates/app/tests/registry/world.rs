//! A server, and who uses it.

use std::{fs, path::Path};

use portpass_testkit::{Client, Image, Layout, Portpass, RegistryAddress, Skopeo};
use serde_json::Value;

use crate::PROGRAM;

pub(crate) const ACCOUNT: &str = "ann";
pub(crate) const PASSWORD: &str = "correct:horse battery";

/// A registry and its token service, of which an account is known.
pub(crate) struct World(pub(crate) Portpass);

impl World {
    /// With this section `registry`, in YAML's flow style.
    pub(crate) fn with(registry: &str) -> Self {
        Self::of(&format!("registry: {registry}\ntoken_service: {{}}\n"))
    }

    /// With these sections.
    pub(crate) fn of(sections: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let text = format!(
            "data: {}\nlog: {{ level: debug }}\nhttp: {{ addr: 127.0.0.1:0 }}\n{sections}",
            data.display()
        );
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        let arguments = ["--config", "{folder}/portpass.yml"];
        let world = Self(Portpass::serve_in(Path::new(PROGRAM), &arguments, folder));
        world
            .0
            .command(&["user", "add", ACCOUNT, "--password-stdin", "--config", CONFIG], PASSWORD);
        world
    }

    /// What a command of this installation prints.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let ran = self.0.command(&[words, &["--config", CONFIG]].concat(), "");
        ran.expect_success().stdout.clone()
    }

    /// The JSON objects that a command prints, one on each line.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let said = self.says(&[words, &["--json"]].concat());
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn place(&self) -> RegistryAddress {
        RegistryAddress::plain(self.0.address())
    }

    /// An image of the account's, `ann/NAME:TAG`.
    pub(crate) fn image(&self, name: &str, tag: &str) -> Image {
        self.place().image(&format!("{ACCOUNT}/{name}:{tag}"))
    }

    /// skopeo, logged in.
    pub(crate) fn skopeo(&self) -> Skopeo {
        self.logged_in(Skopeo::default())
    }

    pub(crate) fn logged_in<C: Client>(&self, mut client: C) -> C {
        if let Some(ran) = client.login(&self.place(), ACCOUNT, PASSWORD) {
            ran.expect_success();
        }
        client
    }
}

/// A folder with an image that can be run.
pub(crate) fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(folder.path(), "hello");
    (folder, layout)
}

const CONFIG: &str = "{folder}/portpass.yml";
