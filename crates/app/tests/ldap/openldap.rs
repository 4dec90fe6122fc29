//! `OpenLDAP`: docker for a user of a nested group, every way to speak with the server, every way to find
//! groups.

use portpass_testkit::{Certificates, Client, Dockerd, Layout, RegistryAddress, Slapd};

use crate::world::{PASSWORD, PEOPLE, SEARCHED, World};

fn slapd() -> Slapd {
    let slapd = Slapd::start(None);
    slapd.add(PEOPLE);
    slapd
}

#[tokio::test]
async fn docker_logs_in_pushes_and_pulls_by_the_right_of_a_nested_group() {
    let slapd = slapd();
    let world = World::of(&slapd);
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    let place = RegistryAddress::plain(world.portpass.address());
    let mut docker = Dockerd::start();
    docker.login(&world.portpass.address().to_string(), "bob", "wrong").expect_failure();
    Client::login(&mut docker, &place, "ann", PASSWORD).unwrap().expect_success();
    let image = place.image("team/app:1");
    docker.push(&layout, &image).expect_success();
    docker.pull(&image).ran.expect_success();

    let refused = docker.push(&layout, &place.image("other/app:1"));
    assert!(refused.expect_failure().output().contains("denied"), "{refused}");
    let line = world.portpass.wait_for_log(&["access:", "insufficient-scope", "other/app"]);
    let request = line.split("request_id=").nth(1).unwrap().split(' ').next().unwrap();
    let said = world.manage(&["explain", request]);
    assert!(said.expect_success().stdout.contains("ann"), "{said}");
    let said = world.manage(&["policy", "explain", "ann", "repository:other/app:push"]);
    assert!(said.expect_success().stdout.contains("ann"), "{said}");
    let said = world.manage(&["policy", "explain", "ann", "repository:team/app:push"]);
    assert!(said.expect_success().stdout.contains("developers"), "{said}");
}

#[tokio::test]
async fn one_account_has_one_name_however_it_is_typed() {
    let slapd = slapd();
    let world = World::of(&slapd);
    let scope = "repository:ann/app:push";
    for name in ["ann", "Ann", "ANN"] {
        assert_eq!(world.token(name, PASSWORD, scope).await.granted(), ["push"], "{name}");
    }
    world.token("nobody", PASSWORD, scope).await.is_refused();
    world.token("ann", "wrong", scope).await.is_refused();

    // Who is called like a local account is not let in by another spelling of it.
    slapd.add(&PEOPLE.split("\n\n").next().unwrap().replace("ann", "root"));
    assert_eq!(world.token("Root", PASSWORD, scope).await.status, 200);
    world.manage(&["user", "add", "root", "--password-stdin"]).expect_success();
    let refused = world.token("rOOt", PASSWORD, scope).await;
    refused.is_refused();
    world.explains(
        &refused,
        &["account-shadowed", "`root` of `ldap` is shadowed: `local` is asked first"],
    );
}

#[tokio::test]
async fn a_password_is_never_empty() {
    let slapd = slapd();
    let direct = "        user_dn: \"uid=${account},ou=people,dc=example,dc=org\"\n";
    let server = format!("        servers: [\"{}\"]\n", slapd.url());
    for world in [World::of(&slapd), World::with(&format!("{server}{direct}"))] {
        assert_eq!(world.token("ann", "", "repository:ann/app:pull").await.status, 401);
    }
    assert_eq!(slapd.binds("uid=ann,ou=people,dc=example,dc=org"), 0);
}

