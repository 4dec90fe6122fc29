//! `serve`: run what the configuration names.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::Context;
use crate::failure::Failure;

/// What was typed.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The configuration file; without one, a registry and its token service on 127.0.0.1:5000
    #[arg(long, value_name = "FILE", env = "PORTPASS_CONFIG")]
    config: Option<PathBuf>,
    /// The data directory; by default /var/lib/portpass for root, else in the XDG data home
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT")]
    addr: Option<SocketAddr>,
}

/// Runs until SIGINT or SIGTERM, then drains.
pub(crate) async fn run(_arguments: Arguments, _context: &Context) -> Result<(), Failure> {
    todo!()
}
