//! Writing the log: to stderr, by a thread of its own, so that no request waits for a terminal.

use std::{
    io::{self, Write, stderr},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use portpass_config::{Log, LogFormat};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

use crate::http::access_log;

/// The process's log. When it is dropped, everything that was said is written.
#[derive(Debug)]
pub struct LogGuard {
    filter: reload::Handle<Targets, Registry>,
    buffer: Arc<Buffer>,
    writer: Option<JoinHandle<()>>,
}

/// Starts the log of this process. `colour` is for terminals.
///
/// # Errors
/// There is one already.
pub fn init(log: &Log, colour: bool) -> Result<LogGuard, LogError> {
    let buffer = Arc::new(Buffer::default());
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(Lines(buffer.clone()));
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(colour).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
    subscriber.try_init().map_err(|_| LogError)?;
    let sink = buffer.clone();
    let writer =
        thread::Builder::new().name("log".to_owned()).spawn(move || sink.write_out(&mut stderr()));
    Ok(LogGuard { filter: handle, buffer, writer: writer.ok() })
}

impl LogGuard {
    /// Returns when everything that was said so far is written: what is printed next comes after it.
    pub fn flush(&self) {
        let mut state = self.buffer.lock();
        while !(state.lines.is_empty() && state.written) {
            state = self.buffer.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Changes what is written from now on; the format stays.
    pub fn set_level(&self, level: LevelFilter) {
        // Fails only when the subscriber is gone, and nothing is written then.
        let _ = self.filter.reload(targets(level));
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.buffer.lock().closed = true;
        self.buffer.changed.notify_all();
        if let Some(writer) = self.writer.take() {
            // It panics in no case that this could mend.
            let _ = writer.join();
        }
    }
}

/// There can be one log in a process.
#[derive(Debug, thiserror::Error)]
#[error("this process has a log already")]
pub struct LogError;

/// Our own lines at the level that was asked for; the libraries' only when they warn.
fn targets(level: LevelFilter) -> Targets {
    let others =
        if level == LevelFilter::TRACE { LevelFilter::DEBUG } else { level.min(LevelFilter::WARN) };
    Targets::new()
        .with_default(others)
        .with_target("portpass", level)
        .with_target(access_log::TARGET, level)
}

/// Lines on their way to the terminal or file behind stderr.
#[derive(Debug, Default)]
struct Buffer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    lost: u64,
    /// Whether what was taken from here has reached stderr.
    written: bool,
    closed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { lines: Vec::new(), lost: 0, written: true, closed: false }
    }
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + line.len() > CAPACITY {
            // Whoever reads our stderr has stopped: better to lose lines than requests.
            state.lost += 1;
            return;
        }
        let first = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if first {
            self.changed.notify_all();
        }
    }

    /// Writes what came while the last write was on its way, until the log is closed.
    fn write_out(&self, out: &mut impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && !state.closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.lines.is_empty() {
                return;
            }
            if !state.closed {
                // One waking up and one write for all that comes meanwhile, not for each line.
                drop(state);
                thread::sleep(GATHER);
                state = self.lock();
            }
            mem::swap(&mut taken, &mut state.lines);
            let lost = mem::take(&mut state.lost);
            state.written = false;
            drop(state);
            // There is nowhere to say that the log cannot be written.
            let _ = out.write_all(&taken);
            if lost > 0 {
                let _ = writeln!(out, "{lost} lines of the log were lost: the reader is too slow");
            }
            taken.clear();
            taken.shrink_to(CAPACITY / 8);
            self.lock().written = true;
            self.changed.notify_all();
        }
    }
}

/// What the formatter writes to: one whole line at a time.
#[derive(Clone, Debug)]
struct Lines(Arc<Buffer>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// How long a line waits for others.
const GATHER: Duration = Duration::from_millis(1);

/// About ten thousand lines.
const CAPACITY: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_before_the_end_is_written() {
        let buffer = Arc::new(Buffer::default());
        for number in 0..3 {
            buffer.append(format!("line {number}\n").as_bytes());
        }
        buffer.lock().closed = true;
        let mut out = Vec::new();
        buffer.write_out(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "line 0\nline 1\nline 2\n");
    }

    #[test]
    fn a_reader_that_stopped_costs_lines_not_memory() {
        let buffer = Buffer::default();
        let line = vec![b'x'; CAPACITY / 2];
        for _ in 0..4 {
            buffer.append(&line);
        }
        let mut state = buffer.lock();
        assert_eq!((state.lines.len(), state.lost), (CAPACITY, 2));
        state.closed = true;
        drop(state);
        let mut out = Vec::new();
        buffer.write_out(&mut out);
        let told = String::from_utf8(out.split_off(CAPACITY)).unwrap();
        assert_eq!(told, "2 lines of the log were lost: the reader is too slow\n");
    }
}
