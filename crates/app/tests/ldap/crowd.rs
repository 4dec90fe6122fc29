//! Many logins at once: how many connections there are to a directory, and who waits for one.

use futures_util::future::join_all;
use portpass_testkit::{SilentServer, Slapd};

use crate::world::{Answer, PASSWORD, SEARCHED, World};

const PORTPASS: &str = "\
dn: cn=portpass,ou=people,dc=example,dc=org
objectClass: person
cn: portpass
sn: portpass
userPassword: search for me

";

/// All are answered although a few connections serve them, and these are kept: the directory counts no others.
#[tokio::test]
async fn many_logins_at_once_share_a_few_connections() {
    let slapd = Slapd::start(None);
    let people: String = (0..CROWD).map(person).collect();
    slapd.add(&format!("{PORTPASS}{people}"));
    let world = world(&slapd.url(), "        connections: 2\n        timeout: 1m\n");
    let before = connections(&slapd);
    for _ in 0..2 {
        for (number, answer) in
            join_all((0..CROWD).map(|number| login(&world, number))).await.into_iter().enumerate()
        {
            assert_eq!(answer.status, 200, "{number}: {answer:?}");
        }
    }
    let made = connections(&slapd) - before;
    assert!((2..=4).contains(&made), "{made} connections:\n{}", slapd.log());
}

/// It accepts, and says nothing: two find out, a few wait a while, and there is no room for the others.
#[tokio::test]
async fn a_directory_that_stands_still_holds_no_more_connections_than_it_may() {
    let silent = SilentServer::start();
    let url = format!("ldap://{}", silent.address());
    let world = world(&url, "        connections: 2\n        timeout: 12s\n");
    world.manage(&["user", "add", "local", "--password-stdin"]).expect_success();
    // `user add` asks whether the directory has the name.
    let before = silent.accepted();
    let answers = join_all((0..CROWD).map(|number| login(&world, number))).await;
    assert_eq!(silent.accepted() - before, 2);
    let mut busy = 0;
    for answer in &answers {
        answer.is_unavailable();
        let line = world.portpass.wait_for_log(&["access:", &answer.request]);
        let is_busy = line.contains(&format!("all 2 connections to {url} are busy"));
        assert!(is_busy || line.contains("has not answered within 12 s"), "{line}");
        busy += usize::from(is_busy);
    }
    assert_eq!(busy, CROWD - 2);
    world.explains(&answers[0], &["ldap"]);
    let local = world.token("local", PASSWORD, "repository:local/app:push").await;
    assert_eq!(local.granted(), ["push"]);
}

/// One login a second finds out whether it is back, and holds the only connection while it does.
#[tokio::test]
async fn nobody_waits_for_a_connection_to_a_directory_that_is_known_to_stand_still() {
    let silent = SilentServer::start();
    let url = format!("ldap://{}", silent.address());
    let world = world(&url, "        connections: 1\n        timeout: 3s\n");
    login(&world, 0).await.is_unavailable();
    for _ in 0..2 {
        for answer in join_all((0..CROWD).map(|number| login(&world, number))).await {
            answer.is_unavailable();
            let line = world.portpass.wait_for_log(&["access:", &answer.request]);
            assert!(line.contains("has not answered within 3 s"), "{line}");
        }
    }
    assert!(silent.accepted() <= 3, "{}", silent.accepted());
}

/// What is full is no reason to refuse while another server has room.
#[tokio::test]
async fn the_next_server_takes_what_the_first_has_no_room_for() {
    let (silent, slapd) = (SilentServer::start(), Slapd::start(None));
    let people: String = (0..CROWD).map(person).collect();
    slapd.add(&format!("{PORTPASS}{people}"));
    let servers = format!("ldap://{}\", \"{}", silent.address(), slapd.url());
    let world = world(&servers, "        connections: 2\n        timeout: 12s\n");
    for answer in join_all((0..CROWD).map(|number| login(&world, number))).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert!(silent.accepted() <= 4, "{}", silent.accepted());
}

fn world(servers: &str, more: &str) -> World {
    World::with(&format!("        servers: [\"{servers}\"]\n        cache: 0s\n{more}{SEARCHED}"))
}

async fn login(world: &World, number: usize) -> Answer {
    world.token(&format!("user{number}"), PASSWORD, "").await
}

fn person(number: usize) -> String {
    format!(
        "dn: uid=user{number},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: user{number}\ncn: User\nsn: Lee\nuserPassword: {PASSWORD}\n\n"
    )
}

fn connections(slapd: &Slapd) -> usize {
    slapd.log().matches(" ACCEPT from ").count()
}

/// Fewer than may wait for two connections.
const CROWD: usize = 30;
