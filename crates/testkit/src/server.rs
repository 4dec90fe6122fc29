//! A running `portpass serve`: started, listened to, stopped by its process id.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    faketime,
    program::{CommandOutput, run},
};

/// A `portpass serve` in a process of its own, stopped when dropped.
#[derive(Debug)]
pub struct Portpass {
    program: PathBuf,
    arguments: Vec<String>,
    process: Child,
    folder: TempDir,
    clock: Clock,
    /// What starts it, where that is not its own name alone: words that become the program.
    starter: Vec<String>,
}

/// What a server takes for the time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Clock {
    Right,
    /// As a file in its folder says.
    Moved,
    /// Wrong by this, for as long as it runs.
    Wrong(String),
}

impl Portpass {
    /// Starts `portpass serve ARGUMENTS` and waits until it says that it listens.
    ///
    /// `{folder}` in an argument stands for a folder of this server's own, made new.
    ///
    /// # Panics
    /// If it does not listen within a minute; the panic has its log.
    pub fn serve(program: &Path, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::serve_in(program, arguments, folder)
    }

    /// As [`Portpass::serve`], in a folder that has been prepared.
    ///
    /// # Panics
    /// As [`Portpass::serve`].
    pub fn serve_in(program: &Path, arguments: &[&str], folder: TempDir) -> Self {
        Self::start(program, arguments, folder, Clock::Right, &[])
    }

    /// As [`Portpass::serve_in`], but started by other words, which end by becoming the program:
    /// `env NAME=VALUE`, `nsenter …`.
    ///
    /// # Panics
    /// As [`Portpass::serve`].
    pub fn serve_by(
        starter: &[String],
        program: &Path,
        arguments: &[&str],
        folder: TempDir,
    ) -> Self {
        Self::start(program, arguments, folder, Clock::Right, starter)
    }

    /// As [`Portpass::serve_in`], with a clock that is wrong by `offset`, such as `+1h` or `-10m`.
    ///
    /// # Panics
    /// As [`Portpass::serve`], or if Debian's faketime is not installed.
    pub fn serve_with_clock(
        program: &Path,
        arguments: &[&str],
        folder: TempDir,
        offset: &str,
    ) -> Self {
        std::fs::write(folder.path().join(CLOCK), offset).expect("a file that is the clock");
        Self::start(program, arguments, folder, Clock::Moved, &[])
    }

    /// Sets the clock of a server that was started with one.
    ///
    /// # Panics
    /// If it was not.
    pub fn set_clock(&self, offset: &str) {
        assert_eq!(self.clock, Clock::Moved, "this server has the machine's clock");
        // Renamed, so that no half of it is read.
        let new = self.folder.path().join("clock.new");
        std::fs::write(&new, offset).expect("a file that is the clock");
        std::fs::rename(new, self.folder.path().join(CLOCK)).expect("the clock is set");
    }

    fn start(
        program: &Path,
        arguments: &[&str],
        folder: TempDir,
        clock: Clock,
        starter: &[String],
    ) -> Self {
        let here = folder.path().to_str().expect("a folder with a readable name");
        let arguments: Vec<String> =
            arguments.iter().map(|argument| argument.replace("{folder}", here)).collect();
        let process = start(starter, program, &arguments, folder.path(), &clock);
        let (program, starter) = (program.to_owned(), starter.to_vec());
        let mut served = Self { program, arguments, process, folder, clock, starter };
        served.wait_until_it_listens();
        served
    }

    /// Stops it as an operator would, and leaves its folder.
    ///
    /// # Panics
    /// If no other temporary folder can be made.
    pub fn stop(mut self) -> TempDir {
        stop(&mut self.process);
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a temporary folder"))
    }

    /// Stops it as an operator would, and starts it again on the same address and data.
    ///
    /// # Panics
    /// If it does not come back within a minute.
    pub fn restart(&mut self) {
        let address = self.address().to_string();
        stop(&mut self.process);
        self.come_back(address);
    }

