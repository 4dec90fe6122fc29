//! docker: a daemon of the test's own, and the client that speaks with it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use super::{Client, Pulled, version_in};
use crate::{
    CommandOutput, Home, Image, Layout, RegistryAddress,
    registry_address::Transport,
    run,
    server::{stop, wait_until},
};

/// A running `dockerd`, stopped when dropped. Needs root, as dockerd does.
#[derive(Debug)]
pub struct Dockerd {
    daemon: Child,
    home: Home,
}

impl Dockerd {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Panics
    /// If it cannot be started or does not answer within a minute; the panic has its log.
    pub fn start() -> Self {
        Self::start_at_home(Home::default())
    }

    /// As [`Dockerd::start`], with a home that is empty yet.
    ///
    /// # Panics
    /// As [`Dockerd::start`].
    pub fn start_at_home(home: Home) -> Self {
        let at = |name: &str| home.path().join(name);
        let log = File::create(at("log")).expect("a log file");
        std::fs::write(at("daemon.json"), "{}").expect("a configuration file");
        let daemon = home
            .command(daemon_program())
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--storage-driver=vfs", "--data-root"])
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("--host")
            .arg(socket(home.path()))
            // Not /etc/docker/daemon.json, whatever it says.
            .arg("--config-file")
            .arg(at("daemon.json"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("dockerd starts; `cargo xtask setup` installs it");
        let docker = Self { daemon, home };
        let answers = wait_until(|| docker.run(&["version"]).success);
        assert!(answers, "dockerd does not answer:\n{}", docker.log());
        docker
    }

    /// Runs `docker` against this daemon.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with_input(arguments, "")
    }

    /// `docker login` with the password on standard input.
    pub fn login(&self, registry: &str, account: &str, password: &str) -> CommandOutput {
        let arguments = ["login", "--username", account, "--password-stdin", registry];
        self.run_with_input(&arguments, password)
    }

    /// The client's `config.json`; there is one after a login.
    pub fn configuration_file(&self) -> PathBuf {
        self.home.docker_folder().join("config.json")
    }

    /// The client's `config.json`, empty if there is none.
    pub fn client_configuration(&self) -> String {
        std::fs::read_to_string(self.configuration_file()).unwrap_or_default()
    }

    /// What the daemon logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Brings the one image of a layout into the daemon, as `name`.
    ///
    /// # Panics
    /// If skopeo cannot convert it or the daemon does not take it.
    pub fn load(&self, layout: &Layout, architecture: &str, name: &str) {
        let archive = self.home.path().join("image.tar");
        let to = format!("docker-archive:{}:{name}", archive.display());
        let convert = ["--override-arch", architecture, "copy", &layout.reference(), &to];
        run(self.home.command("skopeo").args(convert), "").expect_success();
        self.run(&["load", "--input", &archive.to_string_lossy()]).expect_success();
        std::fs::remove_file(archive).expect("the archive goes");
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let mut command = self.home.command("docker");
        command.arg("--host").arg(socket(self.home.path())).args(arguments);
        run(&mut command, input)
    }
}

impl Client for Dockerd {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn version(&self) -> String {
        version_in(&self.run(&["version", "--format", "{{.Server.Version}}"]))
    }

    fn login(
        &mut self,
        place: &RegistryAddress,
        account: &str,
        password: &str,
    ) -> Option<CommandOutput> {
        Some(Self::login(self, &place.host, account, password))
    }

    fn push(&self, layout: &Layout, to: &Image) -> CommandOutput {
        self.load(layout, "amd64", &to.to_string());
        self.run(&["push", &to.to_string()])
    }

    fn pull(&self, from: &Image) -> Pulled {
        self.run(&["image", "prune", "--all", "--force"]).expect_success();
        let ran = self.run(&["pull", &from.to_string()]);
        let inspect =
            ["image", "inspect", "--format", "{{join .RepoDigests \" \"}}", &from.to_string()];
        Pulled::of(ran, || self.run(&inspect))
    }

    fn run(&self, image: &Image) -> Option<CommandOutput> {
        Some(self.run(&["run", "--rm", "--network", "none", &image.to_string()]))
    }

    /// Docker makes indexes of images that the registry has already.
    fn push_index(&self, layout: &Layout, to: &Image) -> Option<CommandOutput> {
        // This part of docker speaks plain HTTP to loopback, whatever it is told.
        let Transport::Plain = to.place.transport else { return None };
        let architectures = layout.architectures();
        let images = architectures.iter().map(|architecture| format!("{to}-{architecture}"));
        let images: Vec<String> = images.collect();
        for (image, architecture) in images.iter().zip(&architectures) {
            self.load(layout, architecture, image);
            let pushed = self.run(&["push", image]);
            if !pushed.success {
                return Some(pushed);
            }
        }
        let index = to.to_string();
        let manifest = |verb: &'static str, images: &[String]| {
            let words = ["manifest", verb, "--insecure", &index].into_iter();
            self.run(&words.chain(images.iter().map(String::as_str)).collect::<Vec<_>>())
        };
        let created = manifest("create", &images);
        Some(if created.success { manifest("push", &[]) } else { created })
    }

    fn mount(&self, from: &Image, to: &Image) -> Option<CommandOutput> {
        self.run(&["tag", &from.to_string(), &to.to_string()]).expect_success();
        Some(self.run(&["push", &to.to_string()]))
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        stop(&mut self.daemon);
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("docker.sock").display())
}

/// Daemons live in sbin, which is not on everybody's path.
fn daemon_program() -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin/dockerd");
    if sbin.exists() { sbin } else { "dockerd".into() }
}
