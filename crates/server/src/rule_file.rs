//! The file that the rules of a token service, or docker_auth's ACL, stand in: looked at while the server runs.

use std::sync::{Arc, Mutex, PoisonError};

use portpass_authority::policy::{LivePolicy, Policy};
use portpass_config::{ConfigError, PolicyFile};

/// A rule file and the policy that it is the source of.
#[derive(Debug)]
pub(crate) struct WatchedRules {
    file: PolicyFile,
    policy: Arc<LivePolicy>,
    seen: Mutex<Seen>,
}

/// What was found when the file was last looked at.
#[derive(Debug)]
struct Seen {
    /// What is in force, or was rejected.
    settled: Content,
    /// What was there at the last look, where that is something else.
    candidate: Option<Content>,
}

type Content = Result<Vec<u8>, ConfigError>;

/// What [`WatchedRules::reload_if_changed`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RulesReload {
    /// The file is as it was, or has been otherwise for no more than a moment.
    Unchanged,
    /// What it says now is in force.
    Replaced {
        /// How many there are.
        rules: usize,
        /// What does not keep them from being used but should be seen.
        warnings: Vec<String>,
    },
    /// It cannot be used; the last good rules stay in force.
    Rejected(ConfigError),
}

impl WatchedRules {
    /// Begins with the rules that the file held when the configuration was read.
    pub(crate) fn new(file: PolicyFile, policy: Arc<dyn Policy>) -> Self {
        let seen = Seen { settled: Ok(file.first().to_vec()), candidate: None };
        Self { policy: Arc::new(LivePolicy::new(policy)), seen: Mutex::new(seen), file }
    }

    /// What decides.
    pub(crate) fn policy(&self) -> Arc<LivePolicy> {
        self.policy.clone()
    }

    /// The file, for the log.
    pub(crate) fn file(&self) -> &PolicyFile {
        &self.file
    }

