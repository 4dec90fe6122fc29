//! Rules in a file of their own: reloaded while the server runs, limited to networks, with lifetimes of their own;
//! and the commands that test, check and compare them.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fs, path::Path};

use portpass_testkit::{CommandOutput, Portpass, wait_until};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const PASSWORD: &str = "correct horse battery staple";

const CONFIGURATION: &str = "\
data: {folder}/data
http: { addr: 127.0.0.1:0, trusted_proxies: [127.0.0.1] }
admin: { addr: 127.0.0.1:0 }
registry: {}
token_service:
  services: [ { name: registry } ]
  policy_file: rules.yml
";

const RULES: &str = "\
- { allow: [pull], repository: \"public/**\", to: anyone }
- { allow: [pull, push], repository: \"big/**\", to: signed-in, expiration: 7200 }
- { allow: [push], repository: \"inside/**\", to: signed-in, from: [10.0.0.0/8] }
";

fn serve() -> Portpass {
    serve_with(RULES)
}

fn serve_with(rules: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    fs::write(folder.path().join("portpass.yml"), CONFIGURATION.replace("{folder}", here)).unwrap();
    fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let portpass =
        Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder);
    let command = ["user", "add", "ann", "--password-stdin", "--config", "{folder}/portpass.yml"];
    portpass.command(&command, PASSWORD).expect_success();
    portpass
}

/// A token of ann's, as if she came from `address` through a proxy.
fn token(portpass: &Portpass, scope: &str, address: Option<&str>) -> Value {
    let url = format!("{}/token?service=registry&scope={scope}", portpass.url());
    let mut request = reqwest_of(&url).basic_auth("ann", Some(PASSWORD));
    if let Some(address) = address {
        request = request.header("X-Forwarded-For", address);
    }
    let send = async { request.send().await.unwrap().text().await.unwrap() };
    serde_json::from_str(&runtime().block_on(send)).unwrap()
}

fn reqwest_of(url: &str) -> reqwest::RequestBuilder {
    reqwest::Client::builder().no_proxy().build().unwrap().get(url)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What the token grants, and for how long, in its claims too.
fn granted(portpass: &Portpass, scope: &str, address: Option<&str>) -> (String, u64) {
    let body = token(portpass, scope, address);
    let inspected =
        portpass.command(&["token", "inspect", "--json", "-"], body["token"].as_str().unwrap());
    let claims: Value = serde_json::from_str(&inspected.expect_success().stdout).unwrap();
    let claims = &claims["claims"];
    // A token is valid from a minute before it is signed.
    let lifetime = claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap() - 60;
    assert_eq!(body["expires_in"].as_u64(), Some(lifetime), "{body} {claims}");
    let actions = claims["access"][0]["actions"].as_array().unwrap();
    let words: Vec<&str> = actions.iter().filter_map(Value::as_str).collect();
    (words.join(","), lifetime)
}

fn policy(portpass: &Portpass, arguments: &[&str]) -> CommandOutput {
    let command = [&["policy"], arguments, &["--config", "{folder}/portpass.yml"]].concat();
    portpass.command(&command, "")
}

#[test]
fn a_token_lives_as_long_as_its_rules_say() {
    let portpass = serve();
    let table = [
        ("repository:public/a:pull", "pull", 300),
        ("repository:big/a:pull,push", "pull,push", 7200),
        // What is denied has no lifetime.
        ("repository:big/a:pull,delete", "pull", 7200),
        ("repository:big/a:pull%20repository:public/a:pull", "pull", 300),
        ("repository:other/a:pull", "", 300),
    ];
    for (scope, actions, lifetime) in table {
        assert_eq!(granted(&portpass, scope, None), (actions.to_owned(), lifetime), "{scope}");
    }
}

#[test]
fn a_rule_for_a_network_sees_through_a_trusted_proxy() {
    let portpass = serve();
    for (address, expected) in [
        (None, ""), // the proxy itself
        (Some("10.1.2.3"), "push"),
        (Some("203.0.113.9"), ""),
        (Some("10.1.2.3, 203.0.113.9"), ""), // what a client says of itself does not count
    ] {
        let (actions, _) = granted(&portpass, "repository:inside/a:push", address);
        assert_eq!(actions, expected, "{address:?}");
    }
    let scope = "repository:inside/a:push";
    let said = policy(&portpass, &["explain", "ann", scope, "--from", "203.0.113.9"]);
    let but = "but it applies only from 10.0.0.0/8, not from 203.0.113.9";
    assert!(said.expect_success().stdout.contains(but), "{said}");
    let said = policy(&portpass, &["explain", "ann", scope, "--from", "10.1.2.3"]);
    assert!(said.expect_success().stdout.contains("is granted push"), "{said}");
}

#[test]
fn a_client_that_the_proxy_does_not_name_meets_no_permission_for_a_network_and_every_prohibition() {
    let portpass = serve_with(
        "\
- { allow: [push], repository: \"a/**\", to: signed-in, from: [127.0.0.0/8] }
- { allow: [pull], repository: \"a/**\", to: signed-in }
- { deny: [pull], repository: \"a/**\", to: anyone, from: [203.0.113.0/24] }
",
    );
    for (address, expected) in [
        (None, ""),
        (Some("unix:"), ""),
        (Some("unknown"), ""),
        (Some("203.0.113.5, unknown"), ""),
        (Some("127.0.0.1"), ""), // a proxy as well
        (Some("203.0.113.5"), ""),
        (Some("10.1.2.3"), "pull"),
    ] {
        let (actions, _) = granted(&portpass, "repository:a/b:pull,push", address);
        assert_eq!(actions, expected, "{address:?}");
    }
}

#[test]
fn a_changed_rule_file_is_in_force_without_a_restart_and_a_broken_one_is_not() {
    let portpass = serve();
    let scope = "repository:new/a:pull";
    let pulls = || granted(&portpass, scope, None).0 == "pull";
    assert!(!pulls());
    let file = portpass.folder().join("rules.yml");
    let more = format!("{RULES}- {{ allow: [pull], repository: \"new/**\", to: signed-in }}\n");
    fs::write(&file, &more).unwrap();
    assert!(wait_until(pulls), "{}", portpass.log());
    portpass.wait_for_log(&["the changed rule file is in force", "rules=4"]);

    fs::write(
        &file,
        format!("{RULES}\n- {{ allow: [fetch], repository: \"new/**\", to: signed-in }}\n"),
    )
    .unwrap();
    let line = portpass.wait_for_log(&["the rule file is not used", "rules.yml:5"]);
    assert!(line.contains("there is no action `fetch`") && line.contains("ERROR"), "{line}");
    assert!(pulls(), "the last good rules stay in force");
    let metrics = || {
        let admin = portpass.addresses().last().copied().unwrap();
        let request = reqwest_of(&format!("http://{admin}/metrics"));
        runtime().block_on(async { request.send().await.unwrap().text().await.unwrap() })
    };
    assert!(metrics().contains("portpass_policy_file_rejected 1"), "{}", metrics());
    let check = portpass.command(&["config", "check", "{folder}/portpass.yml"], "");
    assert!(
        check.expect_failure().stderr.contains("rules.yml:5: rule 4: there is no action"),
        "{check}"
    );

    fs::write(&file, RULES).unwrap();
    assert!(wait_until(|| !pulls()), "{}", portpass.log());
    assert!(wait_until(|| metrics().contains("portpass_policy_file_rejected 0")));
}

#[test]
fn expectations_decide_the_exit_status_and_are_reported_to_build_servers() {
    let portpass = serve();
    let folder = portpass.folder();
    let holds = "- { as: anonymous, scope: \"repository:public/a:pull,push\", granted: [pull] }\n";
    let expectations = format!(
        "{holds}- {{ as: ann, from: 10.1.2.3, scope: \"repository:inside/a:push\", granted: [push], rule: 3 }}\n"
    );
    fs::write(folder.join("expected.yml"), &expectations).unwrap();
    let report = folder.join("report.xml");
    let arguments = ["test", "{folder}/expected.yml", "--junit", "{folder}/report.xml"];
    let tested = policy(&portpass, &arguments);
    assert!(tested.expect_success().stderr.contains("2 of 2 expectations hold"), "{tested}");
    assert!(fs::read_to_string(&report).unwrap().contains("tests=\"2\" failures=\"0\""));

    let wrong = "- { as: ann, scope: \"repository:inside/a:push\", granted: [push] }\n";
    fs::write(folder.join("expected.yml"), format!("{expectations}{wrong}")).unwrap();
    let tested = policy(&portpass, &arguments);
    assert_eq!(tested.expect_failure().status, Some(1), "{tested}");
    assert!(
        tested.stdout.contains("expected.yml:3: ann asks for repository:inside/a:push"),
        "{tested}"
    );
    assert!(tested.stdout.contains("but it applies only from 10.0.0.0/8"), "{tested}");
    let xml = fs::read_to_string(&report).unwrap();
    assert!(xml.contains("<failure message=\"expected push, but nothing is granted\">"), "{xml}");

    fs::write(
        folder.join("expected.yml"),
        "- { as: ann, scope: \"repository:a/b:pull\", grant: [] }\n",
    )
    .unwrap();
    let tested = policy(&portpass, &arguments);
    assert!(
        tested.expect_failure().stderr.contains("expected.yml:1:44: unknown key `grant`"),
        "{tested}"
    );
}

#[test]
fn rules_are_looked_over_and_everybody_who_reaches_a_repository_is_listed() {
    let portpass = serve();
    let lint = policy(&portpass, &["lint"]);
    assert_eq!(lint.expect_success().stdout, "", "{lint}");
    let more = "- { allow: [pull], repository: \"public/a\", to: signed-in }\n- { allow: [push], repository: \"in/**\", to: \"group:nobody\" }\n";
    fs::write(portpass.folder().join("rules.yml"), format!("{RULES}{more}")).unwrap();
    let lint = policy(&portpass, &["lint"]);
    assert_eq!(lint.status, Some(3), "{lint}");
    for words in [
        "warning shadowed: rule 1 says all of it",
        "warning no-member: nobody is in `group:nobody`",
    ] {
        assert!(lint.stdout.contains(words), "{lint}");
    }
    let json = policy(&portpass, &["lint", "--json"]);
    let findings: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(findings[0]["rule"], 4, "{json}");
    fs::write(
        portpass.folder().join("rules.yml"),
        format!("{RULES}- {{ allow: [pull], repository: \"Up/**\", to: anyone }}\n"),
    )
    .unwrap();
    assert_eq!(policy(&portpass, &["lint"]).status, Some(1));

    let who = policy(&portpass, &["who", "inside/a", "--json"]);
    let reach: Value = serde_json::from_str(&who.expect_success().stdout).unwrap();
    assert_eq!(reach["callers"][1]["who"], "ann", "{reach}");
    assert_eq!(reach["callers"][1]["actions"], serde_json::json!(["push"]), "{reach}");
    let who = policy(&portpass, &["who", "inside/a", "--from", "203.0.113.9"]);
    assert!(who.expect_success().stdout.starts_with("nobody is known to reach inside/a"), "{who}");
}

/// As with diff: 0 is the same, 1 differs, 2 cannot be compared.
#[test]
fn who_gains_or_loses_what_is_told_by_words_and_by_the_exit_status() {
    let portpass = serve();
    let folder = portpass.folder();
    let diff = |new: &str, more: &[&str]| {
        fs::write(folder.join("new.yml"), new).unwrap();
        let arguments = [&["diff", "{folder}/rules.yml", "{folder}/new.yml"][..], more].concat();
        policy(&portpass, &arguments)
    };
    let reversed = RULES.lines().rev().collect::<Vec<_>>().join("\n");
    let same = diff(&reversed, &[]);
    assert_eq!((same.status, &*same.stdout), (Some(0), ""), "{same}");
    assert!(same.stderr.contains("nobody's rights change"), "{same}");

    let deny =
        "- { deny: [push], repository: \"big/frozen\", to: signed-in, from: [203.0.113.0/24] }\n";
    let differs = diff(&format!("# a comment\n{RULES}{deny}"), &[]);
    assert_eq!(differs.status, Some(1), "{differs}");
    let here = folder.display().to_string();
    assert_eq!(
        differs.stdout.replace(&here, ""),
        "lost: push on big/frozen, from 203.0.113.0/24; or from an unknown address
  who: admin, ann, signed-in
  old: rule 2 (/rules.yml:2): allow [pull, push] repository big/** to signed-in expiration 7200
  new: rule 4 (/new.yml:5): deny [push] repository big/frozen to signed-in from 203.0.113.0/24
"
    );
    let longer = RULES.replace("7200", "600");
    let json: Value = serde_json::from_str(&diff(&longer, &["--json"]).stdout).unwrap();
    let [change] = &json["changes"].as_array().unwrap()[..] else { panic!("{json:#}") };
    assert_eq!(change["change"], "lifetime", "{json:#}");
    assert_eq!(change["old"]["expiration"], 7200, "{json:#}");
    assert_eq!(change["new"]["expiration"], 600, "{json:#}");
    assert_eq!(change["repositories"][0]["patterns"][0], "big/**", "{json:#}");

    for (new, told) in [
        (
            "- { allow: [fetch], repository: a, to: anyone }\n",
            "new.yml:1: rule 1: there is no action",
        ),
        ("token_service: { policy: { docker-auth: acl.yml } }\n", "acl.yml"),
        ("registry: { auth: { none: {} } }\n", "new.yml: this configuration runs no token service"),
    ] {
        let refused = diff(new, &[]);
        assert_eq!(refused.status, Some(2), "{refused}");
        assert!(refused.stderr.contains(told), "{refused}");
    }
}

/// While somebody edits the rules, somebody else may have to end a leaked secret.
#[test]
fn broken_rules_and_files_stop_no_command_that_does_without_them() {
    let portpass = serve();
    let run = |line: &str, stdin: &str| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.extend(["--config", "{folder}/portpass.yml"]);
        portpass.command(&words, stdin)
    };
    run("robot add ci --allow pull --repository public/**", "").expect_success();
    run("robot add old --allow pull --repository public/**", "").expect_success();
    let key = run("key add ann --allow pull --repository public/** --json", "");
    let key: Value = serde_json::from_str(&key.expect_success().stdout).unwrap();
    let revoke_key = format!("key revoke {}", key["id"].as_str().unwrap());
    fs::write(portpass.folder().join("rules.yml"), "- { allow: [pull\n").unwrap();
    for line in [
        "robot list",
        "robot disable ci",
        "robot rotate ci --overlap 0s",
        "robot enable ci",
        "robot remove old",
        "key list",
        &revoke_key,
        "user list",
        "user disable ann",
        "user enable ann",
        "user revoke ann",
        "session list",
        "session revoke --account ann",
        "signing-key list",
        "signing-key rotate",
        "signing-key export",
        "audit",
        "audit verify",
        "explain",
        "user remove ann",
        "backup {folder}/backup",
    ] {
        let done = run(line, "");
        assert_eq!(done.status, Some(0), "{line}: {done}");
    }
    let listed = run("robot list", "");
    assert!(
        listed.stderr.contains("warning: ") && listed.stderr.contains("rules.yml:"),
        "{listed}"
    );
    for line in [
        "policy explain anonymous repository:public/a:pull",
        "policy lint",
        "policy who repository:public/a:pull",
        // A rule may reserve the name.
        "user add bob --password-stdin",
    ] {
        let refused = run(line, PASSWORD);
        assert_eq!(refused.status, Some(1), "{line}: {refused}");
        assert!(refused.stderr.contains("rules.yml:"), "{line}: {refused}");
    }
}
