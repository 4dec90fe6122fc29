//! The one binary: reads the command line, runs one command, prints, exits.
//!
//! Exit status: 0 done, 1 it failed (what and why on stderr, with hints), 2 wrong usage, 3 `diagnose` found
//! nothing but warnings.

mod command;
mod failure;
mod printer;
mod prompt;

use std::process::ExitCode;

use clap::Parser;
use portpass_server::config::Environment;

use crate::{command::CommandLine, printer::Printer};

// Requests make many small short-lived allocations; the figures in the documentation were measured with this
// allocator. It asks for no huge pages (feature `no_thp`): they doubled the memory of a pull and made nothing
// faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap itself prints help (status 0) and wrong usage (status 2).
    let command_line = CommandLine::parse();
    let context =
        command::Context { printer: Printer::new(), environment: Environment::of_process() };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return context
                .printer
                .failure(&failure::Failure::new(format!("no threads to run on: {error}")));
        }
    };
    match runtime.block_on(command::run(command_line, &context)) {
        Ok(ended) => context.printer.success(ended),
        Err(failure) => context.printer.failure(&failure),
    }
}
