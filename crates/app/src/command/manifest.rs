//! `manifest`: the document of an image, as it is.

use clap::{Args, Subcommand};

use super::Context;
use crate::failure::Failure;

mod get;
mod put;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a manifest, byte for byte
    Get(get::Arguments),
    /// Send a manifest whose blobs the registry has
    Put(put::Arguments),
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    match arguments.command {
        Command::Get(arguments) => get::run(arguments, context).await,
        Command::Put(arguments) => put::run(arguments, context).await,
    }
}
