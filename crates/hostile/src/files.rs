//! Files that an operator writes.

use std::{num::NonZeroUsize, time::SystemTime};

use portpass_config::{
    Config, ConfigError, ConfigFile, Environment, ImportTarget, Sources, import,
};
use portpass_password::{
    Formats, HashPool, HtpasswdFile, PasswordHash, htpasswd::HtpasswdSettings, pool::PoolSettings,
};
use portpass_protocol::printable::is_unprintable;

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

/// docker_auth's configuration becomes one of ours, with a doubt on each line that begins so, or is refused.
pub fn docker_auth(bytes: &[u8]) {
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
