//! The one binary: reads the command line, runs one command, prints, exits.
//!
//! Exit status: 0 done, 1 it failed (what and why on stderr, with hints), 2 wrong usage, 3 `diagnose` or
//! `policy lint` found nothing but warnings.

mod command;
mod failure;
mod outcome;
mod printer;
mod prompt;

use std::{io, process::ExitCode};

use portpass_config::Environment;
use tokio::runtime::{Builder, Runtime};

use crate::{command::CommandLine, printer::Printer};

// Requests make many small short-lived allocations, and transfers large ones on many threads: this allocator
// is as fast as any for the former, and gives the latter back. `.cargo/config.toml` has its settings.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // clap itself prints help (status 0) and wrong usage (status 2).
    let command_line = command::parse();
    let context =
        command::Context { printer: Printer::new(), environment: Environment::of_process() };
    let runtime = match runtime(&command_line) {
        Ok(runtime) => runtime,
        Err(error) => {
            return context
                .printer
                .failure(&failure::Failure::new(format!("cannot start threads: {error}")));
        }
    };
    match runtime.block_on(command::run(command_line, &context)) {
        Ok(outcome) => context.printer.exit_code(outcome),
        Err(failure) => context.printer.failure(&failure),
    }
}

/// What the command runs on: a server on all processors. A client mostly waits for the network, and has threads
/// of its own for files; more threads for the rest made no pull, push or copy faster, and cost a pull a quarter of
/// its memory.
fn runtime(command_line: &CommandLine) -> io::Result<Runtime> {
    let mut builder = if command_line.serves() {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    builder.enable_all().build()
}
