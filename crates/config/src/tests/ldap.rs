//! What is said of a directory that nobody could ask.

use std::{fmt::Write as _, time::Duration};

use portpass_federation::ldap::settings::{
    AccountLookup, GroupLookup, Identity, Nesting, Security,
};
use secrecy::ExposeSecret as _;

use super::*;

fn folder(section: &str) -> Folder {
    let text = format!("token_service:\n  accounts:\n    - ldap:\n{section}");
    let folder = Folder::new(&text);
    folder.certify("ca");
    folder.write("bind-password", "opensesame\n");
    folder.write("empty", "\n");
    folder
}

fn source(section: &str) -> (Config, LdapSource) {
    let config = folder(section).load().unwrap();
    let service = config.token_service.as_ref().unwrap();
    let [AccountSource::Ldap(source)] = &service.accounts[..] else { panic!("no directory") };
    let source = LdapSource::clone(source);
    (config, source)
}

#[test]
fn a_directory_that_is_searched_is_understood() {
    let (_, source) = source(
        "        servers: [\"ldaps://dc1.example.org\", \"ldaps://dc2.example.org:3269\"]
        ca: ca.crt
        bind_dn: cn=portpass,dc=example,dc=org
        bind_password_file: bind-password
        base: dc=example,dc=org
        filter: \"(|(sAMAccountName=${account})(userPrincipalName=${account}))\"
        groups: { chain: { base: \"ou=groups,dc=example,dc=org\" } }
        cache: 1m
        timeout: 5s
        connections: 4
",
    );
    assert_eq!((source.name.as_str(), source.cache), ("ldap", Duration::from_mins(1)));
    let settings = source.settings;
    assert_eq!((settings.servers.len(), settings.timeout), (2, Duration::from_secs(5)));
    assert_eq!(settings.connections.get(), 4);
    let AccountLookup::Search { identity, base, attribute, .. } = settings.accounts else {
        panic!("nobody searches")
    };
    assert_eq!((base.as_str(), attribute.as_str()), ("dc=example,dc=org", "sAMAccountName"));
    let Identity::Account { dn, password } = identity else { panic!("nobody") };
    assert_eq!(
        (dn.as_str(), password.expose_secret()),
        ("cn=portpass,dc=example,dc=org", "opensesame")
    );
    let GroupLookup::Chain { base } = settings.groups else { panic!("no chain") };
    assert_eq!(base, "ou=groups,dc=example,dc=org");
}

#[test]
fn a_directory_of_names_from_a_template_is_understood() {
    let (config, source) = source(
        "        name: staff
        servers: [\"ldap://ldap.example.org\"]
        insecure_plaintext: true
        user_dn: \"uid=${account},ou=people,dc=example,dc=org\"
        base: dc=example,dc=org
        groups: { search: { filter: \"(member=${dn})\", nested: false } }
        cache: 0s
",
    );
    assert_eq!((source.name.as_str(), source.cache), ("staff", Duration::ZERO));
    assert_eq!(source.settings.servers[0].security(), Security::Plaintext);
    let AccountLookup::Direct { entry, attribute, .. } = source.settings.accounts else {
        panic!("somebody searches")
    };
    assert!(entry.is_none());
    assert_eq!(attribute, "uid");
    let GroupLookup::Search { nested, .. } = source.settings.groups else { panic!("no search") };
    assert_eq!(nested, Nesting::Ignored);
    let expected = "portpass.yaml:6: token_service.accounts.ldap.insecure_plaintext: passwords reach ldap://ldap.example.org in the clear";
    assert!(
        config.warnings.iter().any(|warning| warning.ends_with(expected)),
        "{:?}",
        config.warnings
    );
}

#[test]
fn mistakes_about_a_directory_are_named_with_line_and_hint() {
    let good = [
        ("servers", "[\"ldaps://ldap.example.org\"]"),
        ("base", "dc=example,dc=org"),
        ("filter", "\"(uid=${account})\""),
    ];
    let mut told = String::new();
    for (what, changed) in [
        ("no server", &[("servers", "[]")][..]),
        ("a server of another kind", &[("servers", "[\"https://ldap.example.org\"]")]),
        ("a server with more than a server", &[("servers", "[\"ldaps://a/dc=example\"]")]),
        ("the same server twice", &[("servers", "[\"ldaps://a\", \"ldaps://a/\"]")]),
        ("passwords in the clear", &[("servers", "[\"ldap://ldap.example.org\"]")]),
        ("TLS in TLS", &[("starttls", "true")]),
        ("an authority that is not there", &[("ca", "gone.crt")]),
        ("an authority that is none", &[("ca", "bind-password")]),
        ("no base", &[("base", "")]),
        ("a base that is none", &[("base", "example.org")]),
        ("no filter", &[("filter", "")]),
        ("a filter for everybody", &[("filter", "\"(objectClass=person)\"")]),
        ("a filter of another program", &[("filter", "\"(uid=%s)\"")]),
        ("a filter that is none", &[("filter", "\"(&(uid=${account})\"")]),
        ("a filter without an attribute", &[("filter", "\"(mail=${account}@example.org)\"")]),
        ("an account without a password", &[("bind_dn", "cn=portpass")]),
        ("a password of nobody", &[("bind_password_file", "bind-password")]),
        ("a password that is not there", &[("bind_dn", "cn=p"), ("bind_password_file", "gone")]),
        ("an empty password", &[("bind_dn", "cn=p"), ("bind_password_file", "empty")]),
        (
            "two passwords",
            &[("bind_password", "opensesame"), ("bind_password_file", "bind-password")],
        ),
        ("a name without an account", &[("user_dn", "uid=ann,dc=x")]),
        ("a name that is not found again", &[("user_dn", "${account}@x"), ("filter", "")]),
        ("both ways", &[("user_dn", "uid=${account},dc=x"), ("bind_dn", "cn=p")]),
        ("groups in two ways", &[("groups", "{ chain: {}, member_of: {} }")]),
        ("groups of everybody", &[("groups", "{ search: { filter: \"(cn=*)\" } }")]),
        ("groups without a filter", &[("groups", "{ search: {} }")]),
        ("groups nowhere", &[("groups", "{ chain: { base: groups } }")]),
        ("a cache for ever", &[("cache", "52w")]),
        ("no time at all", &[("timeout", "0s")]),
        ("no connection at all", &[("connections", "0")]),
        ("more connections than files", &[("connections", "1001")]),
        ("a name that is none", &[("name", "The Staff")]),
        ("the name of another kind", &[("name", "robot")]),
        ("a key that is none", &[("binddn", "cn=p")]),
        ("a placeholder of another program", &[("base", "\"${BASE}\"")]),
    ] {
        let mut keys = good.to_vec();
        for (key, value) in changed {
            keys.retain(|(known, _)| known != key);
            keys.push((key, value));
        }
        let lines = keys.iter().filter(|(_, value)| !value.is_empty());
        let lines: Vec<_> = lines
            .map(|(key, value)| {
                format!(
                    "        {key}: {value}
"
                )
            })
            .collect();
        let section = lines.concat();
        let refusal = folder(&section).refusal();
        assert!(!refusal.contains("opensesame"), "{refusal}");
        writeln!(told, "── {what}\n{refusal}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn two_directories_have_two_names() {
    let one = "servers: [\"ldaps://a\"], base: dc=x, filter: \"(uid=${account})\"";
    let refusal = Folder::new(&format!(
        "token_service:\n  accounts:\n    - ldap: {{ {one} }}\n    - ldap: {{ {one} }}\n"
    ))
    .refusal();
    assert_eq!(
        refusal,
        "portpass.yaml:4: token_service.accounts: `ldap` is there twice\nhint: rules and refresh tokens name a source by this word: give a directory another `name`"
    );
}
