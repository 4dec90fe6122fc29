//! What lies on this machine: files, helpers, keys.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portpass_client::credentials::CredentialPaths;
use portpass_testkit::{
    credential_helper,
    http::{Served, challenge},
};
use tempfile::TempDir;

use super::fixture::{asking, bare, examine, found, noted, noted_as, service, sound, with_version};
use crate::{Check, Inputs, LocalInputs, Report};

/// A home with files in it.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn docker(self, text: &str) -> Self {
        fs::write(self.0.path().join("config.json"), text).unwrap();
        self
    }

    fn podman(self, text: &str) -> Self {
        fs::write(self.0.path().join("auth.json"), text).unwrap();
        self
    }

    /// A helper that does what this script says.
    fn helper(self, name: &str, script: &str) -> Self {
        credential_helper::install(self.0.path(), name, script);
        self
    }

    fn inputs(&self) -> Inputs {
        let places = CredentialPaths {
            docker: Some(self.0.path().join("config.json")),
            docker_auth_config: None,
            podman: vec![self.0.path().join("auth.json")],
            helpers: vec![self.0.path().to_owned()],
        };
        Inputs::none(LocalInputs { places, ..LocalInputs::default() })
    }
}

fn auths(entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(key, pair)| format!(r#""{key}":{{"auth":"{}"}}"#, STANDARD.encode(pair)))
        .collect();
    format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
}

/// Diagnoses a registry with nothing wrong; `HOST` in the home's files is its name.
async fn with(home: impl FnOnce(&str) -> Home) -> Report {
    let service = service().await;
    let served = Served::start(asking(&service.url("/token"))).await;
    let host = served.address.to_string();
    examine(&format!("{host}/team/app"), home(&host).inputs()).await
}

#[tokio::test]
async fn f32_a_login_to_the_hub_is_no_login_to_its_mirror() {
    let hub = auths(&[("https://index.docker.io/v1/", "ann:pass")]);
    let report = with(|_| Home::new().docker(&hub)).await;
    sound(&report);
    noted(&report, "F32", Check::Cfg02);
}

#[tokio::test]
async fn f140_a_helper_that_is_not_there_or_fails() {
    let text = r#"{"credsStore":"desktop"}"#;
    let cause = found(&with(|_| Home::new().docker(text)).await, "F140", Check::Cfg03);
    assert!(cause.summary.contains("no docker-credential-desktop in PATH"), "{cause:#?}");
    for (script, said) in [
        ("echo 'pass not initialized: exit status 1'; exit 1", "pass not initialized"),
        ("echo 'hello'", "not the expected JSON"),
    ] {
        let home = || Home::new().docker(text).helper("desktop", script);
        let cause = found(&with(|_| home()).await, "F140", Check::Cfg03);
        assert!(cause.summary.contains(said), "{cause:#?}");
    }
}

#[tokio::test]
async fn a_helper_that_works_is_sound() {
    let text = r#"{"credsStore":"desktop"}"#;
    for script in [
        r#"echo '{"ServerURL":"x","Username":"ann","Secret":"secret"}'"#,
        "echo 'credentials not found in native keychain'; exit 1",
    ] {
        let report = with(|_| Home::new().docker(text).helper("desktop", script)).await;
        sound(&report);
        assert_eq!(report.finding(Check::Cfg03).unwrap().verdict.as_str(), "pass");
    }
}

#[tokio::test]
async fn f140_a_helper_that_never_ends() {
    use crate::{run::Run, stage::configuration};
    let home = Home::new()
        .docker(r#"{"credsStore":"desktop"}"#)
        .helper("desktop", "exec cat /dev/zero >/dev/null");
    let clock = std::sync::Arc::new(portpass_client::SystemClock);
    let mut run = Run::new("r.example".parse().unwrap(), home.inputs(), clock);
    configuration::helper_within(&mut run, std::time::Duration::from_millis(50)).await;
    let finding = found(&run.into_report(), "F140", Check::Cfg03);
    assert!(finding.summary.contains("did not respond"), "{finding:#?}");
}

#[tokio::test]
async fn f141_a_key_that_nobody_looks_up() {
    let served = Served::always(with_version(challenge(r#"Basic realm="r""#))).await;
    let port = served.address.port();
    // Another port is another registry; it is the cause once a password is needed.
    let other = auths(&[("127.0.0.1:1", "ann:pass")]);
    let home = Home::new().docker(&other);
    let report = examine(&served.address.to_string(), home.inputs()).await;
    found(&report, "F141", Check::Cfg02);
    let report = with(|_| Home::new().docker(&other)).await;
    sound(&report);
    noted_as(&report, "F141", Check::Cfg02, "warn");
    // The same in other letters: we find it, docker does not.
    let capitals = auths(&[(&format!("LOCALHOST:{port}"), "ann:pass")]);
    let home = Home::new().docker(&capitals);
    let report = examine(&format!("localhost:{port}"), home.inputs()).await;
    found(&report, "F141", Check::Cfg02);
    // The port that goes without saying.
    let said = auths(&[("nobody.invalid:443", "ann:pass")]);
    let home = Home::new().docker(&said);
    let report = examine("nobody.invalid", home.inputs()).await;
    let finding = report.finding(Check::Cfg02).unwrap();
    assert!(finding.failed() && finding.rows.contains(&"F141"), "{finding:#?}");
}

#[tokio::test]
async fn f142_a_password_with_a_newline() {
    let report = with(|host| Home::new().docker(&auths(&[(host, "ann:pass\n")]))).await;
    sound(&report);
    noted(&report, "F142", Check::Cfg02);
}

#[tokio::test]
async fn f143_an_entry_that_spoils_the_file() {
    let unpadded = STANDARD.encode("ann:pass12");
    assert!(unpadded.ends_with('='));
    let unpadded = unpadded.trim_end_matches('=');
    for text in [
        "{".to_owned(),
        r#"{"auths":[]}"#.to_owned(),
        format!(r#"{{"auths":{{"other.example":{{"auth":"{unpadded}"}}}}}}"#),
        auths(&[("other.example", ":nobody")]),
        r#"{"auths":{"HOST":{"auth":"%%%"}}}"#.to_owned(),
    ] {
        let report = with(|host| Home::new().docker(&text.replace("HOST", host))).await;
        let cause = found(&report, "F143", Check::Cfg01);
        assert!(cause.summary.contains("config.json"), "{cause:#?}");
    }
    // Podman looks at its own entry alone.
    let text = auths(&[("other.example", ":nobody")]);
    sound(&with(|_| Home::new().podman(&text)).await);
    // With a password that was typed, it is a word of warning.
    let home = Home::new().docker("{");
    let inputs = Inputs { password: Some(("ann".into(), "pass".into())), ..home.inputs() };
    let served = Served::start(asking("http://127.0.0.1:1/token")).await;
    let report = examine(&served.address.to_string(), inputs).await;
    noted_as(&report, "F143", Check::Cfg01, "warn");
}

#[tokio::test]
async fn f145_several_logins_for_one_host() {
    let report = with(|host| {
        let team = format!("{host}/team");
        Home::new().podman(&auths(&[(host, "ann:pass"), (&team, "robot:pass")]))
    })
    .await;
    sound(&report);
    let finding = noted(&report, "F145", Check::Cfg02);
    assert!(finding.summary.contains("\"robot\" is used"), "{finding:#?}");
    assert!(finding.evidence[0].contains("\"ann\""), "{finding:#?}");
}

#[tokio::test]
async fn a_login_is_told_by_its_key() {
    let report = with(|host| Home::new().docker(&auths(&[(host, "ann:secret")]))).await;
    sound(&report);
    let finding = report.finding(Check::Cfg02).unwrap();
    assert_eq!(finding.verdict.as_str(), "pass");
    assert!(finding.summary.contains("the key itself"), "{finding:#?}");
    let old =
        with(|host| Home::new().docker(&auths(&[(&format!("https://{host}/v1/"), "ann:secret")])));
    let finding = old.await.finding(Check::Cfg02).unwrap().clone();
    assert_eq!(finding.verdict.as_str(), "pass", "{finding:#?}");
    let none = examine("nobody.invalid", bare()).await;
    assert_eq!(none.finding(Check::Cfg02).unwrap().verdict.as_str(), "skip");
}
