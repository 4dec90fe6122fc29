//! skopeo: copies between registries and folders, without a daemon.

use super::{
    Client, Pulled,
    containers::{Tool, flag, remote},
    version_in,
};
use crate::{CommandOutput, Home, Image, Layout, RegistryAddress};

/// skopeo with a home of its own.
#[derive(Debug)]
pub struct Skopeo(Tool);

/// Not logged in anywhere.
impl Default for Skopeo {
    fn default() -> Self {
        Self::at_home(Home::default())
    }
}

impl Skopeo {
    /// With a home that is empty yet.
    pub fn at_home(home: Home) -> Self {
        Self(Tool::new("skopeo", home))
    }

    /// Runs `skopeo ARGUMENTS`.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.0.run(arguments)
    }

    /// Where its credentials lie.
    pub fn home(&self) -> &Home {
        &self.0.home
    }

    fn copy(&self, flags: &[String], from: &str, to: &str) -> CommandOutput {
        let mut arguments = vec!["copy", "--all"];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.extend([from, to]);
        self.run(&arguments)
    }
}

impl Client for Skopeo {
    fn name(&self) -> &'static str {
        "skopeo"
    }

    fn version(&self) -> String {
        version_in(&self.run(&["--version"]))
    }

    fn login(
        &mut self,
        place: &RegistryAddress,
        account: &str,
        password: &str,
    ) -> Option<CommandOutput> {
        Some(self.0.login(place, account, password))
    }

    fn push(&self, layout: &Layout, to: &Image) -> CommandOutput {
        self.copy(&[flag("dest-", &to.place)], &layout.reference(), &remote(to))
    }

    fn pull(&self, from: &Image) -> Pulled {
        let folder = tempfile::tempdir_in(self.home().path()).expect("a folder for what is pulled");
        let to = format!("oci:{}:{}", folder.path().display(), Layout::TAG);
        let ran = self.copy(&[flag("src-", &from.place)], &remote(from), &to);
        let digest = if ran.success {
            Layout::digest_of_tag(folder.path()).to_string()
        } else {
            String::new()
        };
        Pulled { ran, digest }
    }

    fn push_index(&self, layout: &Layout, to: &Image) -> Option<CommandOutput> {
        Some(self.push(layout, to))
    }

    fn mount(&self, from: &Image, to: &Image) -> Option<CommandOutput> {
        let flags = [flag("src-", &from.place), flag("dest-", &to.place)];
        Some(self.copy(&flags, &remote(from), &remote(to)))
    }

    fn delete(&self, image: &Image) -> Option<CommandOutput> {
        Some(self.run(&["delete", &flag("", &image.place), &remote(image)]))
    }

    fn list(&self, image: &Image) -> Option<CommandOutput> {
        let repository = format!("docker://{}/{}", image.place.host, image.repository());
        Some(self.run(&["list-tags", &flag("", &image.place), &repository]))
    }
}
