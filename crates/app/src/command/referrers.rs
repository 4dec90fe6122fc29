//! `referrers`: what is about an image: signatures, attestations, lists of contents.

use clap::Args;
use portpass_client::{
    ImageReference, Reference, Repository,
    repository::{Referrer, Referrers, ReferrersApi},
};
use serde_json::{Value, json};

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
    /// Only those of this type, as in application/vnd.dev.cosign.artifact.sig.v1+json
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// Print them as JSON, with their annotations
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { image, artifact_type, json, connection } = arguments;
    let session = connection.session(image.host().clone(), context)?;
    let repository = Repository::new(session, image.repository().clone());
    let reference = image.reference_or_latest();
    let subject = match reference {
        Reference::Digest(digest) => digest,
        tag @ Reference::Tag(_) => {
            let there = repository.head_manifest(&tag).await.map_err(explained_operation)?;
            there.ok_or_else(|| Failure::new(format!("{} is not there", image.with(tag))))?.digest
        }
    };
    let found = repository.referrers(&subject).await.map_err(explained_operation)?;
    let Referrers { mut list, api } = found;
    if artifact_type.is_some() {
        list.retain(|one| one.artifact_type == artifact_type);
    }
    if json {
        context.printer.json(&json!({
            "image": image.to_string(),
            "subject": subject,
            "api": api == ReferrersApi::Served,
            "referrers": list.iter().map(described).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    if list.is_empty() {
        context.printer.note(format_args!("nothing is about {subject}"));
        return Ok(());
    }
    let row = |one: &Referrer| {
        let kind = one.artifact_type.clone().unwrap_or_else(|| "-".to_owned());
        [one.descriptor.digest.to_string(), kind]
    };
    let rows: Vec<[String; 2]> = list.iter().map(row).collect();
    context.printer.table(["DIGEST", "TYPE"], &rows);
    Ok(())
}

fn described(referrer: &Referrer) -> Value {
    let Referrer { descriptor, artifact_type, annotations } = referrer;
    json!({
        "digest": descriptor.digest,
        "media_type": descriptor.media_type,
        "size": descriptor.size,
        "artifact_type": artifact_type,
        "annotations": annotations,
    })
}