    /// Looks whether the file holds other rules than those in force. Blocks.
    ///
    /// Something new counts when it is there at two looks: half of a file that is being written may well
    /// be a list of rules, without the `deny` at its end.
    pub(crate) fn reload_if_changed(&self) -> RulesReload {
        let found = self.file.read();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found == seen.settled {
            seen.candidate = None;
            return RulesReload::Unchanged;
        }
        if seen.candidate.as_ref() != Some(&found) {
            seen.candidate = Some(found);
            return RulesReload::Unchanged;
        }
        seen.candidate = None;
        seen.settled.clone_from(&found);
        match found.and_then(|bytes| self.file.understand(&bytes)) {
            Ok(content) => {
                self.policy.replace(content.policy);
                RulesReload::Replaced { rules: content.rules, warnings: content.warnings }
            }
            Err(error) => RulesReload::Rejected(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::SystemTime};

    use portpass_authority::{
        policy::{Policy, Request},
        subject::Subject,
    };
    use portpass_config::{Config, Environment, Sources};
    use portpass_protocol::access::{Access, Action};
    use portpass_token::ServiceName;

    use super::*;

    const PULL: &str = "- { allow: [pull], repository: 'a/**', to: anyone }\n";
    const PUSH: &str = "- { allow: [push], repository: 'a/**', to: anyone }\n";

    fn watched(folder: &Path) -> WatchedRules {
        watched_in(folder, "policy_file: rules.yml", PULL)
    }

    fn watched_in(folder: &Path, key: &str, rules: &str) -> WatchedRules {
        let config = folder.join("portpass.yml");
        let data = folder.join("data");
        fs::write(&config, format!("data: {}\ntoken_service: {{ {key} }}\n", data.display()))
            .unwrap();
        fs::write(folder.join("rules.yml"), rules).unwrap();
        let sources = Sources { config: Some(config), ..Sources::default() };
        let config = Config::load(&sources, &Environment::default()).unwrap();
        let source = config.token_service.unwrap().policy;
        WatchedRules::new(source.file().unwrap(), source.policy())
    }

    fn granted(watched: &WatchedRules) -> String {
        let service = ServiceName::new("registry");
        let (subject, now) = (&Subject::Anonymous, SystemTime::UNIX_EPOCH);
        let request = Request { subject, service: &service, address: None, now };
        let asked = Access::repository("a/b", [Action::Pull, Action::Push]);
        watched.policy().decide(&request, &asked).granted.to_string()
    }

    #[test]
    fn a_change_counts_when_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let (watched, file) = (watched(folder.path()), folder.path().join("rules.yml"));
        assert_eq!(watched.reload_if_changed(), RulesReload::Unchanged);
        fs::write(&file, PUSH).unwrap();
        assert_eq!(watched.reload_if_changed(), RulesReload::Unchanged);
        assert_eq!(granted(&watched), "pull");
        let replaced = RulesReload::Replaced { rules: 1, warnings: vec![] };
        assert_eq!(watched.reload_if_changed(), replaced);
        assert_eq!(granted(&watched), "push");
        assert_eq!(watched.reload_if_changed(), RulesReload::Unchanged);
        // Written in two pieces: the first is never in force.
        fs::write(&file, PULL).unwrap();
        assert_eq!(watched.reload_if_changed(), RulesReload::Unchanged);
        fs::write(&file, format!("{PULL}{PUSH}")).unwrap();
        assert_eq!(watched.reload_if_changed(), RulesReload::Unchanged);
        assert_eq!(granted(&watched), "push");
        let replaced = RulesReload::Replaced { rules: 2, warnings: vec![] };
        assert_eq!(watched.reload_if_changed(), replaced);
        assert_eq!(granted(&watched), "pull,push");
    }

    #[test]
    fn what_cannot_be_used_is_told_once_and_the_last_good_rules_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (watched, file) = (watched(folder.path()), folder.path().join("rules.yml"));
        let settle = || {
            watched.reload_if_changed();
            watched.reload_if_changed()
        };
        fs::write(&file, format!("{PUSH}- {{ alow: [pull] }}\n")).unwrap();
        let RulesReload::Rejected(error) = settle() else { panic!() };
        assert!(error.to_string().ends_with("rules.yml:2:5: unknown key `alow`"), "{error}");
        assert_eq!(settle(), RulesReload::Unchanged);
        assert_eq!(granted(&watched), "pull");

        fs::remove_file(&file).unwrap();
        let RulesReload::Rejected(error) = settle() else { panic!() };
        assert!(error.to_string().contains("cannot read the rules"), "{error}");
        assert_eq!(settle(), RulesReload::Unchanged);

        // As editors and Kubernetes do it: another file of that name.
        fs::write(folder.path().join("new"), PUSH).unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert_eq!(settle(), RulesReload::Replaced { rules: 1, warnings: vec![] });
        assert_eq!(granted(&watched), "push");
    }

    #[test]
    fn the_acl_of_docker_auth_is_read_again_too() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |action| format!("- {{ match: {{ name: 'a/*' }}, actions: [{action}] }}\n");
        let key = "policy: { docker-auth: rules.yml }";
        let (watched, file) =
            (watched_in(folder.path(), key, &entry("pull")), folder.path().join("rules.yml"));
        let settle = || {
            watched.reload_if_changed();
            watched.reload_if_changed()
        };
        assert_eq!((settle(), granted(&watched)), (RulesReload::Unchanged, "pull".to_owned()));
        fs::write(&file, entry("push")).unwrap();
        assert_eq!(settle(), RulesReload::Replaced { rules: 1, warnings: vec![] });
        assert_eq!(granted(&watched), "push");
        fs::write(&file, "- { match: { team: x }, actions: [pull] }\n").unwrap();
        let RulesReload::Rejected(error) = settle() else { panic!() };
        assert!(error.to_string().contains("unknown key `acl[1].match.team`"), "{error}");
        assert_eq!(granted(&watched), "push");
    }
}
