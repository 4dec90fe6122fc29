//! A portpass that asks a directory.

use portpass_testkit::Slapd;

use crate::asked::RULES;
pub(crate) use crate::asked::{Answer, PASSWORD, World};

/// People and groups of an `OpenLDAP` directory: ann is in a group of a group, bob in none.
pub(crate) const PEOPLE: &str = "\
dn: uid=ann,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Lee
mail: ann@example.org
userPassword: correct horse

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Lee
userPassword: correct horse

dn: cn=portpass,ou=people,dc=example,dc=org
objectClass: person
cn: portpass
sn: portpass
userPassword: search for me

dn: cn=backend,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: backend
member: uid=ann,ou=people,dc=example,dc=org

dn: cn=developers,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: developers
member: cn=backend,ou=groups,dc=example,dc=org
";

/// How the directory of [`PEOPLE`] is searched.
pub(crate) const SEARCHED: &str = "        bind_dn: cn=portpass,ou=people,dc=example,dc=org
        bind_password_file: bind-password
        base: dc=example,dc=org
        filter: \"(uid=${account})\"
        groups: { search: { filter: \"(member=${dn})\" } }
";

impl World {
    /// Asks the directory of a slapd as [`SEARCHED`] says.
    pub(crate) fn of(slapd: &Slapd) -> Self {
        Self::with(&format!("        servers: [\"{}\"]\n{SEARCHED}", slapd.url()))
    }

    /// With these lines in the section `ldap`, behind local accounts.
    pub(crate) fn with(section: &str) -> Self {
        Self::with_rules(section, RULES)
    }

    /// With these rules.
    pub(crate) fn with_rules(section: &str, rules: &str) -> Self {
        let sources = format!("    - local: {{}}\n    - ldap:\n{section}");
        Self::serve(&sources, rules, ("bind-password", "search for me"))
    }
}
