//! One run of `portpass diagnose`.

use portpass_testkit::{CommandOutput, Home, run};
use serde_json::Value;

use crate::{
    PROGRAM,
    stage::{ACCOUNT, PASSWORD},
};

/// What was said, and what it says.
pub(crate) struct Diagnosis {
    pub(crate) ran: CommandOutput,
    pub(crate) json: Value,
}

/// Diagnoses as the account that everything is done with, and looks for secrets in all that is said.
pub(crate) fn diagnose(target: &str, flags: &[&str]) -> Diagnosis {
    let as_account = ["--username", ACCOUNT, "--password-stdin"];
    of(&[flags, &as_account, &["--json", "--trace", target]].concat(), PASSWORD)
}

/// Diagnoses as nobody.
pub(crate) fn diagnose_as_nobody(target: &str, flags: &[&str]) -> Diagnosis {
    of(&[flags, &["--json", "--trace", target]].concat(), "")
}

/// Diagnoses with something of one's own on stdin.
pub(crate) fn diagnose_with(target: &str, flags: &[&str], input: &str) -> Diagnosis {
    of(&[flags, &["--json", "--trace", target]].concat(), input)
}

/// Wrong usage, or what else ends before anything is asked.
pub(crate) fn refused(flags: &[&str], input: &str) -> CommandOutput {
    ran(&[flags, &["127.0.0.1:1"]].concat(), input)
}

/// The text that a person sees.
pub(crate) fn text(target: &str, flags: &[&str]) -> CommandOutput {
    let as_account = ["--username", ACCOUNT, "--password-stdin"];
    ran(&[flags, &as_account, &[target]].concat(), PASSWORD)
}

fn of(words: &[&str], input: &str) -> Diagnosis {
    let ran = ran(words, input);
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
    Diagnosis { ran, json }
}

fn ran(words: &[&str], input: &str) -> CommandOutput {
    let home = Home::default();
    let mut command = home.command(PROGRAM);
    // Proxies of this machine are not what is looked at.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let ran = run(command.arg("diagnose").args(words), input);
    let said = ran.output();
    for secret in [PASSWORD, &PASSWORD[8..], "eyJ"] {
        assert!(!said.contains(secret), "{secret:?} is in {said}");
    }
    ran
}

impl Diagnosis {
    /// One check.
    pub(crate) fn check(&self, id: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap()
    }

    pub(crate) fn verdict(&self, id: &str) -> &str {
        self.check(id)["verdict"].as_str().unwrap()
    }

    fn failures(&self) -> Vec<&Value> {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().filter(|check| check["verdict"] == "fail").collect()
    }

    pub(crate) fn requests(&self) -> usize {
        self.json["exchanges"].as_array().unwrap().len()
    }

    /// Nothing fails; there may be warnings.
    #[track_caller]
    pub(crate) fn nothing_fails(&self) {
        assert_eq!(self.failures(), [] as [&Value; 0], "{}", self.ran.stderr);
        assert_eq!(self.json["cause"], Value::Null);
        let status = if self.json["verdict"] == "warn" { 3 } else { 0 };
        assert_eq!(self.ran.status, Some(status), "{}", self.ran);
    }

    /// This check is the cause, with this row, and all else that fails comes of it.
    #[track_caller]
    pub(crate) fn is_caused_by(&self, id: &str, row: &str) {
        assert_eq!(self.json["cause"], id, "{:#?}", self.failures());
        let rows = self.check(id)["rows"].as_array().unwrap();
        assert!(rows.iter().any(|known| known == row), "{rows:?}");
        assert!(self.check(id)["fix"].is_string(), "{:#?}", self.check(id));
        let mut beside = self.failures();
        beside.retain(|check| check["id"] != id && check["follows_from"] != id);
        assert_eq!(beside, [] as [&Value; 0]);
        assert_eq!(self.ran.status, Some(1), "{}", self.ran);
    }
}
