//! `pull`: fetch an image from a registry into a folder or an archive.

use clap::Args;
use portpass_client::{ImageReference, Location};

use super::{
    Context,
    connection::Connection,
    transfer::{ImageTransfer, TransferArguments},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as in registry.example.com/team/app:1.0
    #[arg(value_name = "IMAGE")]
    image: ImageReference,
    /// The target: oci:FOLDER[:TAG], oci-archive:FILE[:TAG], dir:FOLDER or docker-archive:FILE[:NAME:TAG]
    #[arg(value_name = "TARGET")]
    target: Location,
    #[command(flatten)]
    how: TransferArguments,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, target, how, connection } = arguments;
    if let Location::Registry(target) = &target {
        let failure = format!("{target} is in a registry, not on this machine");
        return Err(Failure::usage(failure)
            .hint("write oci:FOLDER or docker-archive:FILE")
            .hint("`portpass copy` goes from registry to registry"));
    }
    let from = (Location::Registry(image), connection.clone());
    ImageTransfer { from, to: (target, connection), how }.run(context).await
}
