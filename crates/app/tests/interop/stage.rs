//! The pairs of registry and token service that clients are tried on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portpass_testkit::{
    Certificates, CommandOutput, Distribution, Portpass, PythonTokenService, RegistryAddress,
    TrustedTokens, run,
};
use tempfile::TempDir;

use crate::PROGRAM;

/// The account that everything is done with; it owns what lies below its own name.
pub(crate) const ACCOUNT: &str = "ann";
/// With a colon: what splits at every one of them would lose half of it (TG2).
pub(crate) const PASSWORD: &str = "correct:horse battery";

/// A registry, and who gives its tokens; both stop when it is dropped.
pub(crate) struct Stage {
    /// The heading of its table.
    pub(crate) title: &'static str,
    /// How clients reach the registry.
    pub(crate) place: RegistryAddress,
    registry: Registry,
    _beside: Beside,
}

enum Registry {
    Portpass(Portpass),
    Distribution(Distribution),
}

/// What has to last as long as the registry.
enum Beside {
    Nothing,
    Certificates { _files: Certificates },
    Portpass { _service: Portpass },
    Written { _service: PythonTokenService },
}

impl Stage {
    /// Registry and token service in one process.
    pub(crate) fn portpass() -> Self {
        let portpass = serve("registry: {}\ntoken_service: {}\n");
        add_account(&portpass, ACCOUNT);
        Self::of_portpass("portpass, registry and token service in one", portpass, Beside::Nothing)
    }

    /// The same, with a certificate of a private authority.
    pub(crate) fn portpass_over_tls() -> Self {
        let certificates = Certificates::new();
        let tls = format!(
            "  tls: {{ certificate: {}, key: {} }}\nregistry: {{}}\ntoken_service: {{}}\n",
            certificates.certificate().display(),
            certificates.key().display(),
        );
        let portpass = serve(&tls);
        add_account(&portpass, ACCOUNT);
        Self {
            title: "portpass over TLS",
            place: RegistryAddress::tls(portpass.address(), certificates.folder()),
            registry: Registry::Portpass(portpass),
            _beside: Beside::Certificates { _files: certificates },
        }
    }

    /// distribution 2.8 that trusts the root certificate of our token service and nothing else.
    pub(crate) fn distribution_with_x5c() -> Self {
        let tokens = token_service("x5c");
        let bundle = root_alone(&tokens);
        Self::of_distribution("distribution 2.8, tokens of portpass with x5c", tokens, &bundle)
    }

    /// distribution 2.8 that knows the key of our token service by its libtrust fingerprint.
    pub(crate) fn distribution_with_libtrust() -> Self {
        let tokens = token_service("libtrust");
        let bundle = tokens.folder().join("data/root.crt");
        Self::of_distribution("distribution 2.8, tokens of portpass with libtrust", tokens, &bundle)
    }

    /// Our registry, and a token service that somebody else wrote.
    pub(crate) fn portpass_with_foreign_tokens() -> Self {
        let tokens = PythonTokenService::start("somebody", ACCOUNT, PASSWORD);
        let portpass = serve(&format!(
            "registry:\n  auth:\n    token: {{ realm: \"{}\", service: registry, issuer: somebody, rootcertbundle: {} }}\n",
            tokens.realm(),
            tokens.bundle().display(),
        ));
        let title = "portpass, tokens of a service written with PyJWT and openssl";
        Self::of_portpass(title, portpass, Beside::Written { _service: tokens })
    }

