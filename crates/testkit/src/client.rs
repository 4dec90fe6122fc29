//! The clients that people use, each behind the same few verbs.
//!
//! ```text
//! Client ── login, push, pull ──> every client has them
//!    └───── run, push_index, mount, delete, list ──> where its command line can say it
//! ```

mod buildah;
mod containerd;
mod containers;
mod dockerd;
mod helm;
mod podman;
mod skopeo;

pub use buildah::Buildah;
pub use containerd::Containerd;
pub use dockerd::Dockerd;
pub use helm::Helm;
pub use podman::Podman;
pub use skopeo::Skopeo;

use crate::{CommandOutput, Image, Layout, RegistryAddress};

/// A real client, at home in a folder of its own.
///
/// What a client's command line cannot say at all is `None`.
pub trait Client: Sync {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// The version it says it is.
    fn version(&self) -> String;

    /// Logs in, so that later commands need no password; `None`: it takes one with each command.
    fn login(
        &mut self,
        place: &RegistryAddress,
        account: &str,
        password: &str,
    ) -> Option<CommandOutput>;

    /// Copies the one image of a layout to a registry.
    fn push(&self, layout: &Layout, to: &Image) -> CommandOutput;

    /// Fetches an image that this client does not have yet.
    fn pull(&self, from: &Image) -> Pulled;

    /// Starts a container of an image that was pulled, which prints its greeting.
    fn run(&self, _image: &Image) -> Option<CommandOutput> {
        None
    }

    /// Copies an index with all its images to a registry.
    fn push_index(&self, _layout: &Layout, _to: &Image) -> Option<CommandOutput> {
        None
    }

    /// Copies an image that this client pushed to `from` to another repository there.
    fn mount(&self, _from: &Image, _to: &Image) -> Option<CommandOutput> {
        None
    }

    /// Deletes an image from its registry.
    fn delete(&self, _image: &Image) -> Option<CommandOutput> {
        None
    }

    /// Lists the tags of an image's repository.
    fn list(&self, _image: &Image) -> Option<CommandOutput> {
        None
    }
}

/// What a pull ended with.
#[derive(Debug)]
pub struct Pulled {
    /// The command.
    pub ran: CommandOutput,
    /// Whatever the client says of the manifest's digest; empty where the pull failed.
    pub digest: String,
}

impl Pulled {
    /// Asks for the digest only after a pull that worked.
    fn of(ran: CommandOutput, digest: impl FnOnce() -> CommandOutput) -> Self {
        let digest = if ran.success { digest().stdout } else { String::new() };
        Self { ran, digest }
    }
}

/// The first word of a line that looks like a version.
fn version_in(ran: &CommandOutput) -> String {
    let words = ran.stdout.split(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | ':'));
    let digits =
        |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let mut versions = words.filter(digits).filter(|word| word.contains('.'));
    versions.next().unwrap_or("unknown").trim_start_matches('v').to_owned()
}
