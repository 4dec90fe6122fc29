//! `tag`: let more tags stand for an image, without a pull.

use clap::Args;
use portpass_client::{ImageReference, Reference, Repository, Tag};
use serde_json::json;

use super::{
    Context,
    connection::{Connection, explained_operation},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The image, as in registry.example.com/team/app:1.0 or …/app@sha256:…
    #[arg(value_name = "IMAGE")]
    image: ImageReference,
    /// The tags to set in the same repository
    #[arg(value_name = "TAG", required = true)]
    tags: Vec<Tag>,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, tags, json, connection } = arguments;
    let session = connection.session(image.host().clone(), context)?;
    let repository = Repository::new(session, image.repository().clone());
    let reference = image.reference_or_latest();
    let manifest = repository.manifest(&reference).await.map_err(explained_operation)?;
    let mut set = Vec::new();
    for tag in tags {
        let name = image.with(Reference::Tag(tag.clone()));
        let reference = Reference::Tag(tag.clone());
        let there = repository.head_manifest(&reference).await.map_err(explained_operation)?;
        let changed = there.as_ref() != Some(&manifest.descriptor());
        if changed {
            let put = repository.put_manifest(&reference, &manifest).await;
            put.map_err(explained_operation)?;
        }
        if !json {
            let verb = if changed { "is now" } else { "was already" };
            context.printer.note(format_args!("{name} {verb}"));
        }
        let before = there.map(|there| there.digest);
        set.push(json!({ "tag": tag, "changed": changed, "before": before }));
    }
    if json {
        context.printer.json(&json!({
            "image": image.with(reference).to_string(),
            "digest": manifest.digest,
            "media_type": manifest.media_type,
            "tags": set,
        }));
    } else {
        context.printer.line(manifest.digest);
    }
    Ok(())
}
