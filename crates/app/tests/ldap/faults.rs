//! What each user sees when something is wrong with a directory: docs/ldap.md has it as a table.

use std::{fs, net::TcpListener, time::Duration};

use portpass_testkit::{Certificates, Slapd, StallingProxy};

use crate::world::{PASSWORD, PEOPLE, SEARCHED, World};

const TEAM: &str = "repository:team/app:push";
const PORTPASS: &str = "\
dn: cn=portpass,ou=people,dc=example,dc=org
changetype: modify
replace: userPassword
userPassword: ";

fn slapd() -> Slapd {
    let slapd = Slapd::start(None);
    slapd.add(PEOPLE);
    slapd
}

/// With a time limit of a second, and without a memory.
fn world(servers: &[String]) -> World {
    let servers =
        servers.iter().map(|server| format!("\"{server}\"")).collect::<Vec<_>>().join(", ");
    let section =
        format!("        servers: [{servers}]\n        timeout: 1s\n        cache: 0s\n{SEARCHED}");
    let world = World::with(&section);
    world.manage(&["user", "add", "local", "--password-stdin"]).expect_success();
    world
}

/// A local account, a name that the directory would have to know, nobody's credentials.
async fn only_its_own_names_are_affected(world: &World, reason: &str) {
    let answer = world.token("ann", PASSWORD, TEAM).await;
    answer.is_unavailable();
    assert!(answer.took < Duration::from_secs(30), "{answer:?}");
    let line = world.portpass.wait_for_log(&["access:", &answer.request]);
    assert!(line.contains(reason), "{reason:?} is not in {line}");
    world.token("nobody", PASSWORD, TEAM).await.is_unavailable();
    let local = world.token("local", PASSWORD, "repository:local/app:push").await;
    assert_eq!(local.granted(), ["push"]);
    world.token("local", "wrong", "").await.is_refused();
}

#[tokio::test]
async fn a_directory_that_is_down_is_unavailable_also_at_the_start_and_comes_back() {
    let mut slapd = slapd();
    slapd.end();
    let world = world(&[slapd.url()]);
    only_its_own_names_are_affected(&world, "no connection to ldap://127.0.0.1").await;
    slapd.go_on();
    comes_back(&world).await;
    // The connections that it kept are dead now.
    slapd.end();
    slapd.go_on();
    comes_back(&world).await;
}

#[tokio::test]
async fn a_directory_that_stands_still_costs_no_more_than_its_time_limit() {
    let slapd = slapd();
    let world = world(&[slapd.url()]);
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    slapd.freeze();
    only_its_own_names_are_affected(&world, "has not answered within 1 s").await;
    slapd.thaw();
    comes_back(&world).await;
}

/// It accepts, and says nothing; or it stops in the middle of an answer.
#[tokio::test]
async fn a_half_open_connection_costs_no_more_than_its_time_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldap://{}", silent.local_addr().unwrap());
    only_its_own_names_are_affected(&world(&[url]), "has not answered within 1 s").await;

    let slapd = slapd();
    let stalling = StallingProxy::before(slapd.address(), 20);
    let url = format!("ldap://{}", stalling.address());
    only_its_own_names_are_affected(&world(&[url]), "has not answered within 1 s").await;
}

#[tokio::test]
async fn another_server_takes_over() {
    let (mut first, second) = (slapd(), slapd());
    let world = world(&[first.url(), second.url()]);
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    assert_eq!(second.binds("uid=ann,ou=people,dc=example,dc=org"), 0);
    first.freeze();
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    first.end();
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    assert_eq!(second.binds("uid=ann,ou=people,dc=example,dc=org"), 2);
    world.token("ann", "wrong", TEAM).await.is_refused();
    second.freeze();
    only_its_own_names_are_affected(&world, "ldap://127.0.0.1").await;
}

