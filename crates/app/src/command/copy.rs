//! `copy`: copy an image from anywhere to anywhere.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use portpass_client::Location;

use super::{
    Context,
    connection::Connection,
    transfer::{ImageTransfer, TransferArguments},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct Arguments {
    /// The source: an image in a registry, oci:FOLDER[:TAG] or docker-archive:FILE[:NAME:TAG]
    #[arg(value_name = "FROM")]
    from: Location,
    /// The target, written in the same way
    #[arg(value_name = "TO")]
    to: Location,
    #[command(flatten)]
    how: TransferArguments,
    /// Use plain HTTP with FROM on another machine; credentials are not encrypted
    #[arg(long)]
    from_plain_http: bool,
    /// Use plain HTTP with TO on another machine; credentials are not encrypted
    #[arg(long)]
    to_plain_http: bool,
    /// Certificates (PEM) to trust beside the system's, for FROM
    #[arg(long, value_name = "FILE")]
    from_ca: Option<PathBuf>,
    /// Certificates (PEM) to trust beside the system's, for TO
    #[arg(long, value_name = "FILE")]
    to_ca: Option<PathBuf>,
    /// Check the certificate of FROM; with `false`, an attacker on the network can read passwords and tokens
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set,
        hide_default_value = true
    )]
    from_tls_verify: bool,
    /// Check the certificate of TO; with `false`, an attacker on the network can read passwords and tokens
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set,
        hide_default_value = true
    )]
    to_tls_verify: bool,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let from_there = Connection {
        plain_http: arguments.from_plain_http,
        ca: arguments.from_ca,
        tls_verify: arguments.from_tls_verify,
    };
    let to_there = Connection {
        plain_http: arguments.to_plain_http,
        ca: arguments.to_ca,
        tls_verify: arguments.to_tls_verify,
    };
    let Arguments { from, to, how, .. } = arguments;
    ImageTransfer { from: (from, from_there), to: (to, to_there), how }.run(context).await
}
