//! When something is wrong, what does the client say? Its own words, in the page of the documentation,
//! so that those who search for them find the cause.

use portpass_testkit::{
    Client, CommandOutput, Dockerd, Image, Layout, Portpass, RegistryAddress, Skopeo,
};
use tempfile::TempDir;

use crate::{
    ledger,
    stage::{ACCOUNT, PASSWORD, add_account, configuration, manage, serve},
};

/// A registry with its token service, whose clock can be set.
struct World {
    portpass: Portpass,
    place: RegistryAddress,
    scratch: TempDir,
}

impl World {
    fn new(offset: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        configuration(folder.path(), ALL_IN_ONE);
        let program = std::path::Path::new(crate::PROGRAM);
        let arguments = ["--config", "{folder}/portpass.yml"];
        let portpass = Portpass::serve_with_clock(program, &arguments, folder, offset);
        add_account(&portpass, ACCOUNT);
        let place = RegistryAddress::plain(portpass.address());
        Self { portpass, place, scratch: tempfile::tempdir().unwrap() }
    }

    fn login(&self, client: &mut dyn Client) {
        if let Some(ran) = client.login(&self.place, ACCOUNT, PASSWORD) {
            ran.expect_success();
        }
    }

    fn image(&self) -> Image {
        self.place.image("ann/app:1.0.0")
    }

    fn layout(&self) -> Layout {
        Layout::multi_arch(&self.scratch.path().join("layout"), &["amd64"])
    }

    /// Waits until the password is refused: a change from another process counts within two seconds.
    fn until_refused(&self) {
        let url = format!("{}/token", self.place.url());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let ask = || http.get(&url).basic_auth(ACCOUNT, Some(PASSWORD)).send();
            while ask().await.unwrap().status() != reqwest::StatusCode::UNAUTHORIZED {}
        });
    }

    /// Logged in, with an image pushed.
    fn at_work(&self, client: &mut dyn Client) {
        self.login(client);
        client.push(&self.layout(), &self.image()).expect_success();
    }
}

/// Each trouble with each client that can have it; the log has the id that the page of refusals names.
macro_rules! troubles {
    ($($trouble:ident: $($client:ident)*;)*) => { $(mod $trouble {
        $(#[test]
        fn $client() {
            super::$trouble(&mut crate::clients::$client());
        })*
    })* };
}

troubles! {
    wrong_password: docker skopeo buildah podman containerd helm;
    account_disabled: docker skopeo buildah podman containerd helm;
    no_right_to_push: docker skopeo buildah podman containerd helm;
    // A chart is sent before anything can happen meanwhile; containerd 1.6 ends otherwise each time, as
    // several of its uploads retry a body that has been sent in part.
    token_ends_in_mid_push: docker skopeo buildah podman;
    registry_ahead: docker skopeo buildah podman containerd helm;
    registry_behind: docker skopeo buildah podman containerd helm;
    client_behind: docker skopeo buildah podman containerd helm;
    client_ahead: docker skopeo buildah podman containerd helm;
}

fn wrong_password(client: &mut dyn Client) {
    let world = World::new("+0");
    let ran = client.login(&world.place, ACCOUNT, "wrong");
    // Where there is no login, the password goes with the pull.
    let ran = ran.unwrap_or_else(|| client.pull(&world.image()).ran);
    refused("wrong password", client, &ran);
    world.portpass.wait_for_log(&["refusal=\"wrong-password\""]);
}

fn account_disabled(client: &mut dyn Client) {
    let world = World::new("+0");
    world.at_work(client);
    manage(&world.portpass, &["user", "disable", ACCOUNT]);
    world.until_refused();
    refused("account disabled after the login", client, &client.pull(&world.image()).ran);
    let keeps_a_session = client.name() == "docker";
    let id = if keeps_a_session { "refresh-token-revoked" } else { "wrong-password" };
    world.portpass.wait_for_log(&["path=\"/token\"", &format!("refusal=\"{id}\""), "agent"]);
}

fn no_right_to_push(client: &mut dyn Client) {
    let world = World::new("+0");
    world.login(client);
    let ran = client.push(&world.layout(), &world.place.image("bob/app:1.0.0"));
    refused("no right to push there", client, &ran);
    world.portpass.wait_for_log(&["refusal=\"insufficient-scope\"", "repository:bob/app"]);
}

/// The server's clock jumps past the end of every token, between two layers.
fn token_ends_in_mid_push(client: &mut dyn Client) {
    let world = World::new("+0");
    world.login(client);
    let layout = Layout::large(&world.scratch.path().join("large"), 6, 4 << 20);
    let ran = std::thread::scope(|scope| {
        let pushed = scope.spawn(|| client.push(&layout, &world.image()));
        world.portpass.wait_for_log(&["POST", "/blobs/uploads/", "status=202"]);
        world.portpass.set_clock("+10m");
        pushed.join().unwrap()
    });
    world.portpass.wait_for_log(&["refusal=\"token-expired\""]);
    // Which layer it is that fails is another one each time.
    ran.expect_failure();
    let words = "unauthorized: authentication required";
    assert!(ran.stderr.contains(words), "{ran}");
    confirm("token ends in mid-push", client, &format!("`… {words}`"));
}

/// Registry and token service are apart, and the registry's clock is wrong.
fn registry_ahead(client: &mut dyn Client) {
    let world = Apart::new("+10m");
    let ran = world.pull(client);
    refused("the registry's clock is ahead", client, &ran);
    world.registry.wait_for_log(&["refusal=\"token-expired\""]);
}

