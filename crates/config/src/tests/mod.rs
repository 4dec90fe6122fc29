//! What files and variables mean, and what is said of those that mean nothing.

mod docker_auth;
mod environment;
mod foreign;
mod forgiving;
mod groups;
mod http;
mod ldap;
mod policy;
mod refused;
mod signing;
mod workload;

use std::{fs, path::Path, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use portpass_protocol::challenge::Quotable;
use portpass_registry::{controller::Realm, gc::GcSettings};

use super::{policy::PolicySection, *};

/// The file with every section that docs/configuration.md shows.
const WHOLE_FILE: &str = include_str!("whole.yaml");

/// The `auth` block of a distribution registry, word for word, where ours has it.
const DISTRIBUTION: &str = "\
registry:
  auth:
    token:
      issuer: dtest
      realm: http://ip:5013/registry/v1/token
      rootcertbundle: /etc/registry/root.crt
      service: token-service
";

/// A folder with a configuration and what it names.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new(config: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("portpass.yaml", config);
        folder
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        fs::write(self.path().join(name), content).unwrap();
    }

    /// A certificate `NAME.crt` that is its own root, and its key `NAME.key`.
    pub(super) fn certify(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap();
        self.write(&format!("{name}.crt"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        self.load_with(&[])
    }

    pub(super) fn load_with(&self, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let sources =
            Sources { config: Some(self.path().join("portpass.yaml")), ..Sources::default() };
        Config::load(&sources, &environment(variables))
    }

    /// The error, without the folder's name.
    pub(super) fn refusal(&self) -> String {
        self.told(&self.load().unwrap_err())
    }

    pub(super) fn told(&self, error: &ConfigError) -> String {
        let mut text = error.to_string();
        for hint in error.hints() {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text.replace(&format!("{}/", self.path().display()), "")
    }
}

pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    let home = [("HOME", "/home/ann")];
    home.iter()
        .chain(variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(super) fn without_file(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&Sources::default(), &environment(variables))
}

fn fixed(realm: &str) -> Realm {
    Realm::Fixed(Quotable::new("realm", realm).unwrap())
}

/// The whole file with the paths of a folder in place of the machine's.
fn whole_file_in_a_folder() -> Folder {
    let folder = Folder::new(&WHOLE_FILE.replace("/etc/registry/", ""));
    folder.certify("server");
    folder.certify("root");
    folder.write(
        "users.htpasswd",
        "ann:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n",
    );
    folder
}

#[test]
fn the_file_of_the_documentation_parses_as_it_stands() {
    let typed = ConfigFile::parse("portpass.yaml", WHOLE_FILE).unwrap();
    let policy = typed.token_service.unwrap().value.policy.unwrap().value;
    assert!(matches!(policy, PolicySection::Rules(rules) if rules.len() == 6));
}

#[test]
fn the_file_of_the_documentation_means_what_it_says() {
    let config = whole_file_in_a_folder().load().unwrap();
    assert_eq!(config.data, Path::new("/var/lib/portpass"));
    assert_eq!(config.http.addr.to_string(), "0.0.0.0:5000");
    assert!(config.http.tls.is_some());
    assert_eq!(config.http.host.as_ref().unwrap().to_string(), "https://registry.example.com");
    assert!(config.http.trusted_proxies.contain("10.1.2.3".parse().unwrap()));
    assert_eq!(config.http.idle_timeout, Duration::from_secs(620));
    assert_eq!(config.http.headers["x-content-type-options"], "nosniff");
    let days = Duration::from_hours(90 * 24);
    assert_eq!(config.audit, Audit { keep: days, max_size: 1 << 30 });
    assert_eq!(config.admin.unwrap().addr.to_string(), "127.0.0.1:5001");

    let registry = config.registry.as_ref().unwrap();
    assert!(registry.deletes);
    let rule = registry.gc.settings.untagged.unwrap();
    assert_eq!(rule.older_than, Duration::from_hours(7 * 24));
    assert_eq!(rule.unless_pulled_within, Some(Duration::from_hours(30 * 24)));
    assert_eq!(registry.blobs, Path::new("/var/lib/portpass/blobs"));
    let RegistryAuth::Configured(Auth::Token(token)) = &registry.auth else {
        panic!("{:?}", registry.auth)
    };
    assert_eq!(token.realm, fixed("http://ip:5013/registry/v1/token"));
    assert_eq!(token.settings.issuer.as_str(), "dtest");
    assert_eq!(token.settings.audience.as_str(), "token-service");

    let service = config.token_service.as_ref().unwrap();
    let TokenListen::Own { addr, tls } = &service.listen else { panic!("{:?}", service.listen) };
    assert_eq!(addr.to_string(), "0.0.0.0:5013");
    assert!(tls.is_some(), "http.tls is the default");
    assert_eq!(service.path.as_str(), "/registry/v1/token");
    assert_eq!(service.lifetime.seconds(), 300);
    assert_eq!(service.accounts.len(), 2);
    assert_eq!(service.policy.rules().unwrap().rules().len(), 6);
    assert!(config.serves_http());
}

#[test]
fn distributions_token_block_parses_word_for_word() {
    let typed = ConfigFile::parse("portpass.yaml", DISTRIBUTION).unwrap();
    let auth = typed.registry.unwrap().value.auth.unwrap();
    assert_eq!(auth.value.word(), "token");

    let folder = Folder::new(&DISTRIBUTION.replace("/etc/registry/", ""));
    folder.certify("root");
    let config = folder.load().unwrap();
    let Some(Registry { auth: RegistryAuth::Configured(Auth::Token(token)), deletes, .. }) =
        config.registry
    else {
        panic!()
    };
    assert_eq!(token.realm, fixed("http://ip:5013/registry/v1/token"));
    assert!(deletes, "tokens say who may delete");
    assert!(config.token_service.is_none());
}

#[test]
fn garbage_is_collected_as_it_is_said() {
    let gc = |section: &str| {
        let text = format!("registry:\n  auth: none\n  storage:\n    gc: {section}\n");
        let config = Folder::new(&text).load().unwrap();
        (config.registry.unwrap().gc, config.warnings)
    };
    let (off, _) = gc("{ enabled: false }");
    assert_eq!(off.schedule, GcSchedule::Never);
    let (quick, warnings) = gc("{ interval: 10s, grace: 59s }");
    assert_eq!(quick.schedule, GcSchedule::Every(Duration::from_secs(10)));
    assert_eq!(quick.settings.grace, Duration::from_secs(59));
    let named = |warning: &&String| {
        warning.contains("portpass.yaml:4: registry.storage.gc.grace: 59s is for tests")
    };
    assert_eq!(warnings.iter().filter(named).count(), 1, "{warnings:?}");
    let (_, warnings) = gc("{ grace: 1m }");
    assert!(!warnings.iter().any(|warning| warning.contains("gc.grace")), "{warnings:?}");
}

/// CF6
#[test]
fn without_a_file_both_services_run_on_loopback() {
    let config = without_file(&[]).unwrap();
    assert_eq!(config.data, Path::new("/home/ann/.local/share/portpass"));
    assert_eq!(config.http.addr.to_string(), "127.0.0.1:5000");
    assert!(config.admin.is_none());
    assert_eq!((config.audit.keep.as_secs(), config.audit.max_size), (90 * 86_400, 1 << 30));
    let registry = config.registry.unwrap();
    assert!(matches!(registry.auth, RegistryAuth::InProcess));
    assert!(registry.deletes);
    let settings = GcSettings { grace: Duration::from_hours(2), untagged: None };
    let schedule = GcSchedule::Every(Duration::from_hours(1));
    assert_eq!(registry.gc, Gc { settings, schedule });
    assert_eq!(registry.blobs, Path::new("/home/ann/.local/share/portpass/blobs"));
    let service = config.token_service.unwrap();
    assert_eq!((service.issuer.as_str(), service.path.as_str()), ("portpass", "/token"));
    assert_eq!(service.services.iter().next().unwrap().name.as_str(), "registry");
    assert_eq!(service.accounts, [AccountSource::Local]);
    assert_eq!(service.policy.rules().unwrap().rules().len(), 4);
    assert!(service.anonymous && service.attempts == Attempts::Limited);
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let folder =
        Folder::new("data: /from/file\nhttp: { addr: 127.0.0.1:1 }\nregistry: { auth: none }\n");
    let mut sources =
        Sources { config: Some(folder.path().join("portpass.yaml")), ..Sources::default() };
    let environment =
        environment(&[("PORTPASS_HTTP_ADDR", "127.0.0.1:2"), ("PORTPASS_DATA", "/from/variable")]);
    let config = Config::load(&sources, &environment).unwrap();
    assert_eq!(config.http.addr.to_string(), "127.0.0.1:2");
    assert_eq!(config.data, Path::new("/from/variable"));
    sources.addr = Some("127.0.0.1:3".parse().unwrap());
    sources.data = Some("/from/flag".into());
    let config = Config::load(&sources, &environment).unwrap();
    assert_eq!(config.http.addr.to_string(), "127.0.0.1:3");
    assert_eq!(config.data, Path::new("/from/flag"));
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let folder =
        Folder::new("data: here\nregistry: { auth: { htpasswd: { realm: r, path: users } } }\n");
    folder.write("users", "");
    let config = folder.load().unwrap();
    assert_eq!(config.data, folder.path().join("here"));
    let RegistryAuth::Configured(Auth::Htpasswd(htpasswd)) = config.registry.unwrap().auth else {
        panic!()
    };
    assert_eq!(htpasswd.path, folder.path().join("users"));
    assert_eq!(htpasswd.attempts, Attempts::Limited);
}

/// CF6
#[test]
fn none_is_a_word_or_an_empty_map() {
    for auth in ["none", "NONE", "{ none: {} }", "{ None: {} }"] {
        let config = Folder::new(&format!("registry: {{ auth: {auth} }}\n")).load().unwrap();
        let registry = config.registry.unwrap();
        assert!(matches!(registry.auth, RegistryAuth::Configured(Auth::None)), "{auth}");
        assert!(!registry.deletes, "{auth}: nobody is asked who they are, so nobody deletes");
    }
}

/// CF4, CF5
#[test]
fn optional_keys_of_the_token_block_have_distributions_meaning() {
    let block = "registry:\n  auth:\n    token:\n      realm: https://a/t\n      issuer: i\n      service: s\n      \
                 rootcertbundle: root.crt\n      autoredirect: true\n      autoredirectpath: ''\n      \
                 signingalgorithms: [ES256, RS256]\n";
    let folder = Folder::new(block);
    folder.certify("root");
    let RegistryAuth::Configured(Auth::Token(token)) =
        folder.load().unwrap().registry.unwrap().auth
    else {
        panic!()
    };
    assert_eq!(
        token.realm,
        Realm::SameOrigin { path: Quotable::new("path", "/auth/token").unwrap() }
    );
    assert_eq!(token.settings.allowed.to_string(), "ES256, RS256");
}

/// CF1, CF4
#[test]
fn each_of_the_three_names_is_needed_and_an_empty_list_of_algorithms_is_the_usual_one() {
    let folder = Folder::new("");
    folder.certify("root");
    let block = |realm: &str, service: &str, issuer: &str| {
        let keys = "rootcertbundle: root.crt, autoredirect: true, signingalgorithms: []";
        let token = format!("{{ {realm}{service}{issuer}{keys} }}");
        folder.write("portpass.yaml", &format!("registry: {{ auth: {{ token: {token} }} }}\n"));
        folder.load()
    };
    let (realm, service, issuer) = ("realm: https://a/t, ", "service: s, ", "issuer: i, ");
    let RegistryAuth::Configured(Auth::Token(token)) =
        block(realm, service, issuer).unwrap().registry.unwrap().auth
    else {
        panic!()
    };
    assert_eq!(token.settings.allowed, portpass_jose::Algorithms::PUBLIC_KEY);
    for (name, refused) in [
        ("realm", ["", "realm: '', "].map(|realm| block(realm, service, issuer))),
        ("service", ["", "service: '', "].map(|service| block(realm, service, issuer))),
        ("issuer", ["", "issuer: '', "].map(|issuer| block(realm, service, issuer))),
    ] {
        let [missing, empty] = refused.map(|refused| refused.unwrap_err().to_string());
        assert!(missing.ends_with(&format!("the key `{name}` is missing")), "{missing}");
        assert!(empty.ends_with(&format!("auth.token.{name}: the value is empty")), "{empty}");
    }
}

#[test]
fn lines_of_a_password_file_that_will_not_count_are_named() {
    let folder = Folder::new("token_service:\n  accounts:\n    - htpasswd: { path: users }\n");
    folder.write("users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
    let warnings = folder.load().unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let place = "portpass.yaml:3: token_service.accounts.htpasswd.path: ";
    assert!(warnings[0].contains(place) && warnings[0].contains("line 1"), "{warnings:?}");
}

#[test]
fn rules_that_give_nothing_are_warned_of() {
    let warnings = |policy: &str| {
        let text = format!("token_service:\n  policy:\n    {policy}\n");
        Folder::new(&text).load().unwrap().warnings
    };
    let upper = warnings("- { allow: [pull], repository: 'Team/**', to: anyone }");
    assert_eq!(upper.len(), 1, "{upper:?}");
    assert!(upper[0].contains("portpass.yaml:3: token_service.policy[1]: `Team/**`"), "{upper:?}");
    assert_eq!(warnings("- { allow: [pull], repository: 'team/**', to: anyone }"), [""; 0]);
    let empty = warnings("[]");
    assert!(empty.len() == 1 && empty[0].contains("nobody may do anything"), "{empty:?}");
}

/// As `openssl pkcs12 -nokeys` writes it for somebody called Größe, on Windows.
#[test]
fn a_bundle_with_more_than_certificates_in_it_loads() {
    let text = "registry: { auth: { token: { realm: https://a/t, service: s, issuer: i, rootcertbundle: root.crt } } }\n";
    let folder = Folder::new(text);
    folder.certify("root");
    let path = folder.path().join("root.crt");
    let pem = fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
    let bag = b"Bag Attributes\r\n    friendlyName: Gr\xf6\xdfe\r\n";
    fs::write(&path, [bag, pem.as_bytes()].concat()).unwrap();
    folder.load().unwrap();
    fs::write(&path, b"Gr\xf6\xdfe").unwrap();
    assert!(folder.load().unwrap_err().to_string().contains("there is no certificate"));
}

#[test]
fn plain_http_beyond_the_machine_is_warned_of_once_for_each_listener() {
    let pair = "registry: {}\ntoken_service: {}\n";
    let warnings = |text: &str| Folder::new(text).load().unwrap().warnings;
    assert_eq!(warnings(pair), [""; 0]);
    assert_eq!(warnings(&format!("http: {{ addr: '[::1]:5000' }}\n{pair}")), [""; 0]);
    let exposed = warnings(&format!("http: {{ addr: ':5000' }}\n{pair}"));
    assert_eq!(exposed.len(), 1);
    assert!(exposed[0].contains("insecure-registries"), "{exposed:?}");
    let elsewhere = "http: { addr: ':5000' }\ntoken_service: { addr: ':5013' }\n";
    let exposed = warnings(elsewhere);
    assert_eq!(exposed.len(), 1, "http.addr is not opened: {exposed:?}");
    assert!(exposed[0].starts_with("token_service.addr [::]:5013"), "{exposed:?}");
}

#[test]
fn the_schema_is_what_the_documentation_shows() {
    insta::assert_json_snapshot!(schema());
}