    /// Ends it at once, as the system does when memory runs out: it finishes nothing and writes
    /// nothing out.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub fn kill(&mut self) {
        self.process.kill().expect("a process of ours can be ended");
        self.process.wait().expect("what was ended has ended");
    }

    /// Starts it again after [`Portpass::kill`], on the same address and data, with a clock that is
    /// wrong by `offset`.
    ///
    /// # Panics
    /// If it does not come back within a minute, or if Debian's faketime is not installed.
    pub fn start_again(&mut self, offset: &str) {
        let address = self.address().to_string();
        self.clock = Clock::Wrong(offset.to_owned());
        self.come_back(address);
    }

    /// Has it started by these words from now on; see [`Portpass::serve_by`].
    pub fn set_starter(&mut self, starter: &[String]) {
        self.starter = starter.to_vec();
    }

    fn come_back(&mut self, address: String) {
        let at = self.arguments.iter().position(|argument| argument == "--addr");
        if let Some(at) = at {
            self.arguments[at + 1] = address;
        }
        let Self { starter, program, arguments, folder, clock, .. } = &*self;
        self.process = start(starter, program, arguments, folder.path(), clock);
        self.wait_until_it_listens();
    }

    /// The first address that it listens on.
    ///
    /// # Panics
    /// If its log names none.
    pub fn address(&self) -> SocketAddr {
        self.addresses().into_iter().next().expect("an address in the log")
    }

    /// All addresses that it listens on, in the order it says so.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains("listens"));
        lines.filter_map(address_in).collect()
    }

    /// `http://ADDRESS`
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The folder of this server's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// What it has said since it was last started: log and start-up lines.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Waits until the log has a line with all of these words, and returns that line.
    ///
    /// # Panics
    /// If there is none within a minute.
    #[track_caller]
    pub fn wait_for_log(&self, words: &[&str]) -> String {
        let found = || {
            self.log()
                .lines()
                .find(|line| words.iter().all(|word| line.contains(word)))
                .map(str::to_owned)
        };
        wait_until(|| found().is_some());
        found().unwrap_or_else(|| panic!("no line of the log has {words:?}:\n{}", self.log()))
    }

    /// Runs another command of the same binary, `{folder}` replaced as for the server.
    pub fn command(&self, arguments: &[&str], input: &str) -> CommandOutput {
        let here = self.folder.path().to_string_lossy().into_owned();
        let arguments = arguments.iter().map(|argument| argument.replace("{folder}", &here));
        run(Command::new(&self.program).args(arguments).env("HOME", &here), input)
    }

    fn wait_until_it_listens(&mut self) {
        let mut listens = false;
        wait_until(|| {
            let ended = matches!(self.process.try_wait(), Ok(Some(_)));
            listens = self.log().lines().any(|line| line.contains("listens"));
            listens || ended
        });
        assert!(listens, "portpass does not listen:\n{}", self.log());
    }
}

impl Drop for Portpass {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
    fn drop(&mut self) {
        stop(&mut self.process);
        if self.clock != Clock::Right {
            faketime::forget_the_dead();
        }
        if std::thread::panicking() {
            eprintln!("=== log of {:?}\n{}", self.arguments, self.log());
        }
    }
}

fn start(
    starter: &[String],
    program: &Path,
    arguments: &[String],
    folder: &Path,
    clock: &Clock,
) -> Child {
    let log = File::create(folder.join(LOG)).expect("a log file");
    let mut command = match starter {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command.arg("serve").args(arguments).env("HOME", folder).env_remove("XDG_DATA_HOME");
    if *clock != Clock::Right {
        // The time of day alone: timeouts run as ever, and so do the dates of files.
        faketime::preload(&mut command);
        command.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    }
    match clock {
        Clock::Right => {}
        Clock::Moved => {
            command
                .env("FAKETIME_TIMESTAMP_FILE", folder.join(CLOCK))
                .env("FAKETIME_NO_CACHE", "1");
        }
        Clock::Wrong(offset) => {
            // Whenever libfaketime reads it anew, some thread may be told the right time.
            command.env("FAKETIME", offset).env("FAKETIME_CACHE_DURATION", "1000000");
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .spawn()
        .expect("portpass starts")
}

/// Asks a process to end, and waits until it has.
pub(crate) fn stop(process: &mut Child) {
    if matches!(process.try_wait(), Ok(Some(_))) {
        return;
    }
    let id = process.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status();
    if !asked.is_ok_and(|status| status.success()) {
        let _ = process.kill();
    }
    let _ = process.wait();
}

/// Asks again and again, for a minute at most, whether something outside this process is so.
pub fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    // Nothing tells us when another process is ready; asking is the only way.
    for _ in 0..1200 {
        if is_so() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    false
}

/// The first `ADDRESS:PORT` in a line.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | ',' | '/'))
        .find_map(|word| word.parse().ok())
}

const LOG: &str = "portpass.log";
const CLOCK: &str = "clock";