#[tokio::test]
async fn a_server_that_another_authority_signed_for_gets_no_password() {
    let (theirs, ours) = (Certificates::new(), Certificates::new());
    let slapd = Slapd::start(Some(&theirs));
    slapd.add(PEOPLE);
    for (url, starttls) in [(slapd.tls_url(), ""), (slapd.url(), "        starttls: true\n")] {
        let section = format!(
            "        servers: [\"{url}\"]\n        ca: {}\n{starttls}{SEARCHED}",
            ours.ca().display()
        );
        let world = World::with(&section);
        let answer = world.token("ann", PASSWORD, TEAM).await;
        answer.is_unavailable();
        let line = world.portpass.wait_for_log(&["access:", &answer.request]);
        assert!(
            line.contains("`ca` has to name the authority that signed the certificate"),
            "{line}"
        );
    }
    // It has no certificate at all.
    let section = format!(
        "        servers: [\"{}\"]\n        starttls: true\n{SEARCHED}",
        self::slapd().url()
    );
    World::with(&section).token("ann", PASSWORD, TEAM).await.is_unavailable();
    assert_eq!(slapd.binds("cn=portpass,ou=people,dc=example,dc=org"), 0);
}

#[tokio::test]
async fn an_account_that_searches_and_is_not_let_in_is_no_wrong_password_of_others() {
    let slapd = slapd();
    let world = world(&[slapd.url()]);
    slapd.modify(&format!("{PORTPASS}another one\n"));
    only_its_own_names_are_affected(
        &world,
        "does not let `bind_dn` cn=portpass,ou=people,dc=example,dc=org in: result 49",
    )
    .await;
    slapd.modify(&format!("{PORTPASS}search for me\n"));
    comes_back(&world).await;
}

#[tokio::test]
async fn an_account_that_searches_and_sees_nothing_is_not_a_directory_without_accounts() {
    let slapd = slapd();
    slapd.add(
        &PEOPLE
            .split("\n\n")
            .nth(2)
            .unwrap()
            .replace("cn=portpass", "cn=blind")
            .replace("cn: portpass", "cn: blind"),
    );
    let blind = SEARCHED.replace("cn=portpass", "cn=blind");
    let world = World::with(&format!("        servers: [\"{}\"]\n{blind}", slapd.url()));
    let answer = world.token("ann", PASSWORD, TEAM).await;
    answer.is_unavailable();
    let line = world.portpass.wait_for_log(&["access:", &answer.request]);
    assert!(line.contains("base") || line.contains("shows no entry below"), "{line}");
}

/// slapd gives 500 entries and says that there are more.
#[tokio::test]
async fn a_list_of_groups_that_was_cut_is_no_list() {
    let slapd = slapd();
    let group = |number: usize| {
        format!(
            "dn: cn=group-{number},ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: group-{number}\nmember: uid=ann,ou=people,dc=example,dc=org\n\n"
        )
    };
    slapd.add(&(0..505).map(group).collect::<String>());
    let world = world(&[slapd.url()]);
    let answer = world.token("ann", PASSWORD, TEAM).await;
    answer.is_unavailable();
    let line = world.portpass.wait_for_log(&["access:", &answer.request]);
    assert!(line.contains("gave only a part of the search for groups"), "{line}");
    let bob = world.token("bob", PASSWORD, "repository:bob/app:push").await;
    assert_eq!(bob.granted(), ["push"]);
}

#[tokio::test]
async fn no_password_reaches_the_log() {
    let mut slapd = slapd();
    let world = world(&[slapd.url()]);
    world.token("ann", PASSWORD, TEAM).await.granted();
    world.token("ann", "a wrong guess", TEAM).await.is_refused();
    slapd.end();
    world.token("ann", PASSWORD, TEAM).await.is_unavailable();
    let log = world.portpass.log();
    let files = fs::read_to_string(world.portpass.folder().join("bind-password")).unwrap();
    for secret in [PASSWORD, "a wrong guess", files.trim()] {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
}

/// It is asked again a second after it was last found away.
async fn comes_back(world: &World) {
    for _ in 0..100_000 {
        let answer = world.token("ann", PASSWORD, TEAM).await;
        if answer.status == 200 {
            assert_eq!(answer.granted(), ["push"]);
            return;
        }
        answer.is_unavailable();
    }
    panic!("the directory is back, and nobody sees it");
}
