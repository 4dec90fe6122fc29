//! The public API of the crates that others may use, as snapshots: `crates/*/public-api.txt`.
//!
//! A change that breaks their users shows in a diff. Warnings of rustdoc, such as broken links, are errors here.

mod workspace;

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use workspace::{cargo, packages, root};

/// The crates that are published.
const PUBLISHED: &[&str] = &["protocol", "jose", "token", "client", "diagnose"];

/// The `format_version` of rustdoc's JSON that the crate `public-api` reads, in the version of Cargo.lock.
const FORMAT: u64 = 57;

#[test]
fn the_public_api_is_that_of_the_snapshots() {
    let accept = env::var_os("PORTPASS_ACCEPT_API").is_some();
    let rustdoc = rustdoc_with_json();
    let mut changed = Vec::new();
    for name in PUBLISHED {
        let api = public_api(name, &rustdoc);
        let file = root().join(format!("crates/{name}/public-api.txt"));
        let known = fs::read_to_string(&file).unwrap_or_default();
        if accept {
            fs::write(&file, api).expect("a snapshot that can be written");
        } else if known != api {
            changed.push(format!("portpass-{name}\n{}", difference(&known, &api)));
        }
    }
    assert!(
        changed.is_empty(),
        "the public API has changed:\n\n{}\n{}",
        changed.join("\n"),
        "If the change is meant, run `cargo xtask accept-api`, name the change in CHANGELOG.md, and commit \
         crates/*/public-api.txt with it. If it breaks users of the crate, its version changes too \
         (CONTRIBUTING.md, \"Crates for others\").",
    );
}

#[test]
fn only_these_crates_can_be_published() {
    let packages = packages();
    // `publish = false` is an empty list of registries.
    let mut published: Vec<&str> = packages
        .iter()
        .filter(|package| package["publish"].is_null())
        .filter_map(|package| package["name"].as_str()?.strip_prefix("portpass-"))
        .collect();
    published.sort_unstable();
    let mut known = PUBLISHED.to_vec();
    known.sort_unstable();
    assert_eq!(published, known);
}

/// One line for each item, sorted.
fn public_api(name: &str, rustdoc: &Path) -> String {
    let package = format!("portpass-{name}");
    let target = root().join("target");
    cargo(
        Command::new(env!("CARGO"))
            .args(["rustdoc", "--lib", "--all-features", "--package", &package])
            .arg("--target-dir")
            .arg(&target)
            .args(["--", "--deny", "warnings", "-Z", "unstable-options", "--output-format", "json"])
            .env("RUSTDOC", rustdoc),
    );
    let file = target.join(format!("doc/portpass_{name}.json"));
    demand_format(&file);
    let api = public_api::Builder::from_rustdoc_json(&file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    api.unwrap_or_else(|error| panic!("{}: {error}", file.display())).to_string()
}

/// A script that is rustdoc, with the options of the nightly toolchain. They are for rustdoc alone: cargo would build
/// all dependencies again for the same variable.
fn rustdoc_with_json() -> PathBuf {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rustdoc-with-json");
    fs::write(&script, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n").expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a program");
    script
}

fn demand_format(file: &Path) {
    let text = fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("rustdoc wrote no {}: {error}", file.display()));
    let json: Value = serde_json::from_str(&text).expect("JSON");
    let format = json["format_version"].as_u64();
    assert_eq!(
        format,
        Some(FORMAT),
        "this toolchain's rustdoc writes another format of JSON than the crate `public-api` reads. \
         The test needs the toolchain of `rust-version` in Cargo.toml (`rustup run VERSION cargo test …`). \
         If you move the workspace to a newer toolchain, take the `public-api` that reads its format \
         (https://github.com/cargo-public-api/cargo-public-api#compatibility-matrix), set FORMAT in {} to it, \
         and run `cargo xtask accept-api`.",
        file!(),
    );
}

/// The lines that only one of them has.
fn difference(known: &str, api: &str) -> String {
    let gone = known.lines().filter(|line| !api.lines().any(|other| other == *line));
    let new = api.lines().filter(|line| !known.lines().any(|other| other == *line));
    let gone = gone.map(|line| format!("  - {line}\n"));
    gone.chain(new.map(|line| format!("  + {line}\n"))).collect()
}
