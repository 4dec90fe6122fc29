//! `push`: send an image from a folder or an archive to a registry.

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
    /// The source: oci:FOLDER[:TAG], oci-archive:FILE[:TAG], dir:FOLDER or docker-archive:FILE[:NAME:TAG]
    #[arg(value_name = "SOURCE")]
    source: Location,
    /// The image to push to, as in registry.example.com/team/app:1.0
    #[arg(value_name = "IMAGE")]
    image: ImageReference,
    #[command(flatten)]
    how: TransferArguments,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { source, image, how, connection } = arguments;
    if let Location::Registry(source) = &source {
        let failure = format!("{source} is in a registry, not on this machine");
        return Err(Failure::usage(failure)
            .hint("write oci:FOLDER or docker-archive:FILE")
            .hint("`portpass copy` goes from registry to registry"));
    }
    let to = (Location::Registry(image), connection.clone());
    ImageTransfer { from: (source, connection), to, how }.run(context).await
}
