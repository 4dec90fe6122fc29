//! `tags`: what a repository has.

use clap::Args;
use portpass_client::{ImageReference, Repository};
use serde_json::json;

use super::{
    Context,
    connection::{Connection, explained_operation},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The repository
    #[arg(value_name = "HOST[:PORT]/REPOSITORY")]
    repository: ImageReference,
    /// Print the tags as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { repository: image, json, connection } = arguments;
    if image.reference().is_some() {
        return Err(Failure::usage("name a repository, without a tag or digest"));
    }
    let session = connection.session(image.host().clone(), context)?;
    let remote = Repository::new(session, image.repository().clone());
    let tags = remote.tags().await.map_err(explained_operation)?;
    if json {
        context.printer.json(&json!({ "repository": image.to_string(), "tags": tags }));
    } else {
        for tag in &tags {
            context.printer.line(tag);
        }
    }
    Ok(())
}
