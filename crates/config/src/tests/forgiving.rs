//! What goes on with a broken file, for those who do not need it.

use super::*;

/// A configuration with one file of every part.
const WHOLE: &str = "\
http: { tls: { certificate: server.crt, key: server.key } }
registry: { auth: { htpasswd: { realm: r, path: registry.htpasswd } } }
token_service:
  url: https://auth.example.com
  services: [{ name: one, algorithm: ES256 }, { name: two, certificate: own.crt, key: own.key }]
  signing: { certificate: signing.crt, key: signing.key }
  accounts: [{ local: {} }, { htpasswd: { path: users.htpasswd } }, { ldap: { servers: [\"ldaps://ldap.example.org\"], base: dc=x, filter: \"(uid=${account})\", bind_dn: cn=x, bind_password_file: secret } }]
  introspection: { to: [\"user:ldap/registry\"] }
  policy_file: rules.yml
";

fn folder() -> Folder {
    let folder = Folder::new(WHOLE);
    for name in ["server", "signing", "own"] {
        folder.certify(name);
    }
    for name in ["registry.htpasswd", "users.htpasswd"] {
        folder.write(name, "");
    }
    folder.write("secret", "word");
    folder.write("rules.yml", "- { allow: [pull], repository: a, to: \"user:ldap/ann\" }\n");
    folder
}

fn load(folder: &Folder) -> Config {
    let sources =
        Sources { config: Some(folder.path().join("portpass.yaml")), ..Sources::default() };
    Config::load_forgiving(&sources, &environment(&[])).unwrap()
}

const PARTS: [Part; 4] = [Part::Rules, Part::Accounts, Part::SigningKeys, Part::Serving];

#[test]
fn what_is_whole_is_read_as_for_a_server() {
    let folder = folder();
    let (strict, forgiving) = (folder.load().unwrap(), load(&folder));
    assert_eq!(format!("{strict:?}"), format!("{forgiving:?}"));
    assert!(PARTS.iter().all(|part| forgiving.require(*part).is_ok()));
}

#[test]
fn a_broken_file_is_an_error_for_those_who_need_its_part_alone() {
    for (file, part) in [
        ("rules.yml", Part::Rules),
        ("users.htpasswd", Part::Accounts),
        ("secret", Part::Accounts),
        ("signing.key", Part::SigningKeys),
        ("own.crt", Part::SigningKeys),
        ("server.crt", Part::Serving),
        ("server.key", Part::Serving),
        ("registry.htpasswd", Part::Serving),
    ] {
        let folder = folder();
        fs::remove_file(folder.path().join(file)).unwrap();
        let refusal = folder.load().unwrap_err();
        let config = load(&folder);
        for other in PARTS {
            let expected = if other == part { Err(refusal.clone()) } else { Ok(()) };
            assert_eq!(config.require(other), expected, "{file} {other:?}");
        }
        assert_eq!(config.warnings.last(), Some(&refusal.to_string()), "{file}");
    }
}

#[test]
fn rules_that_are_broken_grant_nothing_and_keep_their_keys_for_as_long_as_any_token_lives() {
    for rules in
        ["policy_file: rules.yml", "policy: [{ allow: [fetch], repository: a, to: anyone }]"]
    {
        let folder = Folder::new(&format!("token_service:\n  {rules}\n"));
        folder.write("rules.yml", "- { allow: [\n");
        let service = load(&folder).token_service.unwrap();
        assert!(service.policy.rules().is_none() && service.policy.file().is_none());
        assert_eq!(service.longest_lifetime(), portpass_authority::service::Lifetime::MAX);
        let request = portpass_authority::policy::Request {
            subject: &portpass_authority::subject::Subject::Anonymous,
            service: &portpass_token::ServiceName::new("registry"),
            address: None,
            now: std::time::SystemTime::UNIX_EPOCH,
        };
        let asked: portpass_protocol::AccessSet = "repository:a:pull".parse().unwrap();
        let asked = asked.iter().next().unwrap().clone();
        let granted = service.policy.policy().decide(&request, &asked).granted;
        assert_eq!(granted.to_string(), "");
    }
}

#[test]
fn the_configuration_itself_is_no_file_that_anybody_can_do_without() {
    let folder = Folder::new("token_service: { issuer: [ }\n");
    let sources =
        Sources { config: Some(folder.path().join("portpass.yaml")), ..Sources::default() };
    Config::load_forgiving(&sources, &environment(&[])).unwrap_err();
}
