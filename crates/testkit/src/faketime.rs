//! Debian's libfaketime: a program that has another time of day.
//!
//! It keeps two files of shared memory for each process, and leaves them when one is killed. A later process
//! of the same number then ends at once. So what processes have left that are no more is removed here, before
//! one is started and after one has ended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Starts `program` at a time of day that libfaketime understands: `-400d`, or `2020-01-01 00:00:00`.
///
/// # Panics
/// If Debian's faketime is not installed.
pub fn at(time: &str, program: &str) -> Command {
    let mut command = Command::new(program);
    preload(&mut command);
    command.env("FAKETIME", time);
    command
}

/// Has it loaded before a program's own libraries. Which time it tells is said by other variables.
pub(crate) fn preload(command: &mut Command) {
    forget_the_dead();
    command.env("LD_PRELOAD", library());
}

/// Removes the shared memory of processes that are no more.
pub(crate) fn forget_the_dead() {
    let Ok(files) = fs::read_dir("/dev/shm") else { return };
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let number = ["faketime_shm_", "sem.faketime_sem_"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        if number.is_some_and(|number| !Path::new("/proc").join(number).exists()) {
            // Another test may have been faster.
            let _ = fs::remove_file(file.path());
        }
    }
}

/// The library, below the name of the machine's architecture.
fn library() -> PathBuf {
    let libraries = fs::read_dir("/usr/lib").expect("a folder of libraries").flatten();
    let mut files = libraries.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    let found = files.find(|file| file.exists());
    found.expect("faketime is installed; `cargo xtask setup` installs it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    #[test]
    fn a_program_has_another_year_and_what_it_leaves_is_removed() {
        let said = run(at("2020-01-01 00:00:00", "date").arg("+%Y"), "");
        assert_eq!(said.expect_success().stdout.trim(), "2020");
        // No process has this number: it is more than Linux gives.
        let left = Path::new("/dev/shm/sem.faketime_sem_4194305");
        fs::write(left, "").unwrap();
        forget_the_dead();
        assert!(!left.exists());
    }
}
