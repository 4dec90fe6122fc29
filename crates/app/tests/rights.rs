//! A user reaches what the rules allow and nothing else: for every pair of a generated table, the
//! token, `policy explain` and the registry say the same.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use portpass_testkit::Portpass;
use reqwest::{Client, StatusCode};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

const CONFIGURATION: &str = "\
data: {folder}/data
http: { addr: 127.0.0.1:0 }
registry:
  storage: { delete: { enabled: true } }
token_service:
  services: [ { name: registry } ]
  accounts: [ local: {} ]
  anonymous: true
  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push], repository: \"${account}/**\", to: signed-in }
    - { allow: [pull, push, delete], repository: \"team/**\", to: \"group:developers\" }
    - { allow: [\"*\"], repository: \"**\", to: \"user:root\" }
    - { allow: [\"*\"], registry: catalog, to: \"user:root\" }
    - { allow: [push], repository: \"prod/*/app\", to: \"group:release\" }
    - { allow: [pull], repository: \"prod/**\", to: signed-in }
    - { deny: [push, delete], repository: \"prod/**\", to: signed-in, except: \"group:release\" }
    - { deny: [pull], repository: \"team/secret\", to: \"user:bob\" }
";

/// Accounts and their groups; the last is a caller without credentials.
const ACCOUNTS: &[(&str, &[&str])] = &[
    ("root", &[]),
    ("ann", &["developers"]),
    ("bob", &["developers", "release"]),
    ("carol", &[]),
    (ANONYMOUS, &[]),
];
const ANONYMOUS: &str = "anonymous";
const PASSWORD: &str = "correct horse battery staple";

/// 40 scopes, so 200 pairs.
fn scopes() -> Vec<String> {
    let repositories = [
        "public/app",
        "public",
        "ann/app",
        "bob/x/y",
        "team/app",
        "team/secret",
        "prod/x/app",
        "prod/x",
        "annex/app",
    ];
    let actions = ["pull", "pull,push", "delete", "*"];
    let mut scopes: Vec<String> = repositories
        .iter()
        .flat_map(|repository| actions.map(|actions| format!("repository:{repository}:{actions}")))
        .collect();
    scopes.extend(
        [
            "registry:catalog:*",
            "registry:catalog:pull",
            "repository(plugin):public/app:pull",
            "other:public/app:pull",
        ]
        .map(str::to_owned),
    );
    scopes
}

fn serve() -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    fs::write(folder.path().join("portpass.yml"), CONFIGURATION.replace("{folder}", here)).unwrap();
    let portpass =
        Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder);
    for (account, groups) in ACCOUNTS.iter().filter(|(account, _)| *account != ANONYMOUS) {
        let mut command =
            vec!["user", "add", account, "--password-stdin", "--config", "{folder}/portpass.yml"];
        for group in *groups {
            command.extend(["--group", group]);
        }
        portpass.command(&command, PASSWORD).expect_success();
    }
    portpass
}

async fn token(client: &Client, portpass: &Portpass, account: &str, scope: &str) -> String {
    let url = format!("{}/token?service=registry", portpass.url());
    let mut request = client.get(url).query(&[("scope", scope)]);
    if account != ANONYMOUS {
        request = request.basic_auth(account, Some(PASSWORD));
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{account} {scope}");
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    body["token"].as_str().unwrap().to_owned()
}

/// What a token allows, by resource.
fn access_of(portpass: &Portpass, token: &str) -> BTreeMap<String, BTreeSet<String>> {
    let inspected = portpass.command(&["token", "inspect", "--json", "-"], token);
    let inspected: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
    let entries = inspected["claims"]["access"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap().to_owned();
            (format!("{}:{}", word("type"), word("name")), words(&entry["actions"]))
        })
        .collect()
}

/// What `policy explain` says of one scope for one account.
fn explained(portpass: &Portpass, account: &str, scope: &str) -> Value {
    let command =
        ["policy", "explain", account, scope, "--json", "--config", "{folder}/portpass.yml"];
    let said = portpass.command(&command, "");
    let mut explanations: Vec<Value> = serde_json::from_str(&said.expect_success().stdout).unwrap();
    assert_eq!(explanations.len(), 1, "{said}");
    explanations.remove(0)
}

fn words(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn token_explanation_and_registry_agree_for_two_hundred_pairs() {
    let portpass = serve();
    let client = Client::builder().no_proxy().build().unwrap();
    let scopes = scopes();
    assert_eq!(scopes.len() * ACCOUNTS.len(), 200);
    let mut granted_somewhere = 0;
    for (account, _) in ACCOUNTS {
        for scope in &scopes {
            let explanation = explained(&portpass, account, scope);
            let token = token(&client, &portpass, account, scope).await;
            let access = access_of(&portpass, &token);
            let resource = explanation["resource"].as_str().unwrap();
            let of_token = access.get(resource).cloned().unwrap_or_default();
            let of_explanation = words(&explanation["granted"]);
            assert_eq!(of_token, of_explanation, "{account} {scope}\n{explanation:#}");
            assert_eq!(access.len(), 1, "a token says what was asked, and no more: {access:?}");
            granted_somewhere += usize::from(!of_token.is_empty());
            registry_agrees(&client, &portpass, &token, resource, &of_token).await;
        }
    }
    // Neither a policy that grants nothing nor one that grants all would show anything.
    assert!(
        (40..160).contains(&granted_somewhere),
        "{granted_somewhere} of 200 pairs grant something"
    );
}

/// The registry serves what the token allows (the repository is empty: 404, 202), and nothing else
/// (401 with `insufficient_scope`).
async fn registry_agrees(
    client: &Client,
    portpass: &Portpass,
    token: &str,
    resource: &str,
    granted: &BTreeSet<String>,
) {
    let holds = |action: &str| granted.contains(action) || granted.contains("*");
    let url = |path: &str| format!("{}/v2/{path}", portpass.url());
    let requests = match resource.split_once(':').unwrap() {
        ("repository", name) => vec![
            (client.get(url(&format!("{name}/manifests/none"))), holds("pull")),
            (client.post(url(&format!("{name}/blobs/uploads/"))), holds("pull") && holds("push")),
            (client.delete(url(&format!("{name}/manifests/none"))), holds("delete")),
        ],
        ("registry", "catalog") => vec![(client.get(url("_catalog")), granted.contains("*"))],
        _ => return,
    };
    for (request, allowed) in requests {
        let answer = request.bearer_auth(token).send().await.unwrap();
        let said = (answer.status(), answer.headers().get("www-authenticate").cloned());
        if allowed {
            assert_ne!(said.0, StatusCode::UNAUTHORIZED, "{resource} with {granted:?}: {said:?}");
        } else {
            assert_eq!(said.0, StatusCode::UNAUTHORIZED, "{resource} with {granted:?}");
            let challenge = said.1.unwrap();
            assert!(challenge.to_str().unwrap().contains("error=\"insufficient_scope\""));
        }
    }
}

/// Those of the table that matter most, written out, so that the three cannot be wrong together.
#[tokio::test]
async fn what_the_rules_say_is_what_one_reads_in_them() {
    let portpass = serve();
    let client = Client::builder().no_proxy().build().unwrap();
    for (account, scope, granted) in [
        (ANONYMOUS, "repository:public/app:pull,push", "pull"),
        (ANONYMOUS, "repository:public:pull", ""),
        (ANONYMOUS, "repository:team/app:pull", ""),
        (ANONYMOUS, "repository:prod/x/app:pull,push", ""),
        ("ann", "repository:ann/app:pull,push,delete", "pull push"),
        ("ann", "repository:annex/app:pull", ""),
        ("ann", "repository:bob/x/y:pull", ""),
        ("ann", "repository:team/app:*", "delete pull push"),
        ("ann", "repository:prod/x/app:pull,push", "pull"),
        ("bob", "repository:prod/x/app:pull,push", "pull push"),
        ("bob", "repository:prod/x:push", ""),
        ("bob", "repository:team/secret:pull,push", "push"),
        ("carol", "repository:team/app:pull", ""),
        ("carol", "registry:catalog:*", ""),
        ("root", "registry:catalog:*", "*"),
        ("root", "repository:anything/at/all:*", "*"),
        // A deny for everybody who is signed in binds root too, and a star with a hole is no star.
        ("root", "repository:prod/x/app:*", "pull"),
    ] {
        let token = token(&client, &portpass, account, scope).await;
        let access = access_of(&portpass, &token);
        let actions: Vec<&str> = access.values().flatten().map(String::as_str).collect();
        assert_eq!(actions.join(" "), granted, "{account} {scope}");
    }
}

/// Who somebody is to `policy who`, and the name and the secret to log in with; none for anonymous callers.
type Caller = (String, Option<(String, String)>);

/// All accounts, three robots and three API keys.
fn callers(portpass: &Portpass) -> Vec<Caller> {
    let accounts = ACCOUNTS.iter().map(|(account, _)| {
        let login = (*account != ANONYMOUS).then(|| (account.to_string(), PASSWORD.to_owned()));
        (account.to_string(), login)
    });
    let mut callers: Vec<Caller> = accounts.collect();
    let admin = fs::read_to_string(portpass.folder().join("data/admin-password")).unwrap();
    callers.push(("admin".to_owned(), Some(("admin".to_owned(), admin.trim().to_owned()))));
    for (kind, name, allow, repository) in [
        ("robot", "ci", "pull,push", "prod/*"),
        ("robot", "team", "*", "team/**"),
        ("robot", "own", "pull", "nobody/else/**"),
        ("key", "ann", "pull", "team/**"),
        ("key", "bob", "*", "prod/**"),
        ("key", "root", "delete", "public/**"),
    ] {
        let limits = ["--allow", allow, "--repository", repository, "--json"];
        let command = [&[kind, "add", name][..], &limits, &["--config", "{folder}/portpass.yml"]];
        let made = portpass.command(&command.concat(), "");
        let made: Value = serde_json::from_str(&made.expect_success().stdout).unwrap();
        let word = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
        let who = match kind {
            "robot" => format!("robot:{name}"),
            _ => format!("key:{} ({name})", word("id")),
        };
        callers.push((who, Some((word("username"), word("secret")))));
    }
    callers
}

/// Everybody asks for all actions on each repository; `policy who` lists those who got some, with what they got.
#[tokio::test]
async fn who_reaches_a_repository_is_who_gets_a_token_for_it() {
    let portpass = serve();
    let client = Client::builder().no_proxy().build().unwrap();
    let callers = callers(&portpass);
    let mut reaching = 0;
    for repository in REPOSITORIES {
        let mut expected = BTreeMap::new();
        for (who, login) in &callers {
            let url = format!("{}/token?service=registry", portpass.url());
            let scope = format!("repository:{repository}:pull,push,delete");
            let mut request = client.get(url).query(&[("scope", &scope)]);
            if let Some((name, secret)) = login {
                request = request.basic_auth(name, Some(secret));
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{who} {scope}");
            let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let access = access_of(&portpass, body["token"].as_str().unwrap());
            let granted = access.into_values().flatten().collect::<BTreeSet<_>>();
            if !granted.is_empty() {
                expected.insert(who.clone(), granted);
            }
        }
        assert_eq!(listed(&portpass, repository), expected, "{repository}");
        reaching += expected.len();
    }
    assert!((20..60).contains(&reaching), "{reaching} of 84 reach something");
}

/// What `policy who` says of everybody but members of groups, who are among the accounts too.
fn listed(portpass: &Portpass, repository: &str) -> BTreeMap<String, BTreeSet<String>> {
    let command = ["policy", "who", repository, "--json", "--config", "{folder}/portpass.yml"];
    let said = portpass.command(&command, "");
    let reach: Value = serde_json::from_str(&said.expect_success().stdout).unwrap();
    let callers = reach["callers"].as_array().unwrap().iter();
    callers
        .map(|caller| (caller["who"].as_str().unwrap().to_owned(), words(&caller["actions"])))
        .filter(|(who, _)| !who.starts_with("group:"))
        .collect()
}

/// Some that rules give, some that a `deny` takes, and one that only a robot's own permission is about.
const REPOSITORIES: [&str; 7] =
    ["public/app", "ann/app", "team/app", "team/secret", "prod/x", "prod/x/app", "nobody/else/x"];
