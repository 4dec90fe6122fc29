//! `audit`: what was done is read back, and whoever changes it is seen.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use portpass_protocol::Digest;
use portpass_testkit::{CommandOutput, Portpass};
use reqwest::Method;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "correct horse battery staple";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

struct World(Portpass);

impl World {
    /// A registry and its token service, with the account `ann`.
    fn new() -> Self {
        let arguments = ["--data", "{folder}/data", "--addr", "127.0.0.1:0"];
        let portpass = Portpass::serve(Path::new(PROGRAM), &arguments);
        let words = ["user", "add", "ann", "--password-stdin", "--data", "{folder}/data"];
        portpass.command(&words, PASSWORD).expect_success();
        Self(portpass)
    }

    fn audit(&self, words: &[&str]) -> CommandOutput {
        self.0.command(&[&["audit"], words, &["--data", "{folder}/data"]].concat(), "")
    }

    /// What `--json` says, an object each.
    fn entries(&self, words: &[&str]) -> Vec<Value> {
        let ran = self.audit(&[&["--json"], words].concat());
        ran.expect_success();
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until there are entries of this kind: the server writes some within a second.
    fn wait_for(&self, words: &[&str]) -> Vec<Value> {
        let mut found = Vec::new();
        portpass_testkit::wait_until(|| {
            found = self.entries(words);
            !found.is_empty()
        });
        assert!(!found.is_empty(), "{words:?}");
        found
    }

    async fn token(&self, scope: &str) -> String {
        let url = format!("{}/token", self.0.url());
        let query = [("service", "registry"), ("scope", scope)];
        let request = client().get(url).query(&query).basic_auth("ann", Some(PASSWORD));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn asks(&self, token: &str, method: Method, path: &str, body: Vec<u8>) -> (u16, String) {
        let request = client().request(method, format!("{}{path}", self.0.url()));
        let request = request.bearer_auth(token).header("content-type", OCI).body(body);
        let answer = request.send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), id)
    }

