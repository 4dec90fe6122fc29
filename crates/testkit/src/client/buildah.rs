//! buildah: builds images, and pushes and pulls them without a daemon.

use super::{Client, Pulled, containers::Tool, version_in};
use crate::{CommandOutput, Home, Image, Layout, RegistryAddress};

/// buildah with a home and a store of its own.
#[derive(Debug)]
pub struct Buildah(Tool);

/// With an empty store, not logged in anywhere.
impl Default for Buildah {
    fn default() -> Self {
        Self::at_home(Home::default())
    }
}

impl Buildah {
    /// With a home that is empty yet.
    pub fn at_home(home: Home) -> Self {
        Self(Tool::with_store("buildah", home, &[]))
    }

    /// Where its credentials lie.
    pub fn home(&self) -> &Home {
        &self.0.home
    }
}

impl Client for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    fn version(&self) -> String {
        version_in(&self.0.run(&["--version"]))
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
        self.0.push(layout, to)
    }

    fn pull(&self, from: &Image) -> Pulled {
        Pulled::of(self.0.pull(from), || self.0.run(&["images", "--digests", "--noheading"]))
    }

    fn run(&self, image: &Image) -> Option<CommandOutput> {
        // Raising these limits is not everybody's right.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
        let image = image.to_string();
        let container = self.0.run(&[&["from", "--pull-never"], &limits[..], &[&image]].concat());
        let container = container.expect_success().stdout.trim().to_owned();
        // Namespaces are not to be had everywhere.
        let run = ["run", "--isolation", "chroot", &container];
        Some(self.0.run(&[&run[..], &["--", "/bin/sh", "-c", "cat /greeting"]].concat()))
    }

    fn push_index(&self, layout: &Layout, to: &Image) -> Option<CommandOutput> {
        Some(self.0.push_index(layout, to))
    }

    fn mount(&self, from: &Image, to: &Image) -> Option<CommandOutput> {
        Some(self.0.push_stored(from, to))
    }
}
