use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use insta::assert_snapshot;
use portpass_testkit::credential_helper;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{
    file::{AuthFile, Keys},
    *,
};

fn host(text: &str) -> Host {
    text.parse().unwrap()
}

fn password(username: &str, password: &str) -> Credential {
    Credential::Password { username: username.to_owned(), password: password.into() }
}

/// What a credential is, in words.
fn shown(credential: Option<&Credential>) -> String {
    match credential {
        None => "nothing".to_owned(),
        Some(Credential::Password { username, password }) => {
            format!("{username}:{}", password.expose_secret())
        }
        Some(Credential::IdentityToken { username, token }) => {
            format!(
                "identity {} of {}",
                token.expose_secret(),
                username.as_deref().unwrap_or("nobody")
            )
        }
        Some(Credential::RegistryToken(token)) => format!("token {}", token.expose_secret()),
    }
}

/// A home with docker's and podman's files.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.folder.path().join(rest)
    }

    fn write(&self, rest: &str, text: &str) -> PathBuf {
        let path = self.path(rest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn docker(&self, text: &str) {
        self.write(".docker/config.json", text);
    }

    fn podman(&self, text: &str) {
        self.write(".config/containers/auth.json", text);
    }

    /// A helper with this shell script in it.
    fn helper(&self, name: &str, script: &str) {
        credential_helper::install(&self.path("bin"), name, script);
    }

    /// One that keeps one secret in a file, and says what real ones say.
    fn keeping_helper(&self, name: &str) {
        let file = self.path("kept").display().to_string();
        self.helper(
            name,
            &format!(
                "missing() {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
                 case $1 in\n\
                 store) cat > '{file}' ;;\n\
                 get) [ -f '{file}' ] && cat '{file}' || missing ;;\n\
                 erase) [ -f '{file}' ] && rm '{file}' || missing ;;\n\
                 esac"
            ),
        );
    }

    fn files(&self) -> CredentialFiles {
        let folder = self.folder.path().to_owned();
        CredentialFiles::new(CredentialPaths {
            docker: Some(folder.join(".docker/config.json")),
            docker_auth_config: None,
            podman: vec![folder.join(".config/containers/auth.json")],
            helpers: vec![folder.join("bin")],
        })
    }

    async fn found(&self, registry: &str, repository: Option<&str>) -> String {
        let found = self.files().get(&host(registry), repository).await.unwrap();
        shown(found.as_ref().map(|found| &found.credential))
    }

    fn read(&self, rest: &str) -> String {
        fs::read_to_string(self.path(rest)).unwrap()
    }

    /// An error with this home's name taken out.
    fn said(&self, error: &CredentialsError) -> String {
        format!("{error}; {}", error.hints().join(", "))
            .replace(&self.folder.path().display().to_string(), "HOME")
    }
}

#[tokio::test]
async fn docker_s_file_is_read_as_docker_reads_it() {
    let home = Home::new();
    let auth = |pair: &str| STANDARD.encode(pair);
    home.docker(&format!(
        r#"{{"auths":{{
            "plain.example":{{"auth":"{}"}},
            "colon.example":{{"auth":"{}"}},
            "unpadded.example":{{"auth":"{}"}},
            "https://old.example/v1/":{{"auth":"{}"}},
            "port.example:5000":{{"auth":"{}"}},
            "identity.example":{{"auth":"{}","identitytoken":"refresh"}},
            "bare-identity.example":{{"identitytoken":"refresh"}},
            "registry-token.example":{{"registrytoken":"ready"}},
            "split.example":{{"username":"ann","password":"secret"}},
            "nul.example":{{"auth":"{}"}},
            "mark.example":{{}},
            "null.example":null,
            "https://index.docker.io/v1/":{{"auth":"{}"}}
        }}}}"#,
        auth("ann:secret"),
        auth("ann:se:cr:et"),
        auth("ann:secret1").trim_end_matches('='),
        auth("old:secret"),
        auth("port:secret"),
        auth("ann:"),
        auth("ann:secret\0\0"),
        auth("hub:secret"),
    ));
    let table = [
        ("plain.example", "ann:secret"),
        ("PLAIN.example", "ann:secret"),
        ("colon.example", "ann:se:cr:et"),
        ("unpadded.example", "ann:secret1"),
        ("old.example", "old:secret"),
        ("port.example:5000", "port:secret"),
        ("port.example", "nothing"),
        ("port.example:5001", "nothing"),
        ("identity.example", "identity refresh of ann"),
        ("bare-identity.example", "identity refresh of nobody"),
        ("registry-token.example", "token ready"),
        ("split.example", "ann:secret"),
        ("nul.example", "ann:secret"),
        ("mark.example", "nothing"),
        ("null.example", "nothing"),
        ("docker.io", "hub:secret"),
        ("other.example", "nothing"),
    ];
    for (registry, expected) in table {
        assert_eq!(home.found(registry, None).await, expected, "{registry}");
    }
}

