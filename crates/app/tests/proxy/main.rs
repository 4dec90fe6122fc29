//! A real nginx in front, set up as the documentation says, and as people set it up instead: what clients
//! see of it, and whether the log tells the way out.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod address;
mod body;
mod header;
mod path;

use std::{
    fs,
    path::{Path, PathBuf},
};

use portpass_testkit::{
    Certificates, Client as _, CommandOutput, Nginx, Portpass, RegistryAddress, Skopeo,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// A portpass, a proxy that ends TLS in front of it, and somebody with skopeo who trusts its authority.
struct World {
    portpass: Portpass,
    nginx: Nginx,
    certificates: Certificates,
    skopeo: Skopeo,
}

impl World {
    /// With the two blocks of the documentation.
    fn documented() -> Self {
        Self::new(&documented("yaml"), &documented("nginx"))
    }

    /// With a configuration of portpass, and a server block of nginx for it; both with the addresses and
    /// file names of the documentation.
    fn new(configuration: &str, server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), configuration);
        let arguments = ["--config", "{folder}/portpass.yml", "--addr", "127.0.0.1:0"];
        let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
        let certificates = Certificates::new();
        let server = swap(server, "443", "{address}");
        let server = swap(&server, "127.0.0.1:5000", &portpass.address().to_string());
        let file = |path: PathBuf| path.display().to_string();
        let server = server
            .replace("/etc/nginx/registry.crt", &file(certificates.certificate()))
            .replace("/etc/nginx/registry.key", &file(certificates.key()));
        let nginx = Nginx::start(&server);
        Self { portpass, nginx, certificates, skopeo: Skopeo::default() }
    }

    /// Starts portpass again, at the same address, with another configuration.
    fn restart_with(&mut self, configuration: &str) {
        write(self.portpass.folder(), configuration);
        self.portpass.restart();
    }

    /// The proxy, as clients call it.
    fn host(&self) -> String {
        self.nginx.address().to_string()
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.host())
    }

    /// Speaks HTTP, and trusts the authority alone.
    fn client(&self) -> reqwest::Client {
        let root = fs::read(self.certificates.ca()).unwrap();
        let root = reqwest::Certificate::from_pem(&root).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap()
    }

    /// The realm of the challenge that a client gets through the proxy.
    async fn realm(&self) -> String {
        let answer = self.client().get(self.url("/v2/")).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        let realm = challenge.strip_prefix("Bearer realm=\"").unwrap();
        realm.split('"').next().unwrap().to_owned()
    }

    /// A token for this scope, by way of the proxy.
    async fn token(&self, scopes: &[&str]) -> String {
        let mut query = vec![("service", "registry")];
        query.extend(scopes.iter().map(|scope| ("scope", *scope)));
        let request = self.client().get(self.url("/token")).query(&query);
        let answer = request.basic_auth("admin", Some(self.password())).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Of `admin`.
    fn password(&self) -> String {
        let file = self.portpass.folder().join("data/admin-password");
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// The proxy, as a client is told of it that checks certificates.
    fn place(&self) -> RegistryAddress {
        RegistryAddress::tls(self.host(), self.certificates.folder())
    }

    /// `skopeo login` with the right password.
    fn login_as_admin(&mut self) -> CommandOutput {
        let password = self.password();
        self.login(&password)
    }

    /// `skopeo login` as `admin`.
    fn login(&mut self, password: &str) -> CommandOutput {
        let place = self.place();
        self.skopeo.login(&place, "admin", password).unwrap()
    }

    /// `skopeo copy` to a repository behind the proxy.
    fn push(&self, source: &str, image: &str) -> CommandOutput {
        let authorities = self.certificates.folder().to_str().unwrap();
        let image = format!("docker://{}/{image}", self.host());
        self.skopeo.run(&["copy", "--all", "--dest-cert-dir", authorities, source, &image])
    }

    /// `portpass login` as `admin`, told of the authority.
    fn login_with_ours(&self) -> CommandOutput {
        let (ca, host) = (self.certificates.ca(), self.host());
        let ca = ca.to_str().unwrap();
        let words = ["login", "--ca", ca, "--username", "admin", "--password-stdin", &host];
        self.portpass.command(&words, &self.password())
    }

    /// How many lines of portpass's log have these words.
    fn lines_with(&self, words: &str) -> usize {
        self.portpass.log().lines().filter(|line| line.contains(words)).count()
    }
}

/// The first block of this language in the documentation's section about proxies.
fn documented(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Proxies\n").unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// A block with this instead of that, which has to be there.
fn swap(block: &str, that: &str, this: &str) -> String {
    assert!(block.contains(that), "{that:?} is not in:\n{block}");
    block.replace(that, this)
}

/// A block without the lines that have this word, of which there has to be one.
fn without(block: &str, word: &str) -> String {
    assert!(block.contains(word), "{word:?} is not in:\n{block}");
    let lines = block.lines().filter(|line| !line.contains(word));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// A configuration with one more line under `http`.
fn with_http(configuration: &str, line: &str) -> String {
    swap(configuration, "http:\n", &format!("http:\n  {line}\n"))
}

fn write(folder: &Path, configuration: &str) {
    let data = folder.join("data");
    let configuration = format!("data: {}\n{configuration}", data.display());
    fs::write(folder.join("portpass.yml"), configuration).unwrap();
}
