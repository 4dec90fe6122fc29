//! What a process has used, by the kernel's own account.

use std::{fs, time::Duration};

/// A process, by its number, and its children.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// Processor time since it was started: its own and its children's.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn cpu(self) -> Duration {
        let ticks: u64 = self.family().into_iter().map(ticks).sum();
        Duration::from_millis(ticks * 1000 / TICKS)
    }

    /// Memory that it has in use, bytes.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn memory(self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it had in use since it was last told to forget that, bytes.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn peak(self) -> u64 {
        self.status("VmHWM:")
    }

    /// Lets the next peak begin.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn reset_peak(self) {
        for process in self.family() {
            fs::write(format!("/proc/{process}/clear_refs"), "5").expect(PROC);
        }
    }

    fn status(self, field: &str) -> u64 {
        let of = |process: u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).expect(PROC);
            let line = status.lines().find(|line| line.starts_with(field)).expect(PROC);
            let kibibytes: u64 = line.split_whitespace().nth(1).expect(PROC).parse().expect(PROC);
            kibibytes * 1024
        };
        self.family().into_iter().map(of).sum()
    }

    fn family(self) -> Vec<u32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().map(|child| child.parse().expect(PROC));
        std::iter::once(self.0).chain(children).collect()
    }
}

const PROC: &str = "a running process has its files in /proc";

/// In user and kernel mode (proc(5), fields 14 and 15 of `stat`).
fn ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect(PROC);
    // The name, in parentheses, may have spaces.
    let fields = stat.rsplit(')').next().expect(PROC).split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect(PROC)).sum()
}

/// `sysconf(_SC_CLK_TCK)`: the same on every Linux machine of our time.
const TICKS: u64 = 100;