    /// Pushes an image as `ann/app:v1` and mounts its blob into `ann/other`; the digest, and the ids of the
    /// two requests.
    async fn work(&self) -> (Digest, [String; 2]) {
        let actions = "pull,push,delete";
        let scope = format!("repository:ann/app:{actions} repository:ann/other:{actions}");
        let token = self.token(&scope).await;
        let config = Digest::sha256(b"{}");
        let upload = format!("/v2/ann/app/blobs/uploads/?digest={config}");
        assert_eq!(self.asks(&token, Method::POST, &upload, b"{}".to_vec()).await.0, 201);
        let descriptor = json!({
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI, "config": descriptor, "layers": [descriptor]
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = Digest::sha256(&manifest);
        let path = "/v2/ann/app/manifests/v1";
        let (status, pushed) = self.asks(&token, Method::PUT, path, manifest).await;
        assert_eq!(status, 201);
        let mount = format!("/v2/ann/other/blobs/uploads/?mount={config}&from=ann/app");
        let (status, mounted) = self.asks(&token, Method::POST, &mount, vec![]).await;
        assert_eq!(status, 201);
        (digest, [pushed, mounted])
    }

    fn database(&self) -> std::path::PathBuf {
        self.0.folder().join("data/portpass.db")
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn words(entries: &[Value], name: &str) -> Vec<String> {
    entries.iter().map(|entry| entry[name].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn pushes_mounts_and_accounts_are_read_back() {
    let world = World::new();
    let (digest, [pushed, mounted]) = world.work().await;
    let found = world.wait_for(&["--action", "manifest-pushed"]);
    let [entry] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(entry["account"], "ann");
    assert_eq!(entry["object"], "ann/app");
    assert_eq!(entry["address"], "127.0.0.1");
    assert_eq!(entry["request"], pushed.as_str());
    assert_eq!(entry["detail"], json!({"digest": digest, "tags": ["v1"]}));
    let found = world.wait_for(&["--action", "blob-mounted,blob-deleted"]);
    assert_eq!(words(&found, "request"), [mounted]);
    assert_eq!(found[0]["detail"]["from"], "ann/app");

    let of_ann = words(&world.entries(&["--account", "ann"]), "action");
    assert_eq!(of_ann, ["account-added", "token-issued", "manifest-pushed", "blob-mounted"]);
    let other = words(&world.entries(&["--repository", "ann/oth*"]), "action");
    assert_eq!(other, ["token-issued", "blob-mounted"]);
    let everything = words(&world.entries(&["--repository", "ann/**"]), "action");
    assert_eq!(everything, ["token-issued", "manifest-pushed", "blob-mounted"]);
    assert!(world.entries(&["--repository", "bob/**"]).is_empty());
    let all = world.entries(&["--since", "1h"]);
    let actions: BTreeSet<String> = words(&all, "action").into_iter().collect();
    for made in ["account-added", "root-key-made", "signing-key-promoted"] {
        assert!(actions.contains(made), "{actions:?}");
    }
    assert_eq!(all, world.entries(&["--number", "1000"]));
    assert_eq!(world.entries(&["--number", "2"]), all[all.len() - 2..]);
    assert!(world.entries(&["--since", "2099-01-01T00:00:00+01:00"]).is_empty());

    let text = world.audit(&[]).stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(
        text.contains(&digest.to_string()) && text.contains("  manifest-pushed  ann  ann/app\n"),
        "{text}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    let world = World::new();
    for (words, said) in [
        (["--action", "pushed"], "hint: there are account-added, account-disabled, "),
        (["--since", "yesterday"], "as in 2h or 3d, or 2026-11-30T05:00:00Z"),
        (["--repository", "a**"], "\"a**\" is no pattern of repositories"),
        (["--repository", "${account}/**"], "does not say whose repositories"),
    ] {
        let ran = world.audit(&words);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
    let ran = world.audit(&["verify", "--expect", "7"]);
    assert!(ran.status == Some(2) && ran.stderr.contains("NUMBER:HASH"), "{ran}");
}

/// Told as it happens, and ended by Ctrl-C like anything else.
#[tokio::test]
async fn what_happens_is_followed() {
    let world = World::new();
    let data = world.0.folder().join("data");
    let mut following = Command::new(PROGRAM)
        .args(["audit", "--follow", "--json", "--action", "manifest-pushed", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let (digest, _) = world.work().await;
    let entry: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(entry["detail"]["digest"], digest.to_string());
    let id = following.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(following.wait().unwrap().code(), Some(0));
}

/// What the documentation says that it takes, run on a real trail.
#[tokio::test]
async fn the_chain_holds_through_a_kill_and_by_the_script_of_the_documentation() {
    let mut world = World::new();
    world.work().await;
    world.wait_for(&["--action", "manifest-pushed"]);
    world.0.kill();
    world.0.start_again("+0s");
    let disable = ["user", "disable", "ann", "--data", "{folder}/data"];
    world.0.command(&disable, "").expect_success();
    let json = ["verify", "--json"];
    let verdict: Value = serde_json::from_str(&world.audit(&json).expect_success().stdout).unwrap();
    let count = world.entries(&["--since", "1h"]).len();
    assert_eq!(verdict["chained"], count);
    assert_eq!((&verdict["holds"], &verdict["faults"]), (&json!(true), &json!([])));
    let head = verdict["head"].as_str().unwrap();
    let script = world.0.folder().join("verify.py");
    fs::write(&script, script_of_the_documentation()).unwrap();
    let checked = || {
        let mut python = Command::new("/usr/bin/python3");
        portpass_testkit::run(python.arg(&script).arg(world.database()), "")
    };
    assert_eq!(checked().expect_success().stdout, format!("the trail leads to {head}\n"));
    world.audit(&["verify", "--expect", head]).expect_success();

    // Whoever changes an entry by hand.
    let change = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); \
        d.execute(\"UPDATE audit SET actor = 'bob' WHERE action = 'manifest-pushed'\"); d.commit()";
    let mut python = Command::new("/usr/bin/python3");
    portpass_testkit::run(python.args(["-c", change]).arg(world.database()), "").expect_success();
    let pushed = world.entries(&["--action", "manifest-pushed"])[0]["sequence"].to_string();
    let seen = world.audit(&["verify"]);
    assert_eq!(seen.status, Some(1), "{seen}");
    assert!(seen.stdout.starts_with(&format!("entry {pushed} was changed")), "{seen}");
    let checked = checked();
    assert_eq!(checked.status, Some(1), "{checked}");
    assert!(checked.stdout.starts_with(&format!("entry {pushed} does not follow")), "{checked}");
}

fn script_of_the_documentation() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, script) = page.split_once("```python\n").unwrap();
    script.split_once("```").unwrap().0.to_owned()
}

/// The words that an entry can have, and no others.
#[test]
fn the_page_of_operations_names_every_action() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| action | object | what it says |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let cells = table.lines().filter_map(|row| row.split('|').nth(1));
    let documented: BTreeSet<&str> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let ran = World::new().audit(&["--action", "none-of-these"]);
    let hint = ran.stderr.lines().find_map(|line| line.split_once("there are ")).unwrap().1;
    let known: BTreeSet<&str> = hint.split(", ").collect();
    assert_eq!(documented, known);
}
