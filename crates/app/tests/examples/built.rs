//! The example programs of all crates, built.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

/// Crate and name of each example, and its program.
static BUILT: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(build);

/// `CRATE/NAME` of all examples.
pub(crate) fn names() -> Vec<&'static str> {
    BUILT.keys().map(String::as_str).collect()
}

/// A command that starts the example `CRATE/NAME`. Its home is `home`, where nobody is logged in.
pub(crate) fn example(name: &str, home: &Path) -> Command {
    let program = BUILT.get(name).unwrap_or_else(|| panic!("no example {name}: {:?}", names()));
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home);
    command
}

/// For the whole workspace, as `cargo test --workspace` does: then nothing is left to build.
fn build() -> BTreeMap<String, PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--examples", "--message-format", "json"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("readable output");
    lines.lines().filter_map(|line| example_in(&serde_json::from_str(line).ok()?)).collect()
}

fn example_in(message: &Value) -> Option<(String, PathBuf)> {
    let target = message.get("target").filter(|target| target["kind"][0] == "example")?;
    // …/crates/token/Cargo.toml
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let folder = manifest.parent()?.file_name()?.to_str()?;
    let name = format!("{folder}/{}", target["name"].as_str()?);
    Some((name, message["executable"].as_str()?.into()))
}
