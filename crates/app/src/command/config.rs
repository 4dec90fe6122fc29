//! `config`: check a configuration file, print its schema.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use crate::failure::Failure;

/// What was typed.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what a start with this file would do, or why it would fail; opens no listener
    Check {
        /// The configuration file; without one, the embedded default
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print the environment variables that set values of the configuration
    Environment,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, _context: &Context) -> Result<(), Failure> {
    match arguments.action {
        Action::Check { .. } | Action::Schema | Action::Environment => todo!(),
    }
}
