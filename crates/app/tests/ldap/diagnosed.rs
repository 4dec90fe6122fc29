//! `diagnose --ldap`: which step of a login fails, and why.

use portpass_testkit::{Certificates, SilentServer, Slapd};
use serde_json::Value;

use crate::world::{PASSWORD, PEOPLE, SEARCHED, World};

/// What `diagnose --ldap` says with these words, and whether it found a fault.
fn diagnosed(world: &World, words: &[&str], password: &str) -> (Vec<Value>, bool) {
    let words = [&["diagnose", "--ldap", "--json", "--config", "{folder}/portpass.yml"], words];
    let said = world.portpass.command(&words.concat(), password);
    assert!(!said.output().contains(PASSWORD), "{said}");
    let servers = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"));
    (servers, said.success)
}

/// The steps with one server: what was tried, and what came of it.
fn steps(server: &Value) -> Vec<(String, bool, String)> {
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = server["steps"].as_array().unwrap().iter();
    steps.map(|step| (text(step, "step"), step["works"] == true, text(step, "result"))).collect()
}

/// The last step, which fails.
#[track_caller]
fn fails(world: &World, words: &[&str], password: &str, expected: (&str, &str)) {
    let (servers, success) = diagnosed(world, words, password);
    assert!(!success, "{servers:?}");
    let steps = steps(&servers[0]);
    let ((step, passed, why), before) = steps.split_last().unwrap();
    assert!(before.iter().all(|(_, passed, _)| *passed), "{steps:?}");
    assert!(!passed && step == expected.0 && why.contains(expected.1), "{steps:?}");
}

fn slapd(certificates: Option<&Certificates>) -> Slapd {
    let slapd = Slapd::start(certificates);
    slapd.add(PEOPLE);
    slapd
}

#[test]
fn a_login_that_works_has_no_step_that_fails() {
    let certificates = Certificates::new();
    let slapd = slapd(Some(&certificates));
    let ca = certificates.ca();
    let section = format!(
        "        servers: [\"{}\"]\n        ca: {}\n{SEARCHED}",
        slapd.tls_url(),
        ca.display()
    );
    let world = World::with(&section);
    let (servers, success) = diagnosed(&world, &["-u", "ann", "--password-stdin"], PASSWORD);
    assert!(success, "{servers:?}");
    assert_eq!(
        (&servers[0]["source"], &servers[0]["server"]),
        (&"ldap".into(), &slapd.tls_url().into())
    );
    let steps = steps(&servers[0]);
    let told: Vec<_> = steps.iter().map(|(step, _, told)| (step.as_str(), told.as_str())).collect();
    assert_eq!(
        told[1..],
        [
            ("TLS", "the certificate is good"),
            ("bind of cn=portpass,ou=people,dc=example,dc=org", "result 0"),
            ("search for ann", "uid=ann,ou=people,dc=example,dc=org"),
            ("groups", "backend, developers"),
            ("account", "`ann`, which may log in"),
            ("password", "right"),
        ]
    );
    // Without a name, whether anything is to be seen.
    let (servers, success) = diagnosed(&world, &[], "");
    assert!(success, "{servers:?}");
    assert_eq!(servers[0]["steps"][3]["step"], "search below dc=example,dc=org");
}

#[test]
fn each_step_that_fails_says_why() {
    let slapd = slapd(None);
    let world = World::of(&slapd);
    fails(
        &world,
        &["-u", "nobody"],
        "",
        ("search for nobody", "`filter` finds no entry below dc=example,dc=org"),
    );
    fails(
        &world,
        &["-u", "ann", "--password-stdin"],
        "wrong",
        ("password", "the password is wrong"),
    );
    slapd.modify("dn: cn=portpass,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPassword\nuserPassword: another one\n");
    fails(
        &world,
        &[],
        "",
        ("bind of cn=portpass,ou=people,dc=example,dc=org", "does not let `bind_dn`"),
    );

    let (theirs, ours) = (Certificates::new(), Certificates::new());
    let other = self::slapd(Some(&theirs));
    let world = |server: &str, more: &str| {
        World::with(&format!(
            "        servers: [\"{server}\"]\n        timeout: 1s\n{more}{SEARCHED}"
        ))
    };
    let ca = format!("        ca: {}\n", ours.ca().display());
    fails(&world(&other.tls_url(), &ca), &[], "", ("TLS", "`ca` has to name the authority"));
    let silent = SilentServer::start();
    let silent = world(&format!("ldap://{}", silent.address()), "");
    fails(
        &silent,
        &[],
        "",
        ("bind of cn=portpass,ou=people,dc=example,dc=org", "has not answered within 1 s"),
    );
    let mut gone = self::slapd(None);
    let url = gone.url();
    gone.end();
    fails(&world(&url, ""), &[], "", ("connection", "Connection refused"));
}

#[test]
fn where_nobody_searches_a_password_says_all() {
    let slapd = slapd(None);
    let section = format!(
        "        servers: [\"{}\"]\n        user_dn: \"uid=${{account}},ou=people,dc=example,dc=org\"\n",
        slapd.url()
    );
    let world = World::with(&section);
    let (servers, success) = diagnosed(&world, &["-u", "ann", "--password-stdin"], PASSWORD);
    assert!(success, "{servers:?}");
    assert_eq!(servers[0]["steps"][1]["result"], "`ann`, groups: none");
    fails(
        &world,
        &["-u", "ann", "--password-stdin"],
        "wrong",
        ("login of ann", "the password is wrong"),
    );
}
