//! The workspace, as cargo has it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What cargo prints, run at the root.
pub(crate) fn cargo(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("readable output")
}

/// Our packages, as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let mut metadata = Command::new(env!("CARGO"));
    let metadata = cargo(metadata.args(["metadata", "--no-deps", "--format-version", "1"]));
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}
