//! Files that make no sense: each is refused with its line, what was expected, and what may help.

use std::fmt::Write as _;

use super::*;

/// What is wrong with each, and the file.
const MISTAKES: &[(&str, &str)] = &[
    ("a key that is misspelt", "http:\n  adr: 127.0.0.1:5000\n"),
    ("another registry's file", "version: 0.1\nstorage:\n  filesystem: {}\n"),
    (
        "the file of docker_auth",
        "server: { addr: ':5001' }\ntoken: { issuer: a, expiration: 900 }\nusers: {}\nacl: []\n",
    ),
    (
        "keys of another registry",
        "registry:\n  storage: { maintenance: { uploadpurging: { enabled: true } } }\n",
    ),
    ("a key that is there twice", "http: {}\nhttp: {}\n"),
    ("two controllers", "registry:\n  auth:\n    silly: { realm: r, service: s }\n    none: {}\n"),
    ("no controller", "registry:\n  auth: {}\n"),
    ("an unknown controller", "registry:\n  auth:\n    tokens: {}\n"),
    ("a controller without settings", "registry:\n  auth: silly\n"),
    (
        "a controller with too few settings",
        "registry:\n  auth:\n    token:\n      realm: https://a/t\n",
    ),
    ("nobody to ask", "registry: {}\n"),
    ("nothing to run", "http: { addr: 127.0.0.1:5000 }\n"),
    ("nothing at all", "# only this\n"),
    (
        "a relative realm",
        "registry:\n  auth: { token: { realm: /token, service: s, issuer: i } }\n",
    ),
    ("no keys", "registry:\n  auth: { token: { realm: https://a/t, service: s, issuer: i } }\n"),
    (
        "a bundle that is not there",
        "registry:\n  auth:\n    token:\n      realm: https://a/t\n      service: s\n      issuer: i\n      rootcertbundle: root.crt\n",
    ),
    (
        "a bundle that is none",
        "registry:\n  auth:\n    token:\n      realm: https://a/t\n      service: s\n      issuer: i\n      rootcertbundle: portpass.yaml\n",
    ),
    (
        "an algorithm that is none",
        "registry:\n  auth: { token: { realm: https://a/t, service: s, issuer: i, signingalgorithms: [none] } }\n",
    ),
    (
        "an algorithm with a shared secret",
        "registry:\n  auth:\n    token:\n      realm: https://a/t\n      service: s\n      issuer: i\n      signingalgorithms:\n        - ES256\n        - HS256\n",
    ),
    ("a storage of later", "registry:\n  auth: none\n  storage: { s3: {} }\n"),
    (
        "a database of later",
        "database: postgres://ann:secret@db/portpass\nregistry: { auth: none }\n",
    ),
    ("a bare port", "http: { addr: 5000 }\n"),
    ("half a certificate", "http:\n  tls: { certificate: server.crt }\nregistry: { auth: none }\n"),
    ("a host with a path", "http: { host: https://a/b }\nregistry: { auth: none }\n"),
    ("a proxy by name", "http:\n  trusted_proxies: [proxy]\nregistry: { auth: none }\n"),
    ("no time at all", "http: { idle_timeout: 0s }\nregistry: { auth: none }\n"),
    ("a time without a unit", "http: { idle_timeout: 620 }\nregistry: { auth: none }\n"),
    ("a header of ours", "http: { headers: { Location: [x] } }\nregistry: { auth: none }\n"),
    ("a grace without a unit", "registry: { auth: none, storage: { gc: { grace: 2 } } }\n"),
    ("no grace at all", "registry: { auth: none, storage: { gc: { grace: 0s } } }\n"),
    ("an interval of ages", "registry: { auth: none, storage: { gc: { interval: 99999d } } }\n"),
    ("a rule without an age", "registry:\n  auth: none\n  storage: { gc: { untagged: {} } }\n"),
    (
        "an immutable rule without a name",
        "registry:\n  auth: none\n  immutable: [ { tags: 'v*' } ]\n",
    ),
    (
        "two immutable rules of one name",
        "registry:\n  auth: none\n  immutable: [ { name: a }, { name: a } ]\n",
    ),
    (
        "an immutable rule with a name of words",
        "registry:\n  auth: none\n  immutable: [ { name: the releases } ]\n",
    ),
    (
        "an exception for a group that nobody knows",
        "registry:\n  auth: none\n  immutable: [ { name: a, except: 'group:dev' } ]\n",
    ),
    (
        "an exception for everybody",
        "registry:\n  auth: none\n  immutable: [ { name: a, except: anyone } ]\n",
    ),
    (
        "an exception for an account of one source",
        "registry:\n  auth: none\n  immutable: [ { name: a, except: 'user:ldap/ann' } ]\n",
    ),
    (
        "an immutable rule for capital letters",
        "registry:\n  auth: none\n  immutable: [ { name: a, repositories: Team/app } ]\n",
    ),
    (
        "a retention that keeps nothing",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a } ] }\n",
    ),
    (
        "a retention of the last none",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a, keep_last: 0 } ] }\n",
    ),
    (
        "a retention of the last ones",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a, keep_last: some } ] }\n",
    ),
    (
        "a retention without a name",
        "registry:\n  auth: none\n  retention: { rules: [ { keep_last: 3 } ] }\n",
    ),
    (
        "a retention without a unit",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a, keep_younger: 30 } ] }\n",
    ),
    (
        "a retention that keeps for ages",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a, keep_pulled_within: 99999d } ] }\n",
    ),
    (
        "a retention in one repository for each",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a, keep_last: 1, repositories: '${account}/**' } ] }\n",
    ),
    ("a retention that never rests", "registry:\n  auth: none\n  retention: { interval: 0s }\n"),
    (
        "a retention of manifests without a tag",
        "registry:\n  auth: none\n  retention: { rules: [ { name: a, untagged: { older_than: 7d } } ] }\n",
    ),
    ("a trail for a moment", "audit: { keep: 90s }\nregistry: { auth: none }\n"),
    ("a trail without a unit", "audit: { keep: 90 }\nregistry: { auth: none }\n"),
    ("a trail of no size", "audit: { max_size: 1kB }\nregistry: { auth: none }\n"),
    ("a size of another kind", "audit: { max_size: 1G }\nregistry: { auth: none }\n"),
    ("passwords of no length", "token_service:\n  passwords: { min_length: 0 }\n"),
    ("a token for a moment", "token_service: { expiration: 30 }\n"),
    ("a token for ever", "token_service: { expiration: 100000 }\n"),
    ("a word for a number", "token_service: { expiration: soon }\n"),
    ("a path of the registry", "token_service: { path: /v2/token }\n"),
    (
        "the same service twice",
        "token_service:\n  services:\n    - { name: a }\n    - { name: a }\n",
    ),
    ("no service", "token_service: { services: [] }\n"),
    ("accounts of later", "token_service:\n  accounts:\n    - local: {}\n    - kerberos: {}\n"),
    (
        "users of a file that is not there",
        "token_service:\n  accounts:\n    - htpasswd: { path: users }\n",
    ),
    (
        "users of a registry that are not there",
        "registry:\n  auth:\n    htpasswd: { realm: r, path: users }\n",
    ),
    (
        "a certificate that would not be used",
        "http: { addr: '127.0.0.1:5000' }\ntoken_service:\n  addr: 127.0.0.1:5000\n  tls: { certificate: a, key: b }\n",
    ),
    (
        "metrics where clients are",
        "http: { addr: '127.0.0.1:5000' }\nadmin:\n  addr: 127.0.0.1:5000\nregistry: { auth: none }\n",
    ),
    (
        "a rule for a group of a file",
        "token_service:\n  accounts: [ htpasswd: { path: portpass.yaml } ]\n  policy:\n    - { allow: [pull], repository: 'a/**', to: 'group:dev' }\n",
    ),
    (
        "a rule for nobody",
        "token_service:\n  policy:\n    - { allow: [pull], repository: 'a/**', to: nobody }\n",
    ),
    (
        "a rule for a source that is not asked",
        "token_service:\n  policy:\n    - { allow: [pull], repository: 'a/**', to: user:htpasswd/ann }\n",
    ),
    ("a rule without a target", "token_service:\n  policy:\n    - { allow: [pull], to: anyone }\n"),
    (
        "an action that is none",
        "token_service:\n  policy:\n    - { allow: [fetch], repository: 'a/**', to: anyone }\n",
    ),
    (
        "introspection for nobody in particular",
        "token_service:\n  introspection: { to: [signed-in, anyone] }\n",
    ),
    (
        "introspection for a source that is not asked",
        "token_service:\n  introspection: { to: user:htpasswd/ann }\n",
    ),
    ("introspection that says not for whom", "token_service: { introspection: {} }\n"),
    ("a certificate without its key", "token_service: { signing: { certificate: a.crt } }\n"),
    ("keys that are not generated", "token_service: { signing: { algorithm: HS256 } }\n"),
    (
        "a service's algorithm that is none",
        "token_service:\n  services:\n    - name: a\n      algorithm: RSA\n",
    ),
    (
        "a service's certificate without its key",
        "token_service:\n  services:\n    - { name: a, certificate: a.crt }\n",
    ),
    ("a realm that leads nowhere", "registry: {}\ntoken_service: { addr: 127.0.0.1:5013 }\n"),
    ("a certificate for nobody", "token_service: { tls: { certificate: a, key: b } }\n"),
    ("no YAML", "http: [\n"),
    ("two documents", "registry: { auth: none }\n---\nhttp: {}\n"),
    ("a level that is none", "log: { level: loud }\n"),
];

