//! Holds the workspace to its floors: a crate knows only what stands in the table.

mod workspace;

use std::{collections::BTreeMap, process::Command};

use workspace::{cargo, packages};

/// Who may know whom; nobody may know anything else of ours.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("jose", &[]),
    ("password", &["protocol"]),
    ("pattern", &["protocol"]),
    ("federation", &["protocol", "jose"]),
    ("token", &["protocol", "jose"]),
    ("state", &["protocol"]),
    ("storage", &["protocol"]),
    ("registry", &["protocol", "token", "state", "storage", "password", "pattern"]),
    // The key ring makes, seals and publishes signing keys, so the authority knows jose too.
    ("authority", &["protocol", "jose", "token", "state", "password", "federation", "pattern"]),
    ("client", &["protocol", "jose", "token"]),
    ("diagnose", &["protocol", "jose", "token", "client"]),
    // What a configuration names it also reads: keys, rules, password files.
    (
        "config",
        &[
            "protocol",
            "jose",
            "token",
            "password",
            "federation",
            "pattern",
            "registry",
            "authority",
        ],
    ),
    (
        "admin",
        &[
            "protocol",
            "jose",
            "token",
            "state",
            "storage",
            "password",
            "federation",
            "pattern",
            "registry",
            "authority",
            "config",
        ],
    ),
    (
        "server",
        &[
            "protocol",
            "jose",
            "token",
            "state",
            "storage",
            "password",
            "federation",
            "pattern",
            "registry",
            "authority",
            "config",
            "admin",
        ],
    ),
    ("app", &["server", "admin", "config", "client", "diagnose", "pattern"]),
];

/// What tests stand on: may know everybody.
const FOR_TESTS: &[&str] = &["hostile", "testkit"];

/// Crates of others that must not be in the binary, and what stands in their place.
const BANNED: &[(&str, &str)] = &[
    ("ring", "aws-lc-rs"),
    ("openssl-sys", "aws-lc-rs"),
    ("native-tls", "rustls"),
    ("rsa", "aws-lc-rs (RUSTSEC-2023-0071)"),
    ("serde_yaml", "serde-saphyr"),
    ("unsafe-libyaml", "serde-saphyr"),
];

#[test]
fn every_crate_knows_only_what_its_floor_allows() {
    let known = dependencies_of_ours();
    let allowed: BTreeMap<&str, &[&str]> = MAY_KNOW.iter().copied().collect();
    for (name, knows) in &known {
        if FOR_TESTS.contains(&name.as_str()) {
            continue;
        }
        let allowed = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("crate {name} is not in the table of floors: add it"));
        for other in knows {
            assert!(
                allowed.contains(&other.as_str()),
                "{name} must not depend on {other}; the table in crates/testkit/tests/floors.rs says why"
            );
        }
    }
    for name in allowed.keys() {
        assert!(known.contains_key(*name), "the table of floors names {name}, which is no crate");
    }
}

#[test]
fn what_is_for_tests_alone_is_nobodys_normal_dependency() {
    for (name, knows) in dependencies_of_ours() {
        for test in FOR_TESTS {
            assert!(!knows.iter().any(|known| known == test), "{name} depends on {test}");
        }
    }
}

/// RUSTSEC-2023-0071: `rsa` tells its key by the time it takes.
#[test]
fn one_cryptographic_library_and_one_yaml_reader_are_linked() {
    let tree = cargo(Command::new(env!("CARGO")).args([
        "tree",
        "--package",
        "portpass",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]));
    assert!(tree.contains("aws-lc-rs"), "this test reads the wrong tree:\n{tree}");
    for (banned, instead) in BANNED {
        let linked = tree.lines().any(|line| line.split(' ').next() == Some(*banned));
        assert!(!linked, "{banned} is linked into the binary; use {instead}");
    }
}

/// The normal and build dependencies among our own crates, by folder name.
fn dependencies_of_ours() -> BTreeMap<String, Vec<String>> {
    let ours = |name: &str| match name {
        "portpass" => Some("app".to_owned()),
        _ => name.strip_prefix("portpass-").map(str::to_owned),
    };
    packages()
        .iter()
        .filter_map(|package| Some((ours(package["name"].as_str()?)?, package)))
        .map(|(name, package)| {
            let knows = package["dependencies"].as_array().expect("a list of dependencies").iter();
            let knows = knows
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| ours(dependency["name"].as_str()?))
                .collect();
            (name, knows)
        })
        .collect()
}