#[tokio::test]
async fn podman_s_keys_may_be_prefixes_of_names() {
    let home = Home::new();
    let auth =
        |name: &str| format!("{{\"auth\":\"{}\"}}", STANDARD.encode(format!("{name}:secret")));
    home.podman(&format!(
        r#"{{"auths":{{"quay.example":{},"quay.example/team":{},"quay.example/team/app":{},"only.example/team":{}}}}}"#,
        auth("all"),
        auth("team"),
        auth("app"),
        auth("only"),
    ));
    let table = [
        ("quay.example", None, "all:secret"),
        ("quay.example", Some("other/app"), "all:secret"),
        ("quay.example", Some("team/other"), "team:secret"),
        ("quay.example", Some("team/app"), "app:secret"),
        ("quay.example", Some("team/app/part"), "app:secret"),
        ("quay.example", Some("teams/app"), "all:secret"),
        ("only.example", None, "nothing"),
        ("only.example", Some("team/app"), "only:secret"),
    ];
    for (registry, repository, expected) in table {
        assert_eq!(home.found(registry, repository).await, expected, "{registry} {repository:?}");
    }
}

#[tokio::test]
async fn the_environment_comes_before_docker_and_docker_before_podman() {
    let home = Home::new();
    let text = |name: &str| {
        format!(
            r#"{{"auths":{{"r.example":{{"auth":"{}"}}}}}}"#,
            STANDARD.encode(format!("{name}:x"))
        )
    };
    assert_eq!(home.found("r.example", None).await, "nothing");
    home.podman(&text("podman"));
    assert_eq!(home.found("r.example", None).await, "podman:x");
    home.docker(&text("docker"));
    assert_eq!(home.found("r.example", None).await, "docker:x");
    let paths = CredentialPaths {
        docker_auth_config: Some(text("environment").into()),
        ..CredentialPaths::default()
    };
    let found = CredentialFiles::new(paths).get(&host("r.example"), None).await.unwrap().unwrap();
    assert_eq!(shown(Some(&found.credential)), "environment:x");
    assert_eq!(found.place.to_string(), "DOCKER_AUTH_CONFIG");
}

#[tokio::test]
async fn who_has_no_home_has_no_credentials() {
    for home in ["/dev/null", "/nonexistent"] {
        let get = |name: &str| (name == "HOME").then(|| home.to_owned());
        let files = CredentialFiles::new(CredentialPaths::from_environment(get));
        let found = files.get(&host("registry.example.com"), None).await.unwrap();
        assert!(found.is_none(), "{found:?}");
    }
}

#[tokio::test]
async fn what_is_kept_can_be_had_again_and_is_for_its_owner_only() {
    let home = Home::new();
    let files = home.files();
    for credential in [
        password("ann", "se:cr:et \"\\ é"),
        Credential::IdentityToken { username: Some("ann".into()), token: "refresh".into() },
        Credential::IdentityToken { username: None, token: "refresh".into() },
        Credential::RegistryToken("ready".into()),
    ] {
        let place = files.store(&host("r.example:5000"), &credential).await.unwrap();
        assert_eq!(place, CredentialSource::File(home.path(".docker/config.json")));
        assert_eq!(home.found("r.example:5000", None).await, shown(Some(&credential)));
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path(".docker/config.json")), 0o600);
    assert_eq!(mode(&home.path(".docker")), 0o700);
    assert_eq!(files.erase(&host("r.example:5000")).await.unwrap().len(), 1);
    assert_eq!(files.erase(&host("r.example:5000")).await.unwrap().len(), 0);
    assert_eq!(home.found("r.example:5000", None).await, "nothing");
}

