//! What skopeo, buildah and podman share: one library, one way to name registries and credentials.

use crate::{
    CommandOutput, Home, Image, Layout, RegistryAddress, registry_address::Transport, run,
};

/// One of these programs, with a home of its own.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) home: Home,
    program: &'static str,
    /// Stand before every command.
    flags: Vec<String>,
}

impl Tool {
    pub(super) fn new(program: &'static str, home: Home) -> Self {
        Self { home, program, flags: Vec::new() }
    }

    /// A tool that stores images, in a store of its own.
    pub(super) fn with_store(program: &'static str, home: Home, flags: &[&str]) -> Self {
        let mut tool = Self::new(program, home);
        let at = |name: &str| tool.home.path().join(name).display().to_string();
        let (store, state) = (at("store"), at("run"));
        // Overlay file systems are not to be had everywhere.
        let places = ["--storage-driver", "vfs", "--root", &store, "--runroot", &state];
        tool.flags = places.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        tool
    }

    pub(super) fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with_input(arguments, "")
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let mut command = self.home.command(self.program);
        run(command.args(&self.flags).args(arguments), input)
    }

    pub(super) fn login(
        &self,
        place: &RegistryAddress,
        account: &str,
        password: &str,
    ) -> CommandOutput {
        let flag = flag("", place);
        let arguments = ["login", &flag, "--username", account, "--password-stdin", &place.host];
        self.run_with_input(&arguments, password)
    }

    /// Brings the image of a layout into the store and copies it to a registry.
    pub(super) fn push(&self, layout: &Layout, to: &Image) -> CommandOutput {
        // By way of a folder without a name: newer tools do not find what they stored under a short one.
        let unnamed = "dir:unnamed";
        let mut skopeo = self.home.command("skopeo");
        skopeo.args(["copy", "--quiet", &layout.reference_at(&self.home), unnamed]);
        run(&mut skopeo, "").expect_success();
        let pulled = self.run(&["pull", "--quiet", unnamed]);
        let id = pulled.expect_success().stdout.trim();
        self.run(&["tag", id, &to.to_string()]).expect_success();
        self.push_stored(to, to)
    }

    /// Copies an image of the store to a registry.
    pub(super) fn push_stored(&self, image: &Image, to: &Image) -> CommandOutput {
        self.run(&["push", &flag("", &to.place), &image.to_string(), &remote(to)])
    }

    /// Fetches an image into an empty store.
    pub(super) fn pull(&self, from: &Image) -> CommandOutput {
        self.run(&["rmi", "--all", "--force"]).expect_success();
        self.run(&["pull", &flag("", &from.place), &from.to_string()])
    }

    pub(super) fn push_index(&self, layout: &Layout, to: &Image) -> CommandOutput {
        let layout = layout.reference_at(&self.home);
        self.run(&["manifest", "create", ALL]).expect_success();
        self.run(&["manifest", "add", "--all", ALL, &layout]).expect_success();
        self.run(&["manifest", "push", &flag("", &to.place), "--all", ALL, &remote(to)])
    }
}

/// `docker://HOST:PORT/REPOSITORY:TAG`
pub(super) fn remote(image: &Image) -> String {
    format!("docker://{image}")
}

/// What these tools need to be told of a registry; `side` is `src-`, `dest-` or nothing.
pub(super) fn flag(side: &str, place: &RegistryAddress) -> String {
    match &place.transport {
        Transport::Plain => format!("--{side}tls-verify=false"),
        Transport::Tls { authorities } => format!("--{side}cert-dir={}", authorities.display()),
    }
}

/// An index that is being made. Newer tools do not find what they stored under a shorter name.
const ALL: &str = "localhost/all";
