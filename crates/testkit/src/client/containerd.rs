//! containerd with `ctr`: what Kubernetes pulls with.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Stdio},
};

use super::{Client, Pulled, version_in};
use crate::{
    CommandOutput, Home, Image, Layout, RegistryAddress, run,
    server::{stop, wait_until},
};

/// A running containerd, stopped when dropped. Needs root.
#[derive(Debug)]
pub struct Containerd {
    daemon: Child,
    home: Home,
    /// `ctr` keeps no credentials: they go with each command.
    credentials: Option<String>,
}

impl Containerd {
    /// Starts containerd and waits until it answers.
    ///
    /// # Panics
    /// If it cannot be started or does not answer within a minute; the panic has its log.
    pub fn start() -> Self {
        Self::start_at_home(Home::default())
    }

    /// As [`Containerd::start`], with a home that is empty yet.
    ///
    /// # Panics
    /// As [`Containerd::start`].
    pub fn start_at_home(home: Home) -> Self {
        let here = home.path().display();
        let configuration = format!(
            "version = 2\nroot = \"{here}/root\"\nstate = \"{here}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{here}/c.sock\"\n[ttrpc]\naddress = \"{here}/c.sock.ttrpc\"\n"
        );
        fs::write(home.path().join("config.toml"), configuration).expect("a configuration file");
        let log = File::create(home.path().join("log")).expect("a log file");
        let daemon = home
            .command("containerd")
            .args(["--config", "config.toml"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("containerd starts; `cargo xtask setup` installs it");
        let containerd = Self { daemon, home, credentials: None };
        let answers = wait_until(|| containerd.run(&["version"]).success);
        assert!(answers, "containerd does not answer:\n{}", containerd.log());
        containerd
    }

    /// Runs `ctr` against this daemon.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        let mut command = self.home.command("ctr");
        run(command.arg("--address").arg(self.home.path().join("c.sock")).args(arguments), "")
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Brings all that a layout holds into containerd, as `name`.
    fn load(&self, layout: &Layout, name: &str) {
        let archive = self.home.path().join("layout.tar");
        layout.archive(&archive);
        let file = archive.to_string_lossy();
        let import =
            ["images", "import", "--all-platforms", "--no-unpack", "--base-name", "loaded"];
        self.run(&[&import[..], &[&file]].concat()).expect_success();
        let loaded = format!("loaded:{}", Layout::TAG);
        self.run(&["images", "tag", "--force", &loaded, name]).expect_success();
        self.run(&["images", "rm", &loaded]).expect_success();
        fs::remove_file(&archive).expect("the archive goes");
    }

    /// `ctr images VERB FLAGS IMAGE`, with what the registry needs.
    fn transfer(&self, verb: &str, flags: &[&str], image: &Image) -> CommandOutput {
        let hosts = self.home.path().join("hosts");
        let hosts = hosts.to_string_lossy();
        let mut arguments = vec!["images", verb];
        match image.place.authority() {
            None => arguments.push("--plain-http"),
            Some(authority) => {
                self.trust(&image.place, &authority);
                arguments.extend(["--hosts-dir", &hosts]);
            }
        }
        if let Some(credentials) = &self.credentials {
            arguments.extend(["--user", credentials]);
        }
        arguments.extend(flags);
        let image = image.to_string();
        arguments.push(&image);
        self.run(&arguments)
    }

    /// Loopback is plain HTTP to `ctr`, unless a `hosts.toml` says otherwise.
    fn trust(&self, place: &RegistryAddress, authority: &Path) {
        let folder = self.home.path().join("hosts").join(&place.host);
        fs::create_dir_all(&folder).expect("a folder");
        let url = place.url();
        let hosts = format!("server = {url:?}\n[host.{url:?}]\nca = \"{}\"\n", authority.display());
        fs::write(folder.join("hosts.toml"), hosts).expect("a file of hosts");
    }
}

impl Client for Containerd {
    fn name(&self) -> &'static str {
        "containerd"
    }

    fn version(&self) -> String {
        version_in(&self.run(&["--version"]))
    }

    fn login(
        &mut self,
        _: &RegistryAddress,
        account: &str,
        password: &str,
    ) -> Option<CommandOutput> {
        self.credentials = Some(format!("{account}:{password}"));
        None
    }

    fn push(&self, layout: &Layout, to: &Image) -> CommandOutput {
        self.load(layout, &to.to_string());
        self.transfer("push", &[], to)
    }

    fn pull(&self, from: &Image) -> Pulled {
        // What is asked of a registry is what is not here: images go, and their content with them.
        let here = self.run(&["images", "ls", "--quiet"]);
        for name in here.expect_success().stdout.lines() {
            self.run(&["images", "rm", "--sync", name]).expect_success();
        }
        let ran = self.transfer("pull", &["--snapshotter", "native"], from);
        Pulled::of(ran, || self.run(&["images", "ls", &format!("name=={from}")]))
    }

    fn run(&self, image: &Image) -> Option<CommandOutput> {
        let arguments = ["run", "--rm", "--snapshotter", "native"];
        Some(self.run(&[&arguments[..], &[&image.to_string(), "greeter"]].concat()))
    }

    fn push_index(&self, layout: &Layout, to: &Image) -> Option<CommandOutput> {
        Some(self.push(layout, to))
    }

    fn mount(&self, from: &Image, to: &Image) -> Option<CommandOutput> {
        self.run(&["images", "tag", "--force", &from.to_string(), &to.to_string()])
            .expect_success();
        Some(self.transfer("push", &[], to))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        stop(&mut self.daemon);
    }
}