/// Other programs keep other things in that file.
#[tokio::test]
async fn nothing_else_in_the_file_changes() {
    let home = Home::new();
    home.docker("{\n\t\"psFormat\": \"table\",\n\t\"auths\": {\n\t\t\"z.example\": {\n\t\t\t\"auth\": \"YTpi\",\n\t\t\t\"email\": \"\"\n\t\t},\n\t\t\"http://r.example/v1/\": {\"auth\": \"YTpi\"}\n\t},\n\t\"HttpHeaders\": {\"User-Agent\": \"x\", \"A\": 1.50}\n}\n");
    home.files().store(&host("r.example"), &password("ann", "secret")).await.unwrap();
    assert_snapshot!(home.read(".docker/config.json"), @r#"
    {
    	"psFormat": "table",
    	"auths": {
    		"z.example": {
    			"auth": "YTpi",
    			"email": ""
    		},
    		"r.example": {
    			"auth": "YW5uOnNlY3JldA=="
    		}
    	},
    	"HttpHeaders": {"User-Agent": "x", "A": 1.50}
    }
    "#);
    home.files().erase(&host("r.example")).await.unwrap();
    home.files().erase(&host("z.example")).await.unwrap();
    assert_snapshot!(home.read(".docker/config.json"), @r#"
    {
    	"psFormat": "table",
    	"auths": {},
    	"HttpHeaders": {"User-Agent": "x", "A": 1.50}
    }
    "#);
}

#[tokio::test]
async fn a_link_stays_a_link_and_a_mode_stays_a_mode() {
    let home = Home::new();
    let real = home.write("dotfiles/docker.json", "");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir_all(home.path(".docker")).unwrap();
    std::os::unix::fs::symlink(&real, home.path(".docker/config.json")).unwrap();
    home.files().store(&host("r.example"), &password("ann", "secret")).await.unwrap();
    assert!(fs::symlink_metadata(home.path(".docker/config.json")).unwrap().is_symlink());
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("r.example"));
    assert_eq!(fs::read_dir(home.path("dotfiles")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_helper_keeps_what_docker_s_file_says_it_keeps() {
    let home = Home::new();
    home.keeping_helper("all");
    home.docker(r#"{"credsStore":"all","credHelpers":{"file.example":""},"auths":{"r.example":{"auth":"b2xkOnNlY3JldA=="}}}"#);
    let files = home.files();
    // As for docker, what the file holds beside a helper does not count.
    assert_eq!(home.found("r.example", None).await, "nothing");
    let place = files.store(&host("r.example"), &password("ann", "sec\"ret")).await.unwrap();
    assert_eq!(place.to_string(), "docker-credential-all");
    assert_eq!(
        home.read("kept"),
        r#"{"ServerURL":"r.example","Username":"ann","Secret":"sec\"ret"}"#
    );
    assert!(
        !home.read(".docker/config.json").contains("b2xkOnNlY3JldA"),
        "the old password stayed in the file"
    );
    assert_eq!(home.found("r.example", None).await, "ann:sec\"ret");

    let identity =
        Credential::IdentityToken { username: Some("ann".into()), token: "refresh".into() };
    files.store(&host("r.example"), &identity).await.unwrap();
    assert_eq!(home.found("r.example", None).await, "identity refresh of nobody");
    assert_eq!(
        files.erase(&host("r.example")).await.unwrap(),
        [CredentialSource::Helper("all".into())]
    );
    assert_eq!(files.erase(&host("r.example")).await.unwrap(), []);

    // An empty name keeps one host out of the store.
    files.store(&host("file.example"), &password("ann", "secret")).await.unwrap();
    assert!(home.read(".docker/config.json").contains("file.example"));
    assert!(!home.path("kept").exists());
}

#[tokio::test]
async fn a_helper_of_one_host_comes_before_the_store_of_all() {
    let home = Home::new();
    home.helper("one", r#"read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"one\",\"Secret\":\"$server\"}""#);
    home.docker(r#"{"credsStore":"absent","credHelpers":{"r.example":"one","docker.io":"one"}}"#);
    assert_eq!(home.found("r.example", None).await, "one:r.example");
    assert_eq!(home.found("docker.io", None).await, "one:https://index.docker.io/v1/");
}

#[tokio::test]
async fn helpers_that_fail_are_named_with_what_they_say() {
    let home = Home::new();
    let failure = async |helper: &str| {
        home.docker(&format!(r#"{{"credsStore":"{helper}"}}"#));
        home.said(&home.files().get(&host("r.example"), None).await.unwrap_err())
    };
    home.helper("locked", "echo 'error getting credentials: the keychain is locked'; exit 1");
    home.helper("garbled", "echo not json");
    home.helper("silent", "exit 3");
    assert_snapshot!(failure("locked").await, @r#"docker-credential-locked get failed: "error getting credentials: the keychain is locked";"#);
    assert_snapshot!(failure("garbled").await, @"docker-credential-garbled get failed: its response is not the expected JSON;");
    assert_snapshot!(failure("silent").await, @"docker-credential-silent get failed: no reason given;");
    assert_snapshot!(failure("desktop").await, @r#"HOME/.docker/config.json names the credential helper "desktop", but there is no docker-credential-desktop in PATH; install it, or remove "credsStore" or its line of "credHelpers" from HOME/.docker/config.json"#);
    assert_snapshot!(failure("../bin/docker-credential-locked").await, @r#"HOME/.docker/config.json names the credential helper "../bin/docker-credential-locked", but there is no docker-credential-../bin/docker-credential-locked in PATH; install it, or remove "credsStore" or its line of "credHelpers" from HOME/.docker/config.json"#);
}

#[tokio::test]
async fn broken_files_are_named_and_left_alone() {
    let home = Home::new();
    let failure = async |text: &str| {
        home.docker(text);
        let read = home.said(&home.files().get(&host("r.example"), None).await.unwrap_err());
        assert_eq!(home.read(".docker/config.json"), text);
        read
    };
    assert_snapshot!(failure("{\"auths\": {\"r.example\": {\"auth\": \"c2VjcmV0\"").await, @"HOME/.docker/config.json is not a credential file: line 1, column 43 is not JSON; repair it or move it away; nothing was changed");
    assert_snapshot!(failure("[]").await, @r#"HOME/.docker/config.json is not a credential file: it must be an object, and so must "auths"; repair it or move it away; nothing was changed"#);
    assert_snapshot!(failure(r#"{"auths":["secret"]}"#).await, @r#"HOME/.docker/config.json is not a credential file: it must be an object, and so must "auths"; repair it or move it away; nothing was changed"#);
    assert_snapshot!(failure(r#"{"auths":{"r.example":"secret"}}"#).await, @r#"the entry "r.example" of HOME/.docker/config.json is not an object of strings; log out and log in again"#);
    assert_snapshot!(failure(r#"{"auths":{"r.example":{"auth":"*secret*"}}}"#).await, @r#"the entry "r.example" of HOME/.docker/config.json has an "auth" that is not base64; log out and log in again"#);
    assert_snapshot!(failure(r#"{"auths":{"r.example":{"auth":"c2VjcmV0"}}}"#).await, @r#"the entry "r.example" of HOME/.docker/config.json has an "auth" without a name and a colon; log out and log in again"#);
    assert_snapshot!(failure(r#"{"auths":{"r.example":{"auth":"OnNlY3JldA=="}}}"#).await, @r#"the entry "r.example" of HOME/.docker/config.json has an "auth" without a name and a colon; log out and log in again"#);
    assert_snapshot!(failure(r#"{"auths":{"r.example":{"auth":"YW5uOg=="}}}"#).await, @r#"the entry "r.example" of HOME/.docker/config.json has a name without a password; log out and log in again"#);
    // What is wrong with one entry is nothing to another.
    home.docker(
        r#"{"auths":{"broken.example":{"auth":"*"},"r.example":{"auth":"YW5uOnNlY3JldA=="}}}"#,
    );
    assert_eq!(home.found("r.example", None).await, "ann:secret");
    home.docker(r#"{"auths":{"broken.example":{"auth":"*"}}}"#);
    assert_eq!(home.files().erase(&host("broken.example")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn names_that_the_file_has_no_room_for_are_refused() {
    let home = Home::new();
    for name in ["", "a:b"] {
        let error =
            home.files().store(&host("r.example"), &password(name, "secret")).await.unwrap_err();
        assert!(matches!(error, CredentialsError::Username), "{error}");
    }
    assert!(!home.path(".docker").exists());
    let nowhere = CredentialFiles::new(CredentialPaths::default());
    let error = nowhere.store(&host("r.example"), &password("ann", "secret")).await.unwrap_err();
    assert!(matches!(error, CredentialsError::NoPlace), "{error}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,120}", nested in "[{}\\[\\]\",:a-z]{0,60}") {
        for text in [text, format!("{{\"auths\":{nested}}}"), format!("{{\"auths\":{{\"r.example\":{nested}}}}}")] {
            let place = CredentialSource::Given("a test");
            if let Ok(file) = AuthFile::parse(place, Keys::Prefixes, &text) {
                let _ = (file.find(&host("r.example"), Some("a/b")), file.helper(&host("r.example")));
            }
        }
    }

    #[test]
    fn any_password_comes_back(name in "[^:\\x00]{1,20}", secret in "[^\\x00]{1,40}") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let mut file = AuthFile::read(&path, Keys::Hosts).unwrap();
        file.put(&host("r.example"), Some(&password(&name, &secret))).unwrap();
        file.write(&path).unwrap();
        let found = AuthFile::read(&path, Keys::Hosts).unwrap().find(&host("r.example"), None).unwrap();
        prop_assert_eq!(shown(found.as_ref()), format!("{name}:{secret}"));
    }
}