#[tokio::test]
async fn groups_are_found_by_attribute_by_search_and_by_chain() {
    let slapd = slapd();
    for (groups, is) in [
        ("search: { filter: \"(member=${dn})\" }", &["backend", "developers"][..]),
        ("search: { filter: \"(member=${dn})\", nested: false }", &["backend"]),
        ("chain: {}", &["backend", "developers"]),
        ("member_of: {}", &["backend"]),
        ("member_of: { nested: true }", &["backend", "developers"]),
        ("member_of: { nested: true, base: \"ou=people,dc=example,dc=org\" }", &[]),
        ("chain: { base: \"OU=Groups, DC=example,DC=org\" }", &["backend", "developers"]),
    ] {
        let section = SEARCHED.replace("search: { filter: \"(member=${dn})\" }", groups);
        let rules = "    \
    - { allow: [pull], repository: a/backend, to: \"group:backend\" }
    - { allow: [pull], repository: a/developers, to: \"group:CN=Developers, OU=Groups,DC=example,DC=org\" }
";
        let servers = format!("        servers: [\"{}\"]\n{section}", slapd.url());
        let world = World::with_rules(&servers, rules);
        for group in ["backend", "developers"] {
            let scope = format!("repository:a/{group}:pull");
            let granted = !world.token("ann", PASSWORD, &scope).await.granted().is_empty();
            assert_eq!(granted, is.contains(&group), "{groups}: {group}");
        }
    }
}

/// A group of the directory gets a name here, and people of it are in others.
#[tokio::test]
async fn the_configuration_gives_members_of_a_group_another() {
    let slapd = slapd();
    let rules = "    \
    - { allow: [pull], repository: a/staff, to: \"group:staff\" }
    - { allow: [pull], repository: a/crew, to: \"group:crew\" }
  groups:
    staff: [\"group:ldap/CN=Developers, OU=Groups,DC=example,DC=org\", \"local/bob\"]
    crew: [\"ldap/bob\", \"group:ldap/backend\"]
";
    let servers = format!("        servers: [\"{}\"]\n{SEARCHED}", slapd.url());
    let world = World::with_rules(&servers, rules);
    for (account, staff, crew) in [("ann", true, true), ("bob", false, true)] {
        for (group, is_in) in [("staff", staff), ("crew", crew)] {
            let scope = format!("repository:a/{group}:pull");
            let granted = !world.token(account, PASSWORD, &scope).await.granted().is_empty();
            assert_eq!(granted, is_in, "{account} in {group}");
        }
    }
    let login = world.login("ann", PASSWORD).await;
    let refreshed = world.refresh(login.refresh_token(), "repository:a/staff:pull").await;
    assert_eq!(refreshed.granted(), ["pull"]);
    let said = world.manage(&["policy", "explain", "ann", "repository:a/staff:pull"]);
    assert!(said.expect_success().stdout.contains("is granted pull"), "{said}");
}

#[tokio::test]
async fn every_way_to_the_server_that_is_safe_is_taken() {
    let certificates = Certificates::new();
    let slapd = Slapd::start(Some(&certificates));
    slapd.add(PEOPLE);
    let ca = format!("        ca: {}\n", certificates.ca().display());
    for (way, url, starttls) in
        [("LDAPS", slapd.tls_url(), ""), ("StartTLS", slapd.url(), "        starttls: true\n")]
    {
        let servers = format!("        servers: [\"{url}\"]\n{ca}{starttls}");
        let world = World::with(&format!("{servers}{SEARCHED}"));
        let answer = world.token("ann", PASSWORD, "repository:team/app:push").await;
        assert_eq!(answer.granted(), ["push"], "{way}");
        let direct = "        user_dn: \"uid=${account},ou=people,dc=example,dc=org\"\n        base: dc=example,dc=org\n        groups: { chain: {} }\n";
        let world = World::with(&format!("{servers}{direct}"));
        let answer = world.login("ann", PASSWORD).await;
        assert_eq!(answer.status, 200, "{way}: {answer:?}");
        // Nobody could ask about the account later.
        assert_eq!(answer.body["refresh_token"], serde_json::Value::Null);
        let answer = world.token("ANN", PASSWORD, "repository:team/app:push").await;
        assert_eq!(answer.granted(), ["push"], "{way}, directly");
        world.token("nobody", PASSWORD, "").await.is_refused();
    }
}