    /// Our registry with a file of passwords, as Apache's `htpasswd -B` writes it.
    pub(crate) fn portpass_with_htpasswd() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.htpasswd");
        htpasswd(&file, ACCOUNT, PASSWORD);
        // Each of its users may do everything, so deleting is off unless somebody says otherwise.
        let auth = format!(
            "registry:\n  storage: {{ delete: {{ enabled: true }} }}\n  auth:\n    htpasswd: {{ realm: here, path: {} }}\n",
            file.display()
        );
        let portpass = serve_in(folder, &auth);
        Self::of_portpass("portpass with htpasswd", portpass, Beside::Nothing)
    }

    /// What the registry has logged, requests too.
    pub(crate) fn log(&self) -> String {
        match &self.registry {
            Registry::Portpass(portpass) => portpass.log(),
            Registry::Distribution(distribution) => distribution.log(),
        }
    }

    fn of_portpass(title: &'static str, portpass: Portpass, beside: Beside) -> Self {
        let place = RegistryAddress::plain(portpass.address());
        Self { title, place, registry: Registry::Portpass(portpass), _beside: beside }
    }

    fn of_distribution(title: &'static str, tokens: Portpass, bundle: &Path) -> Self {
        let realm = format!("{}/token", tokens.url());
        let tokens_for =
            TrustedTokens { realm: &realm, service: SERVICE, issuer: "portpass", bundle };
        let distribution = Distribution::start(&tokens_for);
        let place = RegistryAddress::plain(distribution.address());
        let registry = Registry::Distribution(distribution);
        Self { title, place, registry, _beside: Beside::Portpass { _service: tokens } }
    }
}

/// A token service alone, with the account.
pub(crate) fn token_service(key_id: &str) -> Portpass {
    let tokens = serve(&format!(
        "token_service:\n  services: [ {{ name: {SERVICE}, key_id: {key_id} }} ]\n{POLICY}"
    ));
    add_account(&tokens, ACCOUNT);
    tokens
}

/// distribution 2.8, which trusts a bundle for the tokens of our token service.
pub(crate) fn distribution(tokens: &Portpass, bundle: &Path) -> Distribution {
    let realm = format!("{}/token", tokens.url());
    Distribution::start(&TrustedTokens {
        realm: &realm,
        service: SERVICE,
        issuer: "portpass",
        bundle,
    })
}

/// The root certificate of a token service, without those of its keys: a file of its own.
pub(crate) fn root_alone(tokens: &Portpass) -> PathBuf {
    let bundle = fs::read_to_string(tokens.folder().join("data/root.crt")).unwrap();
    let end = "-----END CERTIFICATE-----\n";
    let (root, below) = bundle.split_at(bundle.find(end).unwrap() + end.len());
    assert!(below.contains(end), "the bundle has keys below the root");
    let file = tokens.folder().join("root-alone.crt");
    fs::write(&file, root).unwrap();
    file
}

/// A line for one user, as `htpasswd -B` writes it; the file is made if it is not there.
pub(crate) fn htpasswd(file: &Path, account: &str, password: &str) {
    let mut command = Command::new("htpasswd");
    if !file.exists() {
        command.arg("-c");
    }
    run(command.args(["-B", "-i"]).arg(file).arg(account), password).expect_success();
}

/// `portpass serve` on a port that the kernel picks.
pub(crate) fn serve(sections: &str) -> Portpass {
    serve_in(tempfile::tempdir().unwrap(), sections)
}

/// As [`serve`], in a folder that has been prepared.
pub(crate) fn serve_in(folder: TempDir, sections: &str) -> Portpass {
    configuration(folder.path(), sections);
    Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder)
}

/// Writes `portpass.yml`, for a port that the kernel picks. `sections` may begin inside `http:`.
pub(crate) fn configuration(folder: &Path, sections: &str) {
    let text = format!(
        "data: {}\nlog: {{ level: debug }}\nhttp:\n  addr: 127.0.0.1:0\n{sections}",
        folder.join("data").display()
    );
    fs::write(folder.join("portpass.yml"), text).unwrap();
}

/// Adds an account; all have the same password.
pub(crate) fn add_account(portpass: &Portpass, account: &str) {
    manage(portpass, &["user", "add", account, "--password-stdin"]);
}

/// Runs a command of management on what the server serves.
pub(crate) fn manage(portpass: &Portpass, words: &[&str]) -> CommandOutput {
    let configuration = ["--config", "{folder}/portpass.yml"];
    let ran = portpass.command(&[words, &configuration].concat(), PASSWORD);
    ran.expect_success();
    ran
}

const SERVICE: &str = "registry";
const POLICY: &str = "  policy:
    - { allow: [pull], repository: \"public/**\", to: anyone }
    - { allow: [pull, push, delete], repository: \"${account}/**\", to: signed-in }
    - { allow: [\"*\"], registry: catalog, to: \"user:ann\" }
";
