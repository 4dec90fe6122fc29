//! `manifest get`: print a manifest.

use clap::Args;
use portpass_client::{
    Location,
    transfer::{Platform, Selection},
};
use serde_json::{Value, json};

use crate::{
    command::{
        Context,
        connection::Connection,
        transfer::{explained, open},
    },
    failure::Failure,
};

/// The arguments.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The image, as in registry.example.com/team/app:1.0 or oci:FOLDER:TAG
    #[arg(value_name = "IMAGE")]
    image: Location,
    /// The manifest of the image for this platform, not the index
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Print it as a member of a JSON object, with its digest and media type
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, platform, json, connection } = arguments;
    let selection = platform.map_or(Selection::Everything, Selection::Only);
    let (source, _) = open(&image, &connection, context).await?;
    let manifest = selection.root(source.as_ref()).await.map_err(explained)?;
    if !json {
        context.printer.document(manifest.bytes());
        return Ok(());
    }
    let document: Value = serde_json::from_slice(manifest.bytes())?;
    context.printer.json(&json!({
        "image": image.to_string(),
        "digest": manifest.digest(),
        "media_type": manifest.media_type().as_str(),
        "size": manifest.bytes().len(),
        "manifest": document,
    }));
    Ok(())
}
