//! Log in to a registry.

use clap::Args;

use super::Context;
use crate::failure::Failure;

/// What was typed.
#[derive(Args, Debug)]
pub(crate) struct Arguments {}

/// Runs it.
pub(crate) async fn run(_arguments: Arguments, _context: &Context) -> Result<(), Failure> {
    todo!()
}
