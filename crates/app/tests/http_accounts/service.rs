//! The services of the documentation, as they are printed there.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What portpass and the service share.
pub(crate) const TOKEN: &str = "0cd8a5c1e7b94f2e";

/// A running service with ann, a developer, and bob, whose password is the same.
pub(crate) struct Service {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Service {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let person = |groups: &[&str]| json!({ "salt": "5eed", "scrypt": RIGHT, "groups": groups });
        let people = json!({ "ann": person(&["developers"]), "bob": person(&[]) });
        write(folder.path(), &people);
        let (process, address) = example(folder.path(), 0);
        Self { process, folder, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Changes what it knows of somebody; `null` removes it.
    pub(crate) fn change(&self, name: &str, member: &str, value: Value) {
        let file = self.folder.path().join("people.json");
        let mut people: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        people[name][member] = value;
        write(self.folder.path(), &people);
    }

    pub(crate) fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// At the same address.
    pub(crate) fn go_on(&mut self) {
        (self.process, _) = example(self.folder.path(), self.address.port());
    }
}

/// `docs/http-accounts-command.py`, with a command as docker_auth's `ext_auth` runs it.
pub(crate) struct CommandService(Service);

impl CommandService {
    /// With a script of a shell, which has name and password in `$pair`.
    pub(crate) fn start(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("pair=$(cat)\n{script}");
        let (process, address) = run("http-accounts-command.py", &["0", "sh", "-c", &script]);
        Self(Service { process, folder, address })
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(folder: &Path, people: &Value) {
    // In one step: the service reads it at each question.
    fs::write(folder.join("new"), people.to_string()).unwrap();
    fs::rename(folder.join("new"), folder.join("people.json")).unwrap();
}

/// `docs/http-accounts.py`.
fn example(folder: &Path, port: u16) -> (Child, SocketAddr) {
    let people = folder.join("people.json");
    run("http-accounts.py", &[people.to_str().unwrap(), &port.to_string()])
}

/// A program of the documentation, once it listens.
fn run(program: &str, arguments: &[&str]) -> (Child, SocketAddr) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut process = Command::new("python3")
        .arg(docs.join(program))
        .args(arguments)
        .env("HOOK_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("listening on ").expect("it listens").parse().unwrap();
    (process, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// scrypt of `correct horse`.
const RIGHT: &str = "6dec810534f81f6825d1aedcf0793a5d62c2f6b263e484aa796d652161f7e2bac17cfb2e82243cb57972c1563f9bb3777abdb04936672d567ed5a6e3f973e7ac";
/// scrypt of `new horse`.
pub(crate) const NEW: &str = "80c0f6a758e885b84e19731aa1031d074fd6f8959edd1572e51cb6fad13636fdc97239d0e1d0acfcca5ee263a99867aa1cf2412d1e910c6635756f2f6db559cf";
