//! People and their groups: those of the database, of a file and of the configuration.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path};

use portpass_testkit::{CommandOutput, Portpass, wait_until};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "opensesame";

/// bcrypt 5 of [`PASSWORD`].
const HASHED: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

const CONFIGURATION: &str = r#"data: {folder}/data
http: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  services: [ { name: registry } ]
  accounts:
    - local: {}
    - htpasswd: { path: users.htpasswd }
  groups:
    developers: [ann, "htpasswd/bob", "robot:ci"]
    leads: ["group:local/staff"]
  policy:
    - { allow: [pull, push], repository: "team/**", to: "group:developers" }
    - { allow: [pull], repository: "leads/**", to: "group:leads" }
"#;

struct World(Portpass);

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = CONFIGURATION.replace("{folder}", folder.path().to_str().unwrap());
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        let users = format!("bob:{HASHED}\neve:{HASHED}\n");
        fs::write(folder.path().join("users.htpasswd"), users).unwrap();
        let arguments = ["--config", "{folder}/portpass.yml"];
        Self(Portpass::serve_in(Path::new(PROGRAM), &arguments, folder))
    }

    fn run(&self, words: &[&str]) -> CommandOutput {
        let words = [words, &["--config", "{folder}/portpass.yml"]].concat();
        self.0.command(&words, PASSWORD)
    }

    fn json(&self, words: &[&str]) -> Value {
        let ran = self.run(&[words, &["--json"]].concat());
        serde_json::from_str(&ran.expect_success().stdout).unwrap()
    }

    /// What a token that somebody gets lets do.
    async fn granted(&self, name: &str, password: &str, scope: &str) -> Vec<String> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("{}/token", self.0.url()));
        let query = [("service", "registry"), ("scope", scope)];
        let response = request.query(&query).basic_auth(name, Some(password)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let inspected =
            self.0.command(&["token", "inspect", "--json", "-"], body["token"].as_str().unwrap());
        let claims: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
        let access = claims["claims"]["access"].as_array().unwrap().clone();
        let actions = access.iter().flat_map(|one| one["actions"].as_array().unwrap().clone());
        actions.map(|action| action.as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn groups_of_the_configuration_count_for_accounts_of_every_source_their_keys_and_robots() {
    let world = World::new();
    world.run(&["user", "add", "ann", "--groups", "staff,x", "--password-stdin"]).expect_success();
    let limit = ["--allow", "pull", "--repository", "team/**"];
    let key = world.json(&[&["key", "add", "ann"][..], &limit].concat());
    let robot = world.json(&[&["robot", "add", "ci"][..], &limit].concat());
    let secret = |issued: &Value| issued["secret"].as_str().unwrap().to_owned();
    let team = "repository:team/app:pull,push";
    assert_eq!(world.granted("ann", PASSWORD, team).await, ["pull", "push"]);
    assert_eq!(world.granted("bob", PASSWORD, team).await, ["pull", "push"]);
    assert_eq!(world.granted("eve", PASSWORD, team).await, [""; 0]);
    assert_eq!(world.granted("ann", &secret(&key), team).await, ["pull"]);
    assert_eq!(world.granted("robot-ci", &secret(&robot), team).await, ["pull"]);
    let leads = "repository:leads/app:pull";
    assert_eq!(world.granted("ann", PASSWORD, leads).await, ["pull"]);
    assert_eq!(world.granted("bob", PASSWORD, leads).await, [""; 0]);

    // The commands know the same, and when somebody was here last.
    let groups = |name: &str| {
        let users = world.json(&["user", "list"]);
        let user = users.as_array().unwrap().iter().find(|user| user["name"] == name).cloned();
        user.map(|user| json!([user["source"], user["groups"], user["used_at"].is_string()]))
    };
    let listed =
        || groups("ann") == Some(json!(["local", ["developers", "leads", "staff", "x"], true]));
    assert!(wait_until(listed), "{:?}", groups("ann"));
    assert_eq!(groups("bob"), Some(json!(["htpasswd", ["developers"], true])));
    assert_eq!(groups("eve"), Some(json!(["htpasswd", [], true])));
    let explained = world.run(&["policy", "explain", "htpasswd/bob", "repository:team/app:push"]);
    assert!(explained.expect_success().stdout.contains("rule 1 allows push"), "{explained}");
    let explained = world.run(&["policy", "explain", "robot:ci", "repository:team/app:pull,push"]);
    assert!(explained.expect_success().stdout.contains("is granted pull\n"), "{explained}");
    let who = world.json(&["policy", "who", "team/app"]);
    let callers = who["callers"].as_array().unwrap().iter();
    let callers: Vec<&str> = callers.map(|caller| caller["who"].as_str().unwrap()).collect();
    let key = format!("key:{} (ann)", key["id"].as_str().unwrap());
    assert_eq!(callers, ["robot:ci", "ann", "bob", &key, "group:developers"]);
    let lint = world.run(&["policy", "lint"]);
    assert_eq!(lint.expect_success().stdout, "", "{lint}");
}

/// What the database says of groups can be changed; what the configuration says cannot.
#[test]
fn groups_of_the_database_are_changed_and_those_of_the_configuration_are_not() {
    let world = World::new();
    world.run(&["user", "add", "ann", "--password-stdin"]).expect_success();
    let changed = world.run(&["user", "groups", "ann", "--add", "staff", "--add", "x"]);
    let told = changed.expect_success().output();
    assert!(told.contains("ann is in developers, leads, staff, x\n"), "{told}");
    let changed = world.run(&["user", "groups", "ann", "--remove", "staff", "--remove", "x"]);
    let told = changed.expect_success().output();
    assert!(told.contains("ann is in developers\n"), "{told}");
    let refused = world.run(&["user", "groups", "ann", "--remove", "developers"]);
    let told = refused.expect_failure().output();
    assert!(told.contains("`token_service.groups` puts `ann` into \"developers\""), "{told}");
}

/// A group that the configuration gives to nobody who exists is found.
#[test]
fn members_that_do_not_exist_are_found() {
    let world = World::new();
    let lint = world.run(&["policy", "lint"]);
    assert_eq!(lint.status, Some(3), "{lint}");
    for words in [
        "warning no-account: `ann` is in `developers` and does not exist",
        "warning no-account: `robot:ci` is in `developers` and does not exist",
        "warning no-member: `group:local/staff` is in `leads`, and nobody is in it",
        "warning no-member: nobody is in `group:leads`",
    ] {
        assert!(lint.stdout.contains(words), "{words}: {lint}");
    }
    assert!(!lint.stdout.contains("htpasswd/bob"), "{lint}");
}
