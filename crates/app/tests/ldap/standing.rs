//! Accounts that are not let in although the password is right: `OpenLDAP`'s password policy.

use portpass_testkit::Slapd;

use crate::world::{PASSWORD, PEOPLE, World};

/// bob is locked after two wrong passwords; carol was given a password and has to choose another.
const POLICY: &str = "\
dn: cn=policy,dc=example,dc=org
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 2
pwdMustChange: TRUE

dn: uid=carol,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Lee
userPassword: correct horse
pwdPolicySubentry: cn=policy,dc=example,dc=org

dn: uid=dave,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: dave
uid: ann
cn: Dave
sn: Lee
userPassword: correct horse
";
const BOB: &str = "\
dn: uid=bob,ou=people,dc=example,dc=org
changetype: modify
add: pwdPolicySubentry
pwdPolicySubentry: cn=policy,dc=example,dc=org

dn: uid=carol,ou=people,dc=example,dc=org
changetype: modify
replace: pwdReset
pwdReset: TRUE
";

#[tokio::test]
async fn reasons_are_told_apart_in_the_log_and_in_explain_and_nowhere_else() {
    let slapd = Slapd::start(None);
    slapd.add(PEOPLE);
    slapd.add(POLICY);
    slapd.modify(BOB);
    let world = World::of(&slapd);
    for _ in 0..2 {
        let answer = world.token("bob", "wrong", "").await;
        world.explains(&answer, &["ldap: the password is wrong"]);
    }
    for (name, reason) in [
        ("bob", "ldap: the account is locked"),
        ("carol", "ldap: the password must be changed first"),
        ("ann", "ldap: the filter finds more than one account of that name"),
    ] {
        let answer = world.token(name, PASSWORD, "").await;
        answer.is_refused();
        let line = world.portpass.wait_for_log(&["access:", &answer.request]);
        assert!(line.contains(reason), "{name}: {line}");
        world.explains(&answer, &[reason]);
    }
    let unknown = world.token("nobody", PASSWORD, "").await;
    unknown.is_refused();
    world.explains(&unknown, &["no account"]);
}