/// AR15, CF1, CF2, CF4, CF6, JW12, R4, T4
#[test]
fn mistakes_are_named_with_line_and_hint() {
    let mut told = String::new();
    for (what, text) in MISTAKES {
        writeln!(told, "── {what}\n{}", Folder::new(text).refusal()).unwrap();
    }
    insta::assert_snapshot!(told);
}

/// JW12, CF4
#[test]
fn no_hmac_can_be_configured() {
    for name in ["HS256", "HS384", "HS512"] {
        let refusal = Folder::new(&format!(
            "registry:\n  auth: {{ token: {{ realm: https://a/t, service: s, issuer: i, signingalgorithms: [{name}] }} }}\n"
        ))
        .refusal();
        let expected =
            format!("portpass.yaml:2: registry.auth.token.signingalgorithms: {name} is an HMAC");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}

#[test]
fn a_rate_that_is_none_is_refused_where_it_stands() {
    let limits = "registry: { auth: none }\ntoken_service:\n  limits:\n    requests: { account: 600 per minute }\n";
    let refusal = Folder::new(limits).refusal();
    assert_eq!(
        refusal.lines().next().unwrap(),
        "portpass.yaml:4: token_service.limits.requests.account: \"600 per minute\": expected a number up to 1000000 \
         and a time: `10/s`, `600/m` or `5000/h`"
    );
}

#[test]
fn a_password_in_the_file_is_not_repeated() {
    let refusal =
        Folder::new("database: postgres://ann:secret@db/x\nregistry: { auth: none }\n").refusal();
    assert!(!refusal.contains("secret"), "{refusal}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sources = Sources { config: Some("/nowhere/portpass.yaml".into()), ..Sources::default() };
    let error = Config::load(&sources, &environment(&[])).unwrap_err().to_string();
    assert!(
        error.starts_with("/nowhere/portpass.yaml: cannot read the configuration: "),
        "{error}"
    );
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let folder =
        Folder::new("http:\n  tls: { certificate: a.crt, key: b.key }\nregistry: { auth: none }\n");
    folder.certify("a");
    folder.certify("b");
    let refusal = folder.refusal();
    assert!(
        refusal
            .starts_with("portpass.yaml:2: http.tls: certificate and key cannot be used together"),
        "{refusal}"
    );
}
