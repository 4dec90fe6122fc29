//! podman: docker's verbs without a daemon.

use super::{
    Client, Pulled,
    containers::{Tool, flag},
    version_in,
};
use crate::{CommandOutput, Home, Image, Layout, RegistryAddress, registry_address::Transport};

/// podman with a home and a store of its own.
#[derive(Debug)]
pub struct Podman(Tool);

/// With an empty store, not logged in anywhere.
impl Default for Podman {
    fn default() -> Self {
        Self::at_home(Home::default())
    }
}

impl Podman {
    /// With a home that is empty yet.
    pub fn at_home(home: Home) -> Self {
        // Neither systemd nor cgroups of version 2 are to be had everywhere.
        let runs = ["--cgroup-manager", "cgroupfs", "--runtime", "/usr/sbin/runc"];
        let flags = [&runs[..], &["--events-backend", "none"]].concat();
        Self(Tool::with_store("podman", home, &flags))
    }

    /// Where its credentials lie.
    pub fn home(&self) -> &Home {
        &self.0.home
    }
}

impl Client for Podman {
    fn name(&self) -> &'static str {
        "podman"
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
        let inspect = ["image", "inspect", "--format", "{{.Digest}}", &from.to_string()];
        Pulled::of(self.0.pull(from), || self.0.run(&inspect))
    }

    fn run(&self, image: &Image) -> Option<CommandOutput> {
        // Raising these limits is not everybody's right.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
        let run = ["run", "--rm", "--network", "none", "--pull", "never"];
        Some(self.0.run(&[&run[..], &limits, &[&image.to_string()]].concat()))
    }

    fn push_index(&self, layout: &Layout, to: &Image) -> Option<CommandOutput> {
        Some(self.0.push_index(layout, to))
    }

    fn mount(&self, from: &Image, to: &Image) -> Option<CommandOutput> {
        Some(self.0.push_stored(from, to))
    }

    fn list(&self, image: &Image) -> Option<CommandOutput> {
        // `search` has no flag for an authority of one's own.
        let Transport::Plain = image.place.transport else { return None };
        let repository = format!("{}/{}", image.place.host, image.repository());
        Some(self.0.run(&["search", "--list-tags", &flag("", &image.place), &repository]))
    }
}
