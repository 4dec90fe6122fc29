use super::*;

/// What stands there, without comments.
fn lines(imported: &Imported) -> Vec<&str> {
    let lines = imported.configuration.lines().map(str::trim);
    lines.filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn every_key_is_carried_over_or_doubted() {
    let text = include_str!("../../../../app/tests/docker_auth/every_key.yml");
    let imported = imported(text);
    insta::assert_snapshot!(imported.configuration);
    let users = imported.htpasswd.unwrap();
    assert_eq!(users.expose_secret(), format!("admin:{HASH}\nann:{HASH}\n"));
    for secret in ["secret-of", "$2y$"] {
        assert!(!imported.configuration.contains(secret), "{secret}");
    }
}

#[test]
fn each_doubt_is_a_line_of_the_file() {
    let imported = imported(include_str!("../../../../app/tests/docker_auth/every_key.yml"));
    let written: Vec<&str> =
        imported.configuration.lines().filter_map(|line| line.strip_prefix("# doubt: ")).collect();
    assert_eq!(written, imported.doubts);
    assert!(written.len() > 30, "{written:?}");
}

#[test]
fn an_acl_becomes_rules_where_they_decide_alike() {
    let acl = "\
users: { ann: { password: 'HASH' }, '': {} }
acl:
  - match: { account: admin }
    actions: ['*']
  - match: { account: '/.+/', name: '${account}/*' }
    actions: [pull, push, delete]
  - match: { ip: 10.0.0.0/8, name: 'build/*' }
    actions: [pull, push]
  - match: { name: '/^public\\/.*$/' }
    actions: [pull]
  - match: { account: '/^(ann|bob)$/', service: other, type: repository, name: 'team-?/*' }
    actions: [pull]
  - match: { account: '' }
    actions: []
";
    let imported = imported(&file(&acl.replace("HASH", HASH)));
    insta::assert_snapshot!(imported.configuration);
}

#[test]
fn an_acl_stays_where_rules_would_decide_otherwise() {
    let stays = |acl: &str| {
        let imported = imported(&file(&format!("users: {{}}\nacl:\n{acl}")));
        let policy = lines(&imported).last().unwrap().to_string();
        assert_eq!(
            policy, "policy: { docker-auth: \"/etc/docker_auth/auth_config.yml\" }",
            "{acl}"
        );
        let doubt = imported.doubts.last().unwrap();
        let (_, why) = doubt.split_once("would decide otherwise: ").unwrap();
        why.to_owned()
    };
    let table = [
        (
            "  - { match: { account: ann }, actions: [pull] }\n  - { match: { name: 'a/*' }, actions: [push] }\n",
            "entry 1: it gives less than entry 2",
        ),
        (
            "  - { match: { name: 'a/*' }, actions: ['*'] }\n  - { match: { account: ann }, actions: [] }\n  - { match: {}, actions: [pull] }\n",
            "entry 2: it denies, and entry 1 before it gives something",
        ),
        (
            "  - { match: { account: '/.+/' }, actions: [] }\n  - { match: {}, actions: [pull] }\n",
            "entry 1: it denies, and a rule that does so for accounts",
        ),
        (
            "  - { match: { labels: { group: dev } }, actions: [pull] }\n",
            "entry 1: it looks at the label `group`",
        ),
        (
            "  - { match: { name: '/prod/' }, actions: [pull] }\n",
            "entry 1: the name \"/prod/\" has no pattern of ours",
        ),
        (
            "  - { match: { name: '[a-c]*' }, actions: [pull] }\n",
            "entry 1: the name \"[a-c]*\" has no pattern of ours",
        ),
        (
            "  - { match: { account: '/^a.b$/' }, actions: [pull] }\n",
            "entry 1: the account \"/^a.b$/\" is no name",
        ),
        (
            "  - { match: { account: '/ann/' }, actions: [pull] }\n",
            "entry 1: the account \"/ann/\" is no name",
        ),
        (
            "  - { match: { type: elsewhere }, actions: [pull] }\n",
            "entry 1: it looks at the type \"elsewhere\"",
        ),
        (
            "  - { match: { service: '*y' }, actions: [pull] }\n",
            "entry 1: the service \"*y\" is no name",
        ),
        (
            "  - { match: { name: a }, actions: ['*', pull] }\n",
            "entry 1: `*` among other actions is only itself",
        ),
    ];
    for (acl, expected) in table {
        let why = stays(acl);
        assert!(why.starts_with(expected), "{acl}: {why}");
    }
}

#[test]
fn what_may_not_be_meant_in_an_acl_is_doubted() {
    let table = [
        (
            "{ match: {}, actions: [pull] }",
            "entry 1 of the ACL: `match` is empty, so it is about everybody",
        ),
        ("{ match: { name: a }, actions: ['*', pull] }", "`*` among other actions is no wildcard"),
        ("{ match: { name: a }, actions: [pul] }", "no registry asks for the action \"pul\""),
        (
            "{ match: { name: /prod/ }, actions: [pull] }",
            "name `/prod/` is found anywhere in the text",
        ),
        (
            "{ match: { account: /^ann/ }, actions: [pull] }",
            "account `/^ann/` is found anywhere in the text",
        ),
        ("{ match: { name: 'a/*' }, actions: [pull] }", "name `a/*`: `*` matches no `/`"),
        ("{ match: { name: 'a/**' }, actions: [pull] }", "`**` is no more than `*`"),
        (
            "{ match: { name: '{labels:tier}/x' }, actions: [pull] }",
            "`{labels:tier}` without `$` is text",
        ),
        (
            "{ match: { name: '${labels:tier}/x' }, actions: [pull] }",
            "a value of the label acts as a pattern",
        ),
        ("{ match: { name: '${team}/x' }, actions: [pull] }", "there is no placeholder `${team}`"),
        (
            "{ match: { account: '/^(.+)$/', name: '${service}/${account:1}' }, actions: [pull] }",
            "docker_auth overlooks `${account:1}` behind another placeholder",
        ),
        (
            "{ match: { name: '/^(.+)$/', labels: { team: '${name:1}' } }, actions: [pull] }",
            "docker_auth replaces `${name:1}` only if account, type, name or service mentions it",
        ),
        (
            "{ match: { labels: { team: '${labels:x}' } }, actions: [pull] }",
            "in the pattern of a label, `${labels:x}` is text",
        ),
    ];
    for (entry, expected) in table {
        let imported = imported(&file(&format!("users: {{}}\nacl:\n  - {entry}\n")));
        assert!(
            imported.doubts.iter().any(|doubt| doubt.contains(expected)),
            "{entry}: {:#?}",
            imported.doubts
        );
    }
    let shadowed = "  - { match: { account: '/.+/' }, actions: [pull] }\n  - { match: { account: ann, name: x }, actions: [push] }\n";
    let imported = imported(&file(&format!("users: {{}}\nacl:\n{shadowed}")));
    assert!(
        imported
            .doubts
            .iter()
            .any(|d| d.contains("entry 2 of the ACL: it is never reached: entry 1"))
    );
}

#[test]
fn an_acl_that_nobody_can_mean_gives_nothing_until_it_is_mended() {
    for (acl, expected) in [
        ("  - { match: { team: dev }, actions: [push] }\n", "has a key that docker_auth ignores"),
        ("  - { match: { name: '/a(/' }, actions: [push] }\n", "it is no regular expression"),
        ("  - { actions: [push] }\n", "entry 1 of the ACL: the key `match` is missing"),
        ("  - { match: { name: a } }\n", "entry 1 of the ACL: the key `actions` is missing"),
        ("  []\n", ""),
    ] {
        let imported = imported(&file(&format!("users: {{}}\nacl:\n{acl}")));
        assert_eq!(lines(&imported).last(), Some(&"policy: []"), "{acl}");
        assert!(
            imported.doubts.iter().any(|doubt| doubt.contains(expected)) || expected.is_empty(),
            "{acl}: {:#?}",
            imported.doubts
        );
    }
    let without = imported(&file("users: {}\n"));
    assert!(without.doubts.iter().any(|doubt| doubt.contains("there is no `acl`")));
}

#[test]
fn what_docker_auth_does_not_start_on_is_doubted() {
    let table = [
        ("acl: []\n", "there is no way to log in"),
        ("users: {}\nacl: []\n", "docker_auth has no certificate to sign with"),
        ("users: {}\nacl: []\n", "`token.issuer` is missing"),
        ("users: {}\nacl: []\n", "`token.expiration` is missing"),
        ("users: {}\nacl: []\n", "`server.addr` is missing"),
        ("server: { certificate: /c }\n", "`server.certificate` and `server.key` belong together"),
        ("token: { expiration: 15m }\n", "`token.expiration` is 15m, which is no whole number"),
        ("token: { expiration: 5 }\n", "`token.expiration` is 5 seconds; 60 to 86400 are possible"),
        (
            "token: { disable_legacy_key_id: on }\n",
            "`token.disable_legacy_key_id` is on, which docker_auth reads as true",
        ),
        ("server: { hsts: ja }\n", "`server.hsts` is ja, which is neither true nor false"),
        ("server: { net: unix, addr: /run/auth.sock }\n", "`server.net` is unix"),
        ("server: { addr: 'auth.example.com:5001' }\n", "portpass takes an IP address and a port"),
        (
            "server: { real_ip_header: X-Real-IP }\n",
            "takes the client's address from X-Forwarded-For alone",
        ),
        (
            "server: { letsencrypt: { email: a@b.c, host: h.example.com } }\n",
            "certbot get the certificate of h.example.com",
        ),
        (
            "users: { ann: { password: '$1$x$y' } }\n",
            "the password of the user \"ann\" is no bcrypt hash",
        ),
        ("users: { '': { password: '$2y$05$x' } }\n", "the user \"\" has a password"),
        (
            "ldap_auth: { addr: 'h:389', base: o=x, filter: '(uid=${account})' }\n",
            "passwords reach the directory in the clear",
        ),
        (
            "ldap_auth: { addr: 'h:389', base: o=x, filter: '(uid=${account})', tls: maybe }\n",
            "`ldap_auth.tls` is maybe",
        ),
        (
            "ldap_auth: { addr: 'h:389', base: o=x, filter: '(uid=${account})', insecure_tls_skip_verify: true }\n",
            "name the directory's CA in `ca`",
        ),
        (
            "ldap_auth: { addr: 'h:389', base: o=x, filter: '(uid=${account})', initial_bind_as_user: true }\n",
            "`ldap_auth.initial_bind_as_user` has no counterpart",
        ),
    ];
    for (text, expected) in table {
        let imported = imported(text);
        assert!(
            imported.doubts.iter().any(|doubt| doubt.contains(expected)),
            "{text}: {:#?}",
            imported.doubts
        );
    }
}

/// docker_auth reads `memberOf` as it is: groups do not lie below the people.
#[test]
fn groups_of_the_whole_directory_count() {
    for (base, expected) in [
        ("ou=people,dc=example,dc=com", r#"member_of: { base: "dc=example,dc=com" }"#),
        ("OU=Staff, OU=x, DC=corp, DC=example", r#"member_of: { base: "DC=corp, DC=example" }"#),
        ("ou=people,o=acme,c=de", r#"member_of: { base: "o=acme,c=de" }"#),
        ("dc=example,dc=com", r#"member_of: { base: "dc=example,dc=com" }"#),
        ("ou=people", "member_of: {}"),
    ] {
        let imported = imported(&format!(
            "ldap_auth: {{ addr: 'h:636', tls: always, base: '{base}', filter: '(uid=${{account}})', labels: {{ groups: {{ attribute: memberOf, parse_cn: true }} }} }}\n"
        ));
        let text = &imported.configuration;
        assert!(text.contains(&format!("groups: {{ {expected} }}")), "{base}: {text}");
        let doubt = imported.doubts.iter().find(|doubt| doubt.contains("member_of.base"));
        assert!(doubt.is_some(), "{base}: {:?}", imported.doubts);
    }
}

#[test]
fn what_is_suggested_as_a_comment_is_taken_without_it() {
    let text = "users: {}\next_auth: { command: /bin/login }\nplugin_authn: { plugin_path: /login.so }\ngithub_auth: { organization: acme }\noidc_auth: { issuer: 'https://id.example.com', client_id: docker, user_claim: sub, labels_claims: [groups] }\nacl: []\n";
    let imported = imported(text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portpass.yml");
    let uncommented = |line: &str| match line.strip_prefix("    # ") {
        Some(line) if !line.starts_with("Jobs") && !line.starts_with("In place") => {
            format!("    {line}\n")
        }
        _ => format!("{line}\n"),
    };
    let text: String = imported.configuration.lines().map(uncommented).collect();
    let token = folder.path().join("accounts-token");
    std::fs::write(&token, "s3cr3t").unwrap();
    let text = text.replace("/etc/portpass/accounts-token", token.to_str().unwrap());
    std::fs::write(&path, format!("data: /tmp\n{text}")).unwrap();
    let sources = Sources { config: Some(path), ..Sources::default() };
    let config =
        Config::load(&sources, &Environment::default()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let accounts = config.token_service.unwrap().accounts;
    let names: Vec<String> = accounts.iter().map(|source| source.name().to_string()).collect();
    assert_eq!(names, ["local", "command", "plugin", "github", "oidc"]);
}

#[test]
fn a_file_that_is_none_is_refused() {
    for (text, expected) in [
        ("", "auth_config.yml: this is no configuration of docker_auth"),
        ("server: [", "auth_config.yml:1:"),
        ("server: { addr: [1] }\n", "auth_config.yml:1:"),
        (
            "users: { ann: { password: a, password: b } }\n",
            "auth_config.yml:1:30: the key `password` is there twice",
        ),
    ] {
        let error = import("auth_config.yml", text, &target()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

proptest::proptest! {
    /// A name or a value of theirs cannot end a comment or a string of ours.
    #[test]
    fn what_is_written_is_always_a_configuration(
        text in "[a-z0-9\"'\\\\#:{}\\[\\]\u{85}\u{2028}é \\n-]{1,16}",
    ) {
        let quoted = serde_json::Value::from(text.as_str());
        let whole = format!(
            "server: {{ addr: {quoted} }}\ntoken: {{ issuer: {quoted}, expiration: 900 }}\nusers: {{ {quoted}: {{ labels: {{ {quoted}: [{quoted}] }} }} }}\nldap_auth: {{ addr: {quoted}, filter: {quoted} }}\nacl: [{{ match: {{ name: {quoted}, service: {quoted} }}, actions: [{quoted}] }}]\n"
        );
        if let Ok(imported) = import("x", &whole, &target()) {
            crate::ConfigFile::parse("x", &imported.configuration)
                .unwrap_or_else(|error| panic!("{error}\n{}", imported.configuration));
        }
    }
}
