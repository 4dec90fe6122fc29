//! Files that an operator writes.

use std::{num::NonZeroUsize, time::SystemTime};

use portpass_authority::{
    policy::{Comparison, Request, RuleContext, Side, decide_for},
    subject::{SourceName, Subject},
};
use portpass_config::{
    Config, ConfigError, ConfigFile, Environment, ImportTarget, RulesOfFile, Sources, import,
};
use portpass_password::{
    Formats, HashPool, HtpasswdFile, PasswordHash, htpasswd::HtpasswdSettings, pool::PoolSettings,
};
use portpass_protocol::{
    access::{Access, Action},
    printable::is_unprintable,
};
use portpass_token::ServiceName;

use crate::{assert_one_line, scratch};

/// An htpasswd file: a check finds what an opening would, and no message repeats a hash or a password
/// (HT4, HT5).
pub fn htpasswd(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        hash(line.split_once(':').map_or(line, |(_, hash)| hash));
    }
    let folder = scratch::folder(&[("users", bytes)]);
    for formats in [Formats::Current, Formats::Legacy] {
        let settings = HtpasswdSettings { path: folder.path().join("users"), formats };
        let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 0 });
        let checked = HtpasswdFile::check(&settings);
        let opened = HtpasswdFile::open(settings, pool.source(), SystemTime::UNIX_EPOCH);
        match (checked, opened) {
            (Ok(warnings), Ok(file)) => {
                for warning in &warnings {
                    assert_one_line(&warning.to_string());
                }
                assert_eq!(warnings, file.warnings());
                assert!(file.len() <= bytes.len());
            }
            (Err(one), Err(other)) => {
                assert_eq!(one, other);
                assert_one_line(&one.to_string());
            }
            (checked, opened) => panic!("{checked:?}, but {opened:?}"),
        }
    }
}

/// A stored hash: kept as written, and shown to nobody.
fn hash(text: &str) {
    for formats in [Formats::Current, Formats::Legacy] {
        match PasswordHash::parse(text, formats) {
            Ok(hash) => {
                assert!(text.starts_with(hash.expose()), "{:?}", hash.expose());
                assert!(!format!("{hash:?}").contains(hash.expose()));
            }
            Err(error) => assert_one_line(&error.to_string()),
        }
    }
}

/// docker_auth's ACL decides, or is refused in sentences; its configuration becomes one of ours, with a doubt on each line that begins so, or is refused.
pub fn docker_auth(bytes: &[u8]) {
    let policy: &[u8] = b"data: data\ntoken_service: { policy: { docker-auth: acl.yml } }\n";
    let folder = scratch::folder(&[("acl.yml", bytes), ("portpass.yml", policy)]);
    let sources =
        Sources { config: Some(folder.path().join("portpass.yml")), ..Sources::default() };
    match Config::load(&sources, &Environment::default()) {
        Err(error) => readable(&error),
        Ok(config) => {
            let policy = config.token_service.map(|service| service.policy.policy());
            let (subject, now) = (&Subject::Anonymous, SystemTime::UNIX_EPOCH);
            let service = ServiceName::new("registry");
            let request = Request { subject, service: &service, address: None, now };
            let asked = Access::repository("team/app", [Action::Pull, Action::Push]);
            let granted = policy.map(|policy| decide_for(&*policy, &request, &asked).granted);
            assert!(granted.iter().flatten().all(|action| asked.actions.contains(action)));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let target = ImportTarget {
        source: "auth_config.yml".into(),
        htpasswd: "users.htpasswd".into(),
        services: vec![],
    };
    match import("auth_config.yml", text, &target) {
        Err(error) => readable(&error),
        Ok(imported) => {
            let lines = imported.configuration.lines();
            let doubts: Vec<&str> = lines.filter_map(|l| l.strip_prefix("# doubt: ")).collect();
            assert_eq!(doubts, imported.doubts);
            // A placeholder in a value is refused with a reason of its own.
            if !imported.configuration.contains("${") {
                let taken = ConfigFile::parse("portpass.yml", &imported.configuration);
                assert!(taken.is_ok(), "{taken:?}\n{}", imported.configuration);
            }
        }
    }
}

/// A file of rules is taken, or refused in sentences with its line; what is taken decides, differs from nothing that
/// says the same, and can be printed.
pub fn rules(bytes: &[u8]) {
    let folder = scratch::folder(&[("rules.yml", bytes)]);
    let service = ServiceName::new("registry");
    let context = RuleContext {
        sources: vec![SourceName::local(), SourceName::ldap()],
        services: vec![service.clone()],
        anonymous: true,
        ..RuleContext::default()
    };
    let nothing =
        Environment::from_iter([("HOME".to_owned(), folder.path().display().to_string())]);
    match RulesOfFile::read(&folder.path().join("rules.yml"), &context, &nothing) {
        Err(error) => readable(&error),
        Ok(RulesOfFile { rules, lines, .. }) => {
            assert!(lines.is_empty() || lines.len() == rules.rules().len());
            let (subject, now) = (&Subject::Anonymous, SystemTime::UNIX_EPOCH);
            let request = Request { subject, service: &service, address: None, now };
            let asked = Access::repository("team/app", [Action::Pull, Action::Push]);
            let decision = decide_for(&*rules, &request, &asked);
            assert!(decision.granted.iter().all(|action| asked.actions.contains(action)));
            for rule in rules.rules() {
                assert_one_line(&rule.to_string());
            }
            let side = Side { rules: &rules, anonymous: true };
            let mut comparison = Comparison::new(side, side, &context.services, now);
            assert_eq!(comparison.changes(subject).map(|changes| changes.len()), Ok(0));
        }
    }
}

/// A configuration file is taken, or refused in sentences; nothing is made.
pub fn configuration(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(error) = ConfigFile::parse("portpass.yml", text)
    {
        readable(&error);
    }
    let folder = scratch::folder(&[("portpass.yml", bytes)]);
    let sources =
        Sources { config: Some(folder.path().join("portpass.yml")), ..Sources::default() };
    let home = folder.path().join("home");
    let variables = [("HOME".to_owned(), home.display().to_string())];
    if let Err(error) = Config::load(&sources, &Environment::from_iter(variables)) {
        readable(&error);
    }
    assert!(!home.exists());
}

fn readable(error: &ConfigError) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.len() < 64 * 1024);
    assert!(!text.contains(|c: char| is_unprintable(c) && c != '\n'), "{text:?}");
}
