//! Active Directory, as Samba is one: docker for users by both their names, a nested and a primary group,
//! and why somebody is not let in.

use std::fs;

use portpass_testkit::{Client, Dockerd, Layout, RegistryAddress, Samba, samba::ADMINISTRATOR};

use crate::world::World;

const PASSWORD: &str = "c0rrect Horse";

/// One test, since one domain takes half a minute.
#[tokio::test]
async fn accounts_of_active_directory_are_accounts_here() {
    let samba = domain();
    let world = world(&samba);
    docker_knows_both_names(&world);
    groups_of_every_kind_count(&world).await;
    reasons_are_told_apart(&samba, &world).await;
    names_from_a_template_work(&samba).await;
}

/// alice is in `backend`, which is in `developers`; her primary group is `Domain Users`, which is in `staff`.
fn domain() -> Samba {
    let samba = Samba::start();
    for name in ["alice", "dora", "lena"] {
        samba.tool(&["user", "create", name, PASSWORD]);
    }
    samba.tool(&["user", "create", "mona", PASSWORD, "--must-change-at-next-login"]);
    for group in ["backend", "developers", "staff"] {
        samba.tool(&["group", "add", group]);
    }
    samba.tool(&["group", "addmembers", "backend", "alice"]);
    samba.tool(&["group", "addmembers", "developers", "backend"]);
    samba.tool(&["group", "addmembers", "staff", "Domain Users"]);
    samba.tool(&["user", "disable", "dora"]);
    let threshold = "--account-lockout-threshold=2";
    samba.tool(&["domain", "passwordsettings", "set", threshold]);
    samba
}

fn world(samba: &Samba) -> World {
    let rules = "    \
    - { allow: [pull, push], repository: \"team/**\", to: \"group:developers\" }
    - { allow: [pull], repository: \"staff/**\", to: \"group:staff\" }
    - { allow: [pull], repository: \"domain/**\", to: \"group:Domain Users\" }
    - { allow: [pull, push], repository: \"${account}/**\", to: signed-in }
";
    World::with_rules(
        &format!(
            "        servers: [\"{}\"]
        ca: {}
        bind_dn: Administrator@EXAMPLE.TEST
        bind_password: \"{ADMINISTRATOR}\"
        base: dc=example,dc=test
        filter: \"(&(objectClass=user)(|(sAMAccountName=${{account}})(userPrincipalName=${{account}})))\"
        groups: {{ chain: {{}} }}
",
            samba.url(),
            samba.ca().display(),
        ),
        rules,
    )
}

fn docker_knows_both_names(world: &World) {
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::runnable(&scratch.path().join("image"), "hello");
    let place = RegistryAddress::plain(world.portpass.address());
    for (number, name) in ["alice", "Alice@EXAMPLE.test"].into_iter().enumerate() {
        let mut docker = Dockerd::start();
        docker.login(&world.portpass.address().to_string(), name, "wrong").expect_failure();
        Client::login(&mut docker, &place, name, PASSWORD).unwrap().expect_success();
        let stored = fs::read_to_string(docker.configuration_file()).unwrap();
        assert!(stored.contains("identitytoken"), "{stored}");
        for repository in ["team/app", "alice/app"] {
            let image = place.image(&format!("{repository}:{number}"));
            docker.push(&layout, &image).expect_success();
            docker.pull(&image).ran.expect_success();
        }
        docker.push(&layout, &place.image("other/app:1")).expect_failure();
    }
    let said = world.manage(&["policy", "explain", "alice", "repository:team/app:push"]);
    assert!(said.expect_success().stdout.contains("developers"), "{said}");
}

/// By the chain of members, by the primary group, and by a group that this is in.
async fn groups_of_every_kind_count(world: &World) {
    for repository in ["team/app", "domain/app", "staff/app"] {
        let answer = world.token("alice", PASSWORD, &format!("repository:{repository}:pull")).await;
        assert_eq!(answer.granted(), ["pull"], "{repository}");
    }
    let answer = world.token("Administrator", ADMINISTRATOR, "repository:team/app:pull").await;
    assert!(answer.granted().is_empty());
}

async fn reasons_are_told_apart(samba: &Samba, world: &World) {
    for _ in 0..2 {
        world.token("lena", "wrong", "").await.is_refused();
    }
    for (name, password, reason) in [
        ("alice", "wrong", "the password is wrong"),
        ("dora", PASSWORD, "the account is disabled (data 533)"),
        ("dora", "wrong", "the password is wrong"),
        ("mona", PASSWORD, "the password must be changed first (data 773)"),
        ("lena", PASSWORD, "the account is locked (data 775)"),
    ] {
        let answer = world.token(name, password, "").await;
        answer.is_refused();
        let line = world.portpass.wait_for_log(&["access:", &answer.request]);
        assert!(line.contains(reason), "{name}: {line}");
        world.explains(&answer, &[reason]);
    }
    // Disabled after the login: the refresh token says so as soon as the directory is asked again.
    let said = world.manage(&["policy", "explain", "dora", "repository:dora/app:pull"]);
    assert!(said.expect_success().output().contains("disabled"), "{said}");
    samba.tool(&["user", "enable", "dora"]);
    assert_eq!(world.token("dora", PASSWORD, "").await.status, 200);
}

async fn names_from_a_template_work(samba: &Samba) {
    let world = World::with(&format!(
        "        servers: [\"{}\"]
        ca: {}
        user_dn: \"${{account}}@example.test\"
        base: dc=example,dc=test
        filter: \"(sAMAccountName=${{account}})\"
        groups: {{ chain: {{}} }}
",
        samba.url(),
        samba.ca().display(),
    ));
    let answer = world.token("ALICE", PASSWORD, "repository:team/app:push").await;
    assert_eq!(answer.granted(), ["push"]);
    world.token("alice", "wrong", "").await.is_refused();
}
