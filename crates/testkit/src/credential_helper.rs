//! Credential helpers that do what a test says.

use std::{fs, os::unix::fs::symlink, path::Path};

/// Puts the program `docker-credential-NAME` into a folder; it runs this shell script. The program itself is a file of
/// the sources: one that a test has just written cannot always be started (ETXTBSY).
///
/// # Panics
/// If it cannot be written.
pub fn install(folder: &Path, name: &str, script: &str) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/credential_helper.sh");
    let path = folder.join(format!("docker-credential-{name}.script"));
    fs::create_dir_all(folder).expect("a folder");
    fs::write(&path, script).expect("a script");
    symlink(program, path.with_extension("")).expect("a link to the program");
}
