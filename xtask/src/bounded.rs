//! Little memory for what is measured, so that it is soon all in use.
//!
//! The host of a virtual machine gives memory when it is first written to, and may take back what is free: then
//! writing a page of a file costs a fault in the host, three times what the rest of it costs. On a machine in use
//! nothing is free, and each new page takes the place of an old one. Within a control group of a few GiB it is the
//! same, whatever the machine has.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::say;

/// A control group with as much memory as [`GIB`] says, as long as this lives; or none, where none can be made.
pub(crate) struct Bounded(Option<PathBuf>);

impl Bounded {
    pub(crate) fn new() -> Self {
        let bounded = Self(make());
        if bounded.0.is_none() {
            say("no control group can be made: what is written may wait for the host's memory");
        }
        bounded
    }

    /// Runs a program in the group. It finds [`GIB`] in its environment, in `PORTPASS_BENCH_MEMORY`.
    pub(crate) fn command(&self, program: &str) -> Command {
        let Some(group) = &self.0 else { return Command::new(program) };
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        command.arg(group.join("cgroup.procs")).arg(program);
        command.env("PORTPASS_BENCH_MEMORY", GIB.to_string());
        command
    }
}

impl Drop for Bounded {
    /// The group is empty when all that was measured has ended; if not, the next run takes it.
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            let _ = fs::remove_dir(group);
        }
    }
}

/// In version 1 of the kernel's interface, or in version 2 where groups may limit memory.
fn make() -> Option<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let (parent, limit) = match root.join("memory") {
        memory if memory.is_dir() => (memory, "memory.limit_in_bytes"),
        _ => (root.to_owned(), "memory.max"),
    };
    let group = parent.join("portpass-bench");
    // It is there if a run was killed.
    let _ = fs::create_dir(&group);
    // The kernel makes this file; in a directory that is no control group there is none.
    let limited = OpenOptions::new()
        .write(true)
        .open(group.join(limit))
        .and_then(|mut file| file.write_all((GIB << 30).to_string().as_bytes()));
    if limited.is_err() {
        let _ = fs::remove_dir(&group);
    }
    limited.ok().map(|()| group)
}

/// What is measured, and what files it has in memory, in GiB.
const GIB: u64 = 2;
