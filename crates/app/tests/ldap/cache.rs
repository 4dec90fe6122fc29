//! What is remembered of a directory, for how long, and what is asked each time.

use portpass_testkit::{Slapd, wait_until};

use crate::world::{PASSWORD, PEOPLE, SEARCHED, World};

const ANN: &str = "uid=ann,ou=people,dc=example,dc=org";
const LEAVES: &str = "\
dn: cn=backend,ou=groups,dc=example,dc=org
changetype: modify
replace: member
member: uid=bob,ou=people,dc=example,dc=org
";
const TEAM: &str = "repository:team/app:push";

fn slapd() -> Slapd {
    let slapd = Slapd::start(None);
    slapd.add(PEOPLE);
    slapd
}

fn remembering(slapd: &Slapd, cache: &str) -> World {
    World::with(&format!(
        "        servers: [\"{}\"]\n        cache: {cache}\n{SEARCHED}",
        slapd.url()
    ))
}

#[tokio::test]
async fn a_right_password_is_asked_once_and_a_wrong_one_each_time() {
    let slapd = slapd();
    let world = remembering(&slapd, "5m");
    for _ in 0..3 {
        assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    }
    assert_eq!(slapd.binds(ANN), 1);
    for wrong in 1..=3 {
        world.token("ann", "wrong", TEAM).await.is_refused();
        assert_eq!(slapd.binds(ANN), 1 + wrong);
    }
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    assert_eq!(slapd.binds(ANN), 4);
}

#[tokio::test]
async fn many_at_once_with_one_wrong_password_are_one_wrong_password() {
    let slapd = slapd();
    let world = remembering(&slapd, "5m");
    let wrong = || world.token("ann", "wrong", TEAM);
    let answers = tokio::join!(wrong(), wrong(), wrong(), wrong());
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        answer.is_refused();
    }
    assert!((1..4).contains(&slapd.binds(ANN)), "{}", slapd.log());
}

#[tokio::test]
async fn nothing_is_remembered_where_the_configuration_says_so() {
    let slapd = slapd();
    let world = remembering(&slapd, "0s");
    let refresh = world.login("ann", PASSWORD).await.refresh_token().to_owned();
    assert_eq!(world.token("ann", PASSWORD, TEAM).await.granted(), ["push"]);
    assert_eq!(slapd.binds(ANN), 2);
    assert_eq!(world.refresh(&refresh, TEAM).await.granted(), ["push"]);
    slapd.modify(LEAVES);
    assert!(world.token("ann", PASSWORD, TEAM).await.granted().is_empty());
    assert!(world.refresh(&refresh, TEAM).await.granted().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_read_again_when_their_time_is_over_also_for_a_refresh_token() {
    let slapd = slapd();
    let world = remembering(&slapd, "2s");
    let refresh = world.login("ann", PASSWORD).await.refresh_token().to_owned();
    assert_eq!(world.refresh(&refresh, TEAM).await.granted(), ["push"]);
    slapd.modify(LEAVES);
    let mut granted = 1;
    let runtime = tokio::runtime::Handle::current();
    let gone = tokio::task::block_in_place(|| {
        wait_until(|| {
            granted = runtime.block_on(world.refresh(&refresh, TEAM)).granted().len();
            granted == 0
        })
    });
    assert!(gone, "the right of a group that was left is still there");
}

#[tokio::test]
async fn who_leaves_the_directory_loses_the_refresh_token() {
    let slapd = slapd();
    let world = remembering(&slapd, "0s");
    let refresh = world.login("bob", PASSWORD).await.refresh_token().to_owned();
    assert_eq!(world.refresh(&refresh, "repository:bob/a:pull").await.granted(), ["pull"]);
    slapd.modify("dn: uid=bob,ou=people,dc=example,dc=org\nchangetype: modrdn\nnewrdn: uid=robert\ndeleteoldrdn: 1\n");
    // The entry is the same one by another name, and so is the account.
    assert_eq!(world.refresh(&refresh, "repository:robert/a:pull").await.granted(), ["pull"]);
    slapd.modify("dn: uid=robert,ou=people,dc=example,dc=org\nchangetype: delete\n");
    let answer = world.refresh(&refresh, "repository:robert/a:pull").await;
    assert_eq!(answer.status, 401, "{answer:?}");
}
