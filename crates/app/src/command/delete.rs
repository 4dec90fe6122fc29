//! `delete`: take a tag away, or a manifest with all its tags.

use clap::Args;
use portpass_client::{ImageReference, Repository};

use super::{
    Context,
    connection::{Connection, explained_operation},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The tag or manifest, as in registry.example.com/team/app:1.0 or …/app@sha256:…
    #[arg(value_name = "IMAGE")]
    image: ImageReference,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, connection } = arguments;
    // What is not named is not deleted: no tag stands for `latest` here.
    let (Some(reference), false) =
        (image.reference(), image.tag().is_some() && image.digest().is_some())
    else {
        return Err(Failure::usage(
            "name either the tag or the digest to delete; deleting a digest also deletes its tags",
        ));
    };
    let session = connection.session(image.host().clone(), context)?;
    let remote = Repository::new(session, image.repository().clone());
    remote.delete_manifest(&reference).await.map_err(|error| match error.status() {
        // OC22
        Some(status) if status == 405 => explained_operation(error)
            .hint("the registry does not allow deletes; set its `storage.delete.enabled` to true"),
        _ => explained_operation(error),
    })?;
    context.printer.note(format_args!("deleted {image}"));
    Ok(())
}
