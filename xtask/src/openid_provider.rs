//! npm's oidc-provider, which Debian does not have: an issuer of tokens that is not ours.

use std::{fs, path::Path, process::Command};

use crate::{Failure, run, say};

/// Puts it and what it needs into `target/tools/openid-provider`, once for each lock file. The lock file has the hash of
/// each package, and no package runs a script.
///
/// # Errors
/// When npm is missing or fails.
pub(crate) fn install() -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (from, to) = (
        root.join("crates/testkit/src/openid_provider"),
        root.join("target/tools/openid-provider"),
    );
    let installed = to.join("installed.json");
    let read = |file: &Path| fs::read(file).ok();
    if read(&installed).is_some() && read(&installed) == read(&from.join(LOCK)) {
        return Ok(());
    }
    say("fetching oidc-provider from npm");
    fs::create_dir_all(&to).map_err(|error| cannot("make", &to, &error))?;
    for name in ["package.json", LOCK] {
        fs::copy(from.join(name), to.join(name)).map_err(|error| cannot("copy", &to, &error))?;
    }
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(arguments).current_dir(&to))?;
    // The mark appears only when all packages are there.
    fs::copy(from.join(LOCK), &installed).map_err(|error| cannot("write", &installed, &error))?;
    Ok(())
}

fn cannot(act: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("cannot {act} {}: {error}", file.display()))
}

const LOCK: &str = "package-lock.json";
