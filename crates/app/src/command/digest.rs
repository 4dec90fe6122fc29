//! `digest`: what a name stands for.

use clap::Args;
use portpass_client::{
    Location, Repository,
    transfer::{Platform, Selection},
};
use serde_json::json;

use super::{
    Context,
    connection::{Connection, explained_operation},
    transfer::{explained, open},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as in registry.example.com/team/app:1.0 or oci:FOLDER:TAG
    #[arg(value_name = "IMAGE")]
    image: Location,
    /// Of the image for this platform, not of the index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Print the digest, the media type and the size as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, platform, json, connection } = arguments;
    let found = match (&image, platform) {
        // Registries let pulls be counted, and so limited; a HEAD is none.
        (Location::Registry(remote), None) => {
            let session = connection.session(remote.host().clone(), context)?;
            let repository = Repository::new(session, remote.repository().clone());
            let reference = remote.reference_or_latest();
            let found = repository.head_manifest(&reference).await.map_err(explained_operation)?;
            found.ok_or_else(|| Failure::new(format!("{} is not there", remote.with(reference))))?
        }
        (image, platform) => {
            let selection = platform.map_or(Selection::Everything, Selection::Only);
            let (source, _) = open(image, &connection, context).await?;
            selection.root(source.as_ref()).await.map_err(explained)?.descriptor()
        }
    };
    if json {
        context.printer.json(&json!({
            "image": image.to_string(),
            "digest": found.digest,
            "media_type": found.media_type,
            "size": found.size,
        }));
    } else {
        context.printer.line(found.digest);
    }
    Ok(())
}
