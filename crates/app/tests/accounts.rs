//! People and their groups: those of the database, of a file and of the configuration.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use portpass_state::{AuditRecord, Change, Db};
use portpass_testkit::{CommandOutput, Portpass, wait_until};
use secrecy::ExposeSecret as _;
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

/// Logins at once, beside a server that runs: one replaces the hash, and no session ends. A file stays as it is.
#[tokio::test]
async fn an_older_hash_is_replaced_at_a_login_and_no_session_ends() {
    let world = World::new();
    world.run(&["user", "add", "ann", "--password-stdin"]).expect_success();
    let db = Db::open(&world.0.folder().join("data/portpass.db")).await.unwrap();
    let audit = AuditRecord {
        at: SystemTime::UNIX_EPOCH,
        action: "password-changed".to_owned(),
        actor: None,
        object: Some("ann".to_owned()),
        address: None,
        request: None,
        detail: json!({}),
    };
    let change = db.set_password("ann", &HASHED.into(), &audit).await.unwrap();
    assert_eq!(change, Change::Done);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |form: &[(&str, &str)]| {
        let common = [("service", "registry"), ("client_id", "test")];
        let form = [form, &common].concat();
        let sent = client.post(format!("{}/token", world.0.url())).form(&form).send().await;
        let response = sent.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap())
    };
    let login = [
        ("grant_type", "password"),
        ("username", "ann"),
        ("password", PASSWORD),
        ("access_type", "offline"),
    ];
    let logins = futures_util::future::join_all((0..6).map(|_| ask(&login))).await;
    let replaced = async {
        loop {
            let ann = db.account("ann").await.unwrap().unwrap();
            if ann.password_hash.as_ref().unwrap().expose_secret().starts_with("$argon2id$") {
                break ann;
            }
            tokio::task::yield_now().await;
        }
    };
    let ann = tokio::time::timeout(Duration::from_mins(1), replaced).await.unwrap();
    assert_eq!(ann.credential_version, 2, "as the change of the password left it");
    for (status, body) in logins {
        assert_eq!(status, 200, "{body}");
        let refresh = body["refresh_token"].as_str().unwrap();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        assert_eq!(ask(&form).await.0, 200);
    }
    assert_eq!(ask(&login).await.0, 200);
    assert_eq!(ask(&[login[0], login[1], ("password", "opensesam"), login[3]]).await.0, 401);
    let trail = world.run(&["audit", "--json", "--action", "password-rehashed"]);
    let entries: Vec<Value> =
        trail.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let objects: Vec<&Value> = entries.iter().map(|entry| &entry["object"]).collect();
    assert_eq!(objects, ["ann"], "{trail}");

    let bob = [login[0], ("username", "bob"), login[2], login[3]];
    assert_eq!(ask(&bob).await.0, 200);
    let file = fs::read_to_string(world.0.folder().join("users.htpasswd")).unwrap();
    assert!(file.starts_with(&format!("bob:{HASHED}\n")), "{file}");
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

#[test]
fn changes_of_groups_at_the_same_time_are_all_kept() {
    let world = World::new();
    world.run(&["user", "add", "ann", "--groups", "old", "--password-stdin"]).expect_success();
    std::thread::scope(|scope| {
        let change = |words: [&'static str; 2]| {
            let world = &world;
            scope.spawn(move || {
                let command = [&["user", "groups", "ann"], words.as_slice()].concat();
                world.run(&command).expect_success();
            });
        };
        change(["--remove", "old"]);
        for group in ["a", "b", "c", "d", "e"] {
            change(["--add", group]);
        }
    });
    let last = world.run(&["user", "groups", "ann", "--add", "f"]);
    let told = last.expect_success().output();
    assert!(told.contains("ann is in a, b, c, d, developers, e, f\n"), "{told}");

    let refused = world.run(&["user", "groups", "ann", "--add", "x", "--remove", "x"]);
    let told = refused.expect_failure().output();
    assert!(told.contains("`--add` and `--remove` both name the group \"x\""), "{told}");
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
