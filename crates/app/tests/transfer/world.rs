//! Registries, and portpass as their client.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use portpass_testkit::{
    Client, CommandOutput, Distribution, Home, Portpass, RegistryAddress, TrustedTokens, run,
};
use serde_json::Value;

use crate::PROGRAM;

/// Owns what lies below its own name.
pub(crate) const ACCOUNT: &str = "ann";
pub(crate) const PASSWORD: &str = "correct:horse battery";

/// Registry and token service of our own.
pub(crate) fn ours() -> Portpass {
    serve("registry: {}\ntoken_service: {}\n")
}

/// Debian's docker-registry, and the token service that it trusts.
pub(crate) struct Theirs {
    pub(crate) registry: Distribution,
    _tokens: Portpass,
}

impl Theirs {
    pub(crate) fn start() -> Self {
        let tokens = serve("token_service:\n  services: [ { name: theirs, key_id: libtrust } ]\n");
        let bundle = tokens.folder().join("data/root.crt");
        let realm = format!("{}/token", tokens.url());
        let trusted =
            TrustedTokens { realm: &realm, service: "theirs", issuer: "portpass", bundle: &bundle };
        Self { registry: Distribution::start(&trusted), _tokens: tokens }
    }
}

pub(crate) fn serve(sections: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "data: {}\nlog: {{ level: debug }}\nhttp:\n  addr: 127.0.0.1:0\n{sections}",
        folder.path().join("data").display()
    );
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    let portpass =
        Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder);
    let words = ["user", "add", ACCOUNT, "--password-stdin", "--config", "{folder}/portpass.yml"];
    portpass.command(&words, PASSWORD).expect_success();
    portpass
}

/// A client of others, logged in as the account.
pub(crate) fn logged_in<C: Client + Default>(at: SocketAddr) -> (C, RegistryAddress) {
    let mut client = C::default();
    let place = RegistryAddress::plain(at);
    client.login(&place, ACCOUNT, PASSWORD).unwrap().expect_success();
    (client, place)
}

/// portpass as a client.
#[derive(Debug, Default)]
pub(crate) struct Mover(Home);

impl Mover {
    /// Logged in to these registries.
    pub(crate) fn at(registries: &[SocketAddr]) -> Self {
        let mover = Self::default();
        for registry in registries {
            mover.login(*registry);
        }
        mover
    }

    pub(crate) fn login(&self, registry: SocketAddr) {
        self.login_with(registry, &[]);
    }

    /// The same with more to say about the registry.
    pub(crate) fn login_with(&self, registry: SocketAddr, more: &[&str]) {
        let registry = registry.to_string();
        let words = ["login", &registry, "--username", ACCOUNT, "--password-stdin"];
        run(&mut self.command(&[&words, more].concat()), PASSWORD).expect_success();
    }

    pub(crate) fn home(&self) -> &Path {
        self.0.path()
    }

    /// Runs `portpass WORDS` in its home.
    pub(crate) fn run(&self, words: &[&str]) -> CommandOutput {
        run(&mut self.command(words), "")
    }

    /// What `portpass WORDS --json` says it did.
    pub(crate) fn done(&self, words: &[&str]) -> Value {
        let ran = self.run(&[words, &["--json"]].concat());
        serde_json::from_str(&ran.expect_success().stdout).unwrap()
    }

    /// Starts it, to be ended by whoever called.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(PROGRAM);
        command.args(words);
        command
    }
}

/// The lines of a log that have all of these words.
pub(crate) fn lines<'a>(log: &'a str, words: &'a [&str]) -> impl Iterator<Item = &'a str> {
    log.lines().filter(move |line| words.iter().all(|word| line.contains(word)))
}