fn registry_behind(client: &mut dyn Client) {
    let world = Apart::new("-10m");
    let ran = world.pull(client);
    refused("the registry's clock is behind", client, &ran);
    world.registry.wait_for_log(&["refusal=\"token-not-yet-valid\""]);
}

/// Both servers have the same time, so that it is the client's clock that is wrong.
fn client_behind(client: &mut dyn Client) {
    let world = World::new("+1h");
    world.at_work(client);
    ends("the client's clock is an hour behind", client, &client.pull(&world.image()).ran);
}

fn client_ahead(client: &mut dyn Client) {
    let world = World::new("-1h");
    world.at_work(client);
    ends("the client's clock is an hour ahead", client, &client.pull(&world.image()).ran);
}

/// A refresh token that is no longer good. docker keeps one; the others read docker's file.
mod session_revoked {
    use super::*;

    fn revoke(world: &World) -> Dockerd {
        let docker = Dockerd::start();
        docker.login(&world.place.host, ACCOUNT, PASSWORD).expect_success();
        docker.push(&world.layout(), &world.image()).expect_success();
        manage(&world.portpass, &["session", "revoke", "--account", ACCOUNT]);
        docker
    }

    #[test]
    fn docker() {
        let world = World::new("+0");
        let docker = revoke(&world);
        refused("session revoked", &docker, &docker.pull(&world.image()).ran);
        world.portpass.wait_for_log(&["refusal=\"refresh-token-revoked\""]);
    }

    #[test]
    fn skopeo() {
        let world = World::new("+0");
        let skopeo = Skopeo::default();
        let docker = revoke(&world);
        std::fs::copy(docker.configuration_file(), skopeo.home().auth_file()).unwrap();
        refused("session revoked", &skopeo, &skopeo.pull(&world.image()).ran);
        world.portpass.wait_for_log(&["refusal=\"refresh-token-revoked\""]);
    }
}

/// A token service with the right time, and a registry with another one.
struct Apart {
    registry: Portpass,
    _tokens: Portpass,
}

impl Apart {
    fn new(offset: &str) -> Self {
        let tokens = serve("token_service: {}\n");
        add_account(&tokens, ACCOUNT);
        let folder = tempfile::tempdir().unwrap();
        let bundle = tokens.folder().join("data/root.crt");
        let auth = format!(
            "registry:\n  auth:\n    token: {{ realm: \"{}/token\", service: registry, issuer: portpass, rootcertbundle: {} }}\n",
            tokens.url(),
            bundle.display(),
        );
        configuration(folder.path(), &auth);
        let program = std::path::Path::new(crate::PROGRAM);
        let arguments = ["--config", "{folder}/portpass.yml"];
        let registry = Portpass::serve_with_clock(program, &arguments, folder, offset);
        Self { registry, _tokens: tokens }
    }

    /// Logs in, as far as that goes, and pulls; gives the first thing that failed.
    fn pull(&self, client: &mut dyn Client) -> CommandOutput {
        let place = RegistryAddress::plain(self.registry.address());
        match client.login(&place, ACCOUNT, PASSWORD) {
            Some(ran) if !ran.success => ran,
            _ => client.pull(&place.image("ann/app:1.0.0")).ran,
        }
    }
}

fn refused(trouble: &str, client: &dyn Client, ran: &CommandOutput) {
    ran.expect_failure();
    ends(trouble, client, ran);
}

/// Holds the client's last words against the page.
fn ends(trouble: &str, client: &dyn Client, ran: &CommandOutput) {
    let words = if ran.success { "works".to_owned() } else { format!("`{}`", last_words(ran)) };
    confirm(trouble, client, &words);
}

fn confirm(trouble: &str, client: &dyn Client, words: &str) {
    ledger::confirm_row("What clients say", &[trouble, client.name()], words);
}

/// The error that a client ended with, without what is another one each time.
fn last_words(ran: &CommandOutput) -> String {
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let begins = |line: &&str| ["Error", "time=", "ctr:"].iter().any(|word| line.starts_with(word));
    let last = lines.len().checked_sub(1).unwrap_or_else(|| panic!("it says nothing: {ran}"));
    let first = lines.iter().rposition(begins).unwrap_or(last);
    let words: Vec<String> = lines[first..].join(" / ").split(' ').map(settled).collect();
    words.join(" ").replace('|', "\\|").replace('`', "'")
}

/// Addresses, digests, names of uploads and times are another one each time.
fn settled(word: &str) -> String {
    if word.starts_with("time=") {
        return "time=…".to_owned();
    }
    let mut pieces = word.split("127.0.0.1:");
    let mut settled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        settled.push_str("HOST");
        settled.push_str(piece.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    shortened(&shortened(&settled, "sha256:"), "/blobs/uploads/")
}

/// Cuts the hexadecimal name that follows `prefix`.
fn shortened(word: &str, prefix: &str) -> String {
    let Some(at) = word.find(prefix) else { return word.to_owned() };
    let (before, name) = word.split_at(at + prefix.len());
    let after = name.trim_start_matches(|c: char| c.is_ascii_hexdigit() || c == '-');
    if after == name { word.to_owned() } else { format!("{before}…{after}") }
}

const ALL_IN_ONE: &str = "registry: {}\ntoken_service: {}\n";
